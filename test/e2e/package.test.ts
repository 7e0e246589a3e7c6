/** The package as published: unpacked beside its dependencies alone, it runs its examples. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import { JobFolder } from '../support/job-folder.js';

describe('the package', () => {
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
    const root = packageRoot();
    const modules = folder.file('node_modules');
    mkdirSync(modules);
    // Set-up made it; made again, it would change under the commands of tests beside this one.
    if (!hasFreshBundle(root)) execFileSync('npm', ['run', '--silent', 'bundle'], { cwd: root });
    const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder.path];
    const name = execFileSync('npm', pack, { cwd: root, encoding: 'utf8' }).trim();
    execFileSync('tar', ['-xzf', folder.file(name), '-C', folder.path]);
    renameSync(folder.file('package'), join(modules, 'reprise'));
    // It runs from its bundle.
    rmSync(folder.file('node_modules/reprise/dist/jobs/cli/command.js'));
    const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const one of readdirSync(join(root, 'node_modules'))) {
      if (one in devDependencies || one === '.bin') continue;
      symlinkSync(join(root, 'node_modules', one), join(modules, one));
    }
  });
  after(() => folder.remove());

  const examples = 'node_modules/reprise/examples';
  const answer = (command: string, job: string, ...overrides: readonly string[]) => {
    const bin = 'node_modules/reprise/dist/jobs/cli/main.js';
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [bin, command, `${examples}/${job}`, ...overrides, '--engine', 'local', '--json'],
      { cwd: folder.path, encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };

  it('runs its first job, without what only its developers have', () => {
    const { trials, folds, best } = answer('run', 'first-job.yaml');
    assert.deepEqual([trials, folds, best.metric], [20, 5, 'neg_mean_squared_error']);
    const readme = readFileSync(folder.file('node_modules/reprise/README.md'), 'utf8');
    assert.ok(readme.includes(`reprise run ${examples}/first-job.yaml`), 'and the README says so');
  });

  it('runs every other example as it is written, bringing their data', () => {
    const all = readdirSync(folder.file(examples)).filter((file) => file.endsWith('.yaml'));
    assert.deepEqual(all, [
      'airports.yaml',
      'cleaning.yaml',
      'delay-classes.yaml',
      'first-job.yaml',
      'flights.yaml',
      'glosses.yaml',
      'late-flights.yaml',
      'late-network.yaml',
      'late-svm.yaml',
      'loans.yaml',
      'nightly-flights.yaml',
      'nightly.yaml',
      'transfer.yaml',
      'weather.yaml',
    ]);
    const nightly = answer('run', 'nightly.yaml');
    assert.deepEqual([nightly.state, nightly.steps.length], ['finished', 7]);
    assert.equal(answer('run', 'airports.yaml').trials, 7);
    assert.equal(answer('run', 'weather.yaml').best.metric, 'neg_log_loss');
    assert.equal(answer('plan', 'flights.yaml').rows, 3_000_000);
    assert.equal(answer('plan', 'glosses.yaml').rows, 21_810);
    for (const job of [
      'late-flights.yaml',
      'late-network.yaml',
      'late-svm.yaml',
      'delay-classes.yaml',
    ]) {
      assert.equal(answer('plan', job).rows, 10_000);
    }
    // Its data are in no npm package: it says how to bring them, and takes a table of their columns.
    writeFileSync(folder.file(`${examples}/flights.csv`), newYork(400));
    assert.equal(answer('run', 'cleaning.yaml').trials, 96);
    const loans = readFileSync(folder.file(`${examples}/loans.yaml`), 'utf8');
    const columns = [...loans.matchAll(/\{ name: (\w+), encode/g)].map(([, name]) => name);
    const rows = Array.from({ length: 40 }, (_, i) => columns.map((_, j) => (i * (j + 3)) % 11));
    writeFileSync(folder.file('loans.csv'), [columns, ...rows].map((row) => row.join()).join('\n'));
    assert.equal(answer('plan', 'loans.yaml', `data.path=${folder.file('loans.csv')}`).rows, 40);
    assert.equal(answer('plan', 'transfer.yaml').steps.length, 2);
  });

  it('fills back nights of its example with a schedule, in a folder of their own', () => {
    cpSync(folder.file(examples), folder.file('nights'), { recursive: true });
    const bin = 'node_modules/reprise/dist/jobs/cli/main.js';
    const range = ['--from', '2026-03-08', '--to', '2026-03-09', '--engine', 'local', '--json'];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [bin, 'backfill', 'nights/nightly-flights.yaml', ...range],
      { cwd: folder.path, encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
    const times = JSON.parse(stdout) as { time: string; state: string }[];
    // The clocks are put forward at two that night.
    assert.deepEqual(
      times.map(({ time, state }) => [time, state]),
      [
        ['2026-03-08T03:00:00-04:00', 'done'],
        ['2026-03-09T02:30:00-04:00', 'done'],
      ],
    );
    assert.equal(readdirSync(folder.file('nights/nightly-flights')).length, 2);
  });
}).timeout(120_000);

/** A table of the columns that the example of cleaning reads. */
function newYork(rows: number): string {
  const columns = 'dep_delay,sched_dep_time,sched_arr_time,dep_time,air_time,distance,hour,minute,month,day,arr_delay'; // biome-ignore format: a list
  const lines = Array.from({ length: rows }, (_, i) => {
    const cells = columns.split(',').map((_, j) => Math.round(500 * (1 + Math.sin(i * (j + 1.7)))));
    return cells.map((cell, j) => (i % 19 === j ? 'NA' : cell)).join(',');
  });
  return [columns, ...lines].join('\n');
}

/** Whether nothing was compiled after the bundle. */
function hasFreshBundle(root: string): boolean {
  const madeMs = (path: string): number =>
    statSync(join(root, 'dist', path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const parts = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.tsbuildinfo'));
  return parts.length > 0 && parts.every((part) => madeMs(part) <= madeMs('bundle/command.cjs'));
}
