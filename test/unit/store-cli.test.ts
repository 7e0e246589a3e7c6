/** `reprise cache` on stores made for it: what people read, what programs read, exit codes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { type CliResult, reprise } from '../support/cli.js';
import { entryPath, filesIn, key, meta, temporaryFolder, value } from '../support/store-files.js';

describe('reprise cache', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let folder: string;
  const cache = (...args: string[]): Promise<CliResult> =>
    reprise(['cache', ...args], { env: { REPRISE_HOME: home.path, REPRISE_STORE: '' } });
  beforeEach(async () => {
    home = await temporaryFolder();
    folder = join(home.path, 'store');
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
    assert.deepEqual(JSON.parse(stdout), { folder: elsewhere, entries: [], count: 0, bytes: 0 });
  }).timeout(30_000);

  it('lists results as a table, and as JSON', async () => {
    await fill();
    const { code, stdout, stderr } = await cache('ls');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^key +operator +shape +size +took +used\n/);
    assert.match(
      stdout,
      new RegExp(`${key(2).slice(0, 12)} +groupGram +30x20 +4\\.9 KiB +0\\.50 s`),
    );
    assert.match(stdout, /memo +json/);
    assert.match(stdout, /\n\n3 results, [\d.]+ KiB, 3\.50 s of work in /);
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
      [0, 'would drop 0 results, 0 B, 0.00 s of work; 3 stay\n'],
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
    assert.deepEqual(await readdir(home.path), ['store']);
  }).timeout(30_000);

  it('exits 2 for a command it does not have', async () => {
    assert.equal((await cache('list')).code, 2);
    assert.equal((await cache()).code, 2);
  }).timeout(30_000);
});

/** Keeps a folder from being changed, by root too where the file system can; false where it can't. */
function freeze(path: string, isFrozen: boolean): boolean {
  try {
    if (process.getuid?.() === 0) execFileSync('chattr', [isFrozen ? '+i' : '-i', path]);
    else execFileSync('chmod', [isFrozen ? '500' : '700', path]);
    return true;
  } catch {
    return false;
  }
}
