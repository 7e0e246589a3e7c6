/**
 * X with A %*% X = B, or (A + diag(d)) %*% X = B with a third operand d (n x 1, or 1x1 for d * I).
 * attrs (optional): assume 'general' (LU with partial pivoting, the default) or 'spd' (Cholesky: A
 * symmetric positive definite, only its lower triangle is read; half the work).
 * @throws SingularError naming the first pivot that is too small (see `pivot.ts`)
 */

import type { Expr } from '../ir/expr.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { addDiag } from './add-diag.js';
import { mul, neg } from './cells.js';
import { sampleSpd, solveSystem } from './linear-systems.js';
import { byLower } from './lower-triangle.js';
import { matmul } from './matmul.js';
import { sample } from './product.js';
import { choiceAttr, shapeError } from './shape-check.js';
import { stackSolve } from './stack-systems.js';
import { transpose } from './transpose.js';

export const solve: OpDef = defineOp({
  name: 'solve',
  arity: { min: 2, max: 3 },
  work: 'factorise',
  infer: (inputs, attrs) => {
    const [a, b, d] = inputs;
    if (a!.rows !== a!.cols || b!.rows !== a!.rows) {
      throw shapeError('solve', 'A n x n and B with n rows', inputs);
    }
    if (d !== undefined && (d.cols !== 1 || (d.rows !== 1 && d.rows !== a!.rows))) {
      throw shapeError(
        'solve',
        'a diagonal of one column with a row a row of A, or one cell',
        inputs,
      );
    }
    if (attrs.assume !== undefined) choiceAttr('solve', attrs, 'assume', ['general', 'spd']);
    return { rows: b!.rows, cols: b!.cols };
  },
  flops: (inputs, attrs) => {
    const n = inputs[0]!.rows;
    return (attrs.assume === 'spd' ? 1 / 3 : 2 / 3) * n ** 3 + 2 * n * n * inputs[1]!.cols;
  },
  batch: (site) => {
    const { one, models, operands, maker, stack, columns } = site;
    const [penalised] = one.inputs;
    // As solve(A + diag(d), B) is solve(A, B, d).
    const isPenalised = operands.length === 2 && penalised!.op === addDiag;
    const [a, d] = isPenalised ? penalised!.inputs.map(site.valueOf) : [operands[0]!, operands[2]];
    const b = operands[1];
    if (a!.layout !== 'shared' || (d !== undefined && d.layout !== 'shared')) {
      const system = a!.layout === 'shared' ? a!.expr : stack(a!);
      const inputs = [system, columns(b!), ...(d === undefined ? [] : [columns(d)])];
      const expr = maker.intern(stackSolve, inputs, { ...one.attrs, models });
      return { layout: 'columns', expr };
    }
    const inputs = [a!.expr, columns(b!), ...(d === undefined ? [] : [d.expr])];
    return { layout: 'columns', expr: maker.intern(one.op, inputs, one.attrs) };
  },
  // By A: -G t(X) with t(A + diag(d)) G = upstream, which is also the gradient by B.
  gradient: ({ node, upstream, isWanted, make, unbroadcast }) => {
    const [a, , d] = node.inputs as [Expr, Expr, Expr?];
    const isSpd = node.attrs.assume === 'spd';
    const penalty = d === undefined ? [] : [d];
    const system = isSpd ? a : make(transpose, [a]);
    const byB = make(solve, [system, upstream, ...penalty], node.attrs);
    const bySystem = make(neg, [make(matmul, [byB, node], { transposeB: true })]);
    const byDiagonal = (): Expr => {
      const cells = make(neg, [make(mul, [byB, node])]);
      const column = { rows: node.rows, cols: 1 };
      return unbroadcast(unbroadcast(cells, column), d!, column);
    };
    return [
      isWanted[0] ? (isSpd ? byLower(bySystem, make) : bySystem) : undefined,
      byB,
      isWanted[2] ? byDiagonal() : undefined,
    ];
  },
  reference: (inputs, attrs, { dtype }) => solveSystem(inputs, attrs.assume, dtype),
  cases: [
    { name: 'general', inputs: [sample(6, 6, 7), sample(6, 2, 2)], tolerance: 1e-9 },
    {
      name: 'needs a row exchange',
      inputs: [dense(2, 2, Float64Array.of(0, 1, 1, 0)), sample(2, 1)],
    },
    {
      name: 'positive definite, several right-hand sides',
      inputs: [sampleSpd(7), sample(7, 3, 2)],
      attrs: { assume: 'spd' },
    },
    { name: 'positive definite by LU', inputs: [sampleSpd(5), sample(5, 1, 2)] },
    { name: '1x1', inputs: [dense(1, 1, Float64Array.of(4)), sample(1, 3)] },
    {
      name: 'penalised by a scalar',
      inputs: [sampleSpd(6), sample(6, 2), dense(1, 1, Float64Array.of(0.5))],
      attrs: { assume: 'spd' },
    },
    { name: 'penalised by a column', inputs: [sample(5, 5), sample(5, 1), sample(5, 1, 3)] },
    { name: '1x1 positive', inputs: [sampleSpd(1), sample(1, 1)], attrs: { assume: 'spd' } },
  ],
});
