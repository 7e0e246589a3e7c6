/** Operands under one another; all have the same number of columns. */

import { dtypeAttr } from '../ir/dtype.js';
import type { Expr, NodeMaker } from '../ir/expr.js';
import { partsInOrder } from '../ir/gradient-rule.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { fill } from './fill.js';
import { sample } from './product.js';
import { nnzOf, shapeError } from './shape-check.js';

export const rbind = defineOp({
  name: 'rbind',
  arity: { min: 2, max: Number.POSITIVE_INFINITY },
  work: 'move',
  isSeenThrough: true,
  infer: (inputs) => {
    const { cols } = inputs[0]!;
    let rows = 0;
    let nnz = 0;
    for (const input of inputs) {
      if (input.cols !== cols) throw shapeError('rbind', 'operands with equal columns', inputs);
      rows += input.rows;
      nnz += nnzOf(input);
    }
    return nnz < rows * cols ? { rows, cols, nnz } : { rows, cols };
  },
  moveRule: (inputs) => inputs.map(() => true),
  batch: ({ one, operands, maker, columns }) => ({
    layout: 'columns',
    expr: maker.intern(one.op, operands.map(columns)),
  }),
  gradient: (site) =>
    partsInOrder(
      site,
      ({ rows }) => rows,
      (from, to) => site.part(site.upstream, [from, to], null),
    ),
  reference: (inputs) => {
    const { cols } = inputs[0]!;
    const rows = inputs.reduce((sum, input) => sum + input.rows, 0);
    const out = new Float64Array(rows * cols);
    let at = 0;
    for (const input of inputs) {
      out.set(input.data, at);
      at += input.data.length;
    }
    return dense(rows, cols, out);
  },
  cases: [
    { name: 'two', inputs: [sample(4, 3), sample(2, 3, 2)] },
    { name: 'three, one of them a row', inputs: [sample(4, 2), sample(1, 2, 2), sample(3, 2, 3)] },
    { name: '1x1', inputs: [sample(1, 1), sample(1, 1, 2)] },
  ],
});

/**
 * The sum of two values that are rows among zeros, as gradients by slices are: the rows of both,
 * bound; undefined where some overlap, or where they are something else.
 */
export function boundSum(maker: NodeMaker, a: Expr, b: Expr): Expr | undefined {
  if (a.op !== rbind || b.op !== rbind || a.cols !== b.cols) return undefined;
  const parts = [...rowsOf(a), ...rowsOf(b)].sort((one, other) => one.from - other.from);
  const bound: Expr[] = [];
  let end = 0;
  const zerosTo = (to: number): void => {
    if (to === end) return;
    const { cols, dtype } = a;
    bound.push(maker.intern(fill, [], { rows: to - end, cols, value: 0, ...dtypeAttr(dtype) }));
  };
  for (const { from, expr } of parts) {
    if (from < end) return undefined;
    zerosTo(from);
    bound.push(expr);
    end = from + expr.rows;
  }
  zerosTo(a.rows);
  return bound.length > 1 ? maker.intern(rbind, bound) : undefined;
}

/** What is bound, and where, but for zeros. */
function rowsOf({ inputs }: Expr): { readonly from: number; readonly expr: Expr }[] {
  let at = 0;
  const placed = inputs.map((expr) => {
    const from = at;
    at += expr.rows;
    return { from, expr };
  });
  return placed.filter(({ expr: { op, attrs } }) => op !== fill || attrs.value !== 0);
}
