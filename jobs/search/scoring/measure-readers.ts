/**
 * How the value of each measure's node is read: what it says of a model on a split. Invariant: it
 * follows from the value and its shape alone, so that a replay reads as the search did.
 */
import type { DenseMatrix } from '../../../driver/index.js';
import type { Measure, SumName, Tally } from './tally.js';

/** Nodes of measures: all sums are one. */
export type MeasureName =
  | Exclude<Measure, SumName | 'silhouette'>
  | 'sums'
  | 'losses'
  | 'class rows'
  | 'silhouettes';

/** What a value holds, besides rows for splits (or splits and classes). */
export interface MeasureShape {
  readonly models: number;
  /** 0 without classes. */
  readonly classes: number;
  /** Columns of scores, and of probabilities, of a model. */
  readonly scoreWidth: number;
  readonly probabilityWidth: number;
  /** Of `sums`, in their order. */
  readonly sums: readonly SumName[];
}

export type ReadMeasure = (split: number, model: number) => Partial<Tally>;

export function readMeasure(
  name: MeasureName,
  shape: MeasureShape,
  { cols, data }: Pick<DenseMatrix, 'cols' | 'data'>,
): ReadMeasure {
  return READERS[name](shape, (row, col) => data[row * cols + col]!);
}

type Cell = (row: number, col: number) => number;

const READERS: Readonly<Record<MeasureName, (shape: MeasureShape, cell: Cell) => ReadMeasure>> = {
  sums:
    ({ sums, models }, cell) =>
    (split, model) => ({
      sum: (name) => {
        const at = sums.indexOf(name);
        return at < 0 ? Number.NaN : cell(split, at * models + model);
      },
    }),
  // A row for each loss, of all splits.
  losses:
    ({ sums, models }, cell) =>
    (split, model) => ({
      sum: (name) => {
        const at = sums.indexOf(name);
        return at < 0 ? Number.NaN : cell(at, split * models + model);
      },
    }),
  'class rows':
    ({ classes }, cell) =>
    (split) => ({ classRows: range(classes, (c) => cell(split * classes + c, 0)) }),
  hits:
    ({ classes }, cell) =>
    (split, model) => ({ hits: range(classes, (c) => cell(split * classes + c, model)) }),
  calls:
    ({ classes, models }, cell) =>
    (split, model) => ({ calls: range(classes, (c) => cell(split, c * models + model)) }),
  ranks: ({ classes, scoreWidth }, cell) => ranks('ranks', classes, scoreWidth, cell),
  probabilityRanks: ({ classes, probabilityWidth }, cell) =>
    ranks('probabilityRanks', classes, probabilityWidth, cell),
  precisions:
    ({ scoreWidth: width }, cell) =>
    (split, model) => ({
      precision: (c) => cell(split, model * width + (width === 1 ? 0 : c)),
    }),
  median: (_, cell) => (split, model) => ({ median: cell(split, model) }),
  greatest: (_, cell) => (split, model) => ({ greatest: cell(split, model) }),
  targetDeviation: (_, cell) => (split) => ({ targetDeviation: cell(split, 0) }),
  silhouettes: (_, cell) => (split, model) => ({ silhouette: cell(split, model) }),
};

function ranks(
  name: 'ranks' | 'probabilityRanks',
  classes: number,
  width: number,
  cell: Cell,
): ReadMeasure {
  return (split, model) => ({
    [name]: (c: number, o: number) =>
      cell(split * classes + o, model * width + (width === 1 ? 0 : c)),
  });
}

function range<T>(length: number, of: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => of(i));
}
