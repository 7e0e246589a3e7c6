/** Gradients by the lower triangle of a symmetric matrix, which is all that some operators read. */
import { dtypeAttr } from '../ir/dtype.js';
import type { Expr } from '../ir/expr.js';
import type { GradientSite } from '../ir/gradient-rule.js';
import { add, ge, gt, mul } from './cells.js';
import { seq } from './seq.js';
import { transpose } from './transpose.js';

type Make = GradientSite['make'];

/** The cells below the diagonal, half of those on it, zeros above. @shape A: [n, n] */
export function halvedLower(a: Expr, make: Make): Expr {
  const rows = make(seq, [], { from: 0, by: 1, rows: a.rows, ...dtypeAttr(a.dtype) });
  const cols = make(transpose, [rows]);
  const both = make(add, [make(ge, [rows, cols]), make(gt, [rows, cols])]);
  return make(mul, [a, make(mul, [both, 0.5])]);
}

/** By each cell of the lower triangle, which stands for its mirror image too. */
export function byLower(bySymmetric: Expr, make: Make): Expr {
  return halvedLower(make(add, [bySymmetric, make(transpose, [bySymmetric])]), make);
}
