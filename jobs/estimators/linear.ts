/**
 * What linear estimators that read moments have in common: an estimator says how a system of sums
 * of products is solved, and this makes the fit of it.
 */
import type { z } from 'zod';
import {
  type Attrs,
  ConfigError,
  Matrix,
  type OpDef,
  scalar,
  selectRows,
} from '../../driver/index.js';
import type {
  EstimatorFacts,
  Fit,
  MomentEstimator,
  Params,
  RowData,
  RowEstimator,
} from './estimator.js';
import {
  type LinearSystem,
  type PreparedRows,
  prepareRows,
  type TrainingRows,
  WIDE_COLUMNS,
  type WideDesign,
} from './linear-design.js';
import { type Ended, rowFit, wideRows } from './solvers/row-fit.js';

/** What one linear estimator says of itself. */
export interface LinearDefinition<P> {
  readonly name: string;
  readonly alias?: string;
  readonly description: string;
  readonly solver: string;
  readonly parameters: z.ZodObject & z.ZodType<P>;
  readonly hasIntercept: (params: P) => boolean;
  /** Coefficients of the columns, and last the gap if `warn` reads one: [design (+ 1), 1]. */
  readonly solve: (system: LinearSystem, params: P) => Matrix;
  /** Solutions of many parameters at once, a column each; of designs that are not wide. */
  readonly many?: {
    /** Parameters they may differ in. */
    readonly differ: readonly string[];
    readonly solve: (system: LinearSystem, params: readonly P[]) => Matrix;
  };
  /** The same for wide designs: an operator over moments by group, in one matrix's memory. */
  readonly wide: {
    readonly op: OpDef;
    /** Its operands between the moments and the pairs. */
    readonly numbers: (params: P) => readonly number[];
    readonly attrs?: (params: P) => Attrs;
  };
  /** The fit of one model by passes over the rows, where there is such a solver. */
  readonly byRows?: RowSolver<P>;
  /** What to say of a fit by the duality gap it ended with; undefined for nothing. */
  readonly warn?: (gap: number, params: P) => string | undefined;
}

/** A linear estimator's solver that reads rows instead of moments. */
export interface RowSolver<P>
  extends Pick<RowEstimator, 'solver' | 'version' | 'stacked' | 'isForSparse'> {
  /** @param numbers the parameters of `stacked`, by name: [1, 1] */
  readonly solve: (
    rows: RowData,
    numbers: Readonly<Record<string, Matrix>>,
    params: P,
  ) => Promise<Ended>;
  /** What to say of an ending; undefined for nothing. */
  readonly warn: (ending: number, params: P) => string | undefined;
}

export function linearEstimator<P>(given: LinearDefinition<P>): MomentEstimator {
  const { name, alias, description, solver, parameters, many, byRows } = given;
  const fit = (rows: TrainingRows, params: Params): Fit => {
    const { wide } = rows.design;
    const own = params as P;
    return wide === null ? narrowFit(rows, given, own) : wideFit(rows, wide, given, own);
  };
  const facts = {
    name,
    ...(alias ? { alias } : {}),
    description,
    solver,
    parameters,
    task: 'regression',
    link: () => 'identity',
    outputs: () => 1,
  } satisfies EstimatorFacts;
  return {
    ...facts,
    reads: 'moments',
    // A search checks parameters against `parameters` before it asks for a fit.
    centers: (params) => given.hasIntercept(params as P),
    fit,
    ...(byRows && {
      byRows: {
        ...facts,
        solver: byRows.solver,
        reads: 'rows',
        version: byRows.version,
        stacked: byRows.stacked,
        fitsWide: () => true,
        ...(byRows.isForSparse && { isForSparse: true }),
        ends: (params) => ({ warn: (ending) => byRows.warn(ending, params as P) }),
        train: async (given, numbers, params) => {
          const rows = wideRows(given);
          return rowFit(rows.design, await byRows.solve(rows, numbers, params as P));
        },
      },
    }),
    ...(many && { fitMany: (rows, params) => manyFits(rows, params, fit, { ...given, many }) }),
  };
}

function narrowFit<P>(
  rows: TrainingRows,
  { hasIntercept, solve, warn }: LinearDefinition<P>,
  params: P,
): Fit {
  const prepared = prepareRows(rows, hasIntercept(params));
  const solution = solve(prepared.system, params);
  const { weights, ...outputs } = narrowWeights(prepared, solution);
  return {
    weights,
    outputs,
    ...(warn ? { ending: solution, warn: (gap: number) => warn(gap, params) } : {}),
  };
}

/** Of the first rows of a solution, column by column. */
function narrowWeights(
  { system, unscale, intercept, map, imputed }: PreparedRows,
  solution: Matrix,
) {
  const coefficients = unscale(solution.slice([0, system.xx.cols]));
  const last = intercept(coefficients);
  const own = map === null ? coefficients : map.matmul(coefficients);
  return {
    weights: own.rbind(last),
    coefficients,
    intercept: last,
    ...(imputed ? { imputed } : {}),
  };
}

/** From this many models on one operator for all of them is less work than one for each. */
const MANY = 16;

/** Fits in the order of the parameters. */
function manyFits<P>(
  rows: TrainingRows,
  params: readonly Params[],
  one: (rows: TrainingRows, params: Params) => Fit,
  { hasIntercept, many, warn }: LinearDefinition<P> & Required<Pick<LinearDefinition<P>, 'many'>>,
): Fit[] {
  const fits = new Array<Fit>(params.length);
  const alike = new Map<string, number[]>();
  for (const [i, own] of params.entries()) {
    const same = Object.entries(own).filter(([name]) => !many.differ.includes(name));
    const key = JSON.stringify(same);
    alike.set(key, alike.get(key) ?? []);
    alike.get(key)!.push(i);
  }
  for (const places of alike.values()) {
    if (places.length < MANY || rows.design.wide !== null) {
      for (const i of places) fits[i] = one(rows, params[i]!);
      continue;
    }
    const own = places.map((i) => params[i] as P);
    const prepared = prepareRows(rows, hasIntercept(own[0]!));
    const solutions = many.solve(prepared.system, own);
    const { weights, coefficients, intercept, ...shared } = narrowWeights(prepared, solutions);
    for (const [k, i] of places.entries()) {
      fits[i] = {
        weights: weights.col(k),
        outputs: { coefficients: coefficients.col(k), intercept: intercept.col(k), ...shared },
        ...(warn
          ? {
              ending: solutions.slice(prepared.system.xx.cols, k),
              warn: (gap: number) => warn(gap, own[k]!),
            }
          : {}),
      };
    }
  }
  return fits;
}

function wideFit<P>(
  { gram, groups, train, centered, standardize, weighted }: TrainingRows,
  { pairs, kept, design }: WideDesign,
  { hasIntercept, wide, warn }: LinearDefinition<P>,
  params: P,
): Fit {
  // Columns are prepared in the moments they are solved from, in which rows count by their weights.
  if (weighted !== undefined && (standardize || pairs !== null)) {
    throw new ConfigError(
      `data.weight: expected fewer than ${WIDE_COLUMNS} columns with weights and standardize or impute: mean, got ${gram.cols - 2}; leave one of them out`,
      { key: 'data.weight' },
    );
  }
  const { session } = gram;
  const numbers = wide.numbers(params).map((value) => scalar(session, value).expr);
  const inputs = [(weighted ?? gram).expr, ...numbers, ...(pairs ? [pairs.expr] : [])];
  const intercept = hasIntercept(params);
  const all = Array.from({ length: groups }, (_, group) => group);
  const rows = { groups, train: train ?? all, center: centered, intercept, standardize };
  const attrs = { ...rows, ...wide.attrs?.(params) };
  const fitted = Matrix.of(session, session.intern(wide.op, inputs, attrs));
  const d = fitted.rows - 1;
  const weights = fitted.slice([0, d + 1], 0);
  const own = kept === null ? fitted.slice([0, d]) : selectRows(fitted, kept, design);
  return {
    weights,
    outputs: {
      coefficients: own.slice([0, design], 0),
      intercept: weights.slice(d),
      ...(pairs ? { imputed: own.slice([0, design], 1).t() } : {}),
    },
    ...(warn ? { ending: fitted, warn: (gap: number) => warn(gap, params) } : {}),
  };
}
