/**
 * Pipes, links, devices and folders in the place of a store's files and folders: never waited for,
 * never followed, and nothing is removed behind one. Each is put in place of something that was
 * good; reading, writing, `gc`, `verify` and `clear` then end.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';
import { entryPath, key, listening, meta, temporaryFolder, value } from '../support/store-files.js';

/** What stands in place of a file or a folder of the store. */
const ODD: Readonly<Record<string, (path: string, behind: string) => void>> = {
  pipe: (path) => execFileSync('mkfifo', [path]),
  'link to the like': (path, behind) => symlinkSync(behind, path),
  'link to nothing': (path) => symlinkSync('/nowhere/at/all', path),
  folder: (path) => mkdirSync(path),
  file: (path) => writeFileSync(path, 'text'),
};

const PLACES: Readonly<Record<string, (store: string) => string>> = {
  entry: (store) => entryPath(store, key('x')),
  'entry folder': (store) => dirname(entryPath(store, key('x'))),
  index: (store) => join(store, 'v1/index'),
  lease: (store) => join(store, 'v1/leases', key('y')),
  'holder of a lease': (store) => join(store, 'v1/leases', key('y'), 'holder'),
  'temporary file': (store) => join(store, 'v1/tmp/left'),
  'damaged file': (store) => join(store, `v1/quarantine/${key('x')}.1`),
  'hints of an input': (store) =>
    join(store, 'v1/siblings', key('input').slice(0, 2), key('input')),
  'folder of hints': (store) => join(store, 'v1/siblings', key('input').slice(0, 2)),
  objects: (store) => join(store, 'v1/objects'),
  tmp: (store) => join(store, 'v1/tmp'),
  quarantine: (store) => join(store, 'v1/quarantine'),
  leases: (store) => join(store, 'v1/leases'),
  siblings: (store) => join(store, 'v1/siblings'),
  'whole store': (store) => join(store, 'v1'),
};

describe('odd files in the durable store', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let template: string;
  before(async () => {
    home = await temporaryFolder();
    template = join(home.path, 'template');
    const store = await DurableStore.open(template);
    await store.put(key('x'), value(1), meta());
    await store.put(key('z'), value(2), meta());
    await store.noteSibling(key('input'), { key: key('x'), text: 'a hint' });
  });
  after(() => home.remove());

  for (const [kind, put] of Object.entries(ODD)) {
    it(`are left alone, each of them a ${kind}`, async () => {
      for (const [place, pathOf] of Object.entries(PLACES)) {
        const folder = join(home.path, 'store');
        const behind = join(home.path, 'behind');
        cpSync(template, folder, { recursive: true });
        const path = pathOf(folder);
        mkdirSync(dirname(path), { recursive: true });
        if (existsSync(path)) renameSync(path, behind);
        else {
          mkdirSync(join(behind, 'inner'), { recursive: true });
          writeFileSync(join(behind, 'file'), 'precious');
          writeFileSync(join(behind, key('x')), 'precious');
        }
        const before = contents(behind);
        put(path, behind);
        const { options, warnings } = listening({ leaseMs: 100 });
        const store = await DurableStore.open(folder, options);
        const found = await store.get(key('x'));
        if (found !== undefined) assert.deepEqual(found.value, value(1), place);
        const lease = await store.lease(key('y'));
        await store.put(key('y'), value(3), meta(), typeof lease === 'object' ? lease : undefined);
        if (typeof lease === 'object') await lease.release();
        await store.put(key('x'), value(1), meta());
        await store.siblings(key('input'));
        await store.noteSibling(key('input'), { key: key('z'), text: 'another' });
        for (const task of ['gc', 'verify', 'clear'] as const) {
          await store[task]().catch((error: Error) => {
            assert.match(error.message, /^store (gc|verify|clear): expected /, place);
          });
        }
        assert.deepEqual(contents(behind), before, `${place}: ${warnings.join('\n')}`);
        rmSync(folder, { recursive: true });
        rmSync(behind, { recursive: true });
      }
    }).timeout(60_000);
  }

  it('take the place of no result: it is computed and stored again', async () => {
    const folder = join(home.path, 'store');
    cpSync(template, folder, { recursive: true });
    const path = entryPath(folder, key('x'));
    rmSync(path);
    execFileSync('mkfifo', [path]);
    const { options, warnings } = listening();
    const store = await DurableStore.open(folder, options);
    assert.equal(await store.get(key('x')), undefined);
    assert.match(warnings.join(), /is no file; it was not opened/);
    assert.equal(await store.put(key('x'), value(1), meta()), true);
    assert.deepEqual((await store.get(key('x')))?.value, value(1));
    rmSync(folder, { recursive: true });
  });

  it('are its own folders too wide, which are narrowed, and those of others, which are not used', async () => {
    const folder = join(home.path, 'store');
    cpSync(template, folder, { recursive: true });
    const objects = join(folder, 'v1/objects');
    chmodSync(objects, 0o777);
    await DurableStore.open(folder);
    assert.equal(statSync(objects).mode & 0o777, 0o700);
    if (process.getuid?.() === 0) {
      chownSync(objects, 4242, 4242);
      const store = await DurableStore.open(folder);
      assert.match(store.disabledReason ?? '', /objects belongs to another user \(4242\)/);
      assert.equal(await store.put(key('new'), value(1), meta()), false);
    }
    rmSync(folder, { recursive: true });
  });

  it('stop no run, nor do they in the folder of settings', async () => {
    const job = new JobFolder();
    try {
      job.write('data.csv', linearCsv(50));
      mkdirSync(job.file('home/store/v1'), { recursive: true });
      for (const name of ['identity.json', 'costs.json', 'layouts.json', 'store/v1/index']) {
        execFileSync('mkfifo', [job.file(`home/${name}`)]);
      }
      const env = { REPRISE_HOME: job.file('home'), REPRISE_STORE: 'on', REPRISE_BLAS: 'none' };
      const run = () => reprise(['run', job.job(), '--engine', 'local'], { cwd: job.path, env });
      const [first, second] = [await run(), await run()];
      assert.equal(first.code, 0, first.stderr);
      assert.match(second.stdout, /0 passes/);
      execFileSync('mkfifo', [job.file('pipe.csv')]);
      const path = job.job({ data: { path: 'pipe.csv', target: 'y' } });
      const piped = await reprise(['run', path, '--engine', 'local'], { cwd: job.path, env });
      assert.equal(piped.code, 3, piped.stderr);
      assert.match(piped.stderr, /pipe\.csv to be a file/);
    } finally {
      job.remove();
    }
  }).timeout(60_000);
});

/** Names under a folder with what is in the files; a file by itself. */
function contents(path: string): readonly string[] {
  const found = [path];
  try {
    found.push(...readdirSync(path, { recursive: true }).map((name) => join(path, String(name))));
  } catch {
    // A file.
  }
  return found.sort().map((name) => {
    try {
      return `${name}: ${readFileSync(name, 'latin1')}`;
    } catch {
      return name;
    }
  });
}
