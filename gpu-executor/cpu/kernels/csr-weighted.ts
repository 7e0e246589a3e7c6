/**
 * The weighted products of factorisation where the cells asked about are compressed rows: a dot
 * product a cell, and what is made of it. Other cells go one by one over the dense form. Invariant:
 * cells that are held but zero are not asked about.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import { areFinite, CsrMatrix } from '../../../driver/ir/csr.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import { type Cells, converted, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { wdivmm } from '../../../driver/operators/wdivmm.js';
import { AskedLanes, type Weigh } from './asked-lanes.js';
import type { CsrForm, CsrReducer } from './csr-form.js';
import { addScaled, isAllFinite } from './csr-products.js';
import type { KernelCall, ReducerCall } from './kernel.js';
import { type CellWeight, cellWeight, weightedSums } from './weighted.js';

/** Writes the products u v' at the cells of compressed rows, from the beginning of `out` on. */
function multiplyAt(
  { rows, rowStarts, columns }: CsrMatrix,
  u: Cells,
  v: Cells,
  rank: number,
  out: Float64Array,
): void {
  const even = rank - (rank % 2);
  for (let i = 0, to = 0; i < rows; i++) {
    const row = i * rank;
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      const column = columns[k]! * rank;
      // Two sums, since each waits for its last addition.
      let even0 = 0;
      let odd = 0;
      for (let r = 0; r < even; r += 2) {
        even0 += u[row + r]! * v[column + r]!;
        odd += u[row + r + 1]! * v[column + r + 1]!;
      }
      if (even < rank) even0 += u[row + even]! * v[column + even]!;
      out[to++] = even0 + odd;
    }
  }
}

/** Makes of the products at some of the cells what is weighed there. */
function weighing(
  { rowStarts, columns, values }: CsrMatrix,
  [x, , , w]: readonly DenseMatrix[],
  { of }: CellWeight,
): Weigh {
  if (w === undefined) {
    return (found, first) => {
      for (let k = 0; k < found.length; k++) {
        const cell = values[first + k]!;
        found[k] = cell === 0 ? 0 : of(cell, found[k]!);
      }
    };
  }
  const cellAt = cellsAlong(x!);
  return (found, first, from) => {
    for (let i = from, k = 0; k < found.length; i++) {
      for (; k < found.length && first + k < rowStarts[i + 1]!; k++) {
        const weight = values[first + k]!;
        found[k] = weight === 0 ? 0 : weight * of(cellAt(i, columns[first + k]!), found[k]!);
      }
    }
  };
}

/** What is weighed at each cell asked about, without lanes. */
function weighedCells(
  asked: CsrMatrix,
  inputs: readonly DenseMatrix[],
  weigh: Weigh,
): Float64Array {
  const [, u, v] = inputs;
  const found = new Float64Array(asked.nnz);
  multiplyAt(asked, u!.data, v!.data, u!.cols, found);
  weigh(found, asked.rowStarts[0]!, 0);
  return found;
}

/** Of this thread, that nothing uses; small enough to stay. */
const resting: AskedLanes[] = [];
const RESTING_BYTES = 1 << 26;

function rest(lanes: AskedLanes): void {
  if (resting.length === 0 && lanes.bytes <= RESTING_BYTES) resting.push(lanes);
}

/** Cells of X, asked for in the order of rows and columns. */
function cellsAlong(x: DenseMatrix): (row: number, col: number) => number {
  if (!(x instanceof CsrMatrix)) return (row, col) => x.data[row * x.cols + col]!;
  let [row, at] = [-1, 0];
  return (i, column) => {
    if (i !== row) [row, at] = [i, x.rowStarts[i]!];
    const end = x.rowStarts[i + 1]!;
    while (at < end && x.columns[at]! < column) at++;
    return at < end && x.columns[at] === column ? x.values[at]! : 0;
  };
}

function sumForm(op: OpDef, weightOf: (attrs: Attrs) => CellWeight): CsrForm {
  return {
    op,
    operands: [0, 3],
    reducer: ({ attrs, out }) => {
      const weighs = weightOf(attrs);
      let total = 0;
      return {
        add: (inputs) => {
          const asked = inputs[3] ?? inputs[0];
          if (!(asked instanceof CsrMatrix)) return false;
          const weigh = weighing(asked, inputs, weighs);
          let own = 0;
          const addUp: Weigh = (found, first, from) => {
            weigh(found, first, from);
            for (let k = 0; k < found.length; k++) own += found[k]!;
          };
          const lanes = resting.pop() ?? new AskedLanes();
          const isDone = lanes.weigh(asked, inputs[1]!, inputs[2]!, addUp);
          rest(lanes);
          if (!isDone) weighedCells(asked, inputs, addUp);
          total += own;
          return true;
        },
        result: () => converted(dense(1, 1, Float64Array.of(total)), out.dtype),
      };
    },
  };
}

/** Which cells are asked about; undefined where they are not compressed, or zeros not skipped. */
function askedBy([x, u, v, w]: readonly DenseMatrix[], isRight: boolean): CsrMatrix | undefined {
  const asked = w ?? x;
  if (!(asked instanceof CsrMatrix)) return undefined;
  return (isRight ? isAllFinite(v!) : areFinite(u!.data)) ? asked : undefined;
}

/** out[target(cell)] += p * a row of a factor, for each cell, without lanes. */
function addProducts(
  asked: CsrMatrix,
  inputs: readonly DenseMatrix[],
  weigh: Weigh,
  isRight: boolean,
  out: Float64Array,
): void {
  const [, u, v] = inputs;
  const p = weighedCells(asked, inputs, weigh);
  const rank = u!.cols;
  const { data } = isRight ? v! : u!;
  const { rows, rowStarts, columns } = asked;
  for (let i = 0, k = rowStarts[0]!, at = 0; i < rows; i++) {
    const row = i * rank;
    for (; k < rowStarts[i + 1]!; k++) {
      const column = columns[k]! * rank;
      addScaled(out, isRight ? row : column, p[at++]!, data, isRight ? column : row, rank);
    }
  }
}

function rightProduct({ inputs, attrs, out }: KernelCall<Cells>): DenseMatrix | undefined {
  const asked = askedBy(inputs, true);
  if (asked === undefined) return undefined;
  const cells = new Float64Array(out.rows * out.cols);
  const weighs = cellWeight(attrs);
  const weigh = weighing(asked, inputs, weighs);
  const lanes = resting.pop() ?? new AskedLanes();
  const onLanes = (inputs[3] === undefined && weighs.quotient) || weigh;
  const isDone = lanes.right(asked, inputs[1]!, inputs[2]!, onLanes, cells);
  rest(lanes);
  if (!isDone) addProducts(asked, inputs, weigh, true, cells);
  return converted(dense(out.rows, out.cols, cells), out.dtype);
}

/** Adds up t(P) %*% U over blocks. */
class LeftProduct implements CsrReducer {
  readonly #call: ReducerCall;
  readonly #weighs: CellWeight;
  readonly #lanes = resting.pop() ?? new AskedLanes();
  /** Of blocks that are too much for lanes. */
  #sums: Float64Array | undefined;

  constructor(call: ReducerCall) {
    this.#call = call;
    this.#weighs = cellWeight(call.attrs);
  }

  add(inputs: readonly DenseMatrix[]): boolean {
    const asked = askedBy(inputs, false);
    if (asked === undefined) return false;
    const weigh = weighing(asked, inputs, this.#weighs);
    const onLanes = (inputs[3] === undefined && this.#weighs.quotient) || weigh;
    if (!this.#lanes.left(asked, inputs[1]!, inputs[2]!, onLanes)) {
      const { rows, cols } = this.#call.out;
      this.#sums ??= new Float64Array(rows * cols);
      addProducts(asked, inputs, weigh, false, this.#sums);
    }
    return true;
  }

  result(): DenseMatrix {
    const { rows, cols, dtype } = this.#call.out;
    const onLanes = this.#lanes.takeSums(rows, cols);
    rest(this.#lanes);
    const sums = onLanes ?? this.#sums ?? new Float64Array(rows * cols);
    if (onLanes && this.#sums) addScaled(sums, 0, 1, this.#sums, 0, sums.length);
    return converted(dense(rows, cols, sums), dtype);
  }
}

const productForm: CsrForm = {
  op: wdivmm,
  operands: [0, 3],
  run: (call) => {
    if (call.attrs.side === 'right') return rightProduct(call);
    const sums = new LeftProduct({ ...call, parallel: false });
    const isDone = sums.add(call.inputs);
    const product = sums.result();
    return isDone ? product : undefined;
  },
  reducer: (call) => new LeftProduct(call),
};

export const csrWeighted: readonly CsrForm[] = [
  productForm,
  ...weightedSums.map(({ op, weightOf }) => sumForm(op, weightOf)),
];
