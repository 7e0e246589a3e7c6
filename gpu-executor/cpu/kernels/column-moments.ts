/**
 * `columnMoments` block by block: means of a block's rows, then squares about them, merged with what
 * came before. The ones of coded rows are counted, whatever the width.
 */
import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { columnMoments, mergeMoments } from '../../../driver/operators/column-moments.js';
import { gramOperands } from '../../../driver/operators/group-gram.js';
import { CodedRows } from './coded-rows.js';
import type { Kernel } from './kernel.js';

/** Cells of the rows that are taken in together, at most. */
const PIECE_CELLS = 1 << 18;
/** Merging costs as much as so many rows. */
const LEAST_ROWS = 4096;

/** Rows [from, to) of a column, each of group g and, where there are any, of a weight. */
interface ColumnRows {
  readonly from: number;
  readonly to: number;
  readonly g: Int32Array;
  readonly weights: Float64Array | undefined;
  /** Cell i of the column is `cells[i * stride]`. */
  readonly cells: Float64Array;
  readonly stride: number;
}

export const columnMomentsKernel: Kernel = {
  op: columnMoments,
  coded: { from: 1, operand: 1 },
  reducer: ({ attrs, out: { rows, cols } }) => {
    const groups = attrs.groups as number;
    const totals = new Float64Array(rows * cols);
    return {
      add: (inputs) => {
        const { columns, weights } = gramOperands(inputs, attrs);
        const [x] = columns as [Float64Matrix];
        const g = Int32Array.from(inputs[0]!.data, (label) =>
          label >= 0 && label < groups ? label : -1,
        );
        const all = { from: 0, to: x.rows, g, weights: weights?.data };
        if (x instanceof CodedRows) addCoded(totals, x, all, groups);
        else addDense(totals, x, all, groups);
      },
      result: () => dense(rows, cols, totals),
    };
  },
};

type Rows = Omit<ColumnRows, 'cells' | 'stride'>;

function addDense(totals: Float64Array, x: Float64Matrix, all: Rows, groups: number): void {
  const { cols } = x;
  const own = new Float64Array(totals.length);
  const most = Math.max(LEAST_ROWS, Math.floor(PIECE_CELLS / Math.max(1, cols)));
  for (let from = 0; from < x.rows; from += most) {
    const rows = { ...all, from, to: Math.min(from + most, x.rows) };
    for (let j = 0; j < cols; j++) {
      const column = { ...rows, cells: x.data.subarray(j), stride: cols };
      putColumn(own, j, cols, momentsOf(column, groups));
    }
    mergeMoments(totals, own, cols);
  }
}

function addCoded(totals: Float64Array, x: CodedRows, all: Rows, groups: number): void {
  const { rows, cols, codes, indicators } = x;
  const own = new Float64Array(totals.length);
  const counts = new Float64Array(groups);
  for (let i = 0; i < rows; i++) {
    if (all.g[i]! < 0) continue;
    const weight = all.weights === undefined ? 1 : all.weights[i]!;
    counts[all.g[i]!]! += weight;
    const base = (3 * all.g[i]! + 1) * cols;
    for (let c = 0; c < indicators; c++) {
      const code = codes[i * indicators + c]!;
      if (code >= 0) own[base + code]! += weight;
    }
  }
  for (let group = 0; group < groups; group++) {
    const count = counts[group]!;
    if (count === 0) continue;
    for (let at = 3 * group * cols, end = at + cols; at < end; at++) {
      const ones = own[at + cols]!;
      own[at] = count;
      own[at + cols] = ones / count;
      // Of ones and zeros: the squares of both about the share of the ones.
      own[at + 2 * cols] = (ones * (count - ones)) / count;
    }
  }
  for (const { column, cells } of x.numbers) {
    putColumn(own, column, cols, momentsOf({ ...all, cells, stride: 1 }, groups));
  }
  mergeMoments(totals, own, cols);
}

/** By group the weight of the rows, the mean of the column, and the squares about it. */
function momentsOf({ from, to, g, weights, cells, stride }: ColumnRows, groups: number) {
  const moments = new Float64Array(3 * groups);
  for (let i = from; i < to; i++) {
    const group = g[i]!;
    if (group < 0) continue;
    const weight = weights === undefined ? 1 : weights[i]!;
    if (weight === 0) continue;
    moments[3 * group]! += weight;
    moments[3 * group + 1]! += weight * cells[i * stride]!;
  }
  for (let group = 0; group < groups; group++) {
    if (moments[3 * group] !== 0) moments[3 * group + 1]! /= moments[3 * group]!;
  }
  for (let i = from; i < to; i++) {
    const group = g[i]!;
    if (group < 0) continue;
    const weight = weights === undefined ? 1 : weights[i]!;
    if (weight === 0) continue;
    moments[3 * group + 2]! += weight * (cells[i * stride]! - moments[3 * group + 1]!) ** 2;
  }
  return moments;
}

function putColumn(out: Float64Array, column: number, cols: number, moments: Float64Array): void {
  for (let k = 0; k < moments.length; k++) out[k * cols + column] = moments[k]!;
}
