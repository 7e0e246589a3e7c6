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
import type { Fit, MomentEstimator } from './estimator.js';
import {
  type LinearSystem,
  prepareRows,
  type TrainingRows,
  WIDE_COLUMNS,
  type WideDesign,
} from './linear-design.js';

/** What one linear estimator says of itself. */
export interface LinearDefinition<P> {
  readonly name: string;
  readonly description: string;
  readonly parameters: z.ZodObject & z.ZodType<P>;
  readonly hasIntercept: (params: P) => boolean;
  /** Coefficients of the columns, and last the gap if `warn` reads one: [design (+ 1), 1]. */
  readonly solve: (system: LinearSystem, params: P) => Matrix;
  /** The same for wide designs: an operator over moments by group, in one matrix's memory. */
  readonly wide: {
    readonly op: OpDef;
    /** Its operands between the moments and the pairs. */
    readonly numbers: (params: P) => readonly number[];
    readonly attrs?: (params: P) => Attrs;
  };
  /** What to say of a fit by the duality gap it ended with; undefined for nothing. */
  readonly warn?: (gap: number, params: P) => string | undefined;
}

export function linearEstimator<P>(given: LinearDefinition<P>): MomentEstimator {
  const { name, description, parameters } = given;
  return {
    name,
    description,
    parameters,
    task: 'regression',
    link: () => 'identity',
    outputs: () => 1,
    reads: 'moments',
    // A search checks parameters against `parameters` before it asks for a fit.
    centers: (params) => given.hasIntercept(params as P),
    fit: (rows, params) => {
      const { wide } = rows.design;
      const own = params as P;
      return wide === null ? narrowFit(rows, given, own) : wideFit(rows, wide, given, own);
    },
  };
}

function narrowFit<P>(
  rows: TrainingRows,
  { hasIntercept, solve, warn }: LinearDefinition<P>,
  params: P,
): Fit {
  const prepared = prepareRows(rows, hasIntercept(params));
  const { system, map, imputed } = prepared;
  const solution = solve(system, params);
  const d = system.xx.cols;
  const coefficients = prepared.unscale(warn ? solution.slice([0, d]) : solution);
  const intercept = prepared.intercept(coefficients).asMatrix();
  const own = map === null ? coefficients : map.matmul(coefficients);
  return {
    weights: own.rbind(intercept),
    outputs: { coefficients, intercept, ...(imputed ? { imputed } : {}) },
    ...(warn ? { ending: solution, warn: (gap: number) => warn(gap, params) } : {}),
  };
}

function wideFit<P>(
  { gram, groups, train, centered, standardize, weighted }: TrainingRows,
  { pairs, kept, design }: WideDesign,
  { hasIntercept, wide, warn }: LinearDefinition<P>,
  params: P,
): Fit {
  // These are prepared in the moments they are solved from, where all rows would have to count alike.
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
