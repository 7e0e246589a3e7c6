/**
 * A pass over rows, and how wide its rows are as they are held: in sparse forms where all that read
 * them in the pass do without their cells.
 */
import type { SegmentPart } from '../../driver/backend/backend.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import type { CodedReader } from './kernels/coded-rows.js';
import { csrNodeBytes, isCsrIn } from './kernels/csr-estimate.js';
import { kernelOf } from './kernels/index.js';

export interface StreamPass {
  /** Rows every blocked node of the pass has. */
  readonly rows: number;
  /** Sources and maps, inputs before consumers. */
  readonly nodes: readonly Expr[];
  readonly sinks: readonly Expr[];
  /** Nodes of `nodes` to write out whole. */
  readonly kept: readonly Expr[];
  /** Host values: taken whole, or by rows where an operator takes them by blocks. */
  readonly values: ReadonlyMap<Expr, DenseMatrix>;
  /** Sinks whose results over parts of the rows are wanted too. */
  readonly parts: ReadonlyMap<Expr, readonly SegmentPart[]>;
}

/** Whether all that read the rows of an operand in a pass do without the cells of coded ones. */
export function areReadCoded(
  { nodes, sinks }: Pick<StreamPass, 'nodes' | 'sinks'>,
  expr: Expr,
  isWorth: (reader: CodedReader) => boolean = () => true,
): boolean {
  return [...nodes, ...sinks].every(({ op, inputs }) => {
    if (!inputs.includes(expr)) return true;
    const coded = kernelOf.get(op.name)?.coded;
    if (coded === undefined || !isWorth(coded)) return false;
    const { operand } = coded;
    return operand === undefined || inputs.every((one, i) => one !== expr || i === operand);
  });
}

/** Whether all that read the rows of an operand do without the cells of compressed ones. */
function areReadCsr({ nodes, sinks }: StreamPass, expr: Expr): boolean {
  return [...nodes, ...sinks].every(({ op, inputs }) => {
    const read = kernelOf.get(op.name)?.csr ?? [];
    return inputs.every((one, i) => one !== expr || read.includes(i));
  });
}

/** Cells of a row of an operand of a pass, as it is held: those of sparse forms read so are few. */
export function widthOf(pass: StreamPass, expr: Expr): number {
  const { values } = pass;
  const value = values.get(expr);
  const isCsr = isCsrIn(values, expr);
  if (isCsr ? !areReadCsr(pass, expr) : value?.sparse === undefined || !areReadCoded(pass, expr)) {
    return expr.cols;
  }
  const bytes = value?.sparse?.bytes ?? csrNodeBytes(expr)!;
  return Math.ceil(bytes / Float64Array.BYTES_PER_ELEMENT / expr.rows);
}
