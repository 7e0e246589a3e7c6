/**
 * What a run leaves and keeps is its user's alone (case 40), whatever the umask is: run folders with
 * their models and journals, kept results, records and logs. Owners of kept results are in
 * `unit/driver/reuse/store`.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

describe('what a run writes', () => {
  let folder: JobFolder;
  const umask = process.umask();
  beforeEach(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(200));
    folder.job();
    process.umask(0);
  });
  afterEach(() => {
    process.umask(umask);
    folder.remove();
  });

  it('nobody else reads or writes, with no umask at all', async () => {
    mkdirSync(folder.file('home'), 0o755);
    const env = { REPRISE_HOME: folder.file('home'), REPRISE_STORE: '' };
    const run = (...args: string[]) => reprise(args, { cwd: folder.path, env });
    const { code, stderr } = await run('run', 'job.yaml', '--engine', 'local');
    assert.equal(code, 0, stderr);
    assert.equal((await run('runs', 'tag', 'latest', 'kept')).code, 0);
    assert.equal((await run('report', 'latest')).code, 0);
    const [id = ''] = folder.runs();
    assert.deepEqual(readdirSync(folder.path).toSorted(), ['.reprise', 'data.csv', 'home', 'job.yaml', 'runs']); // biome-ignore format: a list
    for (const own of [join('runs', id), '.reprise']) {
      assert.equal(statSync(folder.file(own)).mode & 0o777, 0o700, own);
      const names = readdirSync(folder.file(own), { recursive: true }) as string[];
      assert.ok(names.length > 5, own);
      assert.deepEqual(
        names.filter((name) => isOfOthers(folder.file(join(own, name)))),
        [],
      );
    }
    // Programs are among what set-up brings: read by all, written by none.
    const kept = readdirSync(folder.file('home'), { recursive: true }) as string[];
    const modes = kept.map((name) => statSync(folder.file(join('home', name))).mode & 0o022);
    assert.deepEqual(
      modes.filter((mode) => mode !== 0),
      [],
      kept.join(),
    );
  });
});

const isOfOthers = (path: string): boolean => (statSync(path).mode & 0o077) !== 0;
