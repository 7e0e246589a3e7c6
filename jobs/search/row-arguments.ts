/**
 * What fits that read rows are given: shared matrices, those of their own training rows, and made of
 * both the rows as an estimator takes them. Invariant: a model's own are small, whatever the data.
 */
import { type Matrix, takeRows } from '../../driver/index.js';
import type { RowData } from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import { allRows, rowDesign } from './row-design.js';

/** Matrices by name: what a fit reads, or is made of. */
export type FitMatrices = Readonly<Record<string, Matrix>>;

/** The rows of one fit: those of some groups. */
export interface RowsOfFit {
  readonly X: Matrix;
  readonly y: Matrix;
  /** Absent where all rows count alike: [n, 1]. */
  readonly weight?: Matrix;
  readonly classes: number;
  readonly groupOf: Matrix;
  readonly training: TrainingRows;
}

/** What all models of a stack read. */
export function sharedArguments(rows: RowsOfFit): FitMatrices {
  const { X, y, weight, groupOf, training } = rows;
  return { X, y, groupOf, ...(weight ? { sampleWeight: weight } : {}), ...allRows(training) };
}

export function rowData(given: FitMatrices, facts: Pick<RowData, 'classes' | 'models'>): RowData {
  const { X, y, groupOf, trains, sampleWeight, border } = given;
  const isTraining = takeRows(groupOf!, trains!);
  return {
    X: X!,
    y: y!,
    weight: sampleWeight === undefined ? isTraining : isTraining.mul(sampleWeight),
    ...facts,
    design: rowDesign(given, X!.cols),
    ...(border && {
      border: {
        chosen: border,
        groupOf: groupOf!,
        trains: trains!,
        ...(sampleWeight && { sampleWeight }),
      },
    }),
    ...beginning(given),
  };
}

/** Where a fit begins, the curvature there where that is known, and rows of fewer digits. */
function beginning(given: FitMatrices): Pick<RowData, 'begin' | 'nearby' | 'single' | 'turned'> {
  const {
    begin,
    nearInverse: inverse,
    nearSpread: spread,
    nearWhole: whole,
    single,
    turned,
  } = given;
  const rows = { ...(single && { single }), ...(turned && { turned }) };
  if (begin === undefined) return rows;
  if (inverse === undefined) return { ...rows, begin };
  return { ...rows, nearby: { start: begin, inverse, spread: spread!, whole: whole! } };
}
