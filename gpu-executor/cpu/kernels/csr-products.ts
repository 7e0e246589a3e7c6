/**
 * Products with compressed rows: each cell that is held adds a row of the other operand, so a
 * product with n columns takes 2 n operations a cell. Plain loops over rows that lie together.
 */
import { areFinite, CsrMatrix } from '../../../driver/ir/csr.js';
import { type Cells, converted, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { matmul } from '../../../driver/operators/matmul.js';
import { mmchain } from '../../../driver/operators/mmchain.js';
import { tsmm } from '../../../driver/operators/tsmm.js';
import { weightedGram } from '../../../driver/operators/weighted-gram.js';
import type { CsrForm, CsrReducer } from './csr-form.js';
import { gatherRows, ScatteredSums } from './csr-lanes.js';
import type { KernelCall, KernelContext, ReducerCall } from './kernel.js';

/** By matrix, which is never changed: whether 0 times each of its cells is 0. */
const finite = new WeakMap<DenseMatrix, boolean>();

/** Whether all cells of an operand that is read whole, block after block, are finite. */
export function isAllFinite(value: DenseMatrix): boolean {
  if (value instanceof CsrMatrix) return value.isFinite;
  let known = finite.get(value);
  if (known === undefined) {
    known = areFinite(value.data);
    finite.set(value, known);
  }
  return known;
}

/** to[at ..] += factor * from[first ..], of so many cells. Four a turn, which takes half the time. */
export function addScaled(
  to: Cells,
  at: number,
  factor: number,
  from: Cells,
  first: number,
  count: number,
): void {
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const t = at + j;
    const f = first + j;
    const a = to[t]! + factor * from[f]!;
    const b = to[t + 1]! + factor * from[f + 1]!;
    const c = to[t + 2]! + factor * from[f + 2]!;
    const d = to[t + 3]! + factor * from[f + 3]!;
    to[t] = a;
    to[t + 1] = b;
    to[t + 2] = c;
    to[t + 3] = d;
  }
  for (; j < count; j++) to[at + j]! += factor * from[first + j]!;
}

/** out (rows x n) = X W, of finite W. */
export function multiplyCsr(X: CsrMatrix, W: DenseMatrix, out: Cells): void {
  const { rows, rowStarts, columns, values } = X;
  const { data, cols: n } = W;
  if (n === 1) {
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++)
        sum += values[k]! * data[columns[k]!]!;
      out[i] = sum;
    }
    return;
  }
  if (gatherRows(X, W, out)) return;
  out.fill(0, 0, rows * n);
  for (let i = 0; i < rows; i++) {
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      addScaled(out, i * n, values[k]!, data, columns[k]! * n, n);
    }
  }
}

/** sums (X.cols x n) += t(X) R, of finite R with as many rows. */
export function addTransposedCsr(X: CsrMatrix, R: Cells, n: number, sums: Cells): void {
  const { rows, rowStarts, columns, values } = X;
  for (let i = 0; i < rows; i++) {
    for (let k = rowStarts[i]!; k < rowStarts[i + 1]!; k++) {
      addScaled(sums, columns[k]! * n, values[k]!, R, i * n, n);
    }
  }
}

/** A %*% B or A %*% t(B), of dense A and compressed B. */
function multiplyByCsr(A: DenseMatrix, B: CsrMatrix, isTransposed: boolean, out: Cells): void {
  const { rowStarts, columns, values } = B;
  const { data, cols } = A;
  const n = isTransposed ? B.rows : B.cols;
  if (!isTransposed) out.fill(0, 0, A.rows * n);
  for (let i = 0; i < A.rows; i++) {
    for (let r = 0; r < B.rows; r++) {
      let sum = 0;
      const factor = isTransposed ? 0 : data[i * cols + r]!;
      for (let k = rowStarts[r]!; k < rowStarts[r + 1]!; k++) {
        if (isTransposed) sum += data[i * cols + columns[k]!]! * values[k]!;
        else out[i * n + columns[k]!]! += factor * values[k]!;
      }
      if (isTransposed) out[i * n + r] = sum;
    }
  }
}

function product(call: KernelCall<Cells>, { allocate }: KernelContext): DenseMatrix | undefined {
  const [a, b] = call.inputs as [DenseMatrix, DenseMatrix];
  const { transposeA, transposeB } = call.attrs;
  const { rows, cols, dtype } = call.out;
  if (transposeA) return undefined;
  if (a instanceof CsrMatrix) {
    if (transposeB || !isAllFinite(b)) return undefined;
    const out = allocate(rows * cols, dtype);
    multiplyCsr(a, b, out);
    return dense(rows, cols, out);
  }
  // A zero of B meets each cell of A, and each infinity of B is multiplied with zeros of A.
  if (!(b instanceof CsrMatrix) || !areFinite(a.data)) return undefined;
  const out = allocate(rows * cols, dtype);
  multiplyByCsr(a, b, transposeB === true, out);
  return dense(rows, cols, out);
}

/** Sums of float64 cells. */
abstract class SumReducer implements CsrReducer {
  readonly sums: Float64Array;
  protected readonly call: ReducerCall;

  constructor(call: ReducerCall) {
    this.call = call;
    this.sums = new Float64Array(call.out.rows * call.out.cols);
  }

  abstract add(inputs: readonly DenseMatrix[]): boolean;

  result(): DenseMatrix {
    const { rows, cols, dtype } = this.call.out;
    return converted(dense(rows, cols, this.sums), dtype);
  }
}

/** t(A) %*% B, one of which is compressed rows. */
class TransposedProduct extends SumReducer {
  /** t(t(A) %*% B), where B is compressed: its cells then add rows. */
  #turned: Float64Array | undefined;
  readonly #scattered = new ScatteredSums();

  add([a, b]: readonly DenseMatrix[]): boolean {
    if (a instanceof CsrMatrix && b instanceof CsrMatrix) return addPairs(a, b, this.sums);
    if (a instanceof CsrMatrix) {
      if (!areFinite(b!.data)) return false;
      if (!this.#scattered.add(a, b!)) addTransposedCsr(a, b!.data, b!.cols, this.sums);
      return true;
    }
    if (!(b instanceof CsrMatrix) || !areFinite(a!.data)) return false;
    this.#turned ??= new Float64Array(this.sums.length);
    addTransposedCsr(b, a!.data, a!.cols, this.#turned);
    return true;
  }

  override result(): DenseMatrix {
    const { rows, cols } = this.call.out;
    this.#scattered.takeTo(this.sums, rows, cols);
    for (let i = 0; i < rows && this.#turned !== undefined; i++) {
      for (let j = 0; j < cols; j++) this.sums[i * cols + j]! += this.#turned[j * rows + i]!;
    }
    return super.result();
  }
}

/** sums += t(A) %*% B. False where either has cells that are not finite. */
function addPairs(a: CsrMatrix, b: CsrMatrix, sums: Float64Array): boolean {
  if (!a.isFinite || !b.isFinite) return false;
  for (let i = 0; i < a.rows; i++) {
    for (let k = a.rowStarts[i]!; k < a.rowStarts[i + 1]!; k++) {
      const at = a.columns[k]! * b.cols;
      const cell = a.values[k]!;
      for (let l = b.rowStarts[i]!; l < b.rowStarts[i + 1]!; l++) {
        sums[at + b.columns[l]!]! += cell * b.values[l]!;
      }
    }
  }
  return true;
}

/** The upper triangle at `base` += weight * t(row) row, of row i. */
function addSquare(
  { rowStarts, columns, values, cols }: CsrMatrix,
  i: number,
  weight: number,
  sums: Float64Array,
  base: number,
): void {
  const end = rowStarts[i + 1]!;
  for (let k = rowStarts[i]!; k < end; k++) {
    const at = base + columns[k]! * cols;
    const cell = weight * values[k]!;
    for (let l = k; l < end; l++) sums[at + columns[l]!]! += cell * values[l]!;
  }
}

function mirror(sums: Float64Array, side: number, base: number): void {
  for (let i = 0; i < side; i++) {
    for (let j = i + 1; j < side; j++) sums[base + j * side + i] = sums[base + i * side + j]!;
  }
}

/** t(X) %*% diag(w) %*% X for each column of weights, or for none. */
class SquareReducer extends SumReducer {
  #side = 0;

  add([x, w]: readonly DenseMatrix[]): boolean {
    if (!(x instanceof CsrMatrix) || !x.isFinite) return false;
    if (w !== undefined && !areFinite(w.data)) return false;
    this.#side = x.cols;
    const models = w?.cols ?? 1;
    for (let i = 0; i < x.rows; i++) {
      for (let model = 0; model < models; model++) {
        const weight = w === undefined ? 1 : w.data[i * models + model]!;
        if (weight !== 0) addSquare(x, i, weight, this.sums, model * x.cols * x.cols);
      }
    }
    return true;
  }

  override result(): DenseMatrix {
    const block = this.#side * this.#side;
    for (let base = 0; base < this.sums.length; base += block) mirror(this.sums, this.#side, base);
    return super.result();
  }
}

/** t(X) %*% (w * (X %*% v)). */
class ChainReducer extends SumReducer {
  #product = new Float64Array(0);

  add([x, v, w]: readonly DenseMatrix[]): boolean {
    if (!(x instanceof CsrMatrix) || !isAllFinite(v!)) return false;
    const n = v!.cols;
    if (this.#product.length < x.rows * n) this.#product = new Float64Array(x.rows * n);
    const product = this.#product;
    multiplyCsr(x, v!, product);
    if (w !== undefined) {
      for (let at = 0; at < x.rows * n; at++) {
        const i = Math.floor(at / n);
        product[at]! *= w.data[w.cols === 1 ? i : at]!;
      }
    }
    if (!areFinite(product, 0, x.rows * n)) return false;
    addTransposedCsr(x, product, n, this.sums);
    return true;
  }
}

export const csrProducts: readonly CsrForm[] = [
  {
    op: matmul,
    operands: [0, 1],
    run: product,
    reducer: (call) => new TransposedProduct(call),
  },
  { op: tsmm, operands: [0], reducer: (call) => new SquareReducer(call) },
  { op: weightedGram, operands: [0], reducer: (call) => new SquareReducer(call) },
  { op: mmchain, operands: [0], reducer: (call) => new ChainReducer(call) },
];
