/**
 * What an operator is, independent of any backend: shape rule, cost, how it splits over row blocks,
 * and the reference implementation every kernel is tested against. One frozen `OpDef` per file in
 * this folder; `index.ts` lists them. Shared code asks these properties and never compares operator
 * names.
 */
import type { Attrs } from './attrs.js';
import type { Meta } from './expr.js';
import type { DenseMatrix } from './value.js';

/**
 * How an operator behaves when some inputs come as row blocks (a local stream or an RDD).
 * - `source`: it makes row blocks itself, from its attributes and a row offset.
 * - `map`: row i of the output needs only row i of the blocked inputs (and the others whole).
 * - `reduce`: the output is `combine` over the partial outputs of the blocks.
 * - `whole`: it needs every input whole.
 * `blocked[i]` says whether input i is taken by row blocks.
 */
export type RowRule =
  | { readonly kind: 'source' }
  | { readonly kind: 'map'; readonly blocked: readonly boolean[] }
  | { readonly kind: 'reduce'; readonly blocked: readonly boolean[] }
  | { readonly kind: 'whole' };

export const wholeRule: RowRule = Object.freeze({ kind: 'whole' });
export const sourceRule: RowRule = Object.freeze({ kind: 'source' });

/** Where a partial evaluation stands: the global index of the first row of the blocked inputs. */
export interface BlockContext {
  readonly rowOffset: number;
  /** Rows of this block; equals the blocked inputs' rows (a `source` has no input to ask). */
  readonly rows: number;
  /** What the leaf carries besides its attributes: cells of a literal. */
  readonly payload?: unknown;
}

/** Operands for conformance tests: every backend runs them against the reference. */
export interface ConformanceCase {
  readonly name: string;
  readonly inputs: readonly DenseMatrix[];
  readonly attrs?: Attrs;
  /** Relative tolerance; defaults to 1e-10. */
  readonly tolerance?: number;
}

export interface OpDef {
  /** Unique, lower camel case; part of the lineage key. */
  readonly name: string;
  /** Small number unique in the process, assigned by `defineOp`; for hashing only. */
  readonly id: number;
  /** Raised when the meaning of the operator changes, so that stored results of the old one miss. */
  readonly version: number;
  readonly arity: { readonly min: number; readonly max: number };
  /** Cell-by-cell with broadcasting of scalars, row vectors and column vectors. */
  readonly elementwise: boolean;
  readonly commutative: boolean;
  /** False for operators whose value differs between two runs; never reused. */
  readonly deterministic: boolean;
  /** Its rows are in files. */
  readonly readsFiles: boolean;
  /** Shape and sparsity of the result. @throws ShapeError, DTypeError, PlanError */
  readonly infer: (inputs: readonly Meta[], attrs: Attrs) => Meta;
  readonly rowRule: (inputs: readonly Meta[], attrs: Attrs) => RowRule;
  /**
   * Operators that take rows to other row numbers and need nothing but rows for it (`rbind`, a
   * slice of rows): the inputs a backend that keeps row blocks may take by rows, its result being
   * row blocks too; undefined where there are none. Elsewhere such an operator is `whole`, which is
   * what its row rule says.
   */
  readonly moveRule?: (inputs: readonly Meta[], attrs: Attrs) => readonly boolean[] | undefined;
  /**
   * Element-wise operators only: the value of one cell from the operands' cells, so that kernels,
   * fused loops and constant folding share one definition. Operators of fewer operands ignore the
   * rest.
   */
  readonly cell?: (a: number, b: number, c: number) => number;
  /** Floating-point operations of one evaluation. @units flops */
  readonly flops: (inputs: readonly Meta[], attrs: Attrs, out: Meta) => number;
  /**
   * The oracle, in plain TypeScript. `inputs` may be one row block of a larger matrix, then `block`
   * says which; for `reduce` operators it then returns the partial result of that block.
   */
  readonly reference: (
    inputs: readonly DenseMatrix[],
    attrs: Attrs,
    out: Meta,
    block?: BlockContext,
  ) => DenseMatrix;
  /** For `reduce` operators: merges two partial results; associative, and exact up to rounding. */
  readonly combine?: (a: DenseMatrix, b: DenseMatrix, attrs: Attrs) => DenseMatrix;
  readonly cases: readonly ConformanceCase[];
}

let nextOpId = 1;

/** Which inputs a node takes by row blocks when it is evaluated by row blocks itself; none when it takes all of them whole. */
export function operandsByRows(
  op: OpDef,
  inputs: readonly Meta[],
  attrs: Attrs,
): readonly boolean[] {
  const rule = op.rowRule(inputs, attrs);
  if (rule.kind === 'whole') return op.moveRule?.(inputs, attrs) ?? [];
  return rule.kind === 'source' ? [] : rule.blocked;
}

export type OpSpec = Pick<OpDef, 'name' | 'infer' | 'reference'> &
  Partial<Omit<OpDef, 'id' | 'arity'>> & {
    readonly arity: number | { readonly min: number; readonly max: number };
  };

/** Freezes an operator definition with the defaults: version 1, deterministic, no files, `whole`, one flop a cell. */
export function defineOp(spec: OpSpec): OpDef {
  const arity = typeof spec.arity === 'number' ? { min: spec.arity, max: spec.arity } : spec.arity;
  return Object.freeze({
    version: 1,
    elementwise: false,
    commutative: false,
    deterministic: true,
    readsFiles: false,
    rowRule: () => wholeRule,
    flops: (_inputs: readonly Meta[], _attrs: Attrs, out: Meta) => out.rows * out.cols,
    cases: [],
    ...spec,
    arity,
    id: nextOpId++,
  });
}
