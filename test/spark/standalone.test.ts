/**
 * `spark-submit` onto a standalone cluster: a job's answers are those of this machine, data that a
 * worker lacks or has otherwise are an error that names them, and the application ends with its
 * driver, however that ends.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DataError } from '../../driver/errors.js';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';
import { sparkMissing } from '../support/spark.js';
import { eventually } from '../support/spark-session.js';
import { type StandaloneCluster, startStandalone } from '../support/standalone.js';

const ROWS = 4000;
const conf = {
  // The cluster is on loopback; on a real one Spark chooses an address that workers reach.
  'spark.driver.host': '127.0.0.1',
  'spark.driver.bindAddress': '127.0.0.1',
  'spark.ui.enabled': 'false',
  'spark.executor.memory': '600m',
  'spark.executor.cores': '1',
  'spark.reprise.chunkRows': '500',
};

describe('a standalone cluster', function () {
  this.timeout(240_000);
  let cluster: StandaloneCluster;
  let folder: JobFolder;
  let open: OpenSession | undefined;
  /** Whether this machine lets a process have a view of its own of the file system. */
  const hasViews = spawnSync('unshare', ['--mount', 'true']).status === 0;

  before(async function () {
    const missing = sparkMissing();
    if (missing !== undefined) {
      console.warn(`SKIPPED a standalone cluster: ${missing}`);
      return this.skip();
    }
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(ROWS));
    for (const name of ['hidden', 'stale']) {
      mkdirSync(folder.file(name));
      writeFileSync(folder.file(`${name}/data.csv`), linearCsv(ROWS));
    }
    // As on another machine: one folder is empty there, the other has an older file of the same
    // length.
    const view = [
      `mount -t tmpfs tmpfs '${folder.file('hidden')}'`,
      `tr 1 2 < '${folder.file('stale/data.csv')}' > '${folder.file('older.csv')}'`,
      `mount --bind '${folder.file('older.csv')}' '${folder.file('stale/data.csv')}'`,
    ].join(' && ');
    cluster = await startStandalone(hasViews ? { secondView: view } : {});
  });
  after(async () => {
    await open?.session.close();
    await cluster?.close();
    folder?.remove();
  });

  async function run(path: string, engine: 'local' | 'spark'): Promise<RunRecord> {
    const spark = { master: cluster.master, conf };
    const job = await readJob(folder.job({ data: { path, target: 'y' }, spark }));
    if (engine === 'local') return runJob(job, { engine });
    open ??= await openSession('spark', undefined, undefined, 'blocks', job.spark);
    return runJob(job, { engine, open });
  }

  it('gives the answers of this machine, on both workers', async () => {
    const began = performance.now();
    const record = await run('data.csv', 'spark');
    console.log(`      a small job: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    const here = await run('data.csv', 'local');
    record.search.trials.forEach((trial, i) => {
      for (const [metric, score] of Object.entries(here.search.trials[i]!.meanScore)) {
        assert.ok(Math.abs(trial.meanScore[metric]! / score - 1) < 1e-9, `${metric} of trial ${i}`);
      }
    });
    assert.match(open?.way ?? '', /by spark-submit on spark:\/\/.*, 2 executors on 1 machine, /);
    assert.deepEqual(await cluster.applications(), ['reprise']);
  });

  it('runs the kernels on the OpenBLAS that went along', function () {
    if (!/native BLAS/.test(open?.way ?? '')) {
      console.warn('SKIPPED: no OpenBLAS was set up');
      return this.skip();
    }
    assert.match(open?.way ?? '', /native BLAS \(JNIBLAS, libopenblas\.so\.0\)/);
  });

  it('asks driver and executors for each file, whatever this machine allows', async () => {
    const path = folder.file('data.csv');
    const { length: bytes } = readFileSync(path);
    const digest = 'another';
    const backend = open?.session.blocks as SparkBackend;
    const { result } = await backend.channel.call('survey', {
      run: 'survey-test',
      known: [],
      files: [
        { path, bytes: bytes + 1, modifiedMs: 0, digest },
        { path, bytes, modifiedMs: 0, digest },
        { path, bytes, modifiedMs: Math.floor(statSync(path).mtimeMs), digest },
        { path: folder.path, bytes, modifiedMs: 0, digest },
      ],
    });
    assert.deepEqual(result.sites.map(({ executor }) => executor).sort(), ['0', '1', 'driver']);
    for (const { lacking } of result.sites) {
      assert.deepEqual(lacking, [
        { file: 0, got: `one of ${bytes} bytes instead of ${bytes + 1}` },
        { file: 1, got: 'one with other content' },
        { file: 3, got: 'no file there' },
      ]);
    }
  });

  for (const [name, got] of [
    ['hidden', 'nothing there'],
    ['stale', 'one with other content'],
  ] as const) {
    it(`refuses a file that a worker ${name === 'hidden' ? 'lacks' : 'has otherwise'}`, async function () {
      if (!hasViews) {
        console.warn('SKIPPED: this machine lets no process have a view of its own (unshare)');
        return this.skip();
      }
      await assert.rejects(run(`${name}/data.csv`, 'spark'), (error) => {
        assert.ok(error instanceof DataError, String(error));
        assert.match(error.message, new RegExp(`${name}/data.csv .*got ${got} for executor \\d`));
        assert.match(error.message, /on 127\.0\.0\.1; put the data on storage .*--engine local/);
        return true;
      });
    });
  }

  it('leaves no application behind', async () => {
    await open?.session.close();
    open = undefined;
    await eventually('no application', async () => (await cluster.applications()).length === 0);
  });

  it('ends the application when its driver is killed', async () => {
    const script = fileURLToPath(new URL('./orphan-parent.js', import.meta.url));
    const args = [script, cluster.master, JSON.stringify(conf)];
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(createInterface({ input: parent.stdout }), 'line');
    assert.deepEqual(await cluster.applications(), ['reprise']);
    parent.kill('SIGKILL');
    await eventually('no application', async () => (await cluster.applications()).length === 0);
  });
});
