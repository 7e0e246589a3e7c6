/** The operator table and what shared code relies on: names, row rules, shapes, estimates. */
import assert from 'node:assert/strict';
import { ShapeError } from '../../../../driver/errors.js';
import { type Attrs, noAttrs } from '../../../../driver/ir/attrs.js';
import type { Meta } from '../../../../driver/ir/expr.js';
import type { OpDef } from '../../../../driver/ir/op-def.js';
import { dense } from '../../../../driver/ir/value.js';
import { opByName, ops } from '../../../../driver/operators/index.js';

const meta = (rows: number, cols: number, nnz?: number): Meta =>
  nnz === undefined ? { rows, cols } : { rows, cols, nnz };
const tall = meta(100, 4);

describe('the operator table', () => {
  it('lists every operator under its own name, frozen', () => {
    for (const [name, op] of Object.entries(ops)) {
      assert.equal(op.name, name);
      assert.ok(Object.isFrozen(op));
      assert.equal(opByName(name), op);
    }
    assert.ok(Object.isFrozen(ops));
    assert.equal(opByName('toString'), undefined);
    assert.equal(opByName('matmull'), undefined);
  });

  it('gives each operator its own hash id', () => {
    const ids = Object.values(ops).map((op) => op.id);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('has at least two conformance cases each, a 1x1 or one-row case where there are inputs', () => {
    for (const op of Object.values(ops)) {
      if (op.source !== 'kernel') continue;
      assert.ok(op.cases.length >= 2, `${op.name} has ${op.cases.length} cases`);
    }
  });

  it('gives each reduce operator a merge, each element-wise one a cell function', () => {
    for (const op of Object.values(ops)) {
      assert.equal(op.cell !== undefined, op.elementwise, op.name);
      for (const { inputs, attrs = noAttrs } of op.cases) {
        const rule = op.rowRule(inputs, attrs);
        if (rule.kind === 'reduce') assert.ok(op.combine, `${op.name} has no combine`);
        const isBlocked = rule.kind === 'map' || rule.kind === 'reduce';
        assert.equal(rule.blocked.length, isBlocked ? inputs.length : 0, op.name);
        assert.ok(op.flops(inputs, attrs, op.infer(inputs, attrs)) >= 0);
      }
    }
  });

  it('names no operator commutative that is not', () => {
    const a = dense(1, 3, Float64Array.of(2, 3, -5));
    const b = dense(1, 3, Float64Array.of(7, 3, 0.5));
    for (const op of Object.values(ops)) {
      if (op.arity.min !== 2 || op.arity.max !== 2 || !op.elementwise) continue;
      const same = [0, 1, 2].every(
        (i) => op.cell!(a.data[i]!, b.data[i]!, 0) === op.cell!(b.data[i]!, a.data[i]!, 0),
      );
      assert.equal(op.commutative, same, op.name);
    }
  });
});

describe('row rules', () => {
  const rule = (op: OpDef, inputs: readonly Meta[], attrs: Attrs = noAttrs): string => {
    const r = op.rowRule(inputs, attrs);
    return [r.kind, r.blocked.map((b) => (b ? 'b' : 'w')).join('')].join(' ').trimEnd();
  };
  const table: readonly (readonly [string, string, OpDef, readonly Meta[], Attrs?])[] = [
    ['matrix + matrix', 'map bb', ops.add, [tall, tall]],
    ['matrix + scalar', 'map bw', ops.add, [tall, meta(1, 1)]],
    ['row - matrix', 'map wb', ops.sub, [meta(1, 4), tall]],
    ['matrix * column', 'map bb', ops.mul, [tall, meta(100, 1)]],
    ['column * row', 'map bw', ops.mul, [meta(100, 1), meta(1, 4)]],
    ['row + row', 'whole', ops.add, [meta(1, 4), meta(1, 4)]],
    ['ifelse', 'map bwb', ops.ifelse, [meta(100, 1), meta(1, 1), tall]],
    ['sum', 'reduce b', ops.sum, [tall]],
    ['rowSums', 'map b', ops.rowSums, [tall]],
    ['colMaxs', 'reduce b', ops.colMaxs, [tall]],
    ['X %*% v', 'map bw', ops.matmul, [tall, meta(4, 1)]],
    ['t(X) %*% y', 'reduce bb', ops.matmul, [tall, meta(100, 1)], { transposeA: true }],
    ['X %*% t(B)', 'map bw', ops.matmul, [tall, meta(9, 4)], { transposeB: true }],
    [
      't(X) %*% t(B)',
      'whole',
      ops.matmul,
      [tall, meta(9, 100)],
      { transposeA: true, transposeB: true },
    ],
    ['tsmm', 'reduce b', ops.tsmm, [tall]],
    ['mmchain', 'reduce bw', ops.mmchain, [tall, meta(4, 1)]],
    ['weighted mmchain', 'reduce bwb', ops.mmchain, [tall, meta(4, 1), meta(100, 1)]],
    ['columns', 'map b', ops.slice, [tall], { rows: null, cols: [0, 2] }],
    ['rows', 'whole', ops.slice, [tall], { rows: [0, 2], cols: null }],
    ['cbind', 'map bbb', ops.cbind, [tall, tall, tall]],
    ['rbind', 'whole', ops.rbind, [tall, tall]],
    ['transpose', 'whole', ops.transpose, [tall]],
    ['solve', 'whole', ops.solve, [meta(4, 4), meta(4, 1)]],
    ['rand', 'source', ops.rand, []],
  ];
  for (const [what, expected, op, inputs, attrs] of table) {
    it(`${what}: ${expected}`, () => {
      assert.equal(rule(op, inputs, attrs), expected);
    });
  }
});

describe('shape errors', () => {
  const table: readonly (readonly [OpDef, readonly Meta[], Attrs, string])[] = [
    [
      ops.add,
      [meta(3, 2), meta(2, 3)],
      {},
      'add: expected operands of equal shape, or with 1 row or 1 column to broadcast, got 3x2 and 2x3',
    ],
    [
      ops.matmul,
      [meta(3, 2), meta(3, 2)],
      {},
      'matmul: expected equal inner sizes (2 and 3), got 3x2 and 3x2',
    ],
    [
      ops.matmul,
      [meta(3, 2), meta(2, 2)],
      { transposeA: true },
      'matmul: expected equal inner sizes (3 and 2, A transposed), got 3x2 and 2x2',
    ],
    [
      ops.solve,
      [meta(3, 2), meta(3, 1)],
      {},
      'solve: expected A n x n and B with n rows, got 3x2 and 3x1',
    ],
    [ops.cholesky, [meta(3, 2)], {}, 'cholesky: expected a square matrix, got 3x2'],
    [
      ops.slice,
      [meta(3, 2)],
      { rows: [1, 4], cols: null },
      'slice: expected rows [1, 4) within [0, 3), got 3x2',
    ],
    [
      ops.slice,
      [meta(3, 2)],
      { rows: [2, 2], cols: null },
      'slice: expected rows [2, 2) within [0, 3), got 3x2',
    ],
    [
      ops.slice,
      [meta(3, 2)],
      { rows: null, cols: [0.5, 1] },
      'slice: expected cols [0.5, 1) within [0, 2), got 3x2',
    ],
    [
      ops.rbind,
      [meta(3, 2), meta(3, 1)],
      {},
      'rbind: expected operands with equal columns, got 3x2 and 3x1',
    ],
    [
      ops.cbind,
      [meta(3, 2), meta(2, 2)],
      {},
      'cbind: expected operands with equal rows, got 3x2 and 2x2',
    ],
    [ops.reshape, [meta(3, 2)], { rows: 4, cols: 2 }, 'reshape: expected 8 cells for 4x2, got 3x2'],
    [ops.diag, [meta(3, 2)], {}, 'diag: expected a column or a square matrix, got 3x2'],
    [
      ops.addDiag,
      [meta(3, 3), meta(2, 1)],
      {},
      'addDiag: expected a square matrix and a scalar or a column of its rows, got 3x3 and 2x1',
    ],
    [
      ops.mmchain,
      [meta(5, 3), meta(3, 2), meta(5, 3)],
      {},
      'mmchain: expected X n x d, v d x k and weights n x 1 or n x k, got 5x3 and 3x2 and 5x3',
    ],
    [
      ops.groupQuantile,
      [meta(5, 1), meta(5, 2)],
      { groups: 2, at: 0.5, sets: [[0, 1, 0]] },
      'groupQuantile: expected a group column, as many rows, `at` in 0..1, sets of groups, each once, and a row a set, got 5x1 and 5x2',
    ],
    [
      ops.groupMode,
      [meta(5, 1), meta(5, 2)],
      { groups: 2, sets: [[1, 1]] },
      'groupMode: expected a group column, as many rows, `at` in 0..1, sets of groups, each once, and a row a set, got 5x1 and 5x2',
    ],
  ];
  for (const [op, inputs, attrs, message] of table) {
    it(message, () => {
      assert.throws(
        () => op.infer(inputs, attrs),
        (error: Error) => {
          assert.ok(error instanceof ShapeError);
          assert.equal(error.message, message);
          assert.equal(error.facts.op, op.name);
          assert.equal((error.facts.shapes as string[]).length, inputs.length);
          return true;
        },
      );
    });
  }
});

describe('sparsity estimates', () => {
  const nnz = (op: OpDef, ...inputs: Meta[]): number | undefined => op.infer(inputs, {}).nnz;

  it('keep what keeps zeros, and forget what does not', () => {
    assert.equal(nnz(ops.abs, meta(10, 10, 7)), 7);
    assert.equal(nnz(ops.transpose, meta(10, 5, 7)), 7);
    assert.equal(nnz(ops.exp, meta(10, 10, 7)), undefined);
  });

  it('bound sums and products', () => {
    assert.equal(nnz(ops.add, meta(10, 10, 7), meta(10, 10, 8)), 15);
    assert.equal(nnz(ops.mul, meta(10, 10, 7), meta(10, 10, 8)), 7);
    assert.equal(nnz(ops.mul, meta(10, 10, 7), meta(1, 1)), 7);
    assert.equal(nnz(ops.add, meta(10, 10, 7), meta(1, 1)), undefined);
    assert.equal(nnz(ops.mul, meta(10, 10, 40), meta(1, 10, 2)), 20);
  });
});
