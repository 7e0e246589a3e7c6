/**
 * The durable store on disks that are really full and really read-only: runs end well, and what
 * takes away works where nothing can be written. File systems are mounted for it, so it needs root;
 * what any user can run comes first.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { reprise } from '../support/cli.js';
import {
  failure,
  filesIn,
  key,
  listening,
  meta,
  tapped,
  temporaryFolder,
  value,
} from '../support/store-files.js';

/** Calls that need room on the disk; taking away needs none. */
const NEEDS_ROOM = new Set(['create', 'append', 'write', 'makeFolder', 'rename']);

describe('the durable store on a full disk', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeEach(async () => {
    home = await temporaryFolder();
  });
  afterEach(() => home.remove());

  /** A disk without room until a file was taken away. */
  function fullDisk(): ReturnType<typeof tapped> {
    let isFull = true;
    return tapped((name) => {
      if (name === 'remove') isFull = false;
      if (isFull && NEEDS_ROOM.has(name)) throw failure('ENOSPC');
    });
  }

  async function fill(count = 6): Promise<void> {
    const store = await DurableStore.open(home.path);
    for (let i = 0; i < count; i++) await store.put(key(i), value(i), meta(i + 1));
  }

  for (const isIndexed of [true, false]) {
    it(`is cleared, ${isIndexed ? 'with' : 'without'} an index`, async () => {
      await fill();
      if (!isIndexed) rmSync(join(home.path, 'v1/index'));
      const { options } = listening({ fileSystem: fullDisk() });
      const store = await DurableStore.open(home.path, options);
      assert.equal(await store.clear(), 6);
      assert.deepEqual(await filesIn(home.path, 'objects'), []);
      assert.deepEqual(await store.entries(), []);
      const next = await DurableStore.open(home.path);
      assert.equal(await next.put(key('next'), value(1), meta()), true);
      assert.equal((await next.entries()).length, 1);
    });
  }

  it('is brought within its limits, the cheapest loss first', async () => {
    await fill();
    const { options } = listening({ fileSystem: fullDisk(), maxEntries: 4 });
    const store = await DurableStore.open(home.path, options);
    const gone = (await store.gc()).map(({ header }) => header.key);
    assert.deepEqual(gone.sort(), [key(0), key(1)].sort());
    assert.equal((await filesIn(home.path, 'objects')).length, 4);
    assert.ok(await store.get(key(5)));
  });

  it('says what would help when nothing is over the limits', async () => {
    await fill();
    const store = await DurableStore.open(home.path, { fileSystem: fullDisk() });
    await assert.rejects(store.gc(), /expected room on the disk of .*, got ENOSPC; free some, or/);
    assert.equal((await store.entries()).length, 6);
  });

  it('says what each file holds that it could list, without an index', async () => {
    await fill(2);
    rmSync(join(home.path, 'v1/index'));
    const { options } = listening({ fileSystem: fullDisk() });
    const store = await DurableStore.open(home.path, options);
    const entries = await store.entries();
    assert.deepEqual(entries.map(({ header }) => header.seconds).sort(), [1, 2]);
    assert.ok(entries.every(({ header, bytes }) => header.rows === 6 && bytes > 192));
  });
});

describe('a run whose store is on a disk that', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let mounted: string | undefined;
  beforeEach(async () => {
    home = await temporaryFolder();
    const rows = Array.from({ length: 2000 }, (_, i) => `${Math.sin(i)},${Math.cos(i * 7)}`);
    writeFileSync(join(home.path, 'data.csv'), ['a,y', ...rows].join('\n'));
    writeFileSync(
      join(home.path, 'job.yaml'),
      `kind: grid-search
data: {path: data.csv, target: y, features: [a]}
model: {type: ridge}
search: {grid: {lambda: [0.1, 1]}}
cv: {folds: 3, shuffle: true, seed: 3}
scoring: r2
`,
    );
  });
  afterEach(async () => {
    if (mounted !== undefined) execFileSync('umount', [mounted]);
    mounted = undefined;
    await home.remove();
  });

  /** False where this user may not mount. */
  function mount(...args: string[]): boolean {
    const place = join(home.path, 'disk');
    mkdirSync(place, { recursive: true });
    try {
      execFileSync('mount', [...args, place], { stdio: 'ignore' });
      mounted = place;
    } catch {
      return false;
    }
    return true;
  }

  async function run(store: string) {
    const env = { REPRISE_HOME: join(home.path, 'home'), REPRISE_STORE: store };
    const output = join(home.path, 'runs');
    const args = ['run', join(home.path, 'job.yaml'), '--engine', 'local', '--json'];
    const { code, stdout, stderr } = await reprise([...args, '--output', output], { env });
    const warnings = stderr.split('\n').filter((line) => line.startsWith('warning'));
    assert.equal(code, 0, stderr);
    const { best, passes, path } = JSON.parse(stdout);
    const [head = '', ...rows] = readFileSync(join(path, 'results.csv'), 'utf8').split('\n');
    const isScore = head.split(',').map((name) => !name.includes('time'));
    const scores = rows.map((row) => row.split(',').filter((_, i) => isScore[i]));
    return { scores: [best, ...scores], passes, warnings };
  }

  /** What `doctor` says of the store. */
  async function diagnosed(store: string): Promise<string> {
    const env = { REPRISE_HOME: join(home.path, 'home'), REPRISE_STORE: store };
    const { stdout } = await reprise(['doctor', '--json'], { env });
    const { findings } = JSON.parse(stdout);
    return findings.find(({ name }: { name: string }) => name === 'store').found;
  }

  it('is full ends well, with one warning and the same scores', async function () {
    const sound = await run('off');
    if (!mount('-t', 'tmpfs', '-o', 'size=256k', 'tmpfs')) return this.skip();
    // All but a few pages, so that the first writes still go well.
    writeFileSync(join(mounted!, 'filler'), Buffer.alloc(248 * 1024));
    const onFull = await run(join(mounted!, 'store'));
    assert.deepEqual(onFull.scores, sound.scores);
    assert.equal(onFull.warnings.length, 1, onFull.warnings.join('; '));
    assert.match(onFull.warnings[0]!, /results are not kept: ENOSPC$/);
    const store = join(mounted!, 'store');
    assert.equal(await diagnosed(store), `${store}: results are not kept: ENOSPC`);
    const left = await DurableStore.open(join(mounted!, 'store'));
    const { damaged, stuck } = await left.verify();
    assert.deepEqual([damaged, stuck], [[], []]);
    assert.deepEqual(await filesIn(join(mounted!, 'store'), 'tmp'), []);
    return undefined;
  }).timeout(120_000);

  it('is read-only reads all that is there, and writes nothing', async function () {
    const store = join(home.path, 'store');
    const cold = await run(store);
    if (!mount('-t', 'tmpfs', '-o', 'size=4m', 'tmpfs')) return this.skip();
    cpSync(join(store, 'v1'), join(mounted!, 'v1'), { recursive: true });
    execFileSync('mount', ['-o', 'remount,ro', mounted!]);
    const warm = await run(mounted!);
    assert.deepEqual(warm.scores, cold.scores);
    assert.deepEqual([cold.passes, warm.passes], [1, 0]);
    assert.equal(warm.warnings.length, 1, warm.warnings.join('; '));
    assert.match(warm.warnings[0]!, /results are not kept: the folder is read-only$/);
    assert.equal(await diagnosed(mounted!), `${mounted}: results are not kept: EROFS`);
    assert.equal(await diagnosed(store), store);
    return undefined;
  }).timeout(120_000);
});
