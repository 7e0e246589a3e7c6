import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReferenceBackend, matrix, rand, Session } from '../../../../driver/index.js';
import { DurableTier, isWorthItsRoom } from '../../../../driver/reuse/durable-tier.js';
import { DurableStore } from '../../../../driver/reuse/store/durable-store.js';
import { releaseAll } from '../../../../driver/reuse/store-recall.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { openSession } from '../../../../jobs/engines.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';

const ROWS = 5_000;

function csv(seed: number): string {
  const lines = ['a,b,c,y'];
  for (let i = 0; i < ROWS; i++) {
    const a = Math.sin(i * 12.9898 + seed) * 10;
    const b = Math.cos(i * 78.233 + seed);
    lines.push(`${a},${b},${a * b},${2 * a - b + Math.sin(i)}`);
  }
  return lines.join('\n');
}

const JOB = `kind: grid-search
data: {path: data.csv, target: y, features: [a, b, c, {name: a2, sql: "a * a"}, {name: bin, sql: "a", encode: bin, bins: 40}]}
model: {type: ridge}
search: {grid: {lambda: [0.1, 1, 10]}}
cv: {folds: 5, shuffle: true, seed: 3}
scoring: r2
`;

describe('durable tier', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-tier-'));
    await writeFile(join(folder, 'data.csv'), csv(0));
    await writeFile(join(folder, 'job.yaml'), JOB);
    process.env.REPRISE_STORE = join(folder, 'store');
  });

  afterEach(async () => {
    process.env.REPRISE_STORE = 'off';
    await rm(folder, { recursive: true, force: true });
  });

  /** A run in a session of its own, as another process would have. */
  const run = async (overrides: string[] = []): Promise<RunRecord> => {
    const job = await readJob(join(folder, 'job.yaml'), { overrides });
    const open = await openSession('local');
    try {
      return await runJob(job, { engine: 'local', open });
    } finally {
      await open.session.close();
    }
  };

  it('answers a repeated run from the store: no pass, equal scores', async () => {
    const cold = await run();
    const warm = await run();
    assert.equal(cold.passes, 1);
    assert.equal(warm.passes, 0);
    assert.equal(warm.scans, 0);
    assert.deepEqual(warm.search, cold.search);
  });

  it('reads the data once more for new penalties, and not for the Gram matrices', async () => {
    const absolute = 'scoring=neg_mean_absolute_error';
    const cold = await run([absolute]);
    const more = await run([absolute, 'search.grid.lambda=[0.1,1,10,100]']);
    assert.deepEqual([cold.passes, more.passes], [2, 1]);
  });

  it('reads no data for new penalties whose scores the Gram matrices give', async () => {
    await run();
    const more = await run(['search.grid.lambda=[0.1,1,10,100]']);
    assert.equal(more.passes, 0);
    const wider = await run([
      'search.grid.lambda=[0.1,1,10,100]',
      'scoring=[r2,neg_mean_absolute_error]',
    ]);
    assert.equal(wider.passes, 1, 'absolute losses read the data');
    for (const [t, trial] of more.search.trials.entries()) {
      for (const [fold, score] of trial.splitScores.r2!.entries()) {
        const byRows = wider.search.trials[t]!.splitScores.r2![fold]!;
        assert.ok(Math.abs(score - byRows) <= 1e-10, `trial ${t}, fold ${fold}`);
      }
    }
  });

  it('computes everything again when the data changed', async () => {
    const cold = await run();
    await writeFile(join(folder, 'data.csv'), csv(1));
    const changed = await run();
    assert.equal(changed.passes, 1);
    assert.notDeepEqual(changed.search.trials, cold.search.trials);
  });

  it('keeps results over cells given in memory, by what the cells are', async () => {
    // Expected to take long enough for a lease, so that it is kept however fast the machine is.
    const cells = Float64Array.from({ length: 5200 * 1600 }, (_, i) => Math.sin(i));
    const gram = async (data: Float64Array) => {
      const store = await DurableStore.open(join(folder, 'cells'));
      const session = new Session({ local: await createCpuBackend(), store, spill: false });
      const x = matrix(session, 5200, 1600, data);
      const { data: values } = await x.t().matmul(x).value();
      await session.close();
      return { values, kernels: session.statistics.kernels };
    };
    const cold = await gram(cells);
    const warm = await gram(cells.slice());
    assert.deepEqual([cold.kernels, warm.kernels], [1, 0]);
    assert.deepEqual(warm.values, cold.values);
    cells[7] = 0.5;
    const other = await gram(cells);
    assert.equal(other.kernels, 1);
    assert.notDeepEqual(other.values, cold.values);
  });

  it('leases equal nodes over other memory once, and does not wait for itself', async () => {
    const store = await DurableStore.open(join(folder, 'equal'));
    const session = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const cells = Float64Array.from({ length: 5000 * 50 }, (_, i) => Math.sin(i));
    const grams = [cells, cells.slice()].map((own) => {
      const x = matrix(session, 5000, 50, own, { copy: false });
      return x.t().matmul(x).expr;
    });
    assert.notEqual(grams[0], grams[1]);
    const tier = new DurableTier(store, () => 1);
    const signal = AbortSignal.timeout(10_000);
    const { leases } = await tier.recall(grams, () => false, signal);
    assert.equal(leases.size, 1);
    await releaseAll(leases);
    await session.close();
  });

  it('looks at the data once for two runs at the same time', async () => {
    const alone = await run();
    await rm(join(folder, 'store'), { recursive: true });
    const pair = await Promise.all([run(), run()]);
    assert.ok(alone.scans > 0);
    assert.deepEqual(pair.map(({ scans }) => scans).sort(), [0, alone.scans]);
    for (const { search } of pair) assert.deepEqual(search, alone.search);
  });

  it('computes again what was damaged in the store, once, to the same scores', async () => {
    const cold = await run();
    const objects = join(folder, 'store/v1/objects');
    const names = (await readdir(objects, { recursive: true })).filter((name) => name.length > 64);
    let damaged = 0;
    for (const name of names) {
      const bytes = await readFile(join(objects, name));
      if (bytes.includes('"kind":"json"')) continue;
      bytes[bytes.length - 40]! ^= 1;
      await writeFile(join(objects, name), bytes);
      damaged++;
    }
    assert.ok(damaged > 0);
    const again = await run();
    assert.deepEqual([again.passes, again.search], [1, cold.search]);
    const warm = await run();
    assert.deepEqual([warm.passes, warm.search], [0, cold.search]);
    const store = await DurableStore.open(join(folder, 'store'));
    assert.equal(await store.quarantined(), damaged);
  });

  it('stores no large result that takes less time than reading it back', async () => {
    const store = await DurableStore.open(join(folder, 'store'));
    const session = new Session({ local: await createCpuBackend(), store });
    const [tall, wide] = [
      rand(session, 2_500, 60, { seed: 1 }),
      rand(session, 60, 2_000, { seed: 2 }),
    ];
    await tall.matmul(wide).value();
    await session.close();
    const kept = (await store.entries()).map(({ header }) => header.op);
    assert.deepEqual(kept, []);
    const worth = [31, 33].map((mib) => isWorthItsRoom(mib * 2 ** 20, 0.1));
    assert.deepEqual([...worth, isWorthItsRoom(33 * 2 ** 20, 1)], [true, false, true]);
  });

  it('publishes nothing when the data change while they are read', async () => {
    const path = join(folder, 'data.csv');
    const job = await readJob(join(folder, 'job.yaml'), { overrides: [] });
    const open = await openSession('local');
    await assert.rejects(
      runJob(job, {
        engine: 'local',
        open,
        onEvent: (event) => {
          if (event.kind === 'phase' && event.phase === 'gram') writeFileSync(path, csv(2));
        },
      }),
      { code: 'DATA' },
    );
    await open.session.close();
    const store = await DurableStore.open(join(folder, 'store'));
    const dense = (await store.entries()).filter((entry) => entry.header.kind === 'dense');
    assert.equal(dense.length, 0);
  });
});
