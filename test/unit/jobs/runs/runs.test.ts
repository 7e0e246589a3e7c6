/** Run folders: their content, that they appear whole or not at all, and reading them back. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, ResourceError } from '../../../../driver/errors.js';
import { findRun, readRun } from '../../../../jobs/runs/read-run.js';
import { resultsCsv } from '../../../../jobs/runs/results-csv.js';
import { newRunId, slug } from '../../../../jobs/runs/run-id.js';
import { summarize } from '../../../../jobs/runs/summary.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { runRecord, summaryKeys } from '../../../support/run-records.js';

const renderReport = (): string => '<!doctype html><title>x</title>';

describe('run folders', () => {
  let output: string;
  beforeEach(() => {
    output = mkdtempSync(join(tmpdir(), 'reprise-runs-'));
  });
  afterEach(() => rmSync(output, { recursive: true, force: true }));

  it('hold results, model, lineage, timeline, plan, job and report', async () => {
    const path = await writeRun(runRecord(), { output, renderReport });
    assert.equal(path, join(output, runRecord().run));
    assert.deepEqual(readdirSync(path).sort(), [
      'job.yaml',
      'lineage.json',
      'model.json',
      'plan.txt',
      'report.html',
      'result.json',
      'results.csv',
      'timeline.json',
    ]);
    const result = JSON.parse(readFileSync(join(path, 'result.json'), 'utf8'));
    assert.deepEqual(result.best, { params: { lambda: 0.1 }, metric: 'r2', score: 0.625 });
    assert.equal(result.path, path);
  });

  it('have no model when none was fitted', async () => {
    const { model: _, ...record } = runRecord();
    const path = await writeRun(record, { output, renderReport });
    assert.ok(!readdirSync(path).includes('model.json'));
  });

  it('leave nothing behind when the report fails', async () => {
    const broken = (): string => {
      throw new Error('no report');
    };
    await assert.rejects(writeRun(runRecord(), { output, renderReport: broken }), /no report/);
    assert.deepEqual(readdirSync(output), []);
  });

  it('leave nothing behind when the run is stopped before the end', async () => {
    const controller = new AbortController();
    controller.abort(new Error('stopped'));
    const options = { output, renderReport, signal: controller.signal };
    await assert.rejects(writeRun(runRecord(), options), /stopped/);
    assert.deepEqual(readdirSync(output), []);
  });

  it('leave nothing behind when the place is taken', async () => {
    const path = await writeRun(runRecord(), { output, renderReport });
    const before = readFileSync(join(path, 'result.json'), 'utf8');
    await assert.rejects(writeRun(runRecord(), { output, renderReport }), ResourceError);
    assert.deepEqual(readdirSync(output), [runRecord().run]);
    assert.equal(readFileSync(join(path, 'result.json'), 'utf8'), before);
  });

  it('can not be made below a file, which is said', async () => {
    const file = join(output, 'file');
    writeFileSync(file, '');
    await assert.rejects(writeRun(runRecord(), { output: file, renderReport }), (error) => {
      assert.ok(error instanceof ResourceError);
      assert.match(error.message, /run folder: expected to write .*--output/);
      return true;
    });
  });

  it('read back as the record they were written from', async () => {
    const record = runRecord();
    const path = await writeRun(record, { output, renderReport });
    const { search, lineage, timeline, plan, reuse } = await readRun(path);
    assert.deepEqual(
      { search, lineage, timeline, plan, reuse },
      {
        search: record.search,
        lineage: record.lineage,
        timeline: record.timeline,
        plan: record.plan,
        reuse: record.reuse,
      },
    );
  });

  it('are found by path, id, start of id and as the latest', async () => {
    const first = await writeRun(runRecord({ run: '20260101T000000Z-a-1' }), {
      output,
      renderReport,
    });
    const last = await writeRun(runRecord({ run: '20260202T000000Z-b-2' }), {
      output,
      renderReport,
    });
    assert.equal(await findRun(first, output), first);
    assert.equal(await findRun('20260101T000000Z-a-1', output), first);
    assert.equal(await findRun('202602', output), last);
    assert.equal(await findRun('latest', output), last);
    await assert.rejects(findRun('2026', output), /got 2 that begin so/);
    await assert.rejects(findRun('none', output), ConfigError);
  });

  it('are the latest whatever else lies beside them', async () => {
    const last = await writeRun(runRecord({ run: '20260202T000000Z-b-2' }), {
      output,
      renderReport,
    });
    writeFileSync(join(output, 'notes.txt'), 'seed 8 was better');
    mkdirSync(join(output, '20260303T000000Z-b-3'));
    cpSync(last, join(output, 'copy-of-b'), { recursive: true });
    assert.equal(await findRun('latest', output), last);
    assert.equal(await findRun('copy-of-b', output), join(output, 'copy-of-b'));
    await assert.rejects(
      findRun('202603', output),
      /got 20260303T000000Z-b-3, which has no result.json/,
    );
    rmSync(last, { recursive: true });
    await assert.rejects(findRun('latest', output), /got none/);
  });

  it('that are damaged say which file', async () => {
    const path = await writeRun(runRecord(), { output, renderReport });
    writeFileSync(join(path, 'lineage.json'), '{"half":');
    await assert.rejects(readRun(path), /expected lineage.json .* got text that is not JSON/);
  });
});

describe('results.csv', () => {
  it('has the columns of cv_results_, and `_score` ones for a single metric', () => {
    const [head, first, second] = resultsCsv(runRecord().search).split('\n');
    assert.equal(
      head,
      'param_lambda,params,split0_test_r2,split1_test_r2,mean_test_r2,std_test_r2,rank_test_r2,' +
        'split0_test_score,split1_test_score,mean_test_score,std_test_score,rank_test_score',
    );
    const scores = '0.5,0.75,0.625,0.125,1';
    assert.equal(first, `0.1,"{""lambda"":0.1}",${scores},${scores}`);
    assert.match(second ?? '', /^1e-7,"\{""lambda"":1e-7\}",0.30000000000000004,nan,nan,0.125,2,/);
  });

  it('has no `_score` columns for several metrics', () => {
    const { search } = runRecord();
    const two = { ...search, metrics: ['r2', 'neg_mean_squared_error'] };
    const head = resultsCsv(two).split('\n')[0] ?? '';
    assert.ok(head.includes('mean_test_neg_mean_squared_error'));
    assert.ok(!head.includes('_score,') && !head.endsWith('_score'));
  });
});

describe('run ids', () => {
  it('sort by time and are safe as folder names', () => {
    const id = newRunId('Café / "nightly"\n<b>', new Date('2026-11-22T15:14:58.123Z'));
    assert.match(id, /^20261122T151458Z-cafe-nightly-b-[0-9a-f]{8}$/);
    assert.equal(slug('../..'), 'job');
    assert.equal(slug('x'.repeat(100)).length, 40);
  });
});

describe('summaries', () => {
  it('hold exactly the documented keys', () => {
    const search = { ...runRecord().search, trials: runRecord().search.trials.slice(0, 1) };
    assert.deepEqual(Object.keys(summarize(runRecord({ search }), '/x')), summaryKeys);
  });

  it('count the candidates that failed', () => {
    assert.equal(summarize(runRecord(), '/x').failedTrials, 1);
  });
});
