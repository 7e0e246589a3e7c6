/** Texts. Characters are code points; case is mapped one by one, without a language. */
import { textLiteral } from '../literal.js';
import { refuse } from '../refusal.js';
import { checkOptions, regexToJava, rewriteOf } from '../regex.js';
import {
  as,
  constantText,
  constantWhole,
  type Print,
  requireTypes,
  type SqlFunction,
} from '../row.js';
import { LONGEST } from '../text-size.js';
import type { SqlCall } from '../tree.js';

function texts(call: SqlCall): void {
  requireTypes(call, (id) => id === 'VARCHAR', 'text');
}

function ofTexts(template: string): SqlFunction['spark'] {
  return (call, print) => {
    texts(call);
    return as(template)(call, print);
  };
}

const isList = (call: SqlCall): boolean => call.args[0]?.type.id === 'LIST';

/** Operands whose type the engines print alike as text. */
const concatenated: SqlFunction['spark'] = (call, print) => {
  texts(call);
  const parts = call.args.map(print);
  if (call.name === '||') return `concat(${parts.join(', ')})`;
  if (call.name === 'concat_ws') return `concat_ws(${parts.join(', ')})`;
  return `concat(${parts.map((part) => `coalesce(${part}, '')`).join(', ')})`;
};

const trimmed: SqlFunction['spark'] = (call, print) => {
  texts(call);
  const side = call.name === 'ltrim' ? 1 : call.name === 'rtrim' ? 2 : 3;
  const chars = call.args[1] === undefined ? '' : `, ${print(call.args[1])}`;
  return `duckdb_trim${chars ? '_of' : ''}(${print(call.args[0]!)}${chars}, ${side})`;
};

const sliced: SqlFunction['spark'] = (call, print) => {
  const [text, from, to] = call.args;
  if (text!.type.id !== 'VARCHAR' || call.args.length > 3) throw refuse('a slice of a list');
  const bound = (node: typeof from, open: string): string =>
    node === undefined || node.type.id === 'LIST' ? open : print(node);
  return `duckdb_slice(${print(text!)}, ${bound(from, '1L')}, ${bound(to, '9223372036854775807L')})`;
};

const element: SqlFunction['spark'] = (call, print) => {
  const [list, at] = call.args;
  if (list!.type.id === 'VARCHAR') return `duckdb_substring(${print(list!)}, ${print(at!)}, 1L)`;
  return `duckdb_element(${listOf(list!, print)}, ${print(at!)})`;
};

/** Lists are only what a text is split into. */
function listOf(node: SqlCall['args'][number], print: Print): string {
  const isSplit = node.kind === 'call' && /split|string_to_array/.test(node.name);
  if (!isSplit) throw refuse(`a list as a value`, "take an element: string_split(s, ',')[1]");
  return print(node);
}

const lengthOf: SqlFunction['spark'] = (call, print) => {
  if (isList(call)) return `duckdb_count(${listOf(call.args[0]!, print)})`;
  texts(call);
  return `CAST(char_length(${print(call.args[0]!)}) AS BIGINT)`;
};

const padded: SqlFunction['spark'] = (call, print) => {
  constantWhole(call, 1, 'a length');
  if (call.name !== 'repeat' && constantText(call, 2, 'a padding') === '') {
    throw refuse(`${call.name}() with an empty padding`);
  }
  const [text, count, fill] = call.args.map(print);
  const size = `CAST(${count} AS BIGINT)`;
  return call.name === 'repeat'
    ? `duckdb_repeat(${text}, ${size})`
    : `duckdb_${call.name}(${text}, ${size}, ${fill})`;
};

/** like, ilike and their escapes, by the names the binder has for them. */
const like: SqlFunction['spark'] = (call, print) => {
  texts(call);
  const isNot = /^(!|not)/.test(call.name);
  const ignoresCase = /\*$|ilike/.test(call.name);
  const [text, wanted, mark] = call.args.map(print);
  const folded = (operand: string): string => (ignoresCase ? `duckdb_lower(${operand})` : operand);
  const test = `duckdb_like(${folded(text!)}, ${folded(wanted!)}, ${mark ?? "''"})`;
  return isNot ? `(NOT ${test})` : test;
};

/** A pattern and its options as Java's, checked to mean the same. */
function pattern(call: SqlCall, optionsAt: number): { java: string; options: string } {
  const options = call.args.length > optionsAt ? constantText(call, optionsAt, 'options') : '';
  checkOptions(options, call.name);
  return { java: regexToJava(constantText(call, 1, 'a pattern'), options), options };
}

const matched: SqlFunction['spark'] = (call, print) => {
  const { java, options } = pattern(call, 2);
  const isWhole = call.name === 'regexp_full_match';
  const given = [java, options].map(textLiteral).join(', ');
  return `duckdb_regexp_matches(${print(call.args[0]!)}, ${given}, ${isWhole})`;
};

const extracted: SqlFunction['spark'] = (call, print) => {
  const group = call.args.length > 2 ? constantWhole(call, 2, 'a group') : 0;
  if (group < 0 || group > 9) throw refuse(`group ${group} of a pattern`, 'groups are 0 to 9');
  const { java, options } = pattern(call, 3);
  const given = [java, options].map(textLiteral).join(', ');
  return `duckdb_regexp_extract(${print(call.args[0]!)}, ${given}, ${group})`;
};

const replaced: SqlFunction['spark'] = (call, print) => {
  const { java, options } = pattern(call, 3);
  const rewrite = rewriteOf(constantText(call, 2, 'a replacement'), java);
  const given = [java, options, rewrite].map(textLiteral).join(', ');
  return `duckdb_regexp_replace(${print(call.args[0]!)}, ${given})`;
};

function row(
  names: readonly string[],
  usage: string,
  means: string,
  examples: readonly string[],
  spark: SqlFunction['spark'],
): SqlFunction {
  return { names, usage, means, examples, spark };
}

export const textFunctions: readonly SqlFunction[] = [
  row(
    ['||'],
    'a || b',
    'NULL where one is',
    ["s || 'é'", 's || i', 'm || s', 'x || s'],
    concatenated,
  ),
  row(['concat'], 'concat(a, b, ..)', 'NULLs are skipped', ["concat(s, i, 'x', b)"], concatenated),
  row(
    ['concat_ws'],
    "concat_ws(',', a, ..)",
    'NULLs are skipped',
    ["concat_ws('-', s, t, i)"],
    concatenated,
  ),
  row(
    ['length', 'len', 'char_length', 'character_length'],
    'length(a)',
    'code points; of `string_split`, parts',
    ['length(s)', "len(string_split(s, ','))"],
    lengthOf,
  ),
  row(['strlen'], 'strlen(a)', 'bytes of UTF-8', ['strlen(s)'], (call, print) => {
    texts(call);
    return `CAST(octet_length(${print(call.args[0]!)}) AS BIGINT)`;
  }),
  row(['upper', 'ucase'], 'upper(a)', '', ['upper(s)'], ofTexts('duckdb_upper($1)')),
  row(['lower', 'lcase'], 'lower(a)', '', ['lower(s)'], ofTexts('duckdb_lower($1)')),
  row(
    ['trim', 'ltrim', 'rtrim'],
    "trim(a), trim(a, 'chars')",
    'spaces of every kind, but no tabs',
    ['trim(s)', 'ltrim(s)', "rtrim(s, 'a ')", "trim(both 'x' from s)"],
    trimmed,
  ),
  row(
    ['substring', 'substr'],
    'substr(a, start, length)',
    'from 1; from the end if negative; 0 is the place before the first',
    [
      'substr(s, 0, 3)',
      'substr(s, 2)',
      'substr(s, -3, 2)',
      'substring(s, i, 2)',
      'substr(s, 3, -2)',
    ],
    (call, print) => {
      const [text, from, length = '9223372036854775807L'] = call.args.map(print);
      return `duckdb_substring(${text}, ${from}, ${length})`;
    },
  ),
  row(
    ['array_slice', 'list_slice'],
    'a[1:3]',
    'both ends included; from the end if negative',
    ['s[1:3]', 's[2:]', 's[:2]', 's[-2:]', 's[0:2]', 's[3:2]', 's[-3:-2]'],
    sliced,
  ),
  row(
    ['array_extract', 'list_extract', 'list_element'],
    "a[1], string_split(a, ',')[1], split_part(a, ',', 1)",
    'from 1; from the end if negative; of a text empty, of a list NULL where there is none',
    ['s[2]', 's[-1]', 's[0]', "string_split(s, ',')[2]", "split_part(s, ',', -1)"],
    element,
  ),
  row(
    ['left', 'right'],
    'left(a, n), right(a, n)',
    'all but n if negative',
    ['left(s, 2)', 'right(s, 2)', 'left(s, -1)', 'right(s, -1)'],
    (call, print) => `duckdb_${call.name}(${call.args.map(print).join(', ')})`,
  ),
  row(
    ['repeat', 'lpad', 'rpad'],
    "repeat(a, n), lpad(a, n, 'x')",
    `n is constant, up to ${LONGEST}`,
    ['repeat(s, 2)', "lpad(s, 4, 'xé')", "rpad(s, 4, 'xy')"],
    padded,
  ),
  row(
    ['replace'],
    'replace(a, b, c)',
    '',
    ["replace(s, 'a', 'é')"],
    ofTexts('replace($1, $2, $3)'),
  ),
  row(
    ['translate'],
    "translate(a, 'ab', 'x')",
    'characters without a counterpart are left out',
    ["translate(s, 'abé', 'xy')"],
    ofTexts('translate($1, $2, $3)'),
  ),
  row(
    ['contains'],
    'contains(a, b)',
    'a text in a text',
    ["contains(s, 'a')", "contains(s, '')"],
    ofTexts('contains($1, $2)'),
  ),
  row(
    ['starts_with', 'prefix', '^@'],
    'starts_with(a, b)',
    '',
    ["starts_with(s, 'a')", "s ^@ 'é'"],
    ofTexts('startswith($1, $2)'),
  ),
  row(
    ['ends_with', 'suffix'],
    'ends_with(a, b)',
    '',
    ["ends_with(s, 'c')"],
    ofTexts('endswith($1, $2)'),
  ),
  row(
    ['strpos', 'instr', 'position'],
    "strpos(a, b), position('b' in a)",
    'from 1; 0 where it is not',
    ["strpos(s, 'b')", "position('c' in s)", "instr(s, '')"],
    ofTexts('CAST(instr($1, $2) AS BIGINT)'),
  ),
  row(
    ['string_split', 'str_split', 'string_to_array', 'split'],
    "string_split(a, ',')",
    'only with [n] or len() around it',
    ["string_split(s, '')[2]", "len(str_split(s, 'a'))"],
    ofTexts('duckdb_split($1, $2)'),
  ),
  row(
    ['ascii', 'unicode', 'ord'],
    'ascii(a), unicode(a)',
    'of the first character; of an empty text 0, for `unicode` and `ord` -1',
    ['ascii(s)', 'unicode(s)', 'ord(s)'],
    (call, print) => {
      texts(call);
      return `duckdb_code(${print(call.args[0]!)}, ${call.name === 'ascii' ? 0 : -1})`;
    },
  ),
  row(
    ['levenshtein', 'editdist3'],
    'levenshtein(a, b)',
    'counts bytes of UTF-8',
    ["levenshtein(s, 'abé')", 'levenshtein(s, t)'],
    ofTexts('duckdb_levenshtein($1, $2)'),
  ),
  row(['md5'], 'md5(a)', '', ['md5(s)'], ofTexts("md5(encode($1, 'UTF-8'))")),
  row(['sha256'], 'sha256(a)', '', ['sha256(s)'], ofTexts("sha2(encode($1, 'UTF-8'), 256)")),
  row(
    [
      ...['~~', '!~~', '~~*', '!~~*'],
      ...['like_escape', 'not_like_escape', 'ilike_escape', 'not_ilike_escape'],
    ],
    "a like 'x%', a ilike 'x%', a like 'x!%' escape '!'",
    'no escape unless it is given',
    [
      ...["s like 'a%'", "s not like '_'", "s ilike '%É%'", "s like 'a\\_%'"],
      ...["s like '%!_%' escape '!'", "s not ilike 'A%'"],
    ],
    like,
  ),
  row(
    ['regexp_matches', 'regexp_full_match', 'regexp_like'],
    "regexp_matches(a, 'p'), a similar to 'p', a ~ 'p'",
    '`similar to` and `~` match the whole text; patterns below',
    [
      ...["regexp_matches(s, '^[a-c]+$')", "regexp_full_match(s, '.*[[:digit:]]')"],
      ...["s similar to 'a.*'", "regexp_matches(s, 'É', 'c')", "regexp_matches(s, 'B', 'i')"],
      ...["regexp_matches(s, '\\bc\\b|\\s$')"],
    ],
    matched,
  ),
  row(
    ['regexp_extract'],
    "regexp_extract(a, 'p', group)",
    'empty where it does not match; group 0 is the whole match',
    ["regexp_extract(s, '[a-z]+')", "regexp_extract(s, '(.)(c|,)?', 2)"],
    extracted,
  ),
  row(
    ['regexp_replace'],
    "regexp_replace(a, 'p', 'r', 'g')",
    "the first match; all with 'g'; `\\1` is a group",
    [
      ...["regexp_replace(s, '-', '')", "regexp_replace(s, '[^a-z]', '', 'g')"],
      ...["regexp_replace(s, '(b)(.?)', '[\\2$1\\1]')", "regexp_replace(s, 'x*', '-', 'g')"],
    ],
    replaced,
  ),
];
