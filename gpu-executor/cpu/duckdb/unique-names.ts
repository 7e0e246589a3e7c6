/** Makes column names distinct whatever their case, by DuckDB's rule (see `ColumnNames.scala`). */

/** The names, a number behind each that was there before: `Id, ID` become `Id, ID_1`. */
export function uniqueNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((given) => {
    let name = given;
    for (;;) {
      const key = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
      const count = seen.get(key);
      seen.set(key, (count ?? 0) + 1);
      if (count === undefined) return name;
      name = `${name}_${count}`;
    }
  });
}
