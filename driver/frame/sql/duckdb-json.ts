/** DuckDB's JSON: digits beyond 2^53 and infinities, which JSON numbers can't hold, are texts. */
export function parseDuckDbJson(text: string): unknown {
  return JSON.parse(
    text.replace(
      /"(value|upper|lower)":(-?(?:\d[\d.eE+-]*|inf(?:inity)?|nan))(?=[,}])/gi,
      '"$1":"$2"',
    ),
  );
}
