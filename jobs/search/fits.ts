/**
 * The fits of a search: every candidate on the training rows of every split, and the best on all.
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
import { basisWidth } from '../estimators/basis.js';
import type { Fit, Params } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import { byClassNumber } from './class-params.js';
import { classRows } from './class-rows.js';
import type { Search, SearchPart } from './prepare.js';
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
function trainingRows({ parts }: Search): { readonly part: SearchPart; training: TrainingRows }[] {
  return parts.flatMap((part) =>
    part.partition.splits.map(({ train }) => ({ part, training: { ...part.training, train } })),
  );
}

/** Every fit of every candidate, candidate by candidate; none for an estimator that reads rows. */
export function plannedFits(search: Search): Fit[] {
  return search.estimator.reads === 'rows' ? [] : nodeFits(search, askedFits(search));
}

function askedFits(search: Search): AskedFit[] {
  const rows = trainingRows(search);
  return search.candidates.flatMap(({ all }) => {
    const params = byClassNumber(all, search.classes);
    return rows.map((own) => ({ ...own, params }));
  });
}

/** Fits that need no training: nodes. Those on the same rows together, where that is less work. */
function nodeFits(search: Search, asked: readonly AskedFit[]): Fit[] {
  const { estimator, X, y, weight, classes } = search;
  if (estimator.reads === 'rows') return [];
  if (estimator.reads === 'classes') {
    return asked.map(({ part: { partition }, training, params }) => {
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
 * Fits everything.
 * @param isFresh as of `rowFits`
 * @throws the first failure, where failures are to be raised
 */
export async function fitAll(
  session: Run,
  search: Search,
  isRaised: boolean,
  isFresh: boolean,
): Promise<SearchFits> {
  return settle(session, await fitsOf(session, search, askedFits(search), isFresh), isRaised);
}

/** The fit of one candidate on all rows. */
export async function fitBest(session: Run, search: Search, params: Params): Promise<SearchFits> {
  const [part] = search.parts;
  const training = { ...part!.training, train: undefined };
  const asked = { part: part!, training, params: byClassNumber(params, search.classes) };
  return settle(session, await fitsOf(session, search, [asked], false), true);
}

/** What training takes, for `plan`, and how many fits are kept from earlier runs. */
export interface PlannedFits {
  readonly training: readonly TrainingPlan[];
  readonly kept: number;
}

/** @param isKnown whether what fits are made of can be computed without a pass over the data */
export async function plannedTraining(
  session: Run,
  search: Search,
  isKnown: boolean,
): Promise<PlannedFits> {
  const { estimator } = search;
  if (estimator.reads !== 'rows') return { training: [], kept: 0 };
  const models = rowModels(search, askedFits(search));
  const kept = isKnown ? await keptFits(session, estimator, models) : [];
  const left = models.filter((_, i) => kept[i] !== true);
  const training = left.length === 0 ? [] : await planFits(session, estimator, left);
  return { training, kept: models.length - left.length };
}

/** Weights that training has yet to find, as `weightsOf`. */
export function unknownWeights(
  session: Run,
  search: Search,
  { partition }: SearchPart,
  some: readonly number[],
): Matrix {
  const { X, candidates } = search;
  const { basis, outputs } = kindOf(search, candidates[some[0]!]!.all);
  const rows = basisWidth(basis, X.cols) + 1;
  const cols = partition.splits.length * some.length * outputs;
  return Matrix.of(session, slotLeaf(session, { rows, cols, dtype: 'float64' }));
}

interface AskedFit {
  readonly part: SearchPart;
  readonly training: TrainingRows;
  readonly params: Params;
}

async function fitsOf(
  session: Run,
  search: Search,
  asked: readonly AskedFit[],
  isFresh: boolean,
): Promise<Fit[]> {
  const { estimator } = search;
  if (estimator.reads !== 'rows') return nodeFits(search, asked);
  return rowFits(session, estimator, rowModels(search, asked), isFresh);
}

function rowModels({ X, y, weight, classes }: Search, asked: readonly AskedFit[]): RowModel[] {
  return asked.map(({ part, training, params }) => ({
    rows: {
      X,
      y,
      ...(weight ? { weight } : {}),
      classes: classes.length,
      groupOf: part.partition.groupOf,
      training,
    },
    params,
  }));
}

/** The weights of all fits, then how they ended, where that differs. */
export function fitExprs(fits: readonly Fit[]): Expr[] {
  const endings = fits.flatMap(({ ending }) => (ending ? [ending.expr] : []));
  return [...fits.map(({ weights }) => weights.expr), ...endings];
}

async function settle(session: Run, fits: readonly Fit[], isRaised: boolean): Promise<SearchFits> {
  const settled = await session.evaluateSettled(fitExprs(fits));
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
 * fits that failed. @shape [basis + 1, splits * candidates * outputs]
 */
export function weightsOf(
  session: Run,
  search: Search,
  { partition, first }: SearchPart,
  { fits, failures }: Pick<SearchFits, 'fits' | 'failures'>,
  some: readonly number[],
): Matrix {
  const { X, candidates, folds } = search;
  const { basis, outputs } = kindOf(search, candidates[some[0]!]!.all);
  const rows = basisWidth(basis, X.cols) + 1;
  const zero = matrix(session, rows, outputs, new Float64Array(rows * outputs));
  const columns = partition.splits.flatMap((_, split) =>
    some.map((t) => {
      const at = t * folds + first + split;
      return failures[at] === undefined ? fits[at]!.weights : zero;
    }),
  );
  return columns[0]!.cbind(...columns.slice(1));
}
