/**
 * A search over hashed notes has scikit-learn's scores on the same folds, by products of columns and
 * by passes over compressed rows; what it leaves scores new data, and formats that can't hash refuse.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { onnxModel } from '../../../../jobs/export/onnx.js';
import type { Job } from '../../../../jobs/job-file/job.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { readModel } from '../../../../jobs/model/read-model.js';
import { planJob } from '../../../../jobs/plan-job.js';
import { predict } from '../../../../jobs/predict/predict.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { JobFolder } from '../../../support/job-folder.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Search {
  readonly notes: readonly string[];
  readonly labels: readonly number[];
  readonly probabilities: readonly number[];
  readonly options: { readonly columns: number };
  readonly C: readonly number[];
  readonly scores: readonly (readonly number[])[];
  /** Of elastic nets, by alpha. */
  readonly net: readonly (readonly number[])[];
}

const path = join(sklearnFolder, 'hashing.json');
const { searches } = JSON.parse(readFileSync(path, 'utf8')) as { searches: readonly Search[] };
const { notes, labels, C } = searches[0]!;

describe('hashed text in a search', () => {
  let folder: JobFolder;
  let open: OpenSession;
  before(async () => {
    folder = new JobFolder();
    const lines = notes.map((note, i) => `${note},${labels[i]}`);
    folder.write('notes.csv', ['note,late', ...lines].join('\n'));
    open = await openSession('local');
  });
  after(async () => {
    await open?.session.close();
    folder.remove();
  });

  const jobOf = (
    options: object,
    model: object = { type: 'logistic', tol: 1e-10, max_iter: 10_000 },
    grid: object = { C },
    scoring = 'neg_log_loss',
  ): Promise<Job> => {
    const job = {
      kind: 'grid-search',
      data: {
        path: 'notes.csv',
        features: [{ name: 'note', encode: 'hash', ...options }],
        target: 'late',
      },
      model,
      search: { grid },
      cv: { type: 'kfold', folds: 5, shuffle: false },
      scoring: [scoring],
    };
    folder.write('job.yaml', stringify(job));
    return readJob(folder.file('job.yaml'), { overrides: [] });
  };

  const run = async (options: object): Promise<RunRecord> =>
    runJob(await jobOf(options), { engine: 'local', open });

  for (const [searched, by] of [
    [searches[0]!, 'moments'],
    [searches[1]!, 'rows'],
  ] as const) {
    const { columns } = searched.options;
    it(`has the scores of scikit-learn with ${columns} columns, fitted by ${by}`, async () => {
      const { search: found } = await run(searched.options);
      assert.equal(found.trials.length, searched.C.length);
      for (const [t, trial] of found.trials.entries()) {
        for (const [k, score] of trial.splitScores.neg_log_loss!.entries()) {
          const expected = searched.scores[t]![k]!;
          assert.ok(Math.abs(score - expected) < 1e-7, `C ${searched.C[t]}: ${score}, ${expected}`);
        }
      }
      assert.equal(found.model!.columns.length, columns);
      assert.equal(found.model!.columns[17], 'note=#17');
    });
  }

  it('has the scores of scikit-learn with penalties on sizes, fitted by rows', async () => {
    const { net, options } = searches[1]!;
    const model = { type: 'elastic-net', l1_ratio: 0.7, tol: 1e-10, max_iter: 5000 };
    const job = await jobOf(options, model, { alpha: [3e-3, 1e-2] }, 'r2');
    assert.equal((await planJob(job, { engine: 'local', open })).fits[0]?.by, 'rows');
    const { search: found } = await runJob(job, { engine: 'local', open });
    assert.equal(found.trials.length, net.length);
    for (const [t, trial] of found.trials.entries()) {
      for (const [k, score] of trial.splitScores.r2!.entries()) {
        assert.ok(Math.abs(score - net[t]![k]!) < 1e-6, `${t}, ${k}: ${score}, ${net[t]![k]}`);
      }
    }
  });

  it('predicts from its file as scikit-learn does, which is not exported', async () => {
    const [{ options, probabilities }] = searches as [Search];
    const record = await run(options);
    const path = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
    const found = await readModel(path, folder.file('runs'));
    const out = folder.file('scored.csv');
    await predict(found, folder.file('notes.csv'), {
      ...{ engine: 'local', out, outputs: ['probability'], open },
    });
    const [, ...lines] = readFileSync(out, 'utf8').trim().split('\n');
    assert.equal(lines.length, probabilities.length);
    for (const [i, line] of lines.entries()) {
      const probability = Number(line.split(',').at(-1));
      assert.ok(Math.abs(probability - probabilities[i]!) < 1e-6, `row ${i}: ${line}`);
    }
    assert.throws(() => onnxModel(found.model), /export: expected .* got hashed text in note/);
  });

  it('says what is wrong with a feature', async () => {
    await assert.rejects(run({ columns: 0 }), /columns/);
    await assert.rejects(
      run({ ngrams: [2, 1] }),
      /expected the least number of words first, got \[2, 1\]/,
    );
    await assert.rejects(run({ impute: 'none' }), /expected no `impute` with `encode: hash`/);
    await assert.rejects(
      run({ encode: 'onehot', norm: 'l1' }),
      /expected `encode: hash` together with `norm`/,
    );
    await assert.rejects(
      run({ sql: 'length(note)' }),
      /feature note: expected text to hash, got number values/,
    );
  });
});
