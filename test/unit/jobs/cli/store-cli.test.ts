/** `reprise cache` on stores made for it: what people read, what programs read, exit codes. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { appendFile, chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DurableStore } from '../../../../driver/reuse/store/durable-store.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { type CliResult, cliPath, reprise } from '../../../support/cli.js';
import { runRecord } from '../../../support/run-records.js';
import {
  entryPath,
  filesIn,
  key,
  meta,
  temporaryFolder,
  value,
} from '../../../support/store-files.js';

describe('reprise cache', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let folder: string;
  const cache = (...args: string[]): Promise<CliResult> =>
    reprise(['cache', ...args], { cwd: home.path, env: { REPRISE_STORE: '' } });
  beforeEach(async () => {
    home = await temporaryFolder();
    folder = join(realpathSync(home.path), '.reprise/store');
  });
  afterEach(() => home.remove());

  async function fill(): Promise<DurableStore> {
    const store = await DurableStore.open(folder);
    await store.put(key(1), value(1), { ...meta(2), op: 'tsmm' });
    await store.put(key(2), value(2, 30, 20), { ...meta(0.5), op: 'groupGram' });
    await store.put(key(3), { kind: 'json', json: [1, 2] }, { ...meta(1), op: 'memo' });
    return store;
  }

  it('says why a result is kept, what goes before it, and which key it can not find', async () => {
    await fill();
    const { stdout, code } = await cache('why', key(1).slice(0, 8));
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^${key(1)} tsmm, `));
    assert.match(stdout, /: 2 of 3 results go before it/);
    const plain = JSON.parse((await cache('why', key(3), '--json')).stdout);
    assert.deepEqual([plain.key, plain.op, plain.isStored], [key(3), 'memo', true]);
    const unknown = await cache('why', 'zzzz');
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /got "zzzz", which fits 0/);
    assert.equal((await cache('why', 'latest', 'gram')).code, 3, 'there is no such run');
  }).timeout(30_000);

  it('says that nothing is kept, and makes no folder', async () => {
    for (const command of ['ls', 'stats', 'gc', 'verify', 'clear']) {
      const { code, stdout } = await cache(command);
      assert.deepEqual([code, stdout], [0, `nothing is kept in ${folder}\n`]);
    }
    assert.equal(existsSync(folder), false);
    const elsewhere = join(home.path, 'elsewhere');
    const { stdout } = await cache('ls', '--json', '--store', elsewhere);
    assert.deepEqual(JSON.parse(stdout), {
      folder: elsewhere,
      count: 0,
      bytes: 0,
      seconds: 0,
      entries: [],
    });
  }).timeout(30_000);

  it('gives programs the same fields whether something is kept or not', async () => {
    const fields = async (command: string, store: string): Promise<string[]> => {
      const args = command === 'clear' ? ['--yes'] : [];
      const { stdout } = await cache(command, '--json', '--store', store, ...args);
      return Object.keys(JSON.parse(stdout));
    };
    await fill();
    for (const command of ['ls', 'stats', 'gc', 'verify', 'clear']) {
      const empty = await fields(command, join(home.path, 'none'));
      assert.deepEqual(empty, await fields(command, folder), command);
    }
    const { code, stderr } = await cache('why', '0123', '--store', join(home.path, 'none'));
    assert.deepEqual([code, /which fits 0; /.test(stderr)], [3, true]);
  }).timeout(60_000);

  it('takes no file for a store', async () => {
    const file = join(home.path, 'file');
    await writeFile(file, '');
    for (const [args, got] of [
      [['--store', file], `--store: expected a folder, got a file at ${file}`],
      [['--store', join(file, 'below')], `--store: expected a folder, got a file at ${file}/below`],
      [['--store', ''], '--store: expected a folder, got an empty name'],
    ] as const) {
      const { code, stderr } = await cache('clear', '--yes', ...args);
      assert.deepEqual([code, stderr], [3, `error: ${got}\n`]);
    }
    const { code, stdout } = await reprise(['doctor', '--json'], { env: { REPRISE_STORE: file } });
    const { findings } = JSON.parse(stdout);
    const store = findings.find(({ name }: { name: string }) => name === 'store');
    assert.equal(store.status, 'degraded');
    assert.equal(store.found, `${file}: results are not kept: ENOTDIR`);
    assert.match(store.remedy, /set REPRISE_STORE to a folder/);
    assert.ok(code === 0 || code === 1);
  }).timeout(60_000);

  it('does not take a store it may not read for an empty one', async function () {
    const store = await fill();
    await chmod(home.path, 0o700);
    // Root reads everything, so somebody else has to ask.
    if (process.getuid?.() !== 0) return this.skip();
    for (const command of ['ls', 'stats', 'verify', 'clear']) {
      const args = [cliPath, 'cache', command, '--store', folder];
      const nobody = { uid: 65_534, gid: 65_534, cwd: '/', encoding: 'utf8' } as const;
      const { status, stdout, stderr } = spawnSync(process.execPath, args, nobody);
      if (status === null || stderr.includes('Cannot find module')) return this.skip();
      assert.deepEqual([status, stdout], [1, ''], stderr);
      assert.match(
        stderr,
        /^error: cache: expected a folder that this user can read, got EACCES at /,
      );
    }
    assert.equal((await store.entries()).length, 3);
    return undefined;
  }).timeout(60_000);

  it('keeps to the limits of the environment, and refuses what is none', async () => {
    await fill();
    const gc = (name: string, value: string): Promise<CliResult> =>
      reprise(['cache', 'gc', '--json', '--store', folder], {
        env: { REPRISE_HOME: home.path, [name]: value },
      });
    for (const [name, value] of [
      ['REPRISE_STORE_BYTES', '5 miles'],
      ['REPRISE_STORE_BYTES', '1.2.3GiB'],
      ['REPRISE_STORE_RESULTS', '-1'],
      ['REPRISE_STORE_DAYS', 'soon'],
    ] as const) {
      const { code, stderr } = await gc(name, value);
      assert.equal(code, 3);
      assert.match(stderr, new RegExp(`^error: ${name}: expected .*, got "${value}"\n$`));
    }
    assert.equal(JSON.parse((await gc('REPRISE_STORE_DAYS', '1.5')).stdout).count, 0);
    assert.equal(JSON.parse((await gc('REPRISE_STORE_BYTES', '1MiB')).stdout).count, 0);
    const byCount = JSON.parse((await gc('REPRISE_STORE_RESULTS', '2')).stdout);
    assert.deepEqual([byCount.count, byCount.entries[0].op], [1, 'groupGram']);
    const byBytes = JSON.parse((await gc('REPRISE_STORE_BYTES', '0.5KiB')).stdout);
    assert.deepEqual([byBytes.count, byBytes.left], [1, 1]);
  }).timeout(60_000);

  it('says what each tier held when a run ended', async () => {
    const cached = {
      policy: 'costSize',
      tiers: [
        { tier: 'memory', entries: 1200, bytes: 4096, budgetBytes: 2 ** 31 },
        { tier: 'spark', entries: 2, bytes: 2048, budgetBytes: null },
      ],
      evicted: 3,
      spilled: 2,
      restored: 1,
    };
    const output = join(home.path, 'runs');
    const run = await writeRun(runRecord({ cache: cached }), {
      output,
      renderReport: () => '',
    });
    const { code, stdout } = await cache('stats', 'latest', '--output', output);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^tier +results +size +limit\nmemory +1,200 +4.0 KiB +2.0 GiB\nspark +2 +2.0 KiB +none\n/,
    );
    assert.match(stdout, /3 evicted, 2 went to disk, 1 came back; policy costSize, in run /);
    const json = JSON.parse((await cache('stats', run, '--json')).stdout);
    assert.deepEqual(json.tiers, cached.tiers);
    assert.equal((await cache('stats', 'none', '--output', output)).code, 3);
  }).timeout(60_000);

  it('lists results as a table, and as JSON', async () => {
    await fill();
    const { code, stdout, stderr } = await cache('ls');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^key +operator +shape +size +took +used\n/);
    assert.match(stdout, new RegExp(`${key(2).slice(0, 12)} +groupGram +30x20 +4\\.9 KiB +500 ms`));
    assert.match(stdout, /memo +json/);
    assert.match(stdout, /\n\n3 results, [\d.]+ KiB, 3\.5 s of work in /);
    const { entries, count, seconds } = JSON.parse((await cache('ls', '--json')).stdout);
    assert.deepEqual([count, seconds, entries.length], [3, 3.5, 3]);
    const gram = entries.find((entry: { op: string }) => entry.op === 'groupGram');
    assert.equal(gram.key, key(2));
    assert.deepEqual([gram.rows, gram.cols, gram.createdAt], [30, 20, meta().createdAt]);
  }).timeout(30_000);

  it('sums up by operator', async () => {
    await fill();
    const { stdout } = await cache('stats');
    assert.match(stdout, /^operator +results +size +took\ngroupGram +1 /);
    const json = JSON.parse((await cache('stats', '--json', '--store', folder)).stdout);
    assert.deepEqual(
      json.operators.map(({ op, count }: { op: string; count: number }) => [op, count]),
      [
        ['groupGram', 1],
        ['tsmm', 1],
        ['memo', 1],
      ],
    );
  }).timeout(30_000);

  it('drops with gc only what it must, and with --dry-run nothing', async () => {
    await fill();
    await mkdir(join(folder, 'v1/objects/zz'), { recursive: true });
    const dry = await cache('gc', '--dry-run');
    assert.deepEqual(
      [dry.code, dry.stdout],
      [0, 'would drop 0 results, 0 B, 0 s of work; 3 stay\n'],
    );
    const { left, count } = JSON.parse((await cache('gc', '--json')).stdout);
    assert.deepEqual([left, count], [3, 0]);
  }).timeout(30_000);

  it('puts damaged results aside with verify, and exits 7 when it can not', async function () {
    await fill();
    assert.equal((await cache('verify')).stdout, '3 good\n');
    await appendFile(entryPath(folder, key(1)), '!');
    const found = await cache('verify');
    assert.equal(found.code, 0);
    assert.match(found.stdout, new RegExp(`^2 good\n1 damaged, put aside.*:\n  ${key(1)}\n$`));
    assert.match(found.stderr, /warning: store .* is damaged \(payload of another size\)/);
    assert.match((await cache('stats')).stdout, /1 damaged files put aside/);
    await appendFile(entryPath(folder, key(2)), '!');
    const shard = join(folder, 'v1/objects', key(2).slice(0, 2));
    if (!freeze(shard, true)) return this.skip();
    try {
      const stuck = await cache('verify', '--json');
      assert.equal(stuck.code, 7);
      assert.deepEqual(JSON.parse(stuck.stdout).stuck, [key(2)]);
    } finally {
      freeze(shard, false);
    }
    return undefined;
  }).timeout(30_000);

  it('clears only when told so', async () => {
    await fill();
    const refused = await cache('clear');
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /expected --yes or a yes to drop 3 results, .* nothing was dropped/,
    );
    assert.equal((await filesIn(folder, 'objects')).length, 3);
    const { code, stdout } = await cache('clear', '--yes');
    assert.deepEqual([code, stdout], [0, `dropped 3 results from ${folder}\n`]);
    assert.deepEqual(await filesIn(folder, 'objects'), []);
    assert.deepEqual(await readdir(home.path), ['.reprise']);
  }).timeout(30_000);

  it('exits 2 for a command it does not have', async () => {
    assert.equal((await cache('list')).code, 2);
    assert.equal((await cache()).code, 2);
  }).timeout(30_000);
});

/** Keeps a folder from changes, by root too where the file system can; false if it can't. */
function freeze(path: string, isFrozen: boolean): boolean {
  try {
    if (process.getuid?.() === 0) execFileSync('chattr', [isFrozen ? '+i' : '-i', path]);
    else execFileSync('chmod', [isFrozen ? '500' : '700', path]);
    return true;
  } catch {
    return false;
  }
}
