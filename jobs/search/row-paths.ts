/**
 * Where fits begin. Paths: fits of a stack one value of a number after the other, each begun where the
 * fits of the same rows with the values before lead, with the curvature there. Rungs: fits begun where
 * those to fewer rows ended. Invariant: which fits others begin at stands in no key, as all end at the
 * same point within their tolerance.
 */
import {
  type BatchArgument,
  type Evaluator,
  type Matrix,
  matrix,
  Session,
  zeros,
} from '../../driver/index.js';
import { denseBytes } from '../../driver/ir/expr.js';
import { memoryShares } from '../../driver/support/memory.js';
import type { Fit, Following, Params, RowEstimator } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import type { FitSize } from '../estimators/solvers/choice.js';
import { type FitMatrices, type RowsOfFit, rowData, sharedArguments } from './row-arguments.js';
import { ownRows } from './row-design.js';
import type { RowModel } from './row-fits.js';

/** What fits that follow others are told besides: names of `Nearby`. */
export type Hints = Readonly<Record<string, BatchArgument>>;

/** The steps of a stack: places of models, those with the least number first. */
export function pathOf(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
): { readonly following: Following; readonly steps: readonly (readonly number[])[] } | undefined {
  const { rows, params } = models[0]!;
  const outputs = estimator.outputs(params, rows.classes, rows.X.cols);
  const size = { rows: rows.X.rows, outputs, models: models.length };
  const all = models.map((model) => model.params);
  const following = followingOf(session, estimator, all, rows.training, size);
  if (following === undefined) return undefined;
  const steps = new Map<number, number[]>();
  for (const [place, own] of all.entries()) {
    const value = own[following.number] as number;
    steps.set(value, [...(steps.get(value) ?? []), place]);
  }
  const inOrder = [...steps].sort(([a], [b]) => a - b);
  return { following, steps: inOrder.map(([, places]) => places) };
}

/** How a stack is trained step by step; undefined where it is better trained at once. */
export function followingOf(
  session: Evaluator,
  estimator: RowEstimator,
  all: readonly Params[],
  training: TrainingColumns,
  size: Omit<FitSize, 'columns'>,
): Following | undefined {
  const following = takingOver(session, estimator, all, training);
  const steps = following && new Set(all.map((own) => own[following.number])).size;
  const columns = training.design.encoded;
  return steps && following.pays({ ...size, columns }, steps, false) ? following : undefined;
}

type TrainingColumns = Pick<TrainingRows, 'design' | 'columns'>;

/** How fits take over the curvature of others; undefined where they can't. */
function takingOver(
  session: Evaluator,
  { follows, stacked }: RowEstimator,
  all: readonly Params[],
  { design, columns }: TrainingColumns,
): Following | undefined {
  const following = follows?.(all[0]!);
  // Imputed columns have weights of encoded ones that say nothing of their own.
  const isNarrow = columns === undefined && design.select === null && design.wide === null;
  if (following === undefined || !isNarrow || !isHere(session)) return undefined;
  const differ = (name: string): boolean => all.some((own) => own[name] !== all[0]![name]);
  return stacked.some((name) => name !== following.number && differ(name)) ? undefined : following;
}

/** A pass costs little here; as a job of a cluster it is better shared by all models. */
function isHere(session: Evaluator): boolean {
  const { session: owner = session } = session;
  return owner instanceof Session && owner.blocks === owner.local;
}

/** A fit of a path, and the value of its number. */
export interface Followed {
  readonly weights: Matrix;
  readonly value: number;
}

/**
 * What fits begin with.
 * @param before the fits of the path so far on each training rows, the last one first
 */
export function hintsOf(
  following: Following,
  models: readonly RowModel[],
  before: ReadonlyMap<TrainingRows, readonly Followed[]>,
): Hints | undefined {
  if (models.some(({ rows }) => !before.has(rows.training))) return undefined;
  const next = models[0]!.params[following.number] as number;
  const begins = models.map((own) => {
    return beginAt(own.rows, onwards(before.get(own.rows.training)!, next))!;
  });
  return { begin: begins, ...curvatureOf(following, models, begins) };
}

/** About the mean of weights, by the value in the middle. */
function curvatureOf(
  { curvature, number }: Following,
  models: readonly RowModel[],
  weights: readonly Matrix[],
): Hints {
  const { X, classes, training } = models[0]!.rows;
  const given = {
    ...sharedArguments(models[0]!.rows),
    ...ownRows({ ...training, train: undefined }),
  };
  const all = rowData(given, { classes, models: models.length });
  const mean = weights.reduce((sum, one) => sum.add(one)).div(weights.length);
  const values = models.map(({ params }) => params[number] as number).sort((a, b) => a - b);
  const middle = matrix(X.session, [[values[Math.floor(values.length / 2)]!]]);
  const { turned, narrow, inverse, spread, whole } = curvature(all, mean, middle, shareOf(models));
  return {
    // Kept in this order, each made of the one before.
    ...(turned ? { nearTurned: { shared: turned } } : {}),
    nearRows: { shared: narrow },
    nearInverse: { shared: inverse },
    nearSpread: { shared: spread },
    nearWhole: { shared: whole },
  };
}

/** Where a path leads: as it went from fit to fit, by the logarithm of the number. */
function onwards([last, before]: readonly Followed[], next: number): Matrix {
  if (before === undefined) return last!.weights;
  const step = Math.log(last!.value / before.value);
  const share = Math.min(Math.log(next / last!.value) / step, FARTHEST);
  return last!.weights.add(last!.weights.sub(before.weights).mul(share));
}

/** Of the last step of a path, how much is gone on at most. */
const FARTHEST = 1;

/**
 * Where the fits of a rung begin, if they do at those to fewer rows; with the curvature there where
 * that is less work. New ones among them begin at the one of the same rows that is nearest.
 */
export function beginsOf(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
): Hints | undefined {
  const { begins } = estimator;
  const known = models.filter(({ rung }) => rung?.before !== undefined);
  if (begins === undefined || known.length === 0) return undefined;
  if (!models.every(({ params, rung }) => begins(params) && !rung?.goesOn)) return undefined;
  const { rows, params } = models[0]!;
  const outputs = estimator.outputs(params, rows.classes, rows.X.cols);
  const all = models.map((model) => model.params);
  const following = takingOver(session, estimator, all, rows.training);
  const begin = models.map((model) => {
    const from = model.rung?.before ?? (following && nearest(following, model, known));
    return beginAt(model.rows, from?.weights, outputs);
  });
  if (!begin.every((one) => one !== undefined)) return undefined;
  const size = { rows: rows.X.rows, columns: rows.training.design.encoded, outputs };
  if (!following?.pays({ ...size, models: models.length }, 1, true)) return { begin };
  return { begin, ...curvatureOf(following, models, begin) };
}

/** The fit to fewer of the same rows whose number is nearest, as a ratio. */
function nearest(
  { number }: Following,
  { rows, params }: RowModel,
  known: readonly RowModel[],
): Fit | undefined {
  const apart = (other: RowModel): number =>
    Math.abs(Math.log((other.params[number] as number) / (params[number] as number)));
  const same = known.filter((other) => other.rows.training === rows.training);
  return same.sort((a, b) => apart(a) - apart(b))[0]?.rung?.before;
}

/**
 * Design weights of another fit, 0 where there is none; undefined where encoded columns say nothing
 * of them.
 */
export function beginAt(
  rows: RowsOfFit,
  weights: Matrix | undefined,
  outputs = 1,
): Matrix | undefined {
  const given: FitMatrices = { ...sharedArguments(rows), ...ownRows(rows.training) };
  const { design } = rowData(given, { classes: rows.classes, models: 1 });
  // A fit without an end is none to begin at.
  if (weights === undefined) return zeros(rows.X.session, design.columns + 1, outputs);
  return design.restrict?.(weights.isNaN().ifelse(0, weights));
}

/** Rows in float32 beside the others, where passes over them spare work: of dense rows here. */
export function singleOf(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
  { nearInverse, nearTurned }: Hints,
): Hints {
  const { rows, params, rung } = models[0]!;
  const { X, classes } = rows;
  const outputs = estimator.outputs(params, classes, X.cols);
  const size = { rows: X.rows, columns: X.cols, outputs, models: models.length };
  // Of fits that are not at their end, it would show which passes they took.
  if (rung?.goesOn) return {};
  const isLed = isLedBySingle(session, estimator, rows, params, size, nearInverse !== undefined);
  if (!isLed) return {};
  // Standardised columns are those of a model's own training rows, and no others'.
  return nearTurned && !rows.training.standardize
    ? { turned: nearTurned }
    : { single: { shared: X.cast('float32') } };
}

/** Whether passes over float32 rows lead fits of this size. @param isBegun as `startsInSingle` */
export function isLedBySingle(
  session: Evaluator,
  { startsInSingle }: RowEstimator,
  { X, training }: Pick<RowsOfFit, 'X'> & { readonly training: TrainingColumns },
  params: Params,
  size: FitSize,
  isBegun = false,
): boolean {
  const { nnz, readsFiles } = X.expr;
  const isDense = nnz === undefined && !readsFiles && training.columns === undefined;
  if (startsInSingle === undefined || !isDense || !isHere(session)) return false;
  if (denseBytes(X.expr) > memoryShares().materialiseBytes) return false;
  return startsInSingle(params, size, isBegun);
}

/** Of all rows, about how many a model trains on. */
function shareOf(models: readonly RowModel[]): number {
  const shares = models.map(({ rows: { training } }) => {
    return (training.train?.length ?? training.groups) / training.groups;
  });
  return shares.reduce((sum, one) => sum + one, 0) / shares.length;
}
