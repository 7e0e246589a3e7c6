/**
 * A replay computes every score of a run again, of fits that read rows too, each by its own
 * parameters; and says which score is not what the run stored.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { replayRun } from '../../../../jobs/lineage/replay.js';
import { runJob } from '../../../../jobs/run-job.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { JobFolder } from '../../../support/job-folder.js';

const JOB = `
kind: grid-search
data: { path: data.csv, target: y, weight: w }
model: { type: logistic }
search: { grid: { C: [0.1], class_weight: [none, balanced] } }
cv: { folds: 2, repeats: 2 }
scoring:
  - accuracy
  - f1
  - roc_auc
  - average_precision
  - neg_log_loss
  - { name: own, sql: "avg(weight * case when target = prediction then probability_yes else 0 end)" }
`;
const SCORES = 6 * 2 * 4;

describe('replays', function () {
  this.timeout(60_000);
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
    const rows = Array.from({ length: 60 }, (_, i) => {
      const [a, b] = [Math.sin(7 * i), Math.cos(i * i)];
      return `${a},${b},${1 + (i % 3)},${a + b + Math.sin(13 * i) > 0 ? 'yes' : 'no'}`;
    });
    folder.write('data.csv', ['a,b,w,y', ...rows, ''].join('\n'));
  });
  after(() => folder.remove());

  it('compare scores of classes, of repeats and in SQL', async () => {
    const record = await runJob(parseJob(folder.file('job.yaml'), JOB), { engine: 'local' });
    const path = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
    const first = await replayRun(path, { engine: 'reference' });
    const counts = first.compared.map(({ what, count }) => [what, count]);
    assert.deepEqual(counts, [['scores', SCORES], ['coefficients', 2], ['intercept', 1]]); // biome-ignore format: a line
    assert.ok(first.agrees, JSON.stringify(first.compared));
    const result = join(path, 'result.json');
    const stored = JSON.parse(readFileSync(result, 'utf8'));
    stored.search.trials[1].splitScores.roc_auc[2] += 0.01;
    writeFileSync(result, JSON.stringify(stored));
    const { compared, agrees } = await replayRun(path, { engine: 'local', step: 'ranks' });
    assert.equal(agrees, false);
    assert.equal(compared[0]!.where, 'roc_auc, candidate 1, fold 2');
  });
});
