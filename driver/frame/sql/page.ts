/** The page of functions, printed from the table. */
import { CASTS } from './casts.js';
import { AGGREGATES, TABLE } from './table.js';

const HEAD = `# Functions of feature expressions

<!-- Printed from driver/frame/sql by \`npm run sql-functions\`; do not edit. -->

A feature's \`sql\` is one scalar expression over the columns of a row, in DuckDB's dialect. It is parsed once, by DuckDB's own
parser, and may use what this page lists: each row was compared on DuckDB and on Spark, and a test runs its examples on both
over nulls, NaN, halves, negatives, texts beyond ASCII, dates before 1970 and hours that clocks show twice. The meaning is
DuckDB's; on Spark, where none of its own functions means the same, the shim brings one. Anything else is refused by every
engine, with the nearest that is here. No text of a job is ever substituted: \`'\${env:HOME}'\` is that text.

A job that says \`data.dialect: duckdb\` or \`data.dialect: spark\` may use every function of that engine whose value depends on
the row alone (no clock, random number, session or sub-query), and runs on no other. Spark reads it with ANSI mode on, in UTC.

A metric's \`sql\` (\`scoring\`) is an aggregate over predictions: what the last chapter lists, of expressions as features may have,
and expressions of such aggregates.

Types: boolean, tinyint to bigint, decimal, float, double, varchar, date, timestamp, timestamptz. Lists are what \`string_split\`
makes, intervals what is added to dates or taken parts of; neither is a value. Both engines count time in UTC.
`;

const PATTERNS = `## Patterns

Literals, \`.\`, \`^\`, \`$\`, \`|\`, \`( )\`, \`(?: )\`, \`[a-z]\`, \`[^a-z]\`, \`[[:alpha:]]\` (alpha, digit, alnum, upper, lower, space), \`\\d \\D \\w \\W \\s \\S\`
(ASCII), \`\\b\`, \`\\A\`, \`\\z\`, \`\\n \\t \\r \\f \\v \\a\`, \`\\x41\`, \`\\x{1f600}\`, \`* + ? {n} {n,} {n,m}\`, each lazy with a \`?\` after it. A pattern,
its options (\`i\`: case, ASCII patterns only; \`s\`: \`.\` matches line ends; \`g\`: all, of \`regexp_replace\`) and a replacement are constant. Refused, as
RE2 and Java read them differently or not at all: look-around, backreferences, possessive repetition, repetition of what may be
empty, \`\\p\`, \`\\B\`, flags and names in groups.
`;

export function sqlFunctionsPage(): string {
  const chapters = [...TABLE, AGGREGATES].map(({ title, rows }) => {
    const lines = rows.map(({ usage, means, examples }) =>
      cells([code(usage), means, code(examples[0]!)]),
    );
    return `## ${title}\n\n${table(['written', 'what to know', 'for example'], lines)}`;
  });
  const casts = CASTS.map(({ usage, means }) => cells([usage, means]));
  const cast = `## Casts\n\n\`cast(a as type)\`, \`a::type\`, \`try_cast(a as type)\`.\n\n${table(['from and to', 'how'], casts)}`;
  return [HEAD, ...chapters, cast, PATTERNS].join('\n');
}

function table(head: readonly string[], lines: readonly string[]): string {
  const rule = `| ${head.map(() => '---').join(' | ')} |`;
  return `${[cells(head), rule, ...lines].join('\n')}\n`;
}

function cells(values: readonly string[]): string {
  return `| ${values.map((value) => value.replaceAll('|', '\\|')).join(' | ')} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}
