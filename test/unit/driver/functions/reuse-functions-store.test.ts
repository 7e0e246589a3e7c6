/** Reusable functions' calls in the durable store: other processes, all outputs or none, leases. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callKey } from '../../../../driver/functions/stored-calls.js';
import {
  batch,
  createReferenceBackend,
  DurableStore,
  type Matrix,
  matrix,
  rand,
  reusable,
  Session,
  type SessionOptions,
} from '../../../../driver/index.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import { serializeLineage } from '../../../../driver/lineage/serialize.js';
import { filesIn } from '../../../support/store-files.js';

const cellsOf = async (...all: readonly Matrix[]) =>
  (await Promise.all(all.map((m) => m.value()))).map(({ data }) => [...data]);

const open = (options: Partial<SessionOptions> = {}): Session =>
  new Session({ local: createReferenceBackend(), ...options });

describe('reusable functions with a durable store', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('answers another session without running, and what follows has the same lineage', async () => {
    let runs = 0;
    const slow = reusable('stored', '1', async (m: Matrix, k: number) => {
      runs++;
      await new Promise((resolve) => setTimeout(resolve, 25));
      return { m: m.mul(k), total: m.sum(), note: `k=${k}`, none: undefined };
    });
    const answers: unknown[] = [];
    const keys: string[] = [];
    for (const round of [1, 2]) {
      const s = open({ store: await DurableStore.open(folder) });
      const { m, total, note, none } = await slow(rand(s, 5, 5, { seed: 3 }), 2);
      const { kernels } = s.statistics;
      answers.push([[...(await m.value()).data], await total.value(), note, none]);
      assert.equal(s.statistics.kernels, kernels, `round ${round}`);
      if (round === 2) assert.equal(kernels, 0);
      keys.push(lineageKey(m.add(total).expr));
      await s.close();
    }
    assert.equal(runs, 1);
    assert.deepEqual(answers[1], answers[0]);
    assert.equal(keys[1], keys[0]);
  });

  it('runs again when the version was raised, a part is gone, or the call was quick', async () => {
    const call = (version: string, ms: number) => {
      const state = { runs: 0 };
      const fn = reusable('changing', version, async (m: Matrix) => {
        state.runs++;
        await new Promise((resolve) => setTimeout(resolve, ms));
        return m.exp();
      });
      return async (): Promise<number> => {
        const s = open({ store: await DurableStore.open(folder) });
        // Too large to lie with the call's own file.
        await fn(rand(s, 50, 50, { seed: 3 }));
        await s.close();
        return state.runs;
      };
    };
    const first = call('1', 25);
    assert.equal(await first(), 1);
    assert.equal(await first(), 1);
    assert.equal(await call('2', 25)(), 1);
    const store = await DurableStore.open(folder);
    for (const { header } of await store.entries()) {
      if (header.kind === 'dense')
        rmSync(join(folder, 'v1/objects', header.key.slice(0, 2), header.key));
    }
    assert.equal(await first(), 2, 'all outputs or none');
    const quick = call('3', 0);
    await quick();
    assert.equal(await quick(), 2);
  });

  it('stores the models of a stack that was long, however short each of them was', async () => {
    const answers: unknown[] = [];
    for (const runs of [10, 0]) {
      const s = open({ store: await DurableStore.open(folder) });
      const x = matrix(
        s,
        1,
        10,
        Float64Array.from({ length: 10 }, (_, k) => (k === 3 ? -0 : k)),
      );
      const program = async ({ x }: { readonly x?: Matrix }) => {
        await new Promise((resolve) => setTimeout(resolve, 40));
        return { root: x!.sub(5).sqrt(), own: x! };
      };
      const names = { name: 'short models', version: '1' };
      const models = await batch(s, 10, { x: { columns: x, cols: 1 } }, program, names);
      answers.push(await Promise.all(models.map(({ root, own }) => cellsOf(root, own))));
      assert.equal(s.functions.countsOf(names.name, names.version).runs, runs);
      await s.close();
    }
    assert.deepEqual(answers[1], answers[0]);
    const store = await DurableStore.open(folder);
    assert.equal((await store.entries()).length, 10, 'a file a model');
  });

  it('reads what is stored of a function that this process lacks, and says what is missing otherwise', async () => {
    const writer = open({ store: await DurableStore.open(folder) });
    const slow = reusable('elsewhere', '1', async (m: Matrix) => {
      await new Promise((resolve) => setTimeout(resolve, 25));
      return m.exp();
    });
    const out = await slow(rand(writer, 5, 5, { seed: 3 }));
    const cold = (await out.value()).data;
    const stored = JSON.stringify(serializeLineage([out.expr]));
    await writer.close();
    // The same lineage in a process that never saw the definition, with the store and without.
    const script = `
      const driver = await import(${JSON.stringify(new URL('../../../../driver/index.js', import.meta.url).href)});
      const { deserializeLineage } = await import(${JSON.stringify(new URL('../../../../driver/lineage/serialize.js', import.meta.url).href)});
      const { DurableStore, Session, createReferenceBackend } = driver;
      for (const folder of [${JSON.stringify(folder)}, undefined]) {
        const store = folder === undefined ? {} : { store: await DurableStore.open(folder) };
        const session = new Session({ local: createReferenceBackend(), ...store });
        const { roots } = deserializeLineage(${stored}, session);
        const said = await session.evaluate(roots).then(([{ data }]) => [...data], (error) => error.message);
        console.log(JSON.stringify([said, session.statistics.kernels]));
      }
      process.exit(0);`;
    const lines = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    }).split('\n');
    assert.deepEqual(JSON.parse(lines[0]!), [[...cold], 0]);
    assert.match(
      JSON.parse(lines[1]!)[0],
      /expected the function elsewhere version 1 to be defined/,
    );
  }).timeout(30_000);

  it('computes once for sessions that ask at the same time, and again when the first one fails', async () => {
    const call = (name: string, isFailing: boolean) => {
      const state = { runs: 0 };
      const fn = reusable(name, '1', async (m: Matrix) => {
        const isFirst = ++state.runs === 1;
        await new Promise((resolve) => setTimeout(resolve, 60));
        if (isFirst && isFailing) throw new Error('the first one fails');
        return m.exp();
      });
      return { state, fn };
    };
    for (const isFailing of [false, true]) {
      const { state, fn } = call(`at once ${isFailing}`, isFailing);
      const sessions: Session[] = [];
      for (let i = 0; i < 3; i++) sessions.push(open({ store: await DurableStore.open(folder) }));
      const answers = await Promise.allSettled(
        sessions.map(async (s) => (await (await fn(rand(s, 4, 4, { seed: 9 }))).value()).data),
      );
      const given = answers.flatMap((answer) =>
        answer.status === 'fulfilled' ? [answer.value] : [],
      );
      assert.equal(given.length, isFailing ? 2 : 3);
      const cold = await rand(open({ reuse: 'off' }), 4, 4, { seed: 9 })
        .exp()
        .value();
      for (const data of given) assert.deepEqual(data, cold.data);
      assert.equal(state.runs, isFailing ? 2 : 1);
      for (const s of sessions) {
        for (const entry of s.cache.entries()) assert.notEqual(entry.state, 'pending');
        await s.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(await filesIn(folder, 'leases'), []);
    }
  }).timeout(20_000);

  it('stops waiting for another process when its run is cancelled', async () => {
    const taken = await DurableStore.open(folder);
    const waits = reusable('waits', '1', (m: Matrix) => m.exp());
    const s = open({ store: await DurableStore.open(folder) });
    const x = rand(s, 3, 3, { seed: 4 });
    const key = callKey({
      name: 'waits',
      version: '1',
      args: [{ $: 'matrix', at: 0 }],
      inputs: [x.expr],
    });
    const lease = await taken.lease(key);
    assert.ok(typeof lease === 'object');
    const controller = new AbortController();
    const call = waits(x.in(s.run({ signal: controller.signal })));
    setTimeout(() => controller.abort(), 60);
    await assert.rejects(call, { name: 'AbortError' });
    assert.equal(s.functions.countsOf('waits', '1').runs, 0);
    await lease.release();
    assert.equal((await (await waits(x)).value()).rows, 3);
    await s.close();
  }).timeout(10_000);
});
