/**
 * The model that is kept of a fit: plain numbers in the units of encoded columns (standardising
 * already undone), so that decision values are B(X) W + b whatever the estimator.
 */
import { type ClassValue, type Matrix, matrix, nonnegative, zeros } from '../../driver/index.js';
import { applyStages, type StoredStage } from '../prepare/stored-stages.js';
import { type Basis, basisColumns } from './basis.js';
import type { Estimator, FitOutputs, Link, Nonnegative, Params, Task } from './estimator.js';
import { firstUnits } from './networks/layers.js';
import { layersOf, type StoredLayer, storedLayers } from './networks/stored-layers.js';
import type { Votes } from './votes.js';

export interface LinearModel {
  readonly kind: 'linear';
  readonly task: Task;
  readonly link: Link;
  /** Absent: `linear`. */
  readonly basis?: Basis;
  /** Decision values are not below 0, and the coefficients the parts they are of. */
  readonly nonnegative?: Nonnegative;
  /**
   * Of a network: `coefficients` and `intercepts` are its first layer, and these follow; there are
   * none where layers begin at the columns.
   */
  readonly layers?: readonly StoredLayer[];
  /** How many of the layers give the code of a row, where all of them say the row again. */
  readonly code?: number;
  /** Of an ensemble whose members vote: decision values are those of all members, side by side. */
  readonly votes?: Votes;
  /** By class number; absent without classes. */
  readonly classes?: readonly ClassValue[];
  /** The design columns. */
  readonly columns: readonly string[];
  /** A row for each output, a number for each column of the basis of `columns`. */
  readonly coefficients: readonly (readonly number[])[];
  readonly intercepts: readonly number[];
  /** Values that replace missing numbers, by column; fitted on the model's own rows. */
  readonly imputed: Readonly<Record<string, number>>;
  /** Stages of cleaning steps that make `columns` of the encoded ones; absent for none. */
  readonly prepare?: readonly StoredStage[];
  /** The encoded columns, where stages make others of them. */
  readonly encoded?: readonly string[];
}

/** The cells of each output of a fit. */
export type FitValues = Readonly<Partial<Record<keyof FitOutputs, Float64Array>>>;

export interface StoredDesign {
  /** Names of the design columns. */
  readonly columns: readonly string[];
  /** Which of them are imputed. */
  readonly imputed: readonly number[];
  readonly classes: readonly ClassValue[];
}

export function storedModel(
  estimator: Estimator,
  params: Params,
  values: FitValues,
  { columns, imputed, classes }: StoredDesign,
): LinearModel {
  const intercepts = [...(values.intercept ?? [])];
  const outputs = intercepts.length;
  const cells = values.coefficients ?? [];
  const basis = estimator.basis?.(params) ?? 'linear';
  const nonnegative = estimator.nonnegative?.(params, columns.length);
  const network = estimator.network?.(params, classes.length, columns.length);
  const code = estimator.codeLayers?.(params);
  return {
    kind: 'linear',
    task: estimator.task,
    link: estimator.link(params, classes.length),
    ...(basis === 'linear' ? {} : { basis }),
    ...(nonnegative ? { nonnegative } : {}),
    ...(network ? { layers: storedLayers(network, values.layers!) } : {}),
    ...(network && code ? { code: code - (firstUnits(network) > 0 ? 1 : 0) } : {}),
    ...(classes.length > 0 ? { classes } : {}),
    columns,
    coefficients: intercepts.map((_, k) =>
      Array.from({ length: cells.length / outputs }, (_, j) => cells[j * outputs + k]!),
    ),
    intercepts,
    imputed: Object.fromEntries(
      imputed.map((column) => [columns[column]!, values.imputed![column]!]),
    ),
  };
}

/**
 * Decision values for rows of design columns, NaN where a cell is missing.
 * @shape X: [n, columns], before any stages -> [n, outputs]
 */
export function decisionValues(model: LinearModel, X: Matrix): Matrix {
  const { basis = 'linear', coefficients, intercepts, nonnegative: own, prepare, layers } = model;
  const { session } = X;
  const columns = prepare ? applyStages(X, prepare) : imputedCells(model, X);
  if (coefficients.length === 0) return layersOf(columns.cast('float64'), layers!);
  const [{ length } = []] = coefficients;
  const rows = matrix(session, intercepts.length, length, Float64Array.from(coefficients.flat()));
  if (own !== undefined) {
    const shape = { groups: 1, width: intercepts.length, gives: 'parts' } as const;
    return nonnegative(zeros(session, X.rows, 1), columns, rows.t(), { ...own, ...shape });
  }
  const b = matrix(session, 1, intercepts.length, Float64Array.from(intercepts));
  const z = basisColumns(basis, columns).matmul(rows.t()).add(b);
  return layers ? layersOf(z, layers) : z;
}

function imputedCells({ columns, imputed }: LinearModel, X: Matrix): Matrix {
  if (Object.keys(imputed).length === 0) return X;
  const cells = Float64Array.from(columns, (name) => imputed[name] ?? Number.NaN);
  return X.isNaN().ifelse(matrix(X.session, 1, cells.length, cells), X);
}
