/**
 * The fits of a group: every candidate on the training rows of every split, and the best on all.
 * Every fit is written as if alone; because expressions are interned, all of them share the moments
 * or sums by group, and fits that read rows train together (`row-fits.ts`).
 */

import { slotLeaf } from '../../driver/batch/trace.js';
import {
  DataError,
  type DenseMatrix,
  type Expr,
  Matrix,
  matrix,
  RepriseError,
  type Run,
} from '../../driver/index.js';
import { keepsRole } from '../../driver/reuse/setting.js';
import { basisWidth } from '../estimators/basis.js';
import type { Fit, Params } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import { cutsOf } from '../prepare/network.js';
import { byClassNumber } from './class-params.js';
import { classRows } from './class-rows.js';
import type { SearchGroup, SearchPart } from './groups.js';
import { keptFits, planFits, type RowModel, rowFits, type TrainingPlan } from './row-fits.js';
import { kindOf } from './scoring/scores.js';

/** Fits of candidates on the training rows of splits. */
export interface SearchFits {
  readonly fits: readonly Fit[];
  /** Why a fit failed, by place in `fits`. */
  readonly failures: readonly (Error | undefined)[];
  /** How fits ended, those that say it. */
  readonly endings: readonly (number | undefined)[];
}

/** The training rows of every split, in order. */
function trainingRows({
  parts,
}: SearchGroup): { readonly part: SearchPart; training: TrainingRows }[] {
  return parts.flatMap((part) =>
    part.partition.splits.map(({ train }) => ({ part, training: { ...part.training, train } })),
  );
}

/** Every fit of every candidate, candidate by candidate; none for an estimator that reads rows. */
export function plannedFits(group: SearchGroup): Fit[] {
  return group.estimator.reads === 'rows' ? [] : nodeFits(group, askedFits(group));
}

function askedFits(group: SearchGroup): AskedFit[] {
  const rows = trainingRows(group);
  const { rung, trials, folds } = group;
  return group.candidates.flatMap(({ all }, t) => {
    const params = byClassNumber(all, group.classes, group.estimator);
    return rows.map((own, f) => {
      const { sample } = own.part;
      const asked = { ...own, params, ...(sample ? { sample } : {}) };
      if (rung === undefined) return asked;
      if (rung.budget.iterations !== undefined) {
        return { ...asked, rung: { goesOn: { models: rung.largest * folds } } };
      }
      const before = rung.before?.get(trials[t]!)?.[f];
      return before === undefined ? asked : { ...asked, rung: { before } };
    });
  });
}

/** Fits that need no training: nodes. Those on the same rows together, where that is less work. */
function nodeFits(group: SearchGroup, asked: readonly AskedFit[]): Fit[] {
  const { estimator, y, weight, classes } = group;
  if (estimator.reads === 'rows') return [];
  if (estimator.reads === 'classes') {
    return asked.map(({ part: { X, partition }, training, params }) => {
      const { groupOf } = partition;
      const data = { X, y, ...(weight ? { weight } : {}), classes: classes.length, groupOf };
      return estimator.fit(classRows(data, training), params);
    });
  }
  const { fitMany } = estimator;
  if (fitMany === undefined) {
    return asked.map(({ training, params }) => estimator.fit(training, params));
  }
  const places = new Map<TrainingRows, number[]>();
  for (const [i, { training }] of asked.entries()) {
    const own = places.get(training);
    if (own === undefined) places.set(training, [i]);
    else own.push(i);
  }
  const fits = new Array<Fit>(asked.length);
  for (const [training, own] of places) {
    const made = fitMany(
      training,
      own.map((i) => asked[i]!.params),
    );
    for (const [k, i] of own.entries()) fits[i] = made[k]!;
  }
  return fits;
}

/**
 * Fits everything: together, or one fit after the other, each by itself.
 * @param isFresh as of `rowFits`
 * @throws the first failure, where failures are to be raised
 */
export async function fitAll(
  session: Run,
  group: SearchGroup,
  isRaised: boolean,
  isFresh: boolean,
): Promise<SearchFits> {
  const asked = askedFits(group);
  const fitSome = async (some: readonly AskedFit[]): Promise<SearchFits> =>
    settle(session, await fitsOf(session, group, some, isFresh), isRaised);
  if (group.together) return fitSome(asked);
  const cuts = group.prepared ? cutsOf(group.prepared) : [];
  const alone: SearchFits[] = [];
  for (const [i, one] of asked.entries()) {
    const { expr: sums } = one.training.gram;
    // Scores may follow from the moments that the last fit on them makes.
    const isLast = asked.slice(i + 1).every(({ training }) => training.gram.expr !== sums);
    const work = (): Promise<SearchFits> => {
      if (isLast) session.holds(sums);
      // Few columns of much work, which each pass of the fit reads; what is kept stays after it.
      for (const { pooled } of keepsRole(session.reuse, 'layer') ? [] : cuts) {
        session.holds(pooled.expr);
      }
      return fitSome([one]);
    };
    alone.push(await session.trial(work, ({ fits }) => [...fitExprs(fits), sums]));
  }
  return {
    fits: alone.flatMap(({ fits }) => fits),
    failures: alone.flatMap(({ failures }) => failures),
    endings: alone.flatMap(({ endings }) => endings),
  };
}

/** The fit of one candidate on all rows. */
export async function fitBest(
  session: Run,
  group: SearchGroup,
  params: Params,
): Promise<SearchFits> {
  const { whole: part } = group;
  const training = { ...part.training, train: undefined };
  const asked = { part, training, params: byClassNumber(params, group.classes, group.estimator) };
  const fits = await fitsOf(session, group, [asked], false);
  // In one turn, so that both are of one plan.
  const outputs = fits.flatMap(({ outputs }) => Object.values(outputs).map(({ expr }) => expr));
  const [settled] = await Promise.all([
    settle(session, fits, true),
    session.evaluateSettled(outputs, 'model'),
  ]);
  return settled;
}

/** What training takes, for `plan`, and how many fits are kept from earlier runs. */
export interface PlannedFits {
  readonly training: readonly TrainingPlan[];
  readonly kept: number;
}

/** @param isKnown whether what fits are made of can be computed without a pass over the data */
export async function plannedTraining(
  session: Run,
  group: SearchGroup,
  isKnown: boolean,
): Promise<PlannedFits> {
  const { estimator } = group;
  if (estimator.reads !== 'rows') return { training: [], kept: 0 };
  const models = rowModels(group, askedFits(group));
  const kept = isKnown ? await keptFits(session, estimator, models) : [];
  const left = models.filter((_, i) => kept[i] !== true);
  const stacked = group.together ? left : left.slice(0, 1);
  const training = stacked.length === 0 ? [] : await planFits(session, estimator, stacked);
  return {
    training: group.together ? training : training.map((one) => repeated(one, left.length)),
    kept: models.length - left.length,
  };
}

/** The training of so many fits, each by itself as this one is. */
function repeated(one: TrainingPlan, fits: number): TrainingPlan {
  return { ...one, fits, models: one.models * fits, stacks: one.stacks * fits };
}

/** Weights that training has yet to find, as `weightsOf`. */
export function unknownWeights(
  session: Run,
  group: SearchGroup,
  part: SearchPart,
  some: readonly number[],
): Matrix {
  const { candidates } = group;
  const { X, partition } = part;
  const { basis, columns } = kindOf(group, part, candidates[some[0]!]!.all);
  const rows = basisWidth(basis, X.cols) + 1;
  const cols = partition.splits.length * some.length * columns;
  return Matrix.of(session, slotLeaf(session, { rows, cols, dtype: 'float64' }));
}

interface AskedFit extends Pick<SearchPart, 'sample'>, Pick<RowModel, 'rung'> {
  readonly part: Pick<SearchPart, 'X' | 'partition'>;
  readonly training: TrainingRows;
  readonly params: Params;
}

async function fitsOf(
  session: Run,
  group: SearchGroup,
  asked: readonly AskedFit[],
  isFresh: boolean,
): Promise<Fit[]> {
  const { estimator } = group;
  if (estimator.reads !== 'rows') return nodeFits(group, asked);
  return rowFits(session, estimator, rowModels(group, asked), isFresh);
}

function rowModels({ y, weight, classes }: SearchGroup, asked: readonly AskedFit[]): RowModel[] {
  return asked.map(({ part, sample, training, params, rung }) => {
    const { groupOf } = part.partition;
    const all = { X: part.X, y, ...(weight ? { weight } : {}), groupOf };
    const rows = { ...(sample ?? all), classes: classes.length, training };
    return { rows, params, ...(rung ? { rung } : {}) };
  });
}

/** The weights of all fits, then how they ended, where that differs. */
export function fitExprs(fits: readonly Fit[]): Expr[] {
  const endings = fits.flatMap(({ ending }) => (ending ? [ending.expr] : []));
  return [...fits.map(({ weights }) => weights.expr), ...endings];
}

async function settle(session: Run, fits: readonly Fit[], isRaised: boolean): Promise<SearchFits> {
  const settled = await session.evaluateSettled(fitExprs(fits), 'model');
  let at = fits.length;
  const cells = fits.map(({ ending }) => {
    const outcome = ending === undefined ? undefined : settled[at++];
    return outcome?.ok ? (outcome.value as DenseMatrix).data : undefined;
  });
  const endings = cells.map((own) => own?.at(-1));
  const failures = fits.map((fit, i) => {
    const outcome = settled[i]!;
    if (!outcome.ok) return outcome.error;
    const text = endings[i] === undefined ? undefined : fit.fails?.(endings[i], cells[i]!);
    return text === undefined ? undefined : new DataError(text, { fit: i });
  });
  for (const [i, error] of failures.entries()) {
    if (error === undefined) continue;
    const isOfFit = settled[i]!.ok || (error instanceof RepriseError && error.code === 'SINGULAR');
    if (!isOfFit || isRaised) throw error;
  }
  return { fits, failures, endings };
}

/**
 * Weights of a partition's fits of some candidates of one kind, by split, then candidate; zeros for
 * fits that failed. @shape [basis + 1, splits * candidates * columns]
 */
export function weightsOf(
  session: Run,
  group: SearchGroup,
  part: SearchPart,
  { fits, failures }: Pick<SearchFits, 'fits' | 'failures'>,
  some: readonly number[],
): Matrix {
  const { candidates, folds } = group;
  const { X, partition, first } = part;
  const { basis, columns: width } = kindOf(group, part, candidates[some[0]!]!.all);
  const rows = basisWidth(basis, X.cols) + 1;
  const zero = matrix(session, rows, width, new Float64Array(rows * width));
  const columns = partition.splits.flatMap((_, split) =>
    some.map((t) => {
      const at = t * folds + first + split;
      return failures[at] === undefined ? fits[at]!.weights : zero;
    }),
  );
  return columns[0]!.cbind(...columns.slice(1));
}
