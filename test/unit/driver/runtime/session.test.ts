import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { dense } from '../../../../driver/ir/value.js';
import { rand } from '../../../../driver/matrix/create.js';
import { ops } from '../../../../driver/operators/index.js';
import { Session } from '../../../../driver/runtime/session.js';
import { createNullBackend } from '../../../support/null-backend.js';

const scalar = (session: Session, value: number): Expr => session.intern(ops.scalar, [], { value });

const random = (session: Session, rows: number, cols: number, seed: number): Expr =>
  rand(session, rows, cols, { seed }).expr;

const data = (session: Session, rows: number, cols: number): Expr => {
  const matrix = dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(i)),
  );
  return session.intern(ops.literal, [], { rows, cols, key: `test-${rows}x${cols}` }, matrix);
};

describe('session', () => {
  it('makes one node of equal expressions', () => {
    const session = new Session({ local: createReferenceBackend() });
    const a = session.intern(ops.add, [scalar(session, 1), scalar(session, 2)]);
    const b = session.intern(ops.add, [scalar(session, 1), scalar(session, 2)]);
    assert.equal(a, b);
  });

  it('computes a shared node once however many ask at the same time', async () => {
    const backend = createNullBackend();
    const session = new Session({ local: backend });
    const x = random(session, 4, 4, 1);
    const y = session.intern(ops.exp, [x]);
    await Promise.all([session.evaluate([y]), session.evaluate([y]), session.evaluate([y])]);
    assert.equal(backend.order.filter((expr) => expr === y).length, 1);
  });

  it('waits for a node another request is computing instead of computing it again', async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const backend = createNullBackend({ sync: false, onSegment: () => gate });
    const session = new Session({ local: backend });
    const y = session.intern(ops.exp, [random(session, 4, 4, 1)]);
    const first = session.evaluate([y]);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    const second = session.evaluate([session.intern(ops.neg, [y])]);
    await new Promise((resolve) => setImmediate(resolve));
    release();
    await Promise.all([first, second]);
    assert.equal(backend.order.filter((expr) => expr === y).length, 1);
  });

  it('answers a repeated request from the cache and runs no kernel', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const x = random(session, 8, 3, 5);
    const y = session.intern(ops.tsmm, [x]);
    const [cold] = await session.evaluate([y]);
    const run = session.run();
    const [warm] = await run.evaluate([y]);
    assert.deepEqual(warm, cold);
    assert.equal(run.statistics.counters().kernels, 0);
    assert.equal(run.statistics.counters().hits, 1);
    assert.deepEqual(run.statistics.plans, [], 'what is here needs no plan');
    const entry = session.cache.probe(session.simplified(y))!;
    const before = entry.hits;
    const more = session.intern(ops.exp, [y]);
    await Promise.all([run.evaluate([y, y]), run.evaluate([y, more])]);
    assert.equal(entry.hits - before, 1, 'what one turn asks for is counted once');
    await Promise.all([run.evaluate([y, more]), run.evaluate([more])]);
    assert.equal(entry.hits - before, 2);
    const { kernels, savedSeconds } = run.statistics.counters();
    assert.equal(kernels, 1);
    assert.ok(savedSeconds > 0);
    const signal = AbortSignal.abort();
    await assert.rejects(session.run({ signal }).evaluate([y]), { name: 'AbortError' });
  });

  it('computes everything again when reuse is off', async () => {
    const session = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const y = session.intern(ops.exp, [random(session, 4, 4, 1)]);
    await session.evaluate([y]);
    const before = session.statistics.kernels;
    await session.evaluate([y]);
    assert.equal(session.statistics.kernels, 2 * before);
  });

  it('lets a failing node fail its consumers only, and computes it again when asked again', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const zero = session.intern(ops.mul, [data(session, 2, 2), scalar(session, 0)]);
    const bad = session.intern(ops.solve, [zero, data(session, 2, 1)], { assume: 'spd' });
    const worse = session.intern(ops.neg, [bad]);
    const good = session.intern(ops.exp, [zero]);
    const [a, b] = await session.evaluateSettled([worse, good]);
    assert.equal(a!.ok, false);
    assert.equal(!a!.ok && (a!.error as { code?: string }).code, 'SINGULAR');
    assert.equal(b!.ok, true);
    await assert.rejects(session.evaluate([bad]), { code: 'SINGULAR' });
  });

  it('runs all reductions that are ready as one pass, and dependent ones as the next', async () => {
    const backend = createNullBackend();
    const session = new Session({ local: backend });
    const x = data(session, 500, 20);
    const gram = session.intern(ops.tsmm, [x]);
    const sums = session.intern(ops.colSums, [x]);
    const w = session.intern(ops.matmul, [gram, session.intern(ops.transpose, [sums])], {
      transposeA: false,
      transposeB: false,
    });
    const chain = session.intern(ops.mmchain, [x, w]);
    await session.evaluate([chain, sums]);
    assert.deepEqual(
      backend.segments.map((segment) => segment.outputs.map((expr) => expr.op.name).sort()),
      [['colSums', 'tsmm'], ['mmchain']],
    );
    assert.equal(session.statistics.passes, 2);
  });

  it('stops between operators when aborted and leaves nothing claimed', async () => {
    const controller = new AbortController();
    const backend = createNullBackend({ onNode: () => controller.abort() });
    const session = new Session({ local: backend });
    const run = session.run({ signal: controller.signal });
    const x = random(session, 4, 4, 1);
    const y = session.intern(ops.exp, [x]);
    await assert.rejects(run.evaluate([y]), { name: 'AbortError' });
    for (const entry of session.cache.entries()) assert.notEqual(entry.state, 'pending');
  });

  it('keeps cached bytes under the budget and remembers what it evicted', async () => {
    const session = new Session({ local: createReferenceBackend(), cacheBytes: 20_000 });
    for (let seed = 0; seed < 20; seed++) {
      await session.evaluate([random(session, 20, 20, seed)]);
    }
    assert.ok(session.cache.bytes <= 20_000);
    assert.ok(session.cache.evicted > 0);
  });

  it('never reuses a non-deterministic node', async () => {
    const backend = createNullBackend();
    const session = new Session({ local: backend });
    const random = { ...ops.exp, deterministic: false };
    const x = session.intern(random, [data(session, 2, 2)]);
    await session.evaluate([x]);
    await session.evaluate([x]);
    assert.equal(backend.order.length, 2);
    const plan = session.explain([session.intern(ops.neg, [x])]);
    assert.equal(plan.match(/\bnon-deterministic\b/g)?.length, 2, plan);
    assert.doesNotMatch(session.explain([session.intern(ops.exp, [data(session, 2, 2)])]), /non-/);
  });
});
