/** What a session keeps of runs long past: results by key, without the nodes that made them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DenseMatrix,
  dense,
  type Expr,
  lineageKey,
  matrix,
  ops,
  Session,
  type Value,
} from '../../../../driver/index.js';
import { MemoTable } from '../../../../driver/reuse/memo-table.js';
import { REST_RUNS } from '../../../../driver/reuse/resting.js';
import { ReuseCache } from '../../../../driver/reuse/reuse-cache.js';
import { DurableStore } from '../../../../driver/reuse/store/durable-store.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { createNullBackend } from '../../../support/null-backend.js';

const ROWS = 3000;
const COLS = 100;

describe('results that no run used for a while', () => {
  const cells = (seed: number): Float64Array =>
    Float64Array.from({ length: ROWS * COLS }, (_, i) => Math.sin(i * seed));

  it('rest by key where they took long, and are found by a program written anew', async () => {
    const session = new Session({ local: await createCpuBackend(), spill: false });
    const gram = async (): Promise<{ readonly kernels: number; readonly sum: number }> => {
      const run = session.run();
      const x = matrix(run, ROWS, COLS, cells(1));
      const { data } = await x.tsmm().value();
      return {
        kernels: run.statistics.kernels,
        sum: Array.from(data).reduce((sum, cell) => sum + cell, 0),
      };
    };
    const first = await gram();
    for (let run = 0; run <= REST_RUNS; run++) await session.run().evaluate([]);
    assert.equal(session.cache.size, 1, 'only the product');
    const again = await gram();
    assert.deepEqual([again.kernels, again.sum], [0, first.sum]);
    assert.equal(session.cache.size, 1);
    await session.close();
  });

  it('go where the durable store has them, and come back from there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reprise-resting-'));
    const store = await DurableStore.open(folder);
    const session = new Session({ local: await createCpuBackend(), spill: false, store });
    const gram = async (): Promise<readonly [number, Value, Expr]> => {
      const run = session.run();
      const product = matrix(run, ROWS, COLS, cells(1)).tsmm();
      const value = await product.value();
      return [run.statistics.kernels, value, run.simplified(product.expr)];
    };
    const [computed, first, expr] = await gram();
    assert.ok(computed > 0);
    const meta = { op: 'tsmm', seconds: 1, createdAt: new Date().toISOString() };
    await store.put(lineageKey(expr), first as DenseMatrix, meta);
    for (let run = 0; run <= REST_RUNS; run++) await session.run().evaluate([]);
    assert.equal(session.cache.size, 0);
    assert.equal(session.cache.bytes, 0);
    const [kernels, again] = await gram();
    assert.equal(kernels, 0);
    assert.deepEqual(again, first);
    assert.ok(store.counters.hits > 0);
    await session.close();
    rmSync(folder, { recursive: true });
  });

  it('go where they are cheap, and not while runs use them', async () => {
    const session = new Session({ local: createNullBackend(), spill: false });
    const x = matrix(
      session,
      4,
      4,
      Float64Array.from({ length: 16 }, (_, i) => i),
    );
    const y = x.t().matmul(x);
    await y.value();
    for (let run = 0; run < 3 * REST_RUNS; run++) {
      const next = session.run();
      await y.in(next).value();
      assert.equal(next.statistics.kernels, 0);
    }
    for (let run = 0; run <= REST_RUNS; run++) await session.run().evaluate([]);
    assert.equal(session.cache.size, 0);
    assert.equal(session.cache.bytes, 0);
    await session.close();
  });

  it('leave by the budget as all others do', async () => {
    const cacheBytes = 5 * COLS * COLS * 8;
    const session = new Session({ local: await createCpuBackend(), spill: false, cacheBytes });
    for (let run = 0; run < 3 * REST_RUNS; run++) {
      await matrix(session.run(), ROWS, COLS, cells(run + 2))
        .tsmm()
        .value();
      assert.ok(session.cache.bytes <= cacheBytes);
    }
    assert.ok(session.cache.size >= 3, `${session.cache.size}`);
    await session.close();
  });
});

describe('a cache of small results', () => {
  it('holds as many as the heap has room for, whatever the budget in bytes', () => {
    const { interner } = new Session({ local: createNullBackend(), spill: false });
    const cache = new ReuseCache({ budgetBytes: 1e9, maxEntries: 40, release: () => {} });
    for (let i = 0; i < 400; i++) {
      const expr = interner.intern(ops.fill, [], { rows: 1 + (i % 2), cols: 1, value: i });
      cache.claim(expr);
      cache.put(expr, dense(1 + (i % 2), 1), 1, 'cpu');
    }
    assert.ok(cache.size <= 40, `${cache.size}`);
    assert.ok(cache.evicted >= 360);
  });
});

describe('a table of memos', () => {
  it('forgets those used longest ago once they are long, and failures', async () => {
    const table = new MemoTable(100);
    const keep = (key: string, promise: Promise<string>): void =>
      table.keep(key, { promise, signal: undefined });
    for (const key of ['a', 'b', 'c']) keep(key, Promise.resolve('x'.repeat(40)));
    keep('d', Promise.reject(new Error('no')));
    await new Promise(setImmediate);
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((key) => table.get(key) !== undefined),
      [false, true, true, false],
    );
    await table.get('b')?.promise;
    keep('e', Promise.resolve('x'.repeat(40)));
    await new Promise(setImmediate);
    assert.deepEqual(
      ['b', 'c', 'e'].map((key) => table.get(key) !== undefined),
      [true, false, true],
    );
  });
});
