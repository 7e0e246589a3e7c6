/**
 * What to predict, a column or an expression: a number, or a class. Classes are numbered from 0 in
 * the order of `numpy.unique`: numbers ascending, text by code point, false before true. Invariant:
 * a resolved target has a number in every row.
 * Source: scikit-learn `LabelEncoder`, `utils.multiclass.type_of_target`.
 */
import { DataError } from '../errors.js';
import type {
  ColumnProfile,
  FrameDescription,
  ProfileRequest,
  SqlDialect,
  SqlText,
} from '../ir/frame-engine.js';
import type { EncodedFeature } from '../operators/encode-block.js';
import { requireColumn } from './feature-spec.js';
import { compareNumbers } from './number-text.js';

/** A class as the data have it; a number beyond 2^53 as its text. */
export type ClassValue = string | number | boolean;

/** What to predict: a column, or an expression over the columns. */
export interface TargetOptions {
  /** The column; with `sql` a name of its own. */
  readonly name: string;
  /** Scalar expression, in the dialect of the features' expressions. */
  readonly sql?: string | undefined;
}

/** What there is to predict: the number in each row, or the class. */
export interface TargetSpec {
  readonly name: string;
  readonly text: SqlText;
  /** Absent for an expression. */
  readonly column?: string;
  readonly kind: 'number' | 'class';
}

/**
 * A target as it is read.
 * @throws DataError for an unknown column, and for an expression that is called as a column is
 */
export function targetSpec(
  description: FrameDescription,
  { name, sql }: TargetOptions,
  dialect: SqlDialect | undefined,
  kind: TargetSpec['kind'],
): TargetSpec {
  if (sql === undefined) {
    return { name, text: { sql: requireColumn(description, name, 'target') }, column: name, kind };
  }
  if (description.columns.some((column) => column.name === name)) {
    throw new DataError(
      `target ${name}: expected a name that no column has for an expression, got that of a column; call it otherwise`,
      { target: name },
    );
  }
  return { name, text: { sql: sql.trim(), ...(dialect ? { dialect } : {}) }, kind };
}

/** Says which columns among the features the target is made of, as far as the words tell. */
export function leaks({ name, column, text }: TargetSpec, features: readonly SqlText[]): string[] {
  if (column !== undefined) return [];
  const words = new Set(text.sql.match(/"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_]*/gu));
  return features
    .filter(({ sql }) => words.has(sql))
    .map(
      ({ sql }) =>
        `target ${name}: it is made of ${sql}, which is a feature too: a model learns from what it is to predict`,
    );
}

export interface ResolvedTarget {
  /** Encodes to the number, or the class number. */
  readonly feature: EncodedFeature;
  /** By class number; absent for numbers. */
  readonly classes?: readonly ClassValue[];
  readonly warnings: readonly string[];
}

/** More classes are a mistake, or too many weights. */
export const MAX_CLASSES = 10_000;

export function targetRequest({ kind, text }: TargetSpec): ProfileRequest {
  return { ...text, top: kind === 'class' ? MAX_CLASSES : 0, quantiles: [] };
}

/** @throws DataError when the column is no such target; numbers are known to be numbers */
export function resolveTarget(spec: TargetSpec, profile: ColumnProfile): ResolvedTarget {
  const { name, kind, text } = spec;
  checkPresent(name, kind, profile);
  if (kind === 'class') return classTarget(spec, profile);
  const { min, max } = profile;
  const warnings = min === max ? [`target ${name}: every row has the same value (${min})`] : [];
  return { feature: { kind: 'number', name, ...text, missing: 'error' }, warnings };
}

function checkPresent(name: string, kind: TargetSpec['kind'], profile: ColumnProfile): void {
  const bad: [number, string][] = [
    [profile.missing, 'missing'],
    [profile.infinite, 'infinite'],
  ];
  for (const [n, what] of bad) {
    if (n === 0) continue;
    const wanted = kind === 'class' ? 'class' : 'finite number';
    throw new DataError(
      `target ${name}: expected a ${wanted} in every row, got ${n} ${what} in ${profile.rows} rows; remove these rows from the data`,
      { target: name, [what]: n, rows: profile.rows },
    );
  }
}

function classTarget({ name, text }: TargetSpec, profile: ColumnProfile): ResolvedTarget {
  const fail = (expected: string, got: string): DataError =>
    new DataError(`target ${name}: expected ${expected}, got ${got}`, { target: name });
  const { type, top, distinct, rows } = profile;
  if (type === 'other' || type === 'timestamp') {
    const got = type === 'other' ? 'values of a nested or binary type' : 'timestamps';
    throw fail('classes as text, booleans or whole numbers', got);
  }
  const texts = top.map(({ value }) => value);
  const broken =
    type === 'number' ? texts.find((text) => !Number.isInteger(Number(text))) : undefined;
  if (broken !== undefined) {
    const remedy = 'predict it by a regression model, or say which ranges are classes in the data';
    throw fail('classes (whole numbers, text or booleans)', `the number ${broken}; ${remedy}`);
  }
  if (distinct > MAX_CLASSES) throw fail(`at most ${MAX_CLASSES} classes`, `${distinct}`);
  const ordered = [...top].sort((a, b) =>
    type === 'number' ? compareNumbers(a.value, b.value) : byCodePoint(a.value, b.value),
  );
  const classes: ClassValue[] = [];
  const values = ordered.map(({ value }) => {
    const own = classValue(type, value);
    if (classes.at(-1) !== own) classes.push(own);
    return classes.length - 1;
  });
  if (classes.length < 2) throw fail('at least two classes', `${classes[0]} in every row`);
  const categories = ordered.map(({ value }) => value);
  const warnings =
    classes.length > rows / 2
      ? [`target ${name}: ${classes.length} classes are more than half as many as rows (${rows})`]
      : [];
  return {
    feature: { kind: 'map', name, ...text, categories, values, fallback: -1 },
    classes,
    warnings,
  };
}

function classValue(type: ColumnProfile['type'], text: string): ClassValue {
  if (type === 'boolean') return text === 'true';
  if (type !== 'number') return text;
  const value = Number(text) + 0;
  return Number.isSafeInteger(value) ? value : text;
}

/** numpy's order of strings: UTF-8 bytes. JavaScript's order differs beyond the basic plane. */
export function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
