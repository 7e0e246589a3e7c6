/**
 * The fits of a search: every candidate on the training rows of every split, and the best on all.
 * Every fit is written as if alone; because expressions are interned, all of them share the moments
 * or sums by group, and fits that read rows train together (`row-fits.ts`).
 */
import {
  DataError,
  type DenseMatrix,
  type Expr,
  type Matrix,
  matrix,
  RepriseError,
  type Run,
} from '../../driver/index.js';
import { basisWidth } from '../estimators/basis.js';
import type { Fit, Params } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import { classRows } from './class-rows.js';
import type { Search, SearchPart } from './prepare.js';
import { rowFits } from './row-fits.js';
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
  const rows = trainingRows(search);
  return search.candidates.flatMap(({ all }) =>
    rows.flatMap(({ part, training }) => plannedFit(search, part, training, all) ?? []),
  );
}

/** A fit as nodes; undefined for one that has to be trained. */
function plannedFit(
  { estimator, X, y, weight, classes }: Search,
  { partition: { groupOf } }: SearchPart,
  training: TrainingRows,
  params: Params,
): Fit | undefined {
  if (estimator.reads === 'moments') return estimator.fit(training, params);
  if (estimator.reads === 'rows') return undefined;
  const data = { X, y, ...(weight ? { weight } : {}), classes: classes.length, groupOf };
  return estimator.fit(classRows(data, training), params);
}

/** Fits everything. @throws the first failure, where failures are to be raised */
export async function fitAll(session: Run, search: Search, isRaised: boolean): Promise<SearchFits> {
  const rows = trainingRows(search);
  const asked = search.candidates.flatMap(({ all }) =>
    rows.map((own) => ({ ...own, params: all })),
  );
  return settle(session, await fitsOf(session, search, asked), isRaised);
}

/** The fit of one candidate on all rows. */
export async function fitBest(session: Run, search: Search, params: Params): Promise<SearchFits> {
  const [part] = search.parts;
  const asked = { part: part!, training: { ...part!.training, train: undefined }, params };
  return settle(session, await fitsOf(session, search, [asked]), true);
}

interface AskedFit {
  readonly part: SearchPart;
  readonly training: TrainingRows;
  readonly params: Params;
}

async function fitsOf(session: Run, search: Search, asked: readonly AskedFit[]): Promise<Fit[]> {
  const { estimator, X, y, weight, classes } = search;
  if (estimator.reads !== 'rows') {
    return asked.map(({ part, training, params }) => plannedFit(search, part, training, params)!);
  }
  const models = asked.map(({ part, training, params }) => ({
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
  return rowFits(session, estimator, models);
}

/** The weights of all fits, then how they ended, where that differs. */
export function fitExprs(fits: readonly Fit[]): Expr[] {
  const endings = fits.flatMap(({ ending }) => (ending ? [ending.expr] : []));
  return [...fits.map(({ weights }) => weights.expr), ...endings];
}

async function settle(session: Run, fits: readonly Fit[], isRaised: boolean): Promise<SearchFits> {
  const settled = await session.evaluateSettled(fitExprs(fits));
  let at = fits.length;
  const endings = fits.map(({ ending }) => {
    const outcome = ending === undefined ? undefined : settled[at++];
    return outcome?.ok ? (outcome.value as DenseMatrix).data.at(-1) : undefined;
  });
  const failures = fits.map((fit, i) => {
    const outcome = settled[i]!;
    if (!outcome.ok) return outcome.error;
    const text = endings[i] === undefined ? undefined : fit.fails?.(endings[i]);
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
  { X, classes, estimator, candidates, folds }: Search,
  { partition, first }: SearchPart,
  { fits, failures }: Pick<SearchFits, 'fits' | 'failures'>,
  some: readonly number[],
): Matrix {
  const { basis, outputs } = kindOf(estimator, candidates[some[0]!]!.all, classes.length);
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
