/**
 * What the user says of features, and its plain reading: which expression each one is, how it is
 * encoded, what stands in for missing values. Invariant: everything that can be checked without the
 * data is checked here.
 */
import { ConfigError, DataError } from '../errors.js';
import type {
  FrameColumn,
  FrameDescription,
  SqlDialect,
  SqlText,
  TextHashing,
} from '../ir/frame-engine.js';
import { closestText } from '../support/closest.js';

/** A feature: the name of a column, or more. */
export type FeatureSpec = string | FeatureOptions;

export interface FeatureOptions {
  /** Name of the feature; the column itself unless `sql` is given. */
  readonly name: string;
  /** Scalar expression over the columns, in DuckDB's dialect unless the selection says another. */
  readonly sql?: string | undefined;
  /** Default `number`. */
  readonly encode?: 'number' | 'onehot' | 'bin' | 'hash' | undefined;
  /** one-hot: keep this many of the most frequent categories. Default: all, up to 100,000. */
  readonly top?: number | undefined;
  /** one-hot: whether unlisted categories share a column. Default: when there are any. */
  readonly other?: boolean | undefined;
  /** bin: how many bins of equal count (default 10), or the inner edges, ascending. */
  readonly bins?: number | readonly number[] | undefined;
  /** Replaces a missing value: `mean` of the training rows, `zero`, a number, or a category. */
  readonly impute?: number | string | undefined;
  /** hash: how many columns. Default 4096. */
  readonly columns?: number | undefined;
  /** hash: least and most words of the runs that are counted. Default [1, 1]. */
  readonly ngrams?: readonly [number, number] | undefined;
  /** hash: whether capital letters count as small ones. Default true. */
  readonly lowercase?: boolean | undefined;
  /** hash: by which the counts of a row are divided. Default `l2`. */
  readonly norm?: TextHashing['norm'] | undefined;
  /** hash: whether half of the words count negatively. Default true. */
  readonly alternate_sign?: boolean | undefined;
}

/** The keys of `hash`, and what they are where nothing is said. */
export const HASHING: TextHashing = {
  columns: 4096,
  ngrams: [1, 1],
  lowercase: true,
  norm: 'l2',
  alternate_sign: true,
};
export const HASHING_KEYS = Object.keys(HASHING) as (keyof TextHashing)[];
/** A row of weights a column: a model with more is unreadable. */
export const MAX_HASH_COLUMNS = 2 ** 20;
const MAX_NGRAM = 10;

/** A feature with every default filled in. */
export interface PlannedFeature {
  readonly name: string;
  /** The expression as given, or the column's name quoted as SQL needs it. */
  readonly sql: string;
  /** Of an expression that was given. */
  readonly dialect?: SqlDialect;
  readonly encode: 'number' | 'onehot' | 'bin' | 'hash';
  readonly top: number | undefined;
  readonly other: boolean | undefined;
  readonly bins: number | readonly number[];
  readonly impute: number | string | undefined;
  /** Of `hash`. */
  readonly hashing?: TextHashing;
}

/** Words that SQL does not take for a column unless quoted. */
const RESERVED = new Set(
  `all analyse analyze and anti any array as asc asof between both by case cast check collate column constraint create
  cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default
  deferrable desc describe distinct div do else end except exists extract false fetch filter for foreign from full
  glob grant group having ilike in initially inner intersect interval into is isnull join lambda lateral leading left
  like limit localtime localtimestamp map minus natural not notnull null offset on only or order outer overlaps pivot
  placing position positional primary qualify references regexp returning right rlike row rows select semi session_user
  set show similar some struct substring summarize symmetric table tablesample then to trailing trim true try_cast
  union unique unknown unpivot user using values variadic verbose when where window with`.split(
    /\s+/,
  ),
);

/** A column's name as SQL: quoted only when it has to be. */
export function columnSql(name: string): string {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !RESERVED.has(name.toLowerCase());
  return plain ? name : `"${name.replaceAll('"', '""')}"`;
}

const columnNames = new WeakMap<FrameDescription, ReadonlyMap<string, FrameColumn>>();

/**
 * Passes when the data have the column, of a type features are made of.
 * @throws DataError naming the columns there are, closest first; or file, column and type
 */
export function requireColumn(description: FrameDescription, name: string, role: string): string {
  let known = columnNames.get(description);
  if (known === undefined) {
    known = new Map(description.columns.map((column) => [column.name, column]));
    columnNames.set(description, known);
  }
  const column = known.get(name);
  if (column?.type === 'other') {
    const path = description.source.files[0]?.path;
    throw new DataError(
      `${role}: expected a column of numbers, text, booleans or times, got ${JSON.stringify(name)} of type ${column.engineType} in ${path}; say sql that makes one of it, or leave it out`,
      { column: name, type: column.engineType, path },
    );
  }
  if (column === undefined) {
    const names = [...known.keys()];
    throw new DataError(
      `${role}: expected a column of the data, got ${JSON.stringify(name)}; the columns are ${closestText(name, names)}`,
      { column: name, columns: names },
    );
  }
  return columnSql(name);
}

/**
 * The features in order, with defaults. Without any, every column but those in `reserved` is one.
 * @param reserved columns that are the target or say the fold
 * @throws ConfigError for a specification that no data can satisfy, DataError for an unknown column
 */
export function planFeatures(
  description: FrameDescription,
  {
    features,
    dialect,
  }: {
    readonly features?: readonly FeatureSpec[];
    readonly dialect?: SqlDialect | undefined;
  },
  reserved: readonly string[],
  target?: { readonly name: string; readonly text: SqlText },
): PlannedFeature[] {
  const given = features ?? [
    ...description.columns.map((column) => column.name).filter((name) => !reserved.includes(name)),
  ];
  if (given.length === 0) {
    throw new ConfigError(
      `features: expected at least one, got none besides the columns ${reserved.join(', ')}`,
      { key: 'data.features' },
    );
  }
  const names = new Set<string>();
  return given.map((spec) => {
    const planned = planFeature(
      description,
      typeof spec === 'string' ? { name: spec } : spec,
      dialect,
    );
    if (names.has(planned.name)) {
      throw invalid(planned.name, 'a name of its own', 'one used before');
    }
    names.add(planned.name);
    if (planned.sql === target?.text.sql) {
      throw invalid(planned.name, 'something other than the target', `the target ${target.name}`);
    }
    return planned;
  });
}

function planFeature(
  description: FrameDescription,
  options: FeatureOptions,
  dialect: SqlDialect | undefined,
): PlannedFeature {
  const { name, encode = 'number', top, other, bins = 10, impute } = options;
  const sql = options.sql?.trim() ?? requireColumn(description, name, `feature ${name}`);
  if (top !== undefined && !(Number.isInteger(top) && top >= 1)) {
    throw invalid(name, '`top` to be a whole number from 1', String(top));
  }
  if ((top !== undefined || other !== undefined) && encode !== 'onehot') {
    throw invalid(name, '`top` and `other` with `encode: onehot` only', `encode: ${encode}`);
  }
  if (options.bins !== undefined && encode !== 'bin') {
    throw invalid(name, '`bins` with `encode: bin` only', `encode: ${encode}`);
  }
  checkBins(name, bins);
  checkImpute(name, encode, impute);
  const hashing = planHashing(options);
  const tied = options.sql !== undefined && dialect !== undefined ? { dialect } : {};
  return { name, sql, ...tied, encode, top, other, bins, impute, ...hashing };
}

/** @throws ConfigError for keys of hashed text that are out of range, or of another encoding */
function planHashing(options: FeatureOptions): { readonly hashing?: TextHashing } {
  const { name, encode = 'number', impute } = options;
  if (encode !== 'hash') {
    const key = HASHING_KEYS.find((one) => options[one] !== undefined);
    if (key === undefined) return {};
    throw invalid(name, `\`${key}\` with \`encode: hash\` only`, `encode: ${encode}`);
  }
  if (impute !== undefined) {
    throw invalid(name, 'no `impute`, as missing text has no words', JSON.stringify(impute));
  }
  const given = Object.fromEntries(
    HASHING_KEYS.map((key) => [key, options[key] ?? HASHING[key]]),
  ) as TextHashing;
  const { columns, ngrams, norm } = given;
  if (!(Number.isInteger(columns) && columns >= 1 && columns <= MAX_HASH_COLUMNS)) {
    throw invalid(name, `\`columns\` from 1 to ${MAX_HASH_COLUMNS}`, String(columns));
  }
  const [least, most] = ngrams;
  const areWhole = ngrams.length === 2 && ngrams.every(Number.isInteger);
  if (!(areWhole && least >= 1 && least <= most && most <= MAX_NGRAM)) {
    const expected = `\`ngrams\` as [least, most], whole numbers from 1 to ${MAX_NGRAM}`;
    throw invalid(name, expected, JSON.stringify(ngrams));
  }
  if (!['l1', 'l2', 'none'].includes(norm)) throw invalid(name, '`norm` l1, l2 or none', norm);
  return { hashing: given };
}

function checkBins(name: string, bins: number | readonly number[]): void {
  if (typeof bins === 'number') {
    if (Number.isInteger(bins) && bins >= 2) return;
    throw invalid(name, '`bins` to be a whole number from 2', String(bins));
  }
  const ascending = bins.every(
    (edge, i) => Number.isFinite(edge) && (i === 0 || edge > bins[i - 1]!),
  );
  if (bins.length === 0 || !ascending) {
    throw invalid(name, '`bins` to be finite ascending edges', JSON.stringify(bins));
  }
}

function checkImpute(
  name: string,
  encode: PlannedFeature['encode'],
  impute: number | string | undefined,
): void {
  if (impute === undefined) return;
  if (typeof impute === 'number' && !Number.isFinite(impute)) {
    throw invalid(name, '`impute` to be a finite number', String(impute));
  }
  const numeric = typeof impute === 'number' || impute === 'mean' || impute === 'zero';
  if (encode === 'onehot') {
    if (impute === 'mean') throw invalid(name, 'a category to impute', '`mean`');
  } else if (!numeric) {
    throw invalid(name, '`impute` to be `mean`, `zero` or a number', JSON.stringify(impute));
  } else if (encode === 'bin' && impute === 'mean') {
    throw invalid(name, '`impute` of bins to be a number or `zero`', '`mean`');
  }
}

function invalid(name: string, expected: string, got: string): ConfigError {
  return new ConfigError(`feature ${name}: expected ${expected}, got ${got}`, {
    key: 'data.features',
    feature: name,
  });
}
