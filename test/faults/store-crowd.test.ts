/** Processes that start a job together on one durable store pass the data about once in all. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../driver/support/package-root.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

const SCRIPT = join(packageRoot(), 'dist/test/support/job-process.js');
const PROCESSES = 24;

interface Counts {
  readonly passes: number;
  readonly scans: number;
  readonly scores: readonly object[];
}

class JobProcess {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(store: string) {
    this.child = spawn(process.execPath, [SCRIPT], {
      env: { ...process.env, REPRISE_STORE: store },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('expected a line, got the end');
    return value;
  }

  async run(job: string): Promise<Counts> {
    this.child.stdin!.write(`${job}\n`);
    return JSON.parse(await this.line()) as Counts;
  }
}

describe(`${PROCESSES} processes that start together`, () => {
  const folder = new JobFolder();
  const crowd: JobProcess[] = [];
  const sum = (all: readonly Counts[], field: 'passes' | 'scans'): number =>
    all.reduce((total, counts) => total + counts[field], 0);

  before(async function () {
    this.timeout(120_000);
    for (let i = 0; i < PROCESSES; i++) crowd.push(new JobProcess(folder.file('store')));
    await Promise.all(crowd.map((each) => each.line()));
  });
  after(() => {
    for (const { child } of crowd) child.kill('SIGKILL');
    folder.remove();
  });

  it('pass over the data as often as one alone, and find the same', async () => {
    folder.write('data.csv', linearCsv(20_000));
    const job = folder.job({ scoring: ['r2', 'neg_mean_absolute_error'] });
    const all = await Promise.all(crowd.map((each) => each.run(job)));
    assert.equal(sum(all, 'passes'), 2);
    assert.ok(all.some(({ scans }) => sum(all, 'scans') === scans));
    for (const { scores } of all) assert.deepEqual(scores, all[0]!.scores);
  }).timeout(120_000);

  it('do so over many files, each kept for itself', async () => {
    mkdirSync(folder.file('days'));
    for (let day = 10; day < 22; day++) folder.write(`days/${day}.csv`, linearCsv(300, day));
    const job = folder.job({ data: { path: 'days', target: 'y' }, scoring: ['r2'] });
    const all = await Promise.all(crowd.map((each) => each.run(job)));
    assert.equal(sum(all, 'passes'), 1);
  }).timeout(120_000);

  it('go on when the one that computes is killed', async () => {
    folder.write('data.csv', linearCsv(200_000));
    const job = folder.job({ scoring: ['neg_mean_absolute_error'] });
    const [holder, ...others] = crowd.slice(0, 6);
    const lost = holder!.run(job).catch(() => undefined);
    await sleep(150);
    const runs = others.map((each) => each.run(job));
    holder!.child.kill('SIGKILL');
    await lost;
    assert.equal(sum(await Promise.all(runs), 'passes'), 2);
  }).timeout(120_000);
});
