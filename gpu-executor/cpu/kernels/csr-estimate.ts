/**
 * Which nodes have compressed rows as their values, told from the plan: what is kept and how rows
 * are cut into blocks depends on it. A guess: where zeros meet NaN the value is dense after all.
 */
import { CsrMatrix, csrBytes } from '../../../driver/ir/csr.js';
import { denseBytes, type Expr } from '../../../driver/ir/expr.js';
import type { OpDef } from '../../../driver/ir/op-def.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { cast } from '../../../driver/operators/cast.js';
import { cbind } from '../../../driver/operators/cbind.js';
import { encode } from '../../../driver/operators/encode.js';
import { literal } from '../../../driver/operators/literal.js';
import { rand } from '../../../driver/operators/rand.js';
import { rbind } from '../../../driver/operators/rbind.js';
import { selectRows } from '../../../driver/operators/select-rows.js';
import { slice } from '../../../driver/operators/slice.js';
import { takeRows } from '../../../driver/operators/take-rows.js';
import { transpose } from '../../../driver/operators/transpose.js';
import { MOST_HELD } from './csr-moves.js';
import { isSparseRand } from './csr-rand.js';
import { hasHashed } from './encode.js';

const known = new WeakMap<Expr, number>();

/** What the compressed rows of a node take; undefined where it is dense. @units bytes */
export function csrNodeBytes(expr: Expr): number | undefined {
  if (expr.nnz === undefined) return undefined;
  let bytes = known.get(expr);
  if (bytes === undefined) {
    const isKept = isCsr(expr) && expr.nnz <= MOST_HELD * expr.rows * expr.cols;
    const own = csrBytes(expr.rows, Math.ceil(expr.nnz), expr.dtype);
    bytes = isKept && own < denseBytes(expr) ? own : 0;
    known.set(expr, bytes);
  }
  return bytes === 0 ? undefined : bytes;
}

const isHeld = (expr: Expr): boolean => csrNodeBytes(expr) !== undefined;
const ofFirst = ({ inputs }: Expr): boolean => isHeld(inputs[0]!);
const ofAny = ({ inputs }: Expr): boolean => inputs.some(isHeld);

/** By operator, whether a node is kept so. */
const rules: ReadonlyMap<OpDef, (expr: Expr) => boolean> = new Map([
  [literal, ({ payload }: Expr) => payload instanceof CsrMatrix],
  [rand, ({ attrs }: Expr) => isSparseRand(attrs)],
  [encode, ({ attrs }: Expr) => hasHashed(attrs)],
  [transpose, ofFirst],
  [slice, ofFirst],
  [cast, ofFirst],
  [selectRows, ofFirst],
  [takeRows, ({ inputs }: Expr) => isHeld(inputs[1]!)],
  [rbind, ofAny],
  [cbind, ofAny],
]);

function isCsr(expr: Expr): boolean {
  const rule = rules.get(expr.op);
  if (rule !== undefined) return rule(expr);
  return expr.op.elementwise && keepsZeros(expr);
}

/** Whether cells made of operands that are compressed are mostly zero: what 0 becomes is tried. */
function keepsZeros({ op, inputs, rows, cols }: Expr): boolean {
  const { cell } = op;
  const [a, b] = inputs;
  if (cell === undefined || inputs.length > 2) return false;
  if (b === undefined) return cell(0, 0, 0) === 0 && isHeld(a!);
  const isFull = (input: Expr): boolean =>
    input.rows === rows && input.cols === cols && isHeld(input);
  if (isFull(a!) && isFull(b)) return cell(0, 0, 0) === 0;
  if (isFull(a!)) return cell(0, 2, 0) === 0 && cell(0, -2, 0) === 0;
  return isFull(b) && cell(2, 0, 0) === 0 && cell(-2, 0, 0) === 0;
}

/** The value of a node, or its guessed form, is compressed. */
export function isCsrIn(values: ReadonlyMap<Expr, DenseMatrix>, expr: Expr): boolean {
  const value = values.get(expr);
  return value === undefined ? isHeld(expr) : value instanceof CsrMatrix;
}
