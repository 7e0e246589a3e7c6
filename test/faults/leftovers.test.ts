/** What killed runs leave behind is swept by later ones, and nothing of a living process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import {
  markUsed,
  SCRATCH,
  sweepLeftovers,
  sweepOld,
  WRITING,
} from '../../driver/support/leftovers.js';
import { packageRoot } from '../../driver/support/package-root.js';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

const module = JSON.stringify(join(packageRoot(), 'dist/driver/support/leftovers.js'));
const PREFIXES = [...Object.values(SCRATCH), WRITING, '.removed-', '.build-', '.spark-'];

describe('leftovers of killed processes', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    mkdirSync(folder.file('tmp'));
    mkdirSync(folder.file('home'));
  });
  afterEach(() => folder.remove());

  /** A process that has made one of each and runs on. */
  const maker = async (...places: string[]) => {
    const script = `
      const { makeOwnFolder } = await import(${module});
      const { writeFileSync } = await import('node:fs');
      for (const place of ${JSON.stringify(places)}) for (const prefix of ${JSON.stringify(PREFIXES)}) {
        writeFileSync(await makeOwnFolder(place, prefix) + '/cells', 'x');
      }
      console.log('made');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    return child;
  };

  it('go once their process is gone, and not before', async () => {
    const place = folder.file('tmp');
    const child = await maker(place);
    mkdirSync(join(place, 'reprise-spark-of-nobody'));
    await sweepLeftovers(place, PREFIXES);
    assert.equal(readdirSync(place).length, PREFIXES.length + 1);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await sweepLeftovers(place, PREFIXES);
    assert.deepEqual(readdirSync(place), ['reprise-spark-of-nobody']);
  });

  it('are removed and not followed where one is a link', async () => {
    const place = folder.file('tmp');
    const child = await maker(place);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [name = ''] = readdirSync(place).filter((each) => each.startsWith(SCRATCH.spill));
    await sweepLeftovers(place, PREFIXES);
    folder.write('kept', 'kept');
    symlinkSync(folder.path, join(place, name));
    await sweepLeftovers(place, PREFIXES);
    assert.deepEqual(readdirSync(place), []);
    assert.ok(existsSync(folder.file('kept')));
  });

  it('are swept by the next run: its temporary folder and its home', async () => {
    const child = await maker(folder.file('tmp'), folder.file('home'));
    child.kill('SIGKILL');
    await once(child, 'exit');
    folder.write('data.csv', linearCsv(50));
    const { code, stderr } = await reprise(['run', folder.job(), '--engine', 'local'], {
      cwd: folder.path,
      env: { TMPDIR: folder.file('tmp'), REPRISE_HOME: folder.file('home'), REPRISE_BLAS: 'none' },
    });
    assert.equal(code, 0, stderr);
    const scratch = Object.values(SCRATCH);
    const inTmp = readdirSync(folder.file('tmp'));
    assert.ok(!inTmp.some((name) => scratch.some((prefix) => name.startsWith(prefix))));
    assert.ok(!readdirSync(folder.file('home')).some((name) => name.startsWith(WRITING)));
  }).timeout(60_000);

  it('go by age where they are jars and logs, the newest excepted', async () => {
    const month = Math.round(Date.now() / 1000) - 40 * 86_400;
    for (const [i, name] of ['a.jar', 'b.jar', 'c.jar'].entries()) {
      folder.write(`home/${name}`, 'x');
      utimesSync(folder.file(`home/${name}`), month + i, month + i);
    }
    folder.write('home/d.jar', 'x');
    // Dates of jars are part of what a JVM's archived classes are for.
    await markUsed(folder.file('home/a.jar'));
    assert.equal(statSync(folder.file('home/a.jar')).mtimeMs, month * 1000);
    const isJar = (name: string): boolean => name.endsWith('.jar');
    await sweepOld(folder.file('home'), isJar, { days: 30, newest: 2 });
    assert.deepEqual(readdirSync(folder.file('home')).sort(), ['a.jar', 'd.jar']);
  });
});
