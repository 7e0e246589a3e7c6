/** Searches and predictions in pipelines: what a job gives by itself, and only what is new. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJournal } from '../../../../jobs/runs/journal.js';
import { coldRun } from '../../../support/cold-run.js';
import { linearCsv } from '../../../support/job-folder.js';
import { PipelineFolder } from '../../../support/pipeline-folder.js';

const of = (step: string) => ({ step });

describe('pipelines of searches and predictions', function () {
  this.timeout(60_000);
  let folder: PipelineFolder;
  beforeEach(() => {
    folder = new PipelineFolder();
  });
  afterEach(() => folder.remove());

  const steps = (lambdas: readonly number[] = [0.01, 1, 100]) => ({
    rows: { sql: 'select a, b, y from t where a < 0.4', inputs: { t: 'data.csv' } },
    search: {
      job: {
        data: { target: 'y' },
        model: { type: 'ridge' },
        search: { grid: { lambda: lambdas } },
        cv: { folds: 4 },
      },
      with: { 'data.path': of('rows') },
    },
    scores: { predict: of('search'), data: of('rows'), keep: ['y'], output: 'scores.csv' },
  });

  it('give what the job gives by itself, and are skipped when nothing changed', async () => {
    folder.write('data.csv', linearCsv(400));
    const first = await folder.runSteps(steps());
    assert.deepEqual(first.begun, ['rows', 'search', 'scores']);
    const [rows, search] = first.result.steps;
    folder.job({ data: { path: rows!.outputs[0]!.path, target: 'y' }, scoring: 'r2' });
    const cold = await coldRun(folder.file('job.yaml'));
    const results = search!.outputs.find(({ name }) => name === 'results')!.path;
    assert.equal(
      readFileSync(results, 'utf8'),
      readFileSync(join(cold.path, 'results.csv'), 'utf8'),
    );
    assert.equal(folder.read('scores.csv').split('\n').length - 2, rows!.outputs[0]!.rows);
    assert.match(search!.report!.note!, /best lambda 0.01: r2 0\.99/);
    const again = await folder.runSteps(steps());
    assert.deepEqual(again.begun, []);
  });

  it('fit only what is new, in the session that all steps share', async () => {
    folder.write('data.csv', linearCsv(400));
    await folder.runSteps(steps());
    const { begun, result } = await folder.runSteps(steps([0.01, 1, 100, 1000]));
    // The best candidate is the same, so the model is, and the predictions are left alone.
    assert.deepEqual(begun, ['search']);
    const own = JSON.parse(readFileSync(join(result.path, 'steps/search/result.json'), 'utf8'));
    assert.deepEqual([own.trials, own.passes], [4, 0]);
    assert.equal(own.run, `${result.run}/steps/search`);
  });

  it('resume a search that was cut off from its own journal', async () => {
    folder.write('data.csv', linearCsv(400));
    const stop = new AbortController();
    const first = await folder.runSteps(
      steps(),
      {},
      {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.kind === 'in-step' && event.event.kind === 'trials') stop.abort();
        },
      },
    );
    assert.deepEqual(first.states, { rows: 'done', search: 'stopped', scores: 'stopped' });
    const { begun, states } = await folder.resume(first.result.run);
    assert.deepEqual(begun, ['search', 'scores']);
    assert.deepEqual(states, { rows: 'done', search: 'done', scores: 'done' });
    const journal = (await readJournal(join(first.result.path, 'steps/search')))!;
    assert.deepEqual(
      journal.flatMap((record) => (record.kind === 'run' ? [record.attempt] : [])),
      [1, 2],
    );
    assert.equal(journal.filter(({ kind }) => kind === 'trials').length, 1);
  });
});
