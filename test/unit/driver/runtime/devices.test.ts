/** Runs of nodes on a device: who waits for what, what is freed when, and what a failure does. */
import assert from 'node:assert/strict';
import type { DenseMatrix } from '../../../../driver/ir/value.js';
import { matrix } from '../../../../driver/matrix/create.js';
import type { Matrix } from '../../../../driver/matrix/matrix.js';
import { assertClose } from '../../../support/close.js';
import {
  generated,
  type Machines,
  type MachinesOptions,
  MIB,
  machines,
} from '../../../support/placement.js';
import { cells } from '../../../support/plan.js';

const ROWS = 4096;
/** Bytes of every value here. */
const VALUE = ROWS * 64 * 8;
const data = cells(ROWS, 64);

function device(options: Partial<MachinesOptions> = {}): Machines {
  return machines({ placement: 'cost', withGpu: true, ...options });
}

/** The same on the host, without reuse. */
async function here(build: (x: Matrix) => Matrix): Promise<DenseMatrix> {
  const { session } = machines({ placement: 'local', reuse: false });
  return build(matrix(session, data)).value();
}

async function assertSame(value: DenseMatrix, build: (x: Matrix) => Matrix): Promise<void> {
  assertClose(value, await here(build), 0, 'on the device');
}

const chain = (x: Matrix): Matrix => x.mul(2).exp().add(1).sqrt();
/** Two segments: the host alone factorises, beside the first. */
const around = (x: Matrix): Matrix => x.mul(3).matmul(x.t().matmul(x).cholesky()).exp();
/** Cheap to make but for its number. */
const scaled = (x: Matrix, by: number): Matrix => x.mul(by).exp();

function onlyOnHost(name: string): ReadonlySet<string> {
  const { gpu } = device();
  return new Set([...gpu.capabilities.ops].filter((op) => op !== name));
}

describe('devices', () => {
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
      gpuOps: onlyOnHost('cholesky'),
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

  it('bring a value once for all of the host that reads it', async () => {
    const { session, gpu } = device();
    const x = chain(matrix(session, data));
    const [whole, next] = await Promise.all([x.value(), x.mul(5).value()]);
    await assertSame(whole, chain);
    await assertSame(next, (m) => chain(m).mul(5));
    assert.equal(gpu.segments.length, 1);
    assert.equal(new Set(gpu.collected).size, gpu.collected.length);
    const again = session.run();
    await assertSame(await x.mul(5).in(again).value(), (m) => chain(m).mul(5));
    assert.equal(again.statistics.counters().kernels, 0);
    await session.close();
  });

  it('free within a segment behind the last reader, and leave out what does not fit for later plans', async () => {
    const long = (m: Matrix): Matrix =>
      Array.from({ length: 10 }).reduce<Matrix>((x, _, i) => x.mul(1 / (i + 2)).exp(), m);
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
    assert.ok(roomy.gpu.usedBytes() >= 19 * VALUE, 'what fits stays for later plans');
    await Promise.all([session.close(), roomy.session.close()]);
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

  it('leave to the host a segment that does not fit with nothing else there', async () => {
    const wide = (x: Matrix): Matrix =>
      [2, 3, 4, 5].map((by) => scaled(x, by)).reduce((sum, one) => sum.mul(one), x);
    const { session, gpu } = device({ gpuMemory: 3 * VALUE });
    await assertSame(await wide(matrix(session, data)).value(), wide);
    assert.ok(gpu.log.includes('full'));
    assert.ok(gpu.peakBytes() <= 3 * VALUE);
    await turns(10);
    assert.equal(gpu.usedBytes(), gpu.tier.usage().bytes);
    await session.close();
  });
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
