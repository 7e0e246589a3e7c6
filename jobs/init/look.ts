/**
 * Looks at data that no job describes yet, and decides what a first job would say of them: what to
 * predict, by which kind of model, and how each column is used. Every decision says why, so that
 * the job file can.
 */
import { columnSql } from '../../driver/frame/feature-spec.js';
import { ConfigError, type FrameEngine } from '../../driver/index.js';
import type { ColumnProfile, FrameColumn } from '../../driver/ir/frame-engine.js';
import type { Task } from '../estimators/estimator.js';
import { formatCount, plural } from '../format.js';

/** What one scan tells of a column; without a profile no feature can be made of it. */
export interface SeenColumn extends FrameColumn {
  readonly profile?: ColumnProfile;
}

export interface SeenData {
  readonly rows: number;
  readonly columns: readonly SeenColumn[];
}

/** Most categories a feature gets columns for. */
const TOP = 30;
/** Most values of numbers that are taken for classes. */
const FEW = 10;
/** Values listed in the scan: enough to see whether they are few. */
const LISTED = 100;

/** One scan over all rows. @throws DataError when the data can't be read */
export async function look(frames: FrameEngine, path: string): Promise<SeenData> {
  const { source, columns, rows } = await frames.describe(path);
  const usable = columns.filter(({ type }) => type !== 'other');
  const requests = usable.map(({ name }) => ({ sql: columnSql(name), top: LISTED, quantiles: [] }));
  const profiles = rows > 0 ? await frames.profile(source, requests) : [];
  const profileOf = new Map(usable.map(({ name }, i) => [name, profiles[i]]));
  return {
    rows,
    columns: columns.map((column) => {
      const profile = profileOf.get(column.name);
      return { ...column, ...(profile ? { profile } : {}) };
    }),
  };
}

export interface TargetChoice {
  readonly column: SeenColumn & { readonly profile: ColumnProfile };
  readonly task: Task;
  /** Why this column, and why this task. */
  readonly why: string;
  readonly whyTask: string;
}

/** Names that say it, best first. */
const TARGET_NAMES =
  /^(target|label|labels|class|y|outcome|response|survived|churn|default|price|quality|species|diagnosis)$/i;

/**
 * The column to predict.
 * @param wanted its name, if it was said
 * @throws ConfigError for a column that is not there or can't be a target
 */
export function chooseTarget(
  { columns, rows }: SeenData,
  wanted: string | undefined,
): TargetChoice {
  const usable = columns.filter((column) => isTarget(column, rows));
  if (wanted !== undefined) {
    const column = usable.find(({ name }) => name === wanted);
    if (column !== undefined) return withTask(column, 'as you said');
    const isThere = columns.some(({ name }) => name === wanted);
    throw noTarget(isThere ? `${wanted}, which has no numbers or classes` : wanted, usable);
  }
  const named = usable.find(({ name }) => TARGET_NAMES.test(name));
  if (named !== undefined) return withTask(named, 'guessed by its name');
  const last = usable.at(-1);
  if (last === undefined) throw noTarget('none that has', usable);
  return withTask(last, 'guessed: the last column that could be');
}

function isTarget({ name, type, profile }: SeenColumn, rows: number): boolean {
  if (profile === undefined || profile.infinite > 0 || profile.distinct < 2) return false;
  if (isIdentifier(name, profile, rows)) return false;
  return type === 'number' || type === 'boolean' || (type === 'text' && profile.distinct <= LISTED);
}

function noTarget(got: string, usable: readonly SeenColumn[]): ConfigError {
  const names = usable.map(({ name }) => name).join(', ') || 'none';
  return new ConfigError(
    `--target: expected a column of numbers or of at most ${LISTED} classes, got ${got}; there are ${names}`,
    { key: '--target', source: 'flag' },
  );
}

function withTask(given: SeenColumn, why: string): TargetChoice {
  const column = given as TargetChoice['column'];
  const { type, profile } = column;
  const values = plural(profile.distinct, 'value');
  if (type !== 'number') {
    return { column, why, task: 'classification', whyTask: `${values} that are no numbers` };
  }
  const isWhole = profile.top.every(({ value }) => Number.isInteger(Number(value)));
  const isFew = profile.distinct === 2 || (profile.distinct <= FEW && isWhole);
  return isFew
    ? { column, why, task: 'classification', whyTask: `only ${values}` }
    : {
        column,
        why,
        task: 'regression',
        whyTask: `${formatCount(profile.distinct)} different numbers`,
      };
}

/** What becomes of a column: features as the job file has them, or why it is left out. */
export interface ColumnUse {
  readonly features: readonly Readonly<Record<string, string | number>>[];
  readonly note: string;
}

export function useOf({ name, type, engineType, profile }: SeenColumn, rows: number): ColumnUse {
  const out = (note: string): ColumnUse => ({ features: [], note });
  if (profile === undefined) return out(`${engineType}: say sql that makes numbers or text of it`);
  const { distinct, missing, infinite, min, max } = profile;
  if (missing === rows) return out('every row is missing');
  if (distinct < 2 && missing === 0) return out('every row has the same value');
  if (infinite > 0) return out(`${plural(infinite, 'infinite value')}: say sql, such as nullif`);
  const odd = oddText(profile);
  if (odd !== undefined) {
    const shown = JSON.stringify(odd);
    return out(
      `numbers but for ${shown}: if that stands for a missing value, say csv: { null: ${shown} } in data`,
    );
  }
  if (isIdentifier(name, profile, rows)) return out('looks like an identifier of rows');
  const gaps = missing > 0 ? `, ${plural(missing, 'missing value')}` : '';
  const impute = missing > 0 ? { impute: 'mean' } : {};
  switch (type) {
    case 'number':
      return { features: [{ name, ...impute }], note: `numbers from ${min} to ${max}${gaps}` };
    case 'boolean':
      return { features: [{ name, ...impute }], note: `booleans${gaps}` };
    case 'timestamp':
      return {
        features: partsOf(name, engineType).map(([part, sql]) => ({
          name: `${name}_${part}`,
          sql,
          encode: 'onehot',
        })),
        note: `times${gaps}; what of them may matter`,
      };
    default: {
      const cut = distinct > TOP ? { top: TOP } : {};
      const kept = distinct > TOP ? `, the ${TOP} most frequent of them` : '';
      const note = `${plural(distinct, 'category', 'categories')}${kept}${gaps}`;
      return { features: [{ name, encode: 'onehot', ...cut }], note };
    }
  }
}

function partsOf(name: string, engineType: string): [string, string][] {
  const column = columnSql(name);
  const parts: [string, string][] = [
    ['month', `extract(month from ${column})`],
    ['weekday', `extract(dow from ${column})`],
  ];
  // A date has no hours.
  return /^date$/i.test(engineType) ? parts : [...parts, ['hour', `extract(hour from ${column})`]];
}

/** The one text among numbers, of a column that would else be of numbers. */
function oddText({ type, top, distinct }: ColumnProfile): string | undefined {
  if (type !== 'text' || distinct < 3) return undefined;
  const odd = top.filter(({ value }) => value.trim() === '' || Number.isNaN(Number(value)));
  return odd.length === 1 ? odd[0]!.value : undefined;
}

/** Whether the values tell rows apart and nothing else. */
function isIdentifier(
  name: string,
  { type, distinct, missing, top }: ColumnProfile,
  rows: number,
): boolean {
  const present = rows - missing;
  if (present < 20) return false;
  const isNamed = /(^|[_\s-])(id|uuid|guid|key|index|row|nr|no)$|^id|[a-z]Id$/i.test(name);
  if (type === 'text') return distinct > 0.9 * present || (isNamed && distinct > present / 2);
  const isWhole = top.every(({ value }) => /^-?\d+$/.test(value));
  return type === 'number' && isNamed && isWhole && distinct === present;
}
