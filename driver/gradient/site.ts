/**
 * What a gradient rule is given at one node, and the nodes rules make by it. Its functions are
 * fields, so that rules can take them apart.
 */
import type { Attrs } from '../ir/attrs.js';
import { dtypeAttr } from '../ir/dtype.js';
import type { Expr, Meta, NodeMaker } from '../ir/expr.js';
import type { GradientRange, GradientSite } from '../ir/gradient-rule.js';
import type { OpDef } from '../ir/op-def.js';
import { ops } from '../operators/index.js';
import { scalarAttrs } from '../operators/scalar.js';

export class Site implements GradientSite {
  readonly node: Expr;
  readonly isWanted: readonly boolean[];
  readonly narrowUpstream: Expr;
  readonly maker: NodeMaker;

  constructor(maker: NodeMaker, node: Expr, upstream: Expr, isWanted: readonly boolean[]) {
    this.maker = maker;
    this.node = node;
    this.narrowUpstream = upstream;
    this.isWanted = isWanted;
  }

  get upstream(): Expr {
    return this.spread(this.narrowUpstream, this.node);
  }

  readonly make = (op: OpDef, operands: readonly (Expr | number)[], attrs?: Attrs): Expr => {
    const inputs = operands.map((one) =>
      typeof one === 'number'
        ? this.maker.intern(ops.scalar, [], scalarAttrs(one, this.node.dtype))
        : one,
    );
    return this.maker.intern(op, inputs, attrs);
  };

  readonly spread = (expr: Expr, { rows, cols }: Meta): Expr => {
    if (expr.rows === rows && expr.cols === cols) return expr;
    const ones = { rows, cols, value: 1, ...dtypeAttr(expr.dtype) };
    return this.maker.intern(ops.mul, [expr, this.maker.intern(ops.fill, [], ones)]);
  };

  readonly unbroadcast = (expr: Expr, shape: Meta, stretched: Meta = this.node): Expr => {
    const isRow = shape.rows === 1 && stretched.rows > 1;
    const isColumn = shape.cols === 1 && stretched.cols > 1;
    const sumsRows = isRow && expr.rows > 1;
    const sumsCols = isColumn && expr.cols > 1;
    // Cells that are all alike are counted rather than summed.
    let copies = 1;
    if (isRow && !sumsRows) copies *= stretched.rows;
    if (isColumn && !sumsCols) copies *= stretched.cols;
    let sum = expr;
    if (sumsRows && sumsCols) sum = this.maker.intern(ops.sum, [expr]);
    else if (sumsRows) sum = this.maker.intern(ops.colSums, [expr]);
    else if (sumsCols) sum = this.maker.intern(ops.rowSums, [expr]);
    if (copies === 1) return sum;
    const factor = this.maker.intern(ops.scalar, [], scalarAttrs(copies, expr.dtype));
    return this.maker.intern(ops.mul, [sum, factor]);
  };

  readonly part = (expr: Expr, rows: GradientRange, cols: GradientRange): Expr => {
    return this.maker.intern(ops.slice, [expr], {
      rows: canonical(rows, expr.rows),
      cols: canonical(cols, expr.cols),
    });
  };

  readonly sumsByRow = (expr: Expr, numbers: Expr, rows: number): Expr =>
    this.maker.intern(ops.groupSums, [numbers, expr], { groups: rows });

  readonly placed = (expr: Expr, shape: Meta, rows: GradientRange, cols: GradientRange): Expr => {
    const [top, bottom] = rows ?? [0, shape.rows];
    const [left, right] = cols ?? [0, shape.cols];
    const zeros = (height: number, width: number): Expr[] =>
      height * width === 0 ? [] : [zerosLike(this.maker, { ...expr, rows: height, cols: width })];
    const bound = (op: OpDef, parts: readonly Expr[]): Expr =>
      parts.length === 1 ? parts[0]! : this.maker.intern(op, parts);
    const height = bottom - top;
    const beside = [...zeros(height, left), expr, ...zeros(height, shape.cols - right)];
    const wide = bound(ops.cbind, beside);
    const below = zeros(shape.rows - bottom, shape.cols);
    return bound(ops.rbind, [...zeros(top, shape.cols), wide, ...below]);
  };
}

/** Zeros of that shape and dtype. */
export function zerosLike(
  maker: NodeMaker,
  { rows, cols, dtype }: Pick<Expr, 'rows' | 'cols' | 'dtype'>,
): Expr {
  return maker.intern(ops.fill, [], { rows, cols, value: 0, ...dtypeAttr(dtype) });
}

/** As slices have it: null for all. */
function canonical(range: GradientRange, size: number): GradientRange {
  return range === null || (range[0] === 0 && range[1] === size) ? null : range;
}
