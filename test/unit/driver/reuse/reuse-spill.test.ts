/** The disk under host memory: what goes there, what comes back, and what happens if it fails. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../../../driver/backend/backend.js';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { type Matrix, rand } from '../../../../driver/index.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { type Cells, dense } from '../../../../driver/ir/value.js';
import { ReuseCache } from '../../../../driver/reuse/reuse-cache.js';
import { sweepSpillFolders } from '../../../../driver/reuse/spill-folder.js';
import { SpillTier } from '../../../../driver/reuse/spill-tier.js';
import { TransferRate } from '../../../../driver/reuse/transfer-rate.js';
import { Session } from '../../../../driver/runtime/session.js';

/** The reference backend, slow enough for every value to be worth a file. */
function slowBackend(): Backend {
  const backend = createReferenceBackend();
  const until = (end: number): void => {
    while (performance.now() < end);
  };
  return {
    ...backend,
    runSync: (expr, inputs) => {
      until(performance.now() + 10);
      return backend.runSync!(expr, inputs);
    },
  };
}

const CELLS = 2000;
const session = (folder: string, options: object = {}): Session =>
  new Session({
    local: slowBackend(),
    cacheBytes: 4 * (CELLS * 8 + 256),
    spill: { folder, ...options },
  });
const columns = (s: Session, count: number): Matrix[] =>
  Array.from({ length: count }, (_, seed) => rand(s, CELLS, 1, { seed }).exp());

async function until(isDone: () => boolean): Promise<void> {
  for (let i = 0; !isDone(); i++) {
    assert.ok(i < 2000, 'expected it to happen within two seconds');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('spilling to disk', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const filesOf = (): string[] =>
    readdirSync(folder).flatMap((name) => readdirSync(join(folder, name)));

  it('answers from disk what no longer fits in memory, and computes nothing again', async () => {
    const s = session(folder);
    const cold: Cells[] = [];
    for (const x of columns(s, 12)) cold.push((await x.value()).data);
    await until(() => s.cache.spilled >= 8);
    const { kernels } = s.statistics;
    for (const [i, x] of columns(s, 12).entries()) {
      assert.deepEqual((await x.value()).data, cold[i]);
    }
    assert.equal(s.statistics.kernels, kernels);
    assert.ok(s.cache.restored > 0);
    assert.ok(s.cache.bytes <= s.cache.budgetBytes);
    await s.close();
  });

  it('plans over more spilled values than fit in memory at once', async () => {
    const s = session(folder);
    const parts = columns(s, 12);
    const alone: number[] = [];
    for (const x of parts) alone.push((await x.value()).data[7]!);
    await until(() => s.cache.spilled >= 8);
    const { kernels } = s.statistics;
    const joined = await parts[0]!.cbind(...parts.slice(1)).value();
    assert.deepEqual([...joined.data.subarray(7 * 12, 8 * 12)], alone);
    assert.equal(s.statistics.kernels, kernels + 1);
    await s.close();
  });

  it('reads a spilled value once for all that ask', async () => {
    const s = session(folder);
    const parts = columns(s, 8);
    for (const x of parts) await x.value();
    await until(() => s.cache.spilled >= 3);
    const spilled = parts.find((x) => s.cache.probe(x.expr)?.state === 'spilled')!;
    const restored = s.cache.restored;
    await Promise.all([spilled.value(), spilled.value(), spilled.add(1).value()]);
    assert.equal(s.cache.restored, restored + 1);
    await s.close();
  });

  it('takes a value with two names to one file, and brings it back under both', async () => {
    const tier = new SpillTier({ folder });
    const cache = new ReuseCache({
      budgetBytes: 2 * (CELLS * 8 + 256),
      release: () => {},
      spill: tier,
    });
    const s = session(folder);
    const [inner, outer, ...others] = columns(s, 6).map(({ expr }) => expr);
    const put = (expr: Expr, seconds: number): void => {
      cache.claim(expr);
      cache.put(expr, dense(CELLS, 1, new Float64Array(CELLS).fill(seconds)), seconds, 'cpu');
    };
    put(inner!, 1);
    cache.claim(outer!);
    cache.alias(outer!, inner!, 2);
    for (const expr of others) put(expr, 9);
    await until(() => cache.probe(outer!)?.state === 'spilled');
    assert.equal(cache.probe(inner!), cache.probe(outer!));
    await until(() => cache.spilled === others.length - 1);
    assert.equal(tier.budget.bytes, (others.length - 1) * CELLS * 8, 'one file for both');
    const [a, b] = await Promise.all(
      [inner, outer].map((expr) => cache.restore(cache.probe(expr!)!)),
    );
    assert.equal(a, b);
    assert.deepEqual(a?.kind === 'dense' && a.data, new Float64Array(CELLS).fill(1));
    assert.equal(cache.restored, 1);
    cache.evict(outer!);
    assert.equal(cache.probe(inner!), undefined);
    for (const expr of [inner!, outer!]) assert.equal(cache.claim(expr)?.misses, 1);
    cache.close();
    await s.close();
  });

  it('computes again what was damaged on disk', async () => {
    const s = session(folder);
    const cold: Cells[] = [];
    for (const x of columns(s, 12)) cold.push((await x.value()).data);
    await until(() => s.cache.spilled >= 8);
    const place = join(folder, readdirSync(folder)[0]!);
    for (const name of readdirSync(place)) {
      const bytes = readFileSync(join(place, name));
      bytes[100]! ^= 1;
      writeFileSync(join(place, name), Number(name) % 2 ? bytes : bytes.subarray(0, 999));
    }
    const { kernels } = s.statistics;
    for (const [i, x] of columns(s, 12).entries()) {
      assert.deepEqual((await x.value()).data, cold[i]);
    }
    assert.ok(s.statistics.kernels > kernels);
    await s.close();
  });

  it('drops what is faster computed than read', async () => {
    const fast = new Session({
      local: createReferenceBackend(),
      cacheBytes: 4 * (CELLS * 8 + 256),
      spill: { folder },
    });
    // A machine that is busy elsewhere for some milliseconds would make a value look dear.
    const stoppedMs = performance.now();
    const clock = Object.assign(performance, { now: () => stoppedMs });
    try {
      for (const x of columns(fast, 12)) await x.value();
    } finally {
      Reflect.deleteProperty(clock, 'now');
    }
    assert.equal(fast.cache.spilled, 0);
    assert.ok(fast.cache.evicted > 0);
    assert.deepEqual(filesOf(), []);
    await fast.close();
  });

  it('goes on without a disk when files cannot be made, says so once, and is right', async () => {
    const warnings: string[] = [];
    const notFolder = join(folder, 'file');
    writeFileSync(notFolder, '');
    const s = session(notFolder, { onWarning: (text: string) => warnings.push(text) });
    for (const round of [1, 2]) {
      for (const [i, x] of columns(s, 12).entries()) {
        assert.equal((await x.value()).rows, CELLS, `round ${round}, column ${i}`);
      }
    }
    await until(() => s.cache.spill!.disabledReason !== undefined);
    assert.deepEqual(warnings, [
      'spilling: writing ended with ENOTDIR; evicted values are computed again',
    ]);
    assert.ok(s.cache.bytes <= s.cache.budgetBytes);
    await s.close();
  });

  it('stays within its bytes on disk', async () => {
    const s = session(folder, { budgetBytes: 3 * CELLS * 8 });
    for (const x of columns(s, 12)) await x.value();
    await until(() => s.cache.spilled >= 3);
    assert.ok(s.cache.spill!.budget.bytes <= 3 * CELLS * 8);
    await until(() => filesOf().length <= 3);
    await s.close();
  });

  it('leaves nothing behind when closed, and nobody else can look in', async () => {
    const s = session(folder);
    for (const x of columns(s, 12)) await x.value();
    await until(() => s.cache.spilled >= 3);
    const [place] = readdirSync(folder);
    assert.equal(statSync(join(folder, place!)).mode & 0o777, 0o700);
    await s.close();
    assert.deepEqual(readdirSync(folder), []);
  });

  it('listens for the end of the process once, however many sessions come and go', async () => {
    const write = async (): Promise<void> => {
      const tier = new SpillTier({ folder });
      await tier.write(dense(10, 10));
      tier.close();
    };
    await write();
    const listeners = process.listenerCount('exit');
    await write();
    await write();
    assert.equal(process.listenerCount('exit'), listeners);
  });

  it('is swept by the next process when its own was killed, and only then', async () => {
    const script = `
      const { SpillTier } = await import(${JSON.stringify(new URL('../../../../driver/reuse/spill-tier.js', import.meta.url).href)});
      const { dense } = await import(${JSON.stringify(new URL('../../../../driver/ir/value.js', import.meta.url).href)});
      const tier = new SpillTier({ folder: ${JSON.stringify(folder)} });
      await tier.write(dense(10, 10));
      console.log('written');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      await sweepSpillFolders(folder, true);
      assert.equal(filesOf().length, 1, 'a living process keeps its folder');
    } finally {
      child.kill('SIGKILL');
    }
    await once(child, 'exit');
    await sweepSpillFolders(folder, true);
    assert.deepEqual(readdirSync(folder), []);
  });

  it('learns the bandwidth of the disk from what it moves', async () => {
    const tier = new SpillTier({ folder });
    const [write, read] = [tier.writing.bytesPerSecond, tier.reading.bytesPerSecond];
    // A transfer whose bounds hold what is expected teaches nothing, which a busy machine makes of
    // one or another.
    for (let turn = 0; turn < 50; turn++) {
      const file = await tier.write(dense(500, 1000));
      const back = await tier.read(file!);
      assert.equal(back?.data.length, 500_000);
      if (tier.writing.bytesPerSecond !== write && tier.reading.bytesPerSecond !== read) break;
    }
    assert.notEqual(tier.writing.bytesPerSecond, write);
    assert.notEqual(tier.reading.bytesPerSecond, read);
    assert.equal(tier.pays(1e9, 1e-3, 0), false);
    assert.equal(tier.pays(1e3, 1, 0), true);
    tier.close();
    assert.equal(await tier.write(dense(1, 1)), undefined, 'a closed tier takes nothing');
    assert.equal(tier.pays(1e3, 1, 0), false);
  });

  it('writes what it saves in expectation: its chance to return times the gain against the write', () => {
    const tier = new SpillTier({ folder });
    const bytes = 9e6;
    // At the first bandwidths: 21 ms to write, 19 ms to read.
    const write = tier.writing.seconds(bytes);
    const read = tier.reading.seconds(bytes);
    assert.ok(Math.abs(write - 0.021) < 1e-12 && Math.abs(read - 0.019) < 1e-12);
    assert.equal(tier.pays(bytes, read + 2 * write + 1e-4, 0), true);
    assert.equal(tier.pays(bytes, read + 2 * write - 1e-4, 0), false);
    assert.equal(
      tier.pays(bytes, read + write + 1e-4, 0),
      false,
      'gains nothing if it never returns',
    );
    assert.equal(tier.pays(bytes, read + 1.5 * write + 1e-4, 1), true, 'it returned once');
    assert.equal(tier.pays(bytes, read + write, 1e9), false, 'not even if it returns for certain');
    assert.equal(tier.pays(bytes, read + 1.01 * write, 1e9), true);
    tier.close();
  });

  it('writes less while nothing returns, never nothing, and more again once values return', () => {
    const tier = new SpillTier({ folder });
    const bytes = 9e6;
    const even = tier.reading.seconds(bytes) + 2.5 * tier.writing.seconds(bytes);
    const dear = tier.reading.seconds(bytes) + 4.1 * tier.writing.seconds(bytes);
    assert.equal(tier.pays(bytes, even, 0), true);
    for (let i = 0; i < 10_000; i++) tier.leaves(bytes, even, 0);
    assert.equal(tier.pays(bytes, even, 0), false);
    assert.equal(tier.pays(bytes, even, 1), true, 'a value that returned itself counts for more');
    assert.equal(tier.pays(bytes, dear, 0), true, 'a quarter of what is dear may be risked');
    for (let i = 0; i < 300; i++) {
      tier.leaves(bytes, even, 0);
      tier.returned(bytes, even);
    }
    assert.equal(tier.pays(bytes, even, 0), true);
    tier.close();
  });

  it('judges by values that may be worth a file only', () => {
    const tier = new SpillTier({ folder });
    const bytes = 9e6;
    const even = tier.reading.seconds(bytes) + 2.1 * tier.writing.seconds(bytes);
    for (let i = 0; i < 10_000; i++) tier.leaves(bytes, 1e-3, 0);
    assert.equal(tier.pays(bytes, even, 0), true);
    for (let i = 0; i < 10_000; i++) tier.returned(bytes, 1e-3);
    assert.equal(tier.pays(bytes, even - 0.3 * tier.writing.seconds(bytes), 0), false);
    tier.close();
  });

  it('takes a transfer during work for what it took at most, and forgets a slow one', () => {
    const rate = new TransferRate(500e6);
    rate.observe(10e6, 1, 0);
    assert.equal(rate.bytesPerSecond, 500e6, 'the thread was busy all the time');
    rate.observe(10e6, 0.01, 0);
    assert.equal(rate.bytesPerSecond, 750e6, 'it took no longer than that');
    rate.observe(10e6, 0.2, 0.1);
    assert.equal(rate.bytesPerSecond, 425e6, 'so long was waited for it');
    for (let i = 0; i < 500; i++) rate.forget();
    assert.ok(rate.bytesPerSecond > 499e6 && rate.bytesPerSecond <= 500e6);
    const tier = new SpillTier({ folder });
    for (let i = 0; i < 20; i++) tier.writing.observe(10e6, 10, 10);
    assert.equal(tier.pays(10e6, 0.5, 0), false, 'a stalled disk');
    for (let i = 0; i < 100; i++) tier.leaves(10e6, 0.5, 0);
    assert.equal(tier.pays(10e6, 0.5, 0), true, 'is tried again');
    tier.close();
  });

  it('counts what was dropped and computed again as returned', async () => {
    const spill = new SpillTier({ folder });
    const cache = new ReuseCache({ budgetBytes: 3 * 9e6, release: () => {}, spill });
    const value = dense(1000, 1125);
    const seconds = spill.reading.seconds(9e6) + 1.6 * spill.writing.seconds(9e6);
    const s = session(folder);
    const exprs = columns(s, 8).map(({ expr }) => expr);
    const computed: number[] = [];
    for (let round = 0; round < 12; round++) {
      computed.push(0);
      for (const expr of exprs) {
        const entry = cache.probe(expr);
        if (entry !== undefined) {
          assert.deepEqual(await cache.restore(entry), value);
          continue;
        }
        cache.claim(expr);
        cache.put(expr, value, seconds, 'test');
        computed[round]!++;
      }
      await Promise.all([...cache.entries()].map((entry) => until(() => !entry.isLeaving)));
      if (round === 0) assert.equal(spill.writtenBytes, 0, 'nothing had returned');
    }
    assert.ok(spill.writtenBytes > 0);
    assert.equal(computed[0], 8);
    assert.equal(computed.at(-1), 0);
    cache.close();
    await s.close();
  });

  it('makes those who compute wait when values come faster than the disk takes them', async () => {
    const tier = new SpillTier({ folder });
    const value = dense(1000, 1000);
    const writes = Array.from({ length: 20 }, () => tier.write(value));
    assert.equal(tier.isCongested, true);
    await tier.relieved();
    assert.equal(tier.isCongested, false);
    assert.equal((await Promise.all(writes)).filter((file) => file === undefined).length, 0);
    assert.equal(filesOf().length, 20);
    tier.close();
  });
});
