/**
 * The element-wise family: cell (i, j) of the output depends on cell (i, j) of the operands only.
 * Operands broadcast as in NumPy: a dimension of 1 stretches, so scalars, row vectors and column
 * vectors meet matrices either side. Invariant: a definition is its `cell` function; NaN and
 * infinities follow IEEE 754 through it.
 */
import type { BatchOperand, BatchSite, BatchValue } from '../ir/batch-rule.js';
import { type Cell, type CellProgram, cellOf } from '../ir/cell-program.js';
import type { Expr, Meta } from '../ir/expr.js';
import { type GradientRule, noGradient } from '../ir/gradient-rule.js';
import {
  type ConformanceCase,
  defineOp,
  type OpDef,
  type RowRule,
  type Split,
  wholeRule,
} from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { nnzOf, shapeError } from './shape-check.js';

/** Which zero operands make a zero cell; decides the sparsity estimate. */
export type ZeroRule = 'either' | 'both' | 'first' | 'none';

export interface ElementwiseOptions {
  readonly commutative?: boolean;
  /**
   * `either`: 0 if any operand is 0 (mul); `both`: 0 if all are (add); `first`: 0 if the first is,
   * whatever mostly stands in the other (div). Defaults to `none`.
   */
  readonly zero?: ZeroRule;
  /** Cost of one cell. @units flops */
  readonly cellFlops?: number;
  /** Further cases beside the family's. */
  readonly cases?: readonly ConformanceCase[];
  readonly program?: CellProgram;
  /** By operand; none for what is constant almost everywhere. Absent: no gradient. */
  readonly partials?: readonly CellPartial[];
}

/** What the derivative of one cell is written in; shapes broadcast. */
export interface CellTerms {
  /** Derivative of the loss by the result. */
  readonly g: Expr;
  readonly a: Expr;
  readonly b: Expr;
  readonly c: Expr;
  readonly result: Expr;
  make(op: OpDef, operands: readonly (Expr | number)[]): Expr;
}

/** Derivative of the loss by an operand, before what was broadcast is summed. */
export type CellPartial = (terms: CellTerms) => Expr | undefined;

/** Shape of the broadcast result. @throws ShapeError */
export function broadcast(op: string, inputs: readonly Meta[]): Meta {
  let rows = 1;
  let cols = 1;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!;
    if (input.rows !== 1) rows = input.rows;
    if (input.cols !== 1) cols = input.cols;
  }
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!;
    if ((input.rows !== rows && input.rows !== 1) || (input.cols !== cols && input.cols !== 1)) {
      throw shapeError(
        op,
        'operands of equal shape, or with 1 row or 1 column to broadcast',
        inputs,
      );
    }
  }
  return { rows, cols };
}

/**
 * Operands with the output's rows come by row blocks, the broadcast ones whole. When the output has
 * one row, which operand is blocked can't be told from the shapes, and nothing is worth splitting,
 * so all are taken whole.
 */
export function broadcastRowRule(inputs: readonly Meta[]): RowRule {
  let rows = 1;
  for (const input of inputs) if (input.rows > rows) rows = input.rows;
  return rows === 1 ? wholeRule : { kind: 'map', blocked: inputs.map((i) => i.rows === rows) };
}

/** Operands with the output's columns are cut by them, the broadcast ones the same for all. */
export function broadcastColSplits(inputs: readonly Meta[]): readonly Split[] {
  const cols = Math.max(...inputs.map((input) => input.cols));
  if (cols === 1) return [];
  return [{ axis: 'cols', cut: inputs.map((input) => input.cols === cols), into: 'cols' }];
}

/**
 * The operator over all models' cells: operands that are stretched for one model are repeated for
 * each, those that all models share for all. In the layout that most cells have already.
 */
export function batchCells(site: BatchSite): BatchValue {
  const { one, operands, models, maker } = site;
  const largest = operands
    .filter(({ layout }) => layout !== 'shared')
    .reduce((a, b) => (b.rows * b.cols > a.rows * a.cols ? b : a));
  const isStack = largest.layout === 'stack';
  const inColumns = (operand: BatchOperand): Expr => {
    if (operand.cols === one.cols) return site.columns(operand);
    if (operand.layout === 'shared') return operand.expr;
    return site.repeatCols(site.columns(operand), 1, one.cols);
  };
  const inStack = (operand: BatchOperand): Expr => {
    if (operand.rows === one.rows) return site.stack(operand);
    if (operand.layout === 'shared') return operand.expr;
    return site.repeatRows(site.stack(operand), 1, one.rows);
  };
  // One column or row for all meets every model's as it is.
  const isSpread = (size: number, { layout }: BatchOperand): boolean =>
    layout === 'shared' && size === 1 && models > 1;
  const inputs = operands.map((operand) => {
    if (models === 1) return operand.expr;
    if (isSpread(isStack ? operand.rows : operand.cols, operand)) return operand.expr;
    return isStack ? inStack(operand) : inColumns(operand);
  });
  return { layout: isStack ? 'stack' : 'columns', expr: maker.intern(one.op, inputs, one.attrs) };
}

/** The rule of an operator on cells from the derivative by each operand. */
export function cellGradient(partials: readonly CellPartial[]): GradientRule {
  if (partials.length === 0) return noGradient;
  return (site) => {
    const { node, isWanted, narrowUpstream: g } = site;
    const [a, b = a, c = a] = node.inputs as [Expr, Expr?, Expr?];
    const terms: CellTerms = {
      ...{ g, a, b: b!, c: c!, result: node },
      make: (op, operands) => site.make(op, operands),
    };
    return node.inputs.map((input, i) => {
      const part = isWanted[i] ? partials[i]?.(terms) : undefined;
      return part && site.unbroadcast(part, input);
    });
  };
}

/** Applies `cell` with broadcasting; the reference of the whole family. */
export function applyCells(
  op: string,
  cell: Cell,
  inputs: readonly Float64Matrix[],
): Float64Matrix {
  const { rows, cols } = broadcast(op, inputs);
  const [a, b = a, c = a] = inputs as [Float64Matrix, Float64Matrix?, Float64Matrix?];
  const at = (m: Float64Matrix, i: number, j: number): number =>
    m.data[(m.rows === 1 ? 0 : i) * m.cols + (m.cols === 1 ? 0 : j)]!;
  const data = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      data[i * cols + j] = cell(at(a, i, j), at(b!, i, j), at(c!, i, j));
    }
  }
  return dense(rows, cols, data);
}

/** An operator of one operand. */
export function unaryOp(name: string, cell: Cell, options: ElementwiseOptions = {}): OpDef {
  const keepsZero = options.zero !== undefined && options.zero !== 'none';
  return defineOp({
    name,
    arity: 1,
    elementwise: true,
    cell,
    infer: ([x]) => ({ rows: x!.rows, cols: x!.cols, nnz: keepsZero ? x!.nnz : undefined }),
    rowRule: () => ({ kind: 'map', blocked: [true] }),
    colSplits: broadcastColSplits,
    batch: batchCells,
    flops: (_inputs, _attrs, out) => out.rows * out.cols * (options.cellFlops ?? 1),
    reference: (inputs) => applyCells(name, cell, inputs),
    cases: [...unaryCases, ...(options.cases ?? [])],
    ...(options.program && { program: options.program }),
    ...(options.partials && { gradient: cellGradient(options.partials) }),
  });
}

/** An operator of one operand whose cell is a program. */
export function programOp(name: string, program: CellProgram, options: ElementwiseOptions = {}) {
  return unaryOp(name, cellOf(program), { ...options, program });
}

/** An operator of two operands. */
export function binaryOp(name: string, cell: Cell, options: ElementwiseOptions = {}): OpDef {
  const zero = options.zero ?? 'none';
  return defineOp({
    name,
    arity: 2,
    elementwise: true,
    commutative: options.commutative ?? false,
    cell,
    infer: (inputs) => withNnz(broadcast(name, inputs), inputs, zero),
    rowRule: broadcastRowRule,
    colSplits: broadcastColSplits,
    batch: batchCells,
    flops: (_inputs, _attrs, out) => out.rows * out.cols * (options.cellFlops ?? 1),
    reference: (inputs) => applyCells(name, cell, inputs),
    cases: [...binaryCases, ...(options.cases ?? [])],
    ...(options.partials && { gradient: cellGradient(options.partials) }),
  });
}

/** Sparsity of the result, where worth a field. Bounds: sum for `both`, least for `either`. */
function withNnz(out: Meta, inputs: readonly Meta[], zero: ZeroRule): Meta {
  const [a, b] = inputs as [Meta, Meta];
  if (zero === 'none' || (a.nnz === undefined && b.nnz === undefined)) return out;
  const cells = out.rows * out.cols;
  const stretchedA = (nnzOf(a) * cells) / (a.rows * a.cols);
  const stretchedB = (nnzOf(b) * cells) / (b.rows * b.cols);
  const least = zero === 'first' ? stretchedA : Math.min(stretchedA, stretchedB);
  const nnz = zero === 'both' ? stretchedA + stretchedB : least;
  return nnz < cells ? { rows: out.rows, cols: out.cols, nnz } : out;
}

const wave = (rows: number, cols: number, step: number): Float64Matrix =>
  dense(
    rows,
    cols,
    Float64Array.from(
      { length: rows * cols },
      (_, i) => Math.round(Math.sin(i * step) * 400) / 100,
    ),
  );

const special = Float64Array.of(0, 1, -1, 2.5, -2.5, 0.5, NaN, Infinity, -Infinity);

/** Ordinary cells, ties of rounding, zeros, NaN and infinities; a single cell. */
const unaryCases: readonly ConformanceCase[] = [
  { name: 'ordinary cells', inputs: [wave(7, 3, 1)] },
  { name: 'zero, ties, NaN and infinities', inputs: [dense(3, 3, special)] },
  { name: '1x1', inputs: [dense(1, 1, Float64Array.of(0.75))] },
  { name: 'one row', inputs: [wave(1, 5, 2)] },
];

/** Equal shapes, each way of broadcasting both sides, and every pair of special values. */
const binaryCases: readonly ConformanceCase[] = [
  { name: 'equal shapes', inputs: [wave(6, 3, 1), wave(6, 3, 2)] },
  { name: 'matrix and scalar', inputs: [wave(5, 3, 1), wave(1, 1, 2)] },
  { name: 'scalar and matrix', inputs: [dense(1, 1, Float64Array.of(2.25)), wave(5, 3, 3)] },
  { name: 'matrix and row vector', inputs: [wave(4, 3, 1), wave(1, 3, 2)] },
  { name: 'row vector and matrix', inputs: [wave(1, 3, 1), wave(4, 3, 2)] },
  { name: 'matrix and column vector', inputs: [wave(4, 3, 1), wave(4, 1, 2)] },
  { name: 'column vector and matrix', inputs: [wave(4, 1, 1), wave(4, 3, 2)] },
  { name: 'column vector and row vector', inputs: [wave(4, 1, 1), wave(1, 3, 2)] },
  { name: 'one row', inputs: [wave(1, 4, 1), wave(1, 4, 3)] },
  { name: '1x1', inputs: [dense(1, 1, Float64Array.of(3)), dense(1, 1, Float64Array.of(-2))] },
  {
    name: 'every pair of zero, ties, NaN and infinities',
    inputs: [dense(9, 1, special), dense(1, 9, special)],
  },
];
