/** Runs of nodes on a device: who waits for what, what is freed when, and what a failure does. */
import assert from 'node:assert/strict';
import { planBatch } from '../../../../driver/batch/plan-batch.js';
import type { DenseMatrix } from '../../../../driver/ir/value.js';
import { matrix } from '../../../../driver/matrix/create.js';
import type { Matrix } from '../../../../driver/matrix/matrix.js';
import { assertClose } from '../../../support/close.js';
import { chain, data, deviceSuite, onHost as here, VALUE } from '../../../support/device-suite.js';
import {
  generated,
  type Machines,
  type MachinesOptions,
  MIB,
  machines,
} from '../../../support/placement.js';
import { cells } from '../../../support/plan.js';

function device(options: Partial<MachinesOptions> = {}): Machines {
  return machines({ placement: 'cost', withGpu: true, ...options });
}

async function assertSame(value: DenseMatrix, build: (x: Matrix) => Matrix): Promise<void> {
  assertClose(value, await here(build), 0, 'on the device');
}

/** Kept the first time, as cell-wise steps are not. */
const scaled = (x: Matrix, by: number): Matrix => x.mul(by).softmax();
/** Two segments: the host alone factorises, beside the first. */
const around = (x: Matrix): Matrix => x.mul(3).matmul(x.t().matmul(x).cholesky()).exp();
function onlyOnHost(...names: readonly string[]): ReadonlySet<string> {
  const { gpu } = device();
  return new Set([...gpu.capabilities.ops].filter((op) => !names.includes(op)));
}

describe('devices', () => {
  describe('as any device', () => {
    deviceSuite(async ({ memoryBytes, ...rest } = {}) => {
      const { session, gpu } = device({
        ...(memoryBytes === undefined ? {} : { gpuMemory: memoryBytes }),
        gpuOps: onlyOnHost('cholesky'),
        ...rest,
      });
      return {
        session,
        waits: gpu.waits,
        brought: () => gpu.collected.length,
        peakBytes: gpu.peakBytes,
        close: async () => {
          await session.close();
          return gpu.held.size;
        },
      };
    }, 0);
  });

  it('run reductions over what the host has', async () => {
    const { session, gpu } = device();
    const build = (x: Matrix): Matrix => x.t().matmul(x.mul(2).exp());
    await assertSame(await build(matrix(session, data)).value(), build);
    assert.equal(gpu.segments.length, 1);
    assert.ok(gpu.log.includes('kernel matmul'), gpu.log.join());
    await session.close();
  });

  it('share the stacks of a batch, which its plan counts', async () => {
    const stacksWith = async (withGpu: boolean): Promise<number> => {
      const { session } = device({ withGpu });
      const by = Array.from({ length: 16 }, (_, i) => matrix(session, [[i]]));
      const args = { x: { shared: matrix(session, data) }, by };
      const { atOnce, stacks } = await planBatch(session, 16, args, async ({ x, by }) => ({
        value: x!.mul(by!).softmax().exp(),
      }));
      assert.equal(atOnce * stacks, 16);
      await session.close();
      return stacks;
    };
    assert.equal(await stacksWith(false), 1);
    assert.equal(await stacksWith(true), 4);
  });

  it('run a chain as one segment: nothing is waited for between its kernels, its end once', async () => {
    const { session, gpu } = device();
    const run = session.run();
    const value = await chain(matrix(session, data)).in(run).value();
    await assertSame(value, chain);
    assert.deepEqual(gpu.log, [
      'queue',
      'wait',
      'kernel mul',
      'kernel exp',
      'kernel add',
      'kernel sqrt',
      'collect',
    ]);
    assert.equal(run.statistics.counters().kernels, 4);
    await session.close();
  });

  it('are given what reads their values before these are there', async () => {
    const { session, gpu } = device({
      gpuOps: onlyOnHost('cholesky', 'tsmm'),
      // Late until both are queued: whoever waited for the first would wait for ever.
      onKernel: async () => {
        while (gpu.segments.length < 2) await turns(1);
      },
    });
    const value = await around(matrix(session, data)).value();
    assertClose(value, await here(around), 1e-12, 'around the host');
    assert.equal(gpu.waits(), 1);
    assert.ok(gpu.log.indexOf('wait') > gpu.log.lastIndexOf('queue'), gpu.log.join());
    await session.close();
  });

  it('free within a segment behind the last reader, and leave out what does not fit for later plans', async () => {
    const long = (m: Matrix): Matrix =>
      Array.from({ length: 10 }).reduce<Matrix>((x, _, i) => scaled(x, i + 2), m);
    const { session, gpu } = device({ gpuMemory: 3 * VALUE });
    await assertSame(await long(matrix(session, data)).value(), long);
    assert.equal(gpu.segments.length, 1);
    assert.ok(gpu.peakBytes() <= 3 * VALUE, `${gpu.peakBytes()} bytes`);
    assert.ok(gpu.log.includes('full'));
    await turns(10);
    assert.equal(gpu.usedBytes(), 0);
    const roomy = device();
    await long(matrix(roomy.session, data)).value();
    assert.ok(!roomy.gpu.log.includes('full'));
    assert.ok(roomy.gpu.usedBytes() >= 9 * VALUE, 'what fits stays for later plans');
    await Promise.all([session.close(), roomy.session.close()]);
  });

  it('keep a cheap step the second time it is made', async () => {
    const { session, gpu } = device();
    const x = matrix(session, data);
    const build = (m: Matrix, by: number): Matrix => m.mul(2).exp().mul(by).sqrt();
    const kernels = async (by: number): Promise<number> => {
      const run = session.run();
      await assertSame(await build(x, by).in(run).value(), (m) => build(m, by));
      return run.statistics.counters().kernels;
    };
    assert.deepEqual([await kernels(3), await kernels(4), await kernels(5)], [4, 4, 2]);
    assert.equal(gpu.held.size, gpu.tier.usage().entries);
    await session.close();
  });

  it('evict what is worth least when memory is full, and end with right values', async () => {
    const { session, gpu } = device({ gpuMemory: 6 * VALUE, migration: false });
    const x = matrix(session, data);
    const value = (by: number): Promise<DenseMatrix> => scaled(x, by).sqrt().value();
    await value(2);
    const [cheap, dear] = [2, 3].map((by) => session.simplified(scaled(x, by).expr));
    await value(3);
    session.cache.probe(dear!)!.seconds = 100;
    for (const by of [4, 5, 6]) {
      assertClose(await value(by), await here((m) => scaled(m, by).sqrt()), 0, `by ${by}`);
    }
    assert.ok(gpu.tier.evicted > 0);
    assert.ok(gpu.peakBytes() <= 6 * VALUE);
    assert.equal(session.cache.probe(cheap!), undefined);
    assert.equal(session.cache.probe(dear!)?.value?.kind, 'handle');
    await session.close();
  });

  it('move to the host what is worth bringing before it goes', async () => {
    const { session, gpu } = device({ gpuMemory: 6 * VALUE });
    const x = matrix(session, data);
    await scaled(x, 2).sqrt().value();
    const kept = session.simplified(scaled(x, 2).expr);
    Object.assign(session.cache.probe(kept)!, { seconds: 100, hits: 3 });
    for (const by of [3, 4, 5, 6, 7]) Object.assign(await scaled(x, by).sqrt().value());
    while (gpu.tier.makeRoom(VALUE));
    await turns(20);
    assert.equal(session.cache.probe(kept)?.value?.kind, 'dense');
    await session.close();
  });

  it('never evict what a running plan reads', async () => {
    let evicted: boolean | undefined;
    const { session, gpu } = device({
      onKernel: () => {
        evicted ??= gpu.tier.makeRoom(2 * VALUE);
      },
    });
    const x = matrix(session, data);
    await scaled(x, 2).sqrt().value();
    const kept = session.cache.probe(session.simplified(scaled(x, 2).expr))!;
    evicted = undefined;
    // All else goes as its first kernel runs.
    await assertSame(await scaled(x, 2).add(7).sqrt().value(), (m) => scaled(m, 2).add(7).sqrt());
    assert.equal(evicted, true);
    assert.equal(session.cache.probe(kept.expr), kept);
    await session.close();
  });

  it('fail what reads the value of a failed kernel, and nothing else', async () => {
    const { session, gpu } = device({
      onKernel: ({ op }) => {
        if (op.name === 'log') throw new Error('out of luck');
      },
    });
    const x = matrix(session, data);
    const base = x.mul(2).exp();
    const fails = base.log().add(1).sqrt();
    const works = base.add(1).sqrt();
    const outcomes = await session.evaluateSettled([fails.expr, works.expr, fails.mul(2).expr]);
    assert.deepEqual(
      outcomes.map(({ ok }) => ok),
      [false, true, false],
    );
    const [failure] = outcomes;
    assert.ok(failure?.ok === false && /out of luck/.test(failure.error.message));
    assert.equal(gpu.segments.length, 1);
    await assertSame(await works.value(), (m) => m.mul(2).exp().add(1).sqrt());
    // Nothing of it is in the cache, or held for nobody.
    assert.equal(session.cache.probe(session.simplified(base.log().expr)), undefined);
    assert.equal(gpu.held.size, gpu.tier.usage().entries);
    await session.close();
  });

  it('fail of a pass over data what reads the failed value, not what shares the pass', async () => {
    const { session, cluster, gpu } = device({
      gpuOps: new Set(['mul', 'exp', 'log']),
      onKernel: ({ op }) => {
        if (op.name === 'log') throw new Error('out of luck');
      },
    });
    const x = generated(session, 8 * MIB);
    const weights = matrix(session, cells(64, 64)).mul(2).exp().log();
    const [fails, works] = [x.matmul(weights).colSums(), x.colSums()];
    // Read on the device too, so that the pass is given its name before there is a value.
    const there = weights.mul(7);
    const outcomes = await session.evaluateSettled([fails.expr, works.expr, there.expr]);
    assert.deepEqual(
      outcomes.map(({ ok }) => ok),
      [false, true, false],
    );
    assert.deepEqual([gpu.segments.length, cluster.segments.length], [1, 1]);
    await session.close();
  });

  it('fail a root that the plan alone keeps there and that does not come, and nothing else', async () => {
    const { session, gpu } = device({ reuse: 'off' });
    const collect = gpu.collect!.bind(gpu);
    const missed: typeof collect = async (handle, context) => {
      if (handle.rows > 1) throw new Error('lost on its way');
      return collect(handle, context);
    };
    Object.assign(gpu, { collect: missed });
    const base = chain(matrix(session, data));
    const outcomes = await session.evaluateSettled([base.expr, base.colSums().expr]);
    assert.deepEqual(
      outcomes.map(({ ok }) => ok),
      [false, true],
    );
    assert.equal(gpu.held.size, 0);
    await session.close();
  });

  it('leave nothing of a cancelled run', async () => {
    const abort = new AbortController();
    const { session, gpu } = device({ onKernel: () => abort.abort() });
    const run = session.run({ signal: abort.signal });
    await assert.rejects(chain(matrix(session, data)).in(run).value(), { name: 'AbortError' });
    await turns(10);
    assert.ok(gpu.log.filter((entry) => entry.startsWith('kernel')).length <= 1, gpu.log.join());
    assert.equal(gpu.held.size, gpu.tier.usage().entries);
    session.cache.clear();
    await turns(10);
    assert.deepEqual([gpu.held.size, gpu.usedBytes()], [0, 0]);
    // And the next run computes it.
    const again = device();
    await assertSame(await chain(matrix(again.session, data)).value(), chain);
    await Promise.all([session.close(), again.session.close()]);
  });
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
