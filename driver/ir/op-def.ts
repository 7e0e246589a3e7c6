/**
 * What an operator is, independent of any backend: shape rule, cost, how it splits over row blocks,
 * and the reference implementation every kernel is tested against. One frozen `OpDef` per file in
 * this folder; `index.ts` lists them. Shared code asks these properties and never compares operator
 * names.
 */
import { type Attrs, noAttrs } from './attrs.js';
import type { BatchRule } from './batch-rule.js';
import type { Cell, CellProgram } from './cell-program.js';
import { type DType, leafDType, sameDType, type Typed } from './dtype.js';
import type { Expr, Meta, NodeMaker } from './expr.js';
import type { GradientRule } from './gradient-rule.js';
import type { Float64Matrix } from './value.js';

/**
 * How an operator behaves when some inputs come as row blocks (a local stream or an RDD).
 * - `source`: it makes row blocks itself, from its attributes and a row offset.
 * - `map`: row i of the output needs only row i of the blocked inputs (and the others whole).
 * - `reduce`: the output is `combine` over the partial outputs of the blocks.
 * - `whole`: it needs every input whole.
 */
export interface RowRule {
  readonly kind: 'source' | 'map' | 'reduce' | 'whole';
  /** By input: whether it is taken by row blocks. Empty for `source` and `whole`. */
  readonly blocked: readonly boolean[];
}

export const wholeRule: RowRule = Object.freeze({ kind: 'whole', blocked: [] });
export const sourceRule: RowRule = Object.freeze({ kind: 'source', blocked: [] });

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
  readonly inputs: readonly Float64Matrix[];
  readonly attrs?: Attrs;
  /** Relative tolerance; defaults to 1e-10. */
  readonly tolerance?: number;
}

/**
 * Where a value comes from. `kernel`: a backend computes it from the operands and attributes.
 * `cells`: the leaf carries it. `number`: an attribute of the leaf. `files`: rows in files, no
 * value of its own. `scan`: an engine reads it from the `files` below. `call`: the session has it,
 * or calls the function.
 */
export type Source = 'kernel' | 'cells' | 'number' | 'files' | 'scan' | 'call';

/**
 * What most of the time goes into. `product`: multiplications of matrices, which a BLAS does;
 * `factorise`: systems and factorisations; `cells`: loops over cells; `move`: every cell of the
 * result is a cell of an operand or zero, and no others are read.
 */
export type Work = 'product' | 'factorise' | 'cells' | 'move';

export type Axis = 'rows' | 'cols';

/** One way to evaluate an operator part by part: over ranges, along an axis, of cut operands. */
export interface Split {
  readonly axis: Axis;
  readonly cut: readonly boolean[];
  /** The axis along which the results of the parts stand one after another. */
  readonly into?: Axis;
  /** What joins them where they don't. */
  readonly merge?: Merge | undefined;
}

/** An operand that finds related results: by itself, or by what its rows or columns are of. */
export interface Lookup {
  readonly operand: number;
  readonly by: 'self' | Axis;
}

/**
 * What joins results over parts of the rows, whichever part comes first: an operator of two such
 * results, or a function of the node over all rows where that depends on it. Associative, and exact
 * up to rounding.
 */
export type Merge = OpDef | ((whole: Expr, results: readonly Expr[], maker: NodeMaker) => Expr);

/** Rows [from, to) of what they are a part of. */
export interface RowsPart {
  readonly from: number;
  readonly to: number;
  /** How these rows are divided in turn, counted from their first. */
  readonly parts?: readonly RowsPart[];
  /** Its files are not likely to become others. */
  readonly isClosed?: boolean;
}

/** A run of a source's rows as a source of its own. */
export interface RowsAlone {
  readonly attrs: Attrs;
  /**
   * What its columns (of `encode`) or values (of `kfold`) stand for among those of all rows;
   * several columns may stand for one, which is their sum. Null when they are the same.
   */
  readonly places: readonly number[] | null;
}

/** What a reduction takes of a part of the rows. */
export interface PartOperands {
  /** By operand: as the part has it by itself. Absent for operands not taken by rows. */
  readonly own: readonly (
    | { readonly expr: Expr; readonly places: RowsAlone['places'] }
    | undefined
  )[];
  /** The same rows of that operand as all rows have them. */
  rows(operand: number): Expr;
  /** A result over `own` by what the part is divided into; itself where that is nothing. */
  divided(result: Expr): Expr;
}

export interface OpDef {
  /** Unique, lower camel case; part of the lineage key. */
  readonly name: string;
  /** Small number unique in the process, assigned by `defineOp`; for hashing only. */
  readonly id: number;
  /** Raised when the operator's meaning changes, so that stored results of the old one miss. */
  readonly version: number;
  readonly arity: { readonly min: number; readonly max: number };
  /** Cell-by-cell with broadcasting of scalars, row vectors and column vectors. */
  readonly elementwise: boolean;
  readonly commutative: boolean;
  /** False for operators whose value differs between two runs; never reused. */
  readonly deterministic: boolean;
  readonly source: Source;
  readonly work: Work;
  /** Operators whose cells are all the same: the value of each. */
  readonly constant?: (attrs: Attrs) => number;
  /** Parts of an operand show through it: it binds or cuts them, or makes each column by itself. */
  readonly isSeenThrough: boolean;
  /** Shape and sparsity of the result. @throws ShapeError, DTypeError, PlanError */
  readonly infer: (inputs: readonly Meta[], attrs: Attrs) => Meta;
  /**
   * Type of the result's cells. Default: the operands' one dtype; of leaves the attribute `dtype`,
   * which stands there for float32 only. @throws DTypeError
   */
  readonly dtype: (inputs: readonly Typed[], attrs: Attrs) => DType;
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
   * fused loops and constant folding share one definition.
   */
  readonly cell?: Cell;
  /** `cell` in basic operations, where it is defined so; it then has these bits on any backend. */
  readonly program?: CellProgram;
  /** Floating-point operations of one evaluation. @units flops */
  readonly flops: (inputs: readonly Meta[], attrs: Attrs, out: Meta) => number;
  /**
   * The oracle, in plain TypeScript, in float64: for float32 operands the caller widens cells and
   * rounds the result. `inputs` may be one row block of a larger matrix, then `block` says which;
   * for `reduce` operators it then returns the partial result of that block.
   */
  readonly reference: (
    inputs: readonly Float64Matrix[],
    attrs: Attrs,
    out: Meta & Partial<Typed>,
    block?: BlockContext,
  ) => Float64Matrix;
  /** For `reduce` operators: merges two partial results; associative, and exact up to rounding. */
  readonly combine?: (a: Float64Matrix, b: Float64Matrix, attrs: Attrs) => Float64Matrix;
  /** Its result holds numbers of rows: a block has to know where it begins. Default false. */
  readonly numbersRows?: boolean;
  /** For `reduce` operators whose parts merge as nodes; gives `combine` where it is an operator. */
  readonly merge?: Merge;
  /** How it is evaluated over ranges of columns; over ranges of rows it is as its row rule says. */
  readonly colSplits?: (inputs: readonly Meta[], attrs: Attrs) => readonly Split[];
  /** Operands by which partial reuse finds related results; none where an index is not worth it. */
  readonly findBy?: (inputs: readonly Meta[], attrs: Attrs) => readonly Lookup[];
  /** Sources that know what parts of their rows (files) need by themselves: the parts, in order. */
  readonly parts?: (source: Expr) => readonly RowsPart[] | undefined;
  /**
   * Sources: rows [from, to) made alone; undefined where that can't be said without the others.
   * @param own given for them as they are by themselves, whatever stands before and beside them:
   *   the part they are, one of `parts` where the source has these
   */
  readonly rowsOf?: (
    source: Expr,
    from: number,
    to: number,
    own: RowsPart | undefined,
  ) => RowsAlone | undefined;
  /**
   * Reductions over parts with their own columns and values: the node from its parts, in order.
   * @param isClosed later data will ask for this result again
   */
  readonly overParts?: (
    whole: Expr,
    parts: readonly PartOperands[],
    maker: NodeMaker,
    isClosed: boolean,
  ) => Expr;
  /** Whether results are kept for later processes however quick they were made. */
  readonly isKept?: (attrs: Attrs) => boolean;
  /**
   * One node for all models of a stack; absent where each model is computed by itself. Never asked
   * when all operands are shared.
   */
  readonly batch?: BatchRule;
  /** Derivatives of a loss by its operands; absent where `gradient` has no way through it. */
  readonly gradient?: GradientRule;
  readonly cases: readonly ConformanceCase[];
}

let nextOpId = 1;

/** Which inputs a node takes by row blocks when evaluated by row blocks; none if all are whole. */
export function operandsByRows(
  op: OpDef,
  inputs: readonly Meta[],
  attrs: Attrs,
): readonly boolean[] {
  const rule = op.rowRule(inputs, attrs);
  if (rule.kind === 'whole') return op.moveRule?.(inputs, attrs) ?? [];
  return rule.blocked;
}

/** Operands that a node takes by row blocks. */
export function rowOperandsOf({ op, inputs, attrs }: Expr): readonly Expr[] {
  const { blocked } = op.rowRule(inputs, attrs);
  return inputs.filter((_, i) => blocked[i]);
}

export type OpSpec = Pick<OpDef, 'name' | 'infer' | 'reference'> &
  Partial<Omit<OpDef, 'id' | 'arity'>> & {
    readonly arity: number | { readonly min: number; readonly max: number };
  };

/** Every way to evaluate a node part by part, by rows first. */
export function splitsOf({ op, inputs, attrs }: Expr): readonly Split[] {
  const byRows = rowSplit(op, inputs, attrs);
  const byCols = op.colSplits?.(inputs, attrs) ?? [];
  return byRows === undefined ? byCols : [byRows, ...byCols];
}

/** How a node is evaluated over ranges of rows; undefined when it takes all of them. */
export function rowSplit(op: OpDef, inputs: readonly Meta[], attrs: Attrs): Split | undefined {
  const rule = op.rowRule(inputs, attrs);
  if (!rule.blocked.includes(true)) return undefined;
  const join = rule.kind === 'map' ? ({ into: 'rows' } as const) : { merge: op.merge };
  return { axis: 'rows', cut: rule.blocked, ...join };
}

/** A node from its results over parts of the operands, by the `merge` of a split. */
export function mergeResults(
  merge: Merge,
  whole: Expr,
  results: readonly Expr[],
  maker: NodeMaker,
): Expr {
  if (results.length === 1) return results[0]!;
  if (typeof merge === 'function') return merge(whole, results, maker);
  return results.reduce((total, one) => maker.intern(merge, [total, one]));
}

/** Freezes an operator. Defaults: version 1, deterministic, cell kernel, `whole`, 1 flop a cell. */
export function defineOp(spec: OpSpec): OpDef {
  const arity = typeof spec.arity === 'number' ? { min: spec.arity, max: spec.arity } : spec.arity;
  const { merge } = spec;
  return Object.freeze({
    version: 1,
    elementwise: false,
    commutative: false,
    deterministic: true,
    source: 'kernel',
    work: 'cells',
    isSeenThrough: false,
    rowRule: () => wholeRule,
    dtype: (inputs: readonly Typed[], attrs: Attrs) =>
      inputs.length > 0 ? sameDType(spec.name, inputs) : leafDType(spec.name, attrs.dtype),
    flops: (_inputs: readonly Meta[], _attrs: Attrs, out: Meta) => out.rows * out.cols,
    cases: [],
    ...(typeof merge === 'object' ? { combine: combineBy(merge) } : {}),
    ...spec,
    arity,
    id: nextOpId++,
  });
}

function combineBy(merge: OpDef): NonNullable<OpDef['combine']> {
  return (a, b) => merge.reference([a, b], noAttrs, a);
}
