/**
 * Paths: fits of a stack one value of a number after the other, each begun where the fit of the same
 * rows with the value before ended, with the curvature there. Invariant: which fits others begin at
 * stands in no key, as all end at the same point within their tolerance.
 */
import {
  type BatchArgument,
  type Evaluator,
  type Matrix,
  matrix,
  Session,
} from '../../driver/index.js';
import type { Fit, Following, Params, RowEstimator } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import type { FitSize } from '../estimators/solvers/choice.js';
import { type FitMatrices, rowData, sharedArguments } from './row-arguments.js';
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
  const outputs = estimator.outputs(params, rows.classes);
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
  { follows, stacked }: RowEstimator,
  all: readonly Params[],
  { design, columns }: Pick<TrainingRows, 'design' | 'columns'>,
  size: Omit<FitSize, 'columns'>,
): Following | undefined {
  const following = follows?.(all[0]!);
  // Imputed columns have weights of encoded ones that say nothing of their own.
  const isNarrow = columns === undefined && design.select === null && design.wide === null;
  if (following === undefined || !isNarrow || !isHere(session)) return undefined;
  const differ = (name: string): boolean => all.some((own) => own[name] !== all[0]![name]);
  if (stacked.some((name) => name !== following.number && differ(name))) return undefined;
  const steps = new Set(all.map((own) => own[following.number])).size;
  return following.pays({ ...size, columns: design.encoded }, steps) ? following : undefined;
}

/** A pass costs little here; as a job of a cluster it is better shared by all models. */
function isHere(session: Evaluator): boolean {
  const { session: owner = session } = session;
  return owner instanceof Session && owner.blocks === owner.local;
}

/** What fits begin with. @param before the last fit on each training rows */
export function hintsOf(
  { curvature, number }: Following,
  models: readonly RowModel[],
  before: ReadonlyMap<TrainingRows, Fit>,
): Hints | undefined {
  if (models.some(({ rows }) => !before.has(rows.training))) return undefined;
  const { rows, params } = models[0]!;
  const { X, classes, training } = rows;
  const given = { ...sharedArguments(rows), ...ownRows({ ...training, train: undefined }) };
  const all = rowData(given, { classes, models: models.length });
  const begins = models.map(({ rows: { training } }): Matrix => {
    const own: FitMatrices = { ...sharedArguments(rows), ...ownRows(training) };
    const { design } = rowData(own, { classes, models: models.length });
    const { weights } = before.get(training)!;
    // A fit without an end is none to begin at.
    return design.restrict!(weights.isNaN().ifelse(0, weights));
  });
  const mean = begins.reduce((sum, one) => sum.add(one)).div(begins.length);
  const value = matrix(X.session, [[params[number] as number]]);
  const { narrow, form, inverse } = curvature(all, mean, value, shareOf(models));
  return {
    begin: begins,
    // Kept in this order, each made of the one before.
    nearRows: { shared: narrow },
    nearForm: { shared: form },
    nearInverse: { shared: inverse },
  };
}

/** Of all rows, about how many a model trains on. */
function shareOf(models: readonly RowModel[]): number {
  const shares = models.map(({ rows: { training } }) => {
    return (training.train?.length ?? training.groups) / training.groups;
  });
  return shares.reduce((sum, one) => sum + one, 0) / shares.length;
}
