/**
 * The keys of `cv`: which there are for each type of split, their defaults, and the rule they say.
 * Invariant: without `type` the other keys say it, so job files of earlier versions mean what they
 * did.
 */
import * as z from 'zod';
import { SPLIT_TYPES, type SplitRule } from '../search/splits/resolve.js';
import type { Problem } from './check-job.js';
import type { KeyPath } from './yaml-source.js';

const column = z.string().min(1).max(500);
/** Rows, or below 1 a share of them. */
const size = z.number().positive();

const DRAWN: readonly (SplitRule['type'] | undefined)[] = ['shuffle', 'stratified-shuffle'];

const keys = {
  type: z.enum(SPLIT_TYPES).optional().meta({
    description:
      "scikit-learn's KFold, StratifiedKFold, GroupKFold, StratifiedGroupKFold, TimeSeriesSplit, ShuffleSplit, StratifiedShuffleSplit or PredefinedSplit. Default: as the other keys say; kfold without any, stratified for classification.",
  }),
  folds: z.int().min(1).max(1_000_000).optional().meta({
    description: 'Number of folds, or of splits that are drawn. Default: 5; not with `predefined`.',
  }),
  repeats: z.int().min(1).max(1000).optional().meta({
    description: 'Times to split anew, each shuffled by a seed of its own. Default: 1.',
  }),
  shuffle: z.boolean().optional().meta({
    description: 'Shuffle the rows, or groups, first. Default: false, true with `repeats`.',
  }),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional().meta({
    description: 'Seed of the shuffle; repeat r takes seed + r. Default: 0.',
  }),
  test_size: size.optional().meta({
    description:
      'Rows of a test set; below 1 their share. Default: 0.1 for shuffle, rows / (folds + 1) for time-series.',
  }),
  train_size: size.optional().meta({
    description: 'Rows of a training set; below 1 their share. Default: all others.',
  }),
  gap: z.int().min(0).optional().meta({
    description: 'Rows left out before each test set of a time series. Default: 0.',
  }),
  max_train_size: z.int().min(1).optional().meta({
    description: 'Most rows a training set of a time series has, the latest. Default: all.',
  }),
  group: column.optional().meta({
    description: 'Column whose equal values stay in one fold, as GroupKFold does.',
  }),
  stratify: column.optional().meta({
    description: 'Column whose values every fold has in equal shares. Default: the target.',
  }),
  predefined: column.optional().meta({
    description: 'Column that holds the fold of each row; -1 is always training.',
  }),
};

export const cvSchema = z
  .strictObject({
    ...keys,
    outer: z.strictObject(keys).superRefine(checkCount).optional().meta({
      description:
        'Nested cross-validation: splits whose training rows the whole search is done on, to score its best candidate on their test rows. Default: none.',
    }),
  })
  .superRefine(checkCount);

/** Only rows that are drawn, or come later, can be split once. */
function checkCount({ type, folds }: SplitDocument, context: z.core.$RefinementCtx): void {
  if (folds !== 1 || DRAWN.includes(type) || type === 'time-series') return;
  const issue = { code: 'too_small', origin: 'number', minimum: 2, inclusive: true } as const;
  context.addIssue({ ...issue, input: folds, path: ['folds'] });
}

type CvDocument = z.output<typeof cvSchema>;
type SplitDocument = z.output<z.ZodObject<typeof keys, z.core.$strict>>;
type SplitKey = Exclude<keyof SplitDocument, 'type'>;

/** The keys each type takes. */
const KEYS: Readonly<Record<SplitRule['type'], readonly SplitKey[]>> = {
  kfold: ['folds', 'repeats', 'shuffle', 'seed'],
  stratified: ['folds', 'repeats', 'shuffle', 'seed', 'stratify'],
  group: ['folds', 'repeats', 'shuffle', 'seed', 'group'],
  'stratified-group': ['folds', 'repeats', 'shuffle', 'seed', 'group', 'stratify'],
  'time-series': ['folds', 'test_size', 'gap', 'max_train_size'],
  shuffle: ['folds', 'seed', 'test_size', 'train_size'],
  'stratified-shuffle': ['folds', 'seed', 'test_size', 'train_size', 'stratify'],
  predefined: ['predefined'],
};

function typeOf(cv: SplitDocument, isClassification: boolean): SplitRule['type'] {
  if (cv.type !== undefined) return cv.type;
  if (cv.predefined !== undefined) return 'predefined';
  if (cv.group !== undefined) return cv.stratify === undefined ? 'group' : 'stratified-group';
  return cv.stratify !== undefined || isClassification ? 'stratified' : 'kfold';
}

/** @param hasTarget whether there is one to stratify by */
export function checkSplits(
  { outer, ...inner }: CvDocument,
  isClassification: boolean,
  hasTarget: boolean,
): Problem[] {
  const problems = checkSplit(inner, ['cv'], isClassification, hasTarget);
  if (outer === undefined) return problems;
  problems.push(...checkSplit(outer, ['cv', 'outer'], isClassification, hasTarget));
  for (const key of ['group', 'stratify', 'predefined'] as const) {
    if (outer[key] === undefined || inner[key] === undefined || outer[key] === inner[key]) continue;
    const message = `expected the column of \`cv.${key}\` (${inner[key]}), got ${outer[key]}`;
    problems.push({ path: ['cv', 'outer', key], message });
  }
  return problems;
}

function checkSplit(
  cv: SplitDocument,
  path: KeyPath,
  isClassification: boolean,
  hasTarget: boolean,
): Problem[] {
  const type = typeOf(cv, isClassification);
  const problems: Problem[] = [];
  const problem = (key: string, message: string, atKey = false): void => {
    problems.push({ path: [...path, key], message, atKey });
  };
  const given = Object.keys(cv).filter(
    (key) => key !== 'type' && ![undefined, false].includes(cv[key as SplitKey] as undefined),
  ) as SplitKey[];
  const unknown = given.filter((key) => !KEYS[type].includes(key));
  for (const key of unknown) problem(key, unknownWith(key, cv, given), true);
  const needed = type === 'stratified-group' ? 'group' : type;
  if ((needed === 'group' || needed === 'predefined') && cv[needed] === undefined) {
    problem('type', `expected \`${needed}\`, a column, with \`type: ${type}\`, got none`);
  }
  const isStratified = KEYS[type].includes('stratify');
  if (isStratified && cv.stratify === undefined && !hasTarget) {
    problem('type', `expected \`stratify\`, a column, where there is no target, got none`);
  }
  const isDrawn = DRAWN.includes(type);
  if ((cv.repeats ?? 1) > 1 && cv.shuffle === false) {
    problem(
      'shuffle',
      'expected true together with `repeats`, since the same folds come again, got false',
    );
  }
  for (const key of ['test_size', 'train_size'] as const) {
    const value = unknown.includes(key) ? undefined : cv[key];
    const isRows = value === undefined || Number.isInteger(value);
    if (isRows || (isDrawn && value < 1)) continue;
    problem(
      key,
      `expected a whole number of rows${isDrawn ? ', or a share below 1' : ''}, got ${value}`,
    );
  }
  return problems;
}

/** Why a key can't stand: a type that was not written is not what it disagrees with. */
function unknownWith(key: SplitKey, cv: SplitDocument, given: readonly SplitKey[]): string {
  const { type } = cv;
  if (type !== undefined) {
    return `expected no \`${key}\` together with \`type: ${type}\`, got both; remove one`;
  }
  const fitting = SPLIT_TYPES.filter((one) => given.every((other) => KEYS[one].includes(other)));
  if (fitting.length > 0) {
    return `expected a \`type\` together with \`${key}\`, got none; add type: ${fitting.join(' or ')}`;
  }
  const columns = (['predefined', 'group', 'stratify'] as const).filter(
    (one) => one !== key && cv[one] !== undefined,
  );
  const other = columns[0] ?? given.find((one) => one !== key && !takeBoth(one, key));
  if (other === undefined) {
    return `expected keys that one \`type\` takes, got ${given.map((one) => `\`${one}\``).join(', ')}; say \`type\``;
  }
  return `expected no \`${key}\` together with \`${other}\`, got both; remove one`;
}

function takeBoth(a: SplitKey, b: SplitKey): boolean {
  return SPLIT_TYPES.some((type) => KEYS[type].includes(a) && KEYS[type].includes(b));
}

/** The rule that keys say, and the one of the outer splits. @param target to stratify by */
export function splitRules(
  { outer, ...inner }: CvDocument,
  isClassification: boolean,
  target: string | undefined,
): SplitRule & { readonly outer?: SplitRule } {
  return {
    ...splitRule(inner, isClassification, target),
    ...(outer ? { outer: splitRule(outer, isClassification, target) } : {}),
  };
}

function splitRule(
  cv: SplitDocument,
  isClassification: boolean,
  target: string | undefined,
): SplitRule {
  const type = typeOf(cv, isClassification);
  const repeats = cv.repeats ?? 1;
  const stratify = KEYS[type].includes('stratify') ? (cv.stratify ?? target) : undefined;
  return {
    type,
    folds: cv.folds ?? 5,
    repeats,
    shuffle: cv.shuffle ?? repeats > 1,
    seed: cv.seed ?? 0,
    ...(cv.test_size === undefined ? {} : { testSize: cv.test_size }),
    ...(cv.train_size === undefined ? {} : { trainSize: cv.train_size }),
    ...(cv.gap === undefined ? {} : { gap: cv.gap }),
    ...(cv.max_train_size === undefined ? {} : { maxTrainSize: cv.max_train_size }),
    ...(cv.group === undefined ? {} : { group: cv.group }),
    ...(stratify === undefined ? {} : { stratify }),
    ...(cv.predefined === undefined ? {} : { predefined: cv.predefined }),
  };
}
