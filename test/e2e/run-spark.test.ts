/** `reprise run --engine spark` on real embedded Spark: equal answers, and nothing left running. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reprise } from '../support/cli.js';
import { duckdb, JobFolder } from '../support/job-folder.js';

/** Small flights data: numbers, a time, long-tailed categories, missing values; reproducible. */
const FLIGHTS = `
  select
    timestamp '2001-01-01' + to_minutes(i * 97) as date,
    (i * 7919 % 2300)::bigint as distance,
    case when i % 11 = 3 then null else (i * 31 % 97) / 7.0 end as wind,
    'A' || (i * i % 23) as origin,
    (i * 7919 % 2300) / 100.0 + (i * i % 23) + ((i * 104729) % 1000) / 500.0 as delay
  from range(3000) t(i)`;

const JOB = {
  data: {
    path: 'flights.parquet',
    target: 'delay',
    features: [
      'distance',
      { name: 'distance2', sql: 'distance * distance' },
      { name: 'wind', impute: 'mean' },
      { name: 'hour', sql: 'extract(hour from date)', encode: 'onehot' },
      { name: 'weekday', sql: 'extract(dow from date)', encode: 'onehot' },
      { name: 'origin', encode: 'onehot', top: 5 },
      { name: 'span', sql: 'distance / 100', encode: 'bin', bins: 4 },
    ],
    standardize: true,
  },
  cv: { folds: 5, shuffle: true, seed: 3 },
  scoring: ['neg_mean_squared_error', 'neg_mean_absolute_error', 'r2'],
};

interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function readTable(path: string): Table {
  const [head = '', ...lines] = readFileSync(path, 'utf8').trim().split('\n');
  // The one quoted column, `params`, has no comma inside here.
  return { columns: head.split(','), rows: lines.map((line) => line.split(',')) };
}

describe('reprise run on embedded Spark', function () {
  this.timeout(300_000);
  let folder: JobFolder;

  before(async function () {
    const { stdout } = await reprise(['doctor', '--json']);
    const diagnosis = JSON.parse(stdout);
    if (diagnosis.spark) return;
    const missing = diagnosis.findings
      .filter((finding: { status: string }) => finding.status === 'missing')
      .map((finding: { name: string; found: string }) => `${finding.name}: ${finding.found}`);
    console.log(`SKIPPED: embedded Spark can't run here: ${missing.join('; ')}`);
    this.skip();
  });
  beforeEach(async () => {
    folder = new JobFolder();
    await duckdb(`copy (${FLIGHTS}) to '${folder.file('flights.parquet')}' (format parquet)`);
    folder.job(JOB);
  });
  afterEach(() => folder.remove());

  const run = (engine: string, ...args: string[]) =>
    reprise(['run', 'job.yaml', '--engine', engine, '--json', ...args], { cwd: folder.path });

  it('gives the scores that this machine gives, to 1e-9, in two passes with absolute losses', async () => {
    const [local, spark] = [await run('local'), await run('spark')];
    assert.equal(local.code, 0, local.stderr);
    assert.equal(spark.code, 0, spark.stderr);
    const answer = JSON.parse(spark.stdout);
    assert.equal(answer.engine, 'spark');
    assert.equal(answer.passes, 2);
    assert.ok(answer.sparkJobs >= 2, `${answer.sparkJobs}`);
    const here = readTable(join(JSON.parse(local.stdout).path, 'results.csv'));
    const there = readTable(join(answer.path, 'results.csv'));
    assert.deepEqual(there.columns, here.columns);
    let compared = 0;
    for (const [r, row] of here.rows.entries())
      for (const [c, cell] of row.entries()) {
        const [a, b] = [Number(cell), Number(there.rows[r]?.[c])];
        if (Number.isNaN(a)) continue;
        const scale = Math.max(Math.abs(a), Math.abs(b), 1e-300);
        assert.ok(Math.abs(a - b) <= 1e-9 * scale, `${here.columns[c]}: ${a} here, ${b} there`);
        compared++;
      }
    // 3 candidates; 3 metrics of 5 folds, mean, deviation and rank; the penalty itself.
    assert.equal(compared, 3 * (3 * 8 + 1));
  });

  it('gives the errors of bad data that this machine gives', async () => {
    for (const override of ['data.target=date', 'data.path=none.parquet']) {
      const [local, spark] = [await run('local', override), await run('spark', override)];
      assert.equal(spark.code, 3, spark.stderr);
      assert.equal(spark.code, local.code);
      const errorOf = (text: string): string => /^error: .*$/m.exec(text)?.[0] ?? 'no error line';
      assert.match(errorOf(spark.stderr), /^error: (target|data)\b/);
      assert.deepEqual(folder.runs(), []);
    }
  });

  it('says what to do when there is no Java', async () => {
    const { code, stderr } = await reprise(['run', 'job.yaml', '--engine', 'spark'], {
      cwd: folder.path,
      env: { JAVA_HOME: '/nonexistent' },
    });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /error: .*Java.*--engine local/);
    assert.deepEqual(folder.runs(), []);
  });

  it('stops on SIGINT, leaving neither a run nor a JVM', async () => {
    let driver = 0;
    let jvms: number[] = [];
    const { code, stderr } = await reprise(['run', 'job.yaml', '--engine', 'spark'], {
      cwd: folder.path,
      onStart: (child) => {
        driver = child.pid ?? 0;
        const timer = setInterval(() => {
          jvms = childrenOf(driver);
          if (jvms.length === 0) return;
          clearInterval(timer);
          setTimeout(() => child.kill('SIGINT'), 1500);
        }, 50);
        child.on('close', () => clearInterval(timer));
      },
    });
    assert.equal(code, 130, stderr);
    assert.ok(jvms.length > 0, 'expected to see the JVM while it ran');
    assert.deepEqual(folder.runs(), []);
    for (let i = 0; i < 100 && jvms.some(isAlive); i++) await sleep(100);
    assert.deepEqual(jvms.filter(isAlive), []);
  });
});

/** Ids of the java processes that `pid` started. */
function childrenOf(pid: number): number[] {
  const list = execFileSync('ps', ['-eo', 'pid=,ppid=,comm='], { encoding: 'utf8' });
  return list
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, command]) => Number(parent) === pid && command === 'java')
    .map(([child]) => Number(child));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
