/** Launches of nodes: few sources, numbers as arguments, and what a device lacks; no device runs. */
import assert from 'node:assert/strict';
import type { Expr } from '../../../../../driver/ir/expr.js';
import { Interner } from '../../../../../driver/ir/intern.js';
import { ops } from '../../../../../driver/operators/index.js';
import {
  deviceOps,
  hasKernel,
  lower,
  lowerChain,
} from '../../../../../gpu-executor/device/kernels/lower.js';
import { anyDevice as device } from '../../../../support/any-device.js';

const maker = new Interner();
let nextKey = 0;

function leaf(rows: number, cols: number, dtype?: 'float32'): Expr {
  const attrs = { rows, cols, key: `operand:${nextKey++}`, ...(dtype && { dtype }) };
  return maker.intern(ops.literal, [], attrs);
}

function sourcesOf(exprs: readonly Expr[]): Set<string> {
  const steps = exprs.flatMap((expr) => lower(expr, device)!.steps);
  return new Set(steps.map(({ code }) => code.source));
}

describe('launches of nodes on a device', () => {
  it('every shape of an operator on cells, and every such operator, has one source', () => {
    const [x, row, column] = [leaf(1000, 7), leaf(1, 7), leaf(1000, 1)];
    const sums = [x, row, column].map((other) => maker.intern(ops.add, [x, other]));
    const others = [maker.intern(ops.exp, [row]), maker.intern(ops.ifelse, [x, row, column])];
    assert.equal(sourcesOf([...sums, ...others]).size, 1);
  });

  it('aggregates of any shape share the sources of their dtypes', () => {
    const all = [leaf(3, 2), leaf(1_000_000, 3), leaf(2, 1_000_000)].flatMap((x) =>
      [ops.sum, ops.rowMins, ops.colSumSqs].map((op) => maker.intern(op, [x])),
    );
    assert.equal(sourcesOf(all).size, 1);
  });

  it('long folds are cut into parts, which a second launch joins', () => {
    const { steps, scratchBytes } = lower(maker.intern(ops.sumSq, [leaf(1_000_000, 3)]), device)!;
    assert.deepEqual(
      steps.map(({ code }) => code.name),
      ['fold_sumSq', 'fold_sum'],
    );
    assert.equal(scratchBytes.length, 1);
    assert.equal(lower(maker.intern(ops.sum, [leaf(30, 3)]), device)!.steps.length, 1);
  });

  it('a chain reads each operand once, numbers as arguments, and writes its outputs alone', () => {
    const [x, row] = [leaf(50, 4), leaf(1, 4)];
    const half = maker.intern(ops.scalar, [], { value: 0.5 });
    const scaled = maker.intern(ops.mul, [maker.intern(ops.sub, [x, row]), half]);
    const chain = [scaled.inputs[0]!, scaled, maker.intern(ops.exp, [scaled])];
    const last = chain.at(-1)!;
    const lowered = lowerChain(chain, [last], device)!;
    assert.deepEqual(lowered.inputs, [x, row]);
    assert.deepEqual(lowered.steps[0]!.operands.slice(0, 4), [
      { input: 0 },
      { input: 1 },
      { float64: 0.5 },
      { output: 0 },
    ]);
    const folded = maker.intern(ops.colSums, [last]);
    assert.deepEqual(lowerChain([...chain, folded], [folded], device)!.outputs, [folded]);
    assert.equal(lowerChain([...chain, folded], [last, folded], device), undefined);
    assert.equal(lowerChain([row, last], [last], device), undefined, 'a leaf is no step');
  });

  it('what needs float64 has no kernel where the device has none, nor has any for small groups', () => {
    const x = leaf(4, 4, 'float32');
    const without = { ...device, hasFloat64: false };
    const product = maker.intern(ops.mul, [x, maker.intern(ops.add, [x, x])]);
    const exact = [product.inputs[1]!, product];
    assert.ok(lowerChain(exact, [product], without));
    assert.ok(lower(product, without), 'one that is exact in float32');
    assert.equal(lower(maker.intern(ops.exp, [x]), without), undefined);
    assert.equal(lower(maker.intern(ops.sum, [x]), without), undefined);
    assert.equal(lowerChain(exact, [product], { ...device, largestWorkGroup: 64 }), undefined);
  });

  it('systems are solved by a group of items up to a size, and left to the host beyond', () => {
    const solve = (n: number) => maker.intern(ops.solve, [leaf(n, n), leaf(n, 1)]);
    for (const [n, isTaken] of [
      [256, true],
      [257, false],
    ] as const) {
      assert.equal(hasKernel(solve(n), device), isTaken);
      assert.equal(lower(solve(n), device) !== undefined, isTaken);
    }
  });

  it('rows of so many groups that listing them costs more are left to the host', () => {
    const [g, x] = [leaf(1 << 18, 1), leaf(1 << 18, 2)];
    const sums = (groups: number) => maker.intern(ops.groupSums, [g, x], { groups });
    assert.equal(hasKernel(sums(1024), device), true);
    assert.equal(hasKernel(sums(1025), device), false);
    assert.equal(lower(sums(1025), device), undefined);
  });

  it('has kernels for every operator on cells', () => {
    const cells = Object.values(ops).filter((op) => op.elementwise);
    assert.deepEqual(
      cells.filter(({ name }) => !deviceOps.has(name)),
      [],
    );
  });
});
