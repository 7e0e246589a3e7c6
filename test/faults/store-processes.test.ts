/** One durable store, many processes: shared work, killed holders, limits, few descriptors. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentDigest } from '../../driver/ir/lineage-key.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { packageRoot } from '../../driver/support/package-root.js';
import { reprise } from '../support/cli.js';
import {
  bytesIn,
  entryPath,
  filesIn,
  key,
  listening,
  meta,
  tapped,
  temporaryFolder,
  value,
} from '../support/store-files.js';

const SCRIPT = join(packageRoot(), 'dist/test/support/store-process.js');
const LEASE_MS = 600;

/** A store process whose lines can be awaited one by one. */
class StoreProcess {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<number | null>;

  constructor(command: string, options: Readonly<Record<string, unknown>>, wrap: string[] = []) {
    const [program = '', ...args] = [
      ...wrap,
      process.execPath,
      SCRIPT,
      command,
      JSON.stringify(options),
    ];
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', resolve);
    });
  }

  async line(): Promise<string> {
    const { value: line, done } = await this.#lines.next();
    if (done) throw new Error(`expected a line, got the end (exit ${await this.#ended})`);
    return line;
  }

  tell(text: string): void {
    this.child.stdin!.write(`${text}\n`);
  }

  async end(): Promise<void> {
    this.child.stdin!.end();
    await this.#ended;
  }
}

describe('many processes on one durable store', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let started: StoreProcess[] = [];
  const start = (command: string, options: object, wrap?: string[]): StoreProcess => {
    const made = new StoreProcess(command, { folder: home.path, ...options }, wrap);
    started.push(made);
    return made;
  };
  beforeEach(async () => {
    home = await temporaryFolder();
  });
  afterEach(async () => {
    for (const { child } of started) if (child.exitCode === null) child.kill('SIGKILL');
    started = [];
    await home.remove();
  });

  it('compute a missing key once, 32 of them, and all read equal bytes', async () => {
    const log = join(home.path, 'computed.log');
    await writeFile(log, '');
    const processes = Array.from({ length: 32 }, () => start('race', { log }));
    const digests = await Promise.all(processes.map((process) => process.line()));
    assert.deepEqual(new Set(digests), new Set([contentDigest(value(3, 300, 100))]));
    assert.equal((await readFile(log, 'utf8')).trim().split('\n').length, 1);
    await Promise.all(processes.map((process) => process.end()));
    for (const part of ['tmp', 'leases', 'quarantine']) {
      assert.deepEqual(await filesIn(home.path, part), [], part);
    }
  }).timeout(120_000);

  it('take over from a holder that was killed, at once on the same machine', async () => {
    const holder = start('hold', { leaseMs: 60_000 });
    assert.equal(await holder.line(), 'held');
    const store = await DurableStore.open(home.path, { leaseMs: 60_000 });
    const waiting = store.lease(key('held'));
    assert.equal(await Promise.race([waiting, sleep(300, 'waiting')]), 'waiting');
    const killed = performance.now();
    holder.child.kill('SIGKILL');
    const lease = await waiting;
    assert.ok(typeof lease === 'object');
    assert.ok(performance.now() - killed < 5000, 'long before the lease ends');
    assert.equal(await store.put(key('held'), value(4), meta(), lease), true);
    await lease.release();
  }).timeout(60_000);

  it('take over from a silent holder, whose late publish is then refused', async () => {
    const holder = start('hold', { leaseMs: LEASE_MS });
    assert.equal(await holder.line(), 'held');
    holder.child.kill('SIGSTOP');
    const store = await DurableStore.open(home.path, { leaseMs: LEASE_MS });
    const began = performance.now();
    const lease = await store.lease(key('held'));
    assert.ok(typeof lease === 'object');
    const waited = performance.now() - began;
    assert.ok(waited >= LEASE_MS && waited < LEASE_MS + 3000, `${waited} ms`);
    holder.child.kill('SIGCONT');
    holder.tell('publish');
    assert.equal(await holder.line(), 'refused');
    await assert.rejects(readFile(entryPath(home.path, key('held'))), { code: 'ENOENT' });
    assert.equal(await store.put(key('held'), value(4), meta(), lease), true);
    await lease.release();
    holder.tell('publish again');
    assert.equal(await holder.line(), 'refused');
    await holder.end();
    assert.deepEqual(await filesIn(home.path, 'leases'), []);
  }).timeout(60_000);

  it('leave a holder alone that gives signs of life, however long it computes', async () => {
    const holder = start('hold', { leaseMs: LEASE_MS });
    assert.equal(await holder.line(), 'held');
    const store = await DurableStore.open(home.path, { leaseMs: LEASE_MS });
    const controller = new AbortController();
    const waiting = store.lease(key('held'), controller.signal);
    assert.equal(await Promise.race([waiting, sleep(LEASE_MS * 4, 'waiting')]), 'waiting');
    holder.tell('publish');
    assert.equal(await holder.line(), 'published');
    assert.equal(await waiting, 'stored');
    assert.equal(store.has(key('held')), true);
    await holder.end();
  }).timeout(60_000);

  it('stop waiting when asked', async () => {
    const holder = start('hold', { leaseMs: 60_000 });
    assert.equal(await holder.line(), 'held');
    const store = await DurableStore.open(home.path);
    const reason = new Error('enough');
    await assert.rejects(store.lease(key('held'), AbortSignal.abort(reason)), reason);
    const controller = new AbortController();
    const waiting = store.lease(key('held'), controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await assert.rejects(waiting, reason);
  });

  it('never hand one lease to two, when many see that its holder is silent', async () => {
    const holder = start('hold', { leaseMs: LEASE_MS });
    assert.equal(await holder.line(), 'held');
    holder.child.kill('SIGSTOP');
    const stores = await Promise.all(
      Array.from({ length: 12 }, () => DurableStore.open(home.path, { leaseMs: LEASE_MS })),
    );
    const controllers = stores.map(() => new AbortController());
    let taken = 0;
    const waiting = stores.map((store, i) =>
      store.lease(key('held'), controllers[i]!.signal).then(
        (lease) => {
          if (typeof lease === 'object') taken++;
          return lease;
        },
        () => undefined,
      ),
    );
    await Promise.any(waiting);
    await sleep(LEASE_MS * 2);
    assert.equal(taken, 1);
    for (const controller of controllers) controller.abort();
    for (const lease of await Promise.all(waiting)) {
      if (typeof lease === 'object') await lease.release();
    }
  }).timeout(60_000);

  it('keep to the limit at every moment while all write', async () => {
    const maxBytes = 60_000;
    const options = { count: 60, cells: 100, maxBytes };
    const processes = [1, 2, 3, 4].map((i) => start('fill', { ...options, name: `p${i}` }));
    const done = Promise.all(processes.map((process) => process.line()));
    let most = 0;
    let isDone = false;
    void done.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      most = Math.max(most, await bytesIn(home.path).catch(() => 0));
      await sleep(5);
    }
    for (const line of await done) {
      const { warnings, disabled } = JSON.parse(line);
      assert.deepEqual(warnings, []);
      assert.equal(disabled, undefined);
    }
    assert.ok(most > maxBytes / 2 && most <= maxBytes, `${most} bytes at most, limit ${maxBytes}`);
    const store = await DurableStore.open(home.path, { maxBytes });
    const { damaged, stuck, good } = await store.verify();
    assert.deepEqual([...damaged, ...stuck], []);
    assert.ok(good > 20, `${good} entries`);
    const indexed = (await store.entries()).reduce((sum, { bytes }) => sum + bytes, 0);
    assert.equal(indexed, await bytesIn(home.path));
  }).timeout(120_000);

  it('read whole values or none while others evict and clear', async () => {
    const store = await DurableStore.open(home.path);
    const evictor = await DurableStore.open(home.path);
    const given = value(9, 400, 100);
    let hits = 0;
    for (let i = 0; i < 25; i++) {
      assert.equal(await store.put(key('x'), given, meta()), true);
      const reads = Array.from({ length: 6 }, () => store.get(key('x')));
      const [, ...found] = await Promise.all([evictor.clear(), ...reads]);
      for (const each of found) {
        if (each === undefined) continue;
        assert.ok(each.value.kind === 'dense');
        assert.equal(contentDigest(each.value), contentDigest(given));
        hits++;
      }
    }
    assert.ok(hits > 0);
    assert.equal(store.counters.damaged, 0);
  }).timeout(60_000);

  it('write on while people list, verify, collect and clear', async () => {
    const writers = [1, 2, 3].map((i) => start('fill', { count: 400, cells: 200, name: `w${i}` }));
    let isDone = false;
    const said = Promise.all(writers.map((writer) => writer.line())).finally(() => {
      isDone = true;
    });
    const ran: string[] = [];
    const look = async (command: string, ...args: string[]): Promise<void> => {
      while (!isDone) {
        const { code, stderr } = await reprise(['cache', command, ...args, '--store', home.path]);
        assert.deepEqual([code, stderr], [0, ''], command);
        ran.push(command);
      }
    };
    await Promise.all([look('gc'), look('clear', '--yes'), look('verify'), said]);
    for (const line of await said) {
      const { stored, warnings, disabled } = JSON.parse(line);
      assert.deepEqual(
        { stored, warnings, disabled },
        { stored: 400, warnings: [], disabled: undefined },
      );
    }
    for (const command of ['gc', 'clear', 'verify']) assert.ok(ran.includes(command), command);
    const store = await DurableStore.open(home.path);
    await store.gc();
    const { good, damaged, stuck } = await store.verify();
    assert.deepEqual([damaged, stuck], [[], []]);
    const entries = await store.entries();
    assert.equal(entries.length, good);
    const indexed = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.equal(indexed, await bytesIn(home.path));
  }).timeout(120_000);

  it('get on with 64 file descriptors and 2,000 results', async () => {
    const process = start('fill', { count: 2_000, name: 'many' }, [
      'bash',
      '-c',
      'ulimit -n 64; exec "$@"',
      '-',
    ]);
    const { stored, read, warnings, disabled } = JSON.parse(await process.line());
    assert.deepEqual(
      { stored, read, warnings, disabled },
      {
        stored: 2_000,
        read: 2_000,
        warnings: [],
        disabled: undefined,
      },
    );
  }).timeout(240_000);

  it('run a plan of 2,000 long results with 64 file descriptors, and find them all again', async function () {
    if (spawnSync('prlimit', ['--version']).status !== 0) return this.skip();
    const process = start('plan', { count: 2_000, files: 64 });
    const [cold, warm] = [JSON.parse(await process.line()), JSON.parse(await process.line())];
    const sound = { stored: 2_000, disabled: undefined, warnings: [] };
    assert.deepEqual({ disabled: undefined, ...cold }, { kernels: 4_000, ...sound });
    assert.deepEqual({ disabled: undefined, ...warm }, { kernels: 0, ...sound });
    return undefined;
  }).timeout(300_000);

  it('make the index anew at once, each putting meanwhile, and none is lost', async () => {
    const { options, warnings } = listening();
    const stores = await Promise.all(
      Array.from({ length: 4 }, () => DurableStore.open(home.path, options)),
    );
    await Promise.all(
      stores.map(async (store, i) => {
        for (let n = 0; n < 40; n++) {
          if (n % 10 === i) await rm(join(home.path, 'v1/index'), { force: true });
          if (n % 7 === i) await appendFile(join(home.path, 'v1/index'), 'torn').catch(() => {});
          if (n % 13 === i) await store.gc();
          assert.equal(await store.put(key(`${i} ${n}`), value(n), meta()), true, warnings.join());
        }
      }),
    );
    const store = await DurableStore.open(home.path);
    await store.gc();
    assert.equal((await store.entries()).length, 160);
    for (const other of stores) {
      await other.refresh();
      assert.ok(other.has(key('0 0')) && other.has(key('3 39')));
    }
  }).timeout(120_000);

  it('see an append again that another machine wrote over', async () => {
    // As on a network disk, where two machines can take the same end of the file.
    let isLost = false;
    const index = join(home.path, 'v1/index');
    const plain = tapped(() => {});
    const store = await DurableStore.open(home.path, {
      fileSystem: {
        ...plain,
        open: async (path, use, mode) => {
          const file = await plain.open(path, use, mode);
          if (use !== 'append' || isLost) return file;
          isLost = true;
          const write = (bytes: Uint8Array): Promise<void> =>
            appendFile(index, Buffer.alloc(bytes.length, '?'));
          return { ...file, write };
        },
      },
    });
    assert.equal(await store.put(key('x'), value(1), meta()), true);
    assert.equal(isLost, true);
    assert.ok((await DurableStore.open(home.path)).has(key('x')));
  });

  it('lose no line that comes while the index is made anew, though file descriptors run out then', async () => {
    const plain = tapped(() => {});
    const other = await DurableStore.open(home.path);
    let isOut = false;
    const store = await DurableStore.open(home.path, {
      fileSystem: {
        ...plain,
        rename: async (from, to) => {
          const isIndex = to === join(home.path, 'v1/index');
          if (isIndex) assert.equal(await other.put(key('late'), value(1), meta()), true);
          await plain.rename(from, to);
          isOut ||= isIndex;
        },
        open: async (path, use, mode) => {
          if (!isOut || use !== 'append') return plain.open(path, use, mode);
          throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
        },
      },
    });
    await store.gc();
    assert.equal(isOut, true);
    assert.ok((await DurableStore.open(home.path)).has(key('late')));
  });
});
