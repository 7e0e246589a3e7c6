/** Which nodes of a segment one kernel computes, and when a kernel of their own pays; no device runs. */
import assert from 'node:assert/strict';
import { UnsupportedError } from '../../../../driver/errors.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { Interner } from '../../../../driver/ir/intern.js';
import type { OpDef } from '../../../../driver/ir/op-def.js';
import { ops } from '../../../../driver/operators/index.js';
import { Fusion } from '../../../../gpu-executor/device/fusion.js';
import { lowerChain } from '../../../../gpu-executor/device/kernels/lower.js';
import { launchGroups } from '../../../../gpu-executor/device/launch-groups.js';
import { anyDevice } from '../../../support/any-device.js';

const maker = new Interner();
const x = maker.intern(ops.literal, [], { rows: 100, cols: 7, key: 'x' });
const column = maker.intern(ops.literal, [], { rows: 100, cols: 1, key: 'column' });
const square = maker.intern(ops.literal, [], { rows: 5, cols: 5, key: 'square' });
const two = maker.intern(ops.scalar, [], { value: 2 });
const of = (op: OpDef, ...inputs: readonly Expr[]): Expr => maker.intern(op, inputs);

function grouped(nodes: readonly Expr[], persist = nodes.slice(-1), mayFuse = true): string[] {
  const groups = launchGroups({ nodes, persist, outputs: [] }, anyDevice, () => mayFuse);
  return groups.map(({ nodes: inside, lowered }) => {
    const names = (exprs: readonly Expr[]): string => exprs.map(({ op }) => op.name).join(' ');
    return `${names(inside)} -> ${names(lowered.outputs)}`;
  });
}

describe('groups of nodes on a device', () => {
  const doubled = of(ops.mul, x, two);
  const powers = of(ops.exp, doubled);
  const roots = of(ops.sqrt, powers);
  const total = of(ops.colSums, roots);

  it('are chains of cells, of which only the end is written; numbers are no launches', () => {
    assert.deepEqual(grouped([two, doubled, powers, roots]), ['mul exp sqrt -> sqrt']);
  });

  it('write what is kept or read outside of them', () => {
    assert.deepEqual(grouped([two, doubled, powers, roots], [powers, roots]), [
      'mul exp sqrt -> exp sqrt',
    ]);
    const wide = of(ops.rowSums, doubled);
    assert.deepEqual(grouped([two, doubled, powers, roots, wide], [roots, wide]), [
      'mul exp sqrt -> mul sqrt',
      'rowSums -> rowSums',
    ]);
  });

  it('take the fold behind them along, unless their cells are needed', () => {
    assert.deepEqual(grouped([two, doubled, powers, roots, total]), [
      'mul exp sqrt colSums -> colSums',
    ]);
    assert.deepEqual(grouped([two, doubled, powers, roots, total], [roots, total]), [
      'mul exp sqrt -> sqrt',
      'colSums -> colSums',
    ]);
  });

  it('end where the shape changes, or what comes next reads none of them', () => {
    const shorter = of(ops.exp, column);
    assert.deepEqual(grouped([two, doubled, shorter, powers], [shorter, powers]), [
      'mul -> mul',
      'exp -> exp',
      'exp -> exp',
    ]);
    const apart = of(ops.abs, x);
    assert.deepEqual(grouped([two, doubled, apart], [doubled, apart]), [
      'mul -> mul',
      'abs -> abs',
    ]);
  });

  it('are the nodes one by one where fusing does not pay', () => {
    assert.deepEqual(grouped([two, doubled, powers, roots, total], [total], false), [
      'mul -> mul',
      'exp -> exp',
      'sqrt -> sqrt',
      'colSums -> colSums',
    ]);
  });

  it('stay below what a kernel can hold, however long the chain', () => {
    let node = x;
    const nodes = Array.from({ length: 60 }, (_, i) => {
      node = of(i % 2 ? ops.exp : ops.neg, node);
      return node;
    });
    const groups = launchGroups({ nodes, persist: [node], outputs: [] }, anyDevice, () => true);
    assert.deepEqual(
      groups.map((group) => group.nodes.length),
      [24, 24, 12],
    );
  });

  it('refuse a node without a kernel, by name', () => {
    const refused = (): unknown => grouped([of(ops.eigen, square)]);
    assert.throws(refused, (error) => {
      assert.ok(error instanceof UnsupportedError);
      assert.match(error.message, /^eigen: expected a kernel for float64/);
      return true;
    });
  });

  it('are fused at once where the kernel is there, else once it has paid for its compiling and is compiled', async () => {
    const chain = [doubled, powers, roots];
    const fused = lowerChain(chain, [roots], anyDevice)!;
    const compiled = new Set<string>();
    const asked: string[] = [];
    let compiles = true;
    const device = {
      isCompiled: (source: string) => compiled.has(source),
      prepare: async (source: string) => {
        asked.push(source);
        await Promise.resolve();
        if (compiles) compiled.add(source);
      },
    };
    // Two launches and four passes over 5,600 bytes less: 32 microseconds a time.
    const firstFused = async (): Promise<number> => {
      const fusion = new Fusion(device, 1e9, 0.001);
      for (let i = 0; i < 60; i++) {
        if (fusion.pays(chain, fused)) return i;
        if (asked.length > 0) await new Promise(setImmediate);
      }
      return Infinity;
    };
    const sources = fused.steps.map(({ code }) => code.source);
    const first = await firstFused();
    assert.ok(first > 20 && first < 39, `the ${first + 1}st time`);
    assert.deepEqual(asked, sources, 'compiled once');
    assert.equal(await firstFused(), 0);
    // One that does not compile is tried, so that its error is heard; not compiled aside again.
    compiled.clear();
    compiles = false;
    asked.length = 0;
    assert.equal(await firstFused(), first);
    assert.deepEqual(asked, sources);
  });
});
