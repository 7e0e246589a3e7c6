/**
 * Jobs with `prepare`, from the file to predictions: scikit-learn's scores (fixtures by prepare.py),
 * how many passes the steps cost, the model that is kept, and what is refused.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { onnxModel } from '../../../../jobs/export/onnx.js';
import { pmmlModel } from '../../../../jobs/export/pmml.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { replayRun } from '../../../../jobs/lineage/replay.js';
import { parseModel } from '../../../../jobs/model/model-file.js';
import { readModel } from '../../../../jobs/model/read-model.js';
import { planJob } from '../../../../jobs/plan-job.js';
import { predict } from '../../../../jobs/predict/predict.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { JobFolder } from '../../../support/job-folder.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Fixture {
  readonly x: readonly (readonly (number | null)[])[];
  readonly y: readonly number[];
  readonly shown: readonly number[];
  readonly searches: readonly {
    readonly name: string;
    readonly steps: readonly object[];
    readonly grid: object;
    readonly model: string;
    readonly scoring: readonly string[];
    readonly trials: readonly {
      readonly params: object;
      readonly scores: Readonly<Record<string, readonly number[]>>;
      readonly predicted: readonly number[];
    }[];
  }[];
  readonly k: readonly number[];
  readonly ensembles: readonly {
    readonly name: string;
    readonly steps: readonly object[];
    readonly scoring: string;
    readonly members: readonly {
      readonly model: string;
      readonly params: Readonly<Record<string, unknown>>;
      readonly says: readonly (number | readonly number[])[];
      readonly fitted: readonly (number | readonly number[])[];
    }[];
  }[];
}

const fixture = JSON.parse(readFileSync(join(sklearnFolder, 'prepare.json'), 'utf8')) as Fixture;

const FEATURES = ['x0', 'x1', 'x2', 'x3', 'x4', 'x5'];
const CLASSES = ['low', 'middle', 'top'];

function csv(rows: readonly number[]): string {
  const lines = rows.map((i) =>
    [...fixture.x[i]!, fixture.y[i], CLASSES[fixture.k[i]!]].map((cell) => cell ?? '').join(','),
  );
  return `${['x0,x1,x2,x3,x4,x5,y,k', ...lines].join('\n')}\n`;
}

const sorted = (params: object) => Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
const mean = (cells: readonly number[]) => cells.reduce((a, b) => a + b, 0) / cells.length;
const r2 = (said: readonly number[], y: readonly number[]) => {
  const square = (of: (i: number) => number) => mean(y.map((_, i) => of(i) ** 2));
  const middle = mean(y);
  return 1 - square((i) => y[i]! - said[i]!) / square((i) => y[i]! - middle);
};

describe('jobs with cleaning steps', () => {
  let folder: JobFolder;
  let open: OpenSession;
  before(async () => {
    folder = new JobFolder();
    folder.write('data.csv', csv([...fixture.x.keys()]));
    folder.write('new.csv', csv(fixture.shown));
    open = await openSession('local');
  });
  after(async () => {
    await open.session.close();
    folder.remove();
  });

  const jobOf = (fields: object) =>
    parseJob(
      folder.file('job.yaml'),
      stringify({
        kind: 'search',
        data: { path: 'data.csv', target: 'y', features: FEATURES },
        cv: { folds: 3 },
        ...fields,
      }),
    );
  const searchOf = (name: string) => {
    const { steps, grid, model, scoring, trials } = fixture.searches.find((one) => one.name === name)!; // biome-ignore format: a choice
    return { trials, job: jobOf({ prepare: steps, model: { type: model }, search: { grid }, scoring }) }; // biome-ignore format: a record
  };

  const scoresAgree = ({ search }: RunRecord, trials: Fixture['searches'][number]['trials']) => {
    assert.deepEqual(search.trials.map(({ params }) => params), trials.map(({ params }) => params)); // biome-ignore format: a call
    for (const [t, { scores }] of trials.entries()) {
      for (const [metric, expected] of Object.entries(scores)) {
        for (const [fold, score] of expected.entries()) {
          const got = search.trials[t]!.splitScores[metric]![fold]!;
          assert.ok(Math.abs(got - score) <= 1e-8 * Math.max(1, Math.abs(score)), `${t} ${metric}`);
        }
      }
    }
  };

  const predictionsOf = async (record: RunRecord): Promise<number[]> => {
    const run = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
    const found = await readModel(run, folder.file('runs'));
    const { table } = await predict(found, folder.file('new.csv'), { engine: 'local', open });
    assert.equal(table!.length, 1 + fixture.shown.length);
    return table!.slice(1).map(([cell]) => Number(cell));
  };

  for (const name of ['ridge', 'ridge on rows of its own']) {
    it(`scores and predicts as the Pipeline: ${name}`, async () => {
      const { job, trials } = searchOf(name);
      const record = await runJob(job, { engine: 'local', open });
      scoresAgree(record, trials);
      const best = trials[record.search.bestIndex!]!;
      for (const [i, got] of (await predictionsOf(record)).entries()) {
        const expected = best.predicted[i]!;
        assert.ok(Math.abs(got - expected) <= 1e-6 * Math.abs(expected), `${got}, not ${expected}`);
      }
      const again = await runJob(job, { engine: 'local', open });
      assert.deepEqual([again.passes, again.search], [0, record.search]);
    });
  }

  it('costs one pass for any number of steps that are maps, and a scan for quantiles', async () => {
    const { job } = searchOf('ridge');
    const cold = await openSession('local');
    try {
      const { passes, search } = await runJob(job, { engine: 'local', open: cold });
      assert.equal(search.trials.length, 24);
      // The moments of all steps and splits, and the cells that quantiles are taken of.
      assert.ok(passes <= 3, `${passes} passes`);
    } finally {
      await cold.session.close();
    }
  });

  it('keeps maps in the coefficients of the encoded columns, other steps as stages', async () => {
    const plain = await runJob(searchOf('ridge').job, { engine: 'local', open });
    const { model: mapped } = plain;
    assert.deepEqual(mapped!.columns, ['x0', 'x1', 'x2', 'x3', 'x4', 'x5']);
    assert.equal(mapped!.prepare, undefined);
    assert.ok(onnxModel(mapped!).length > 0);
    const { model: staged } = await runJob(searchOf('ridge on rows of its own').job, { engine: 'local', open }); // biome-ignore format: a call
    const kinds = staged!.prepare!.map(({ kind }) => kind);
    assert.ok(kinds.includes('outliers'), kinds.join());
    assert.deepEqual(parseModel(JSON.parse(JSON.stringify(staged)), 'again'), staged);
    assert.ok(onnxModel(staged!).length > 0);
    assert.throws(
      () => pmmlModel(staged!),
      /export: expected a model whose coefficients .*onnx instead/,
    );
  });

  const mixedRows = [...'abcabacbcaab'].map((g, i) => [
    g,
    i % 4 === 1 ? '' : (i * 7) % 5,
    (i * i) % 11,
  ]);
  const mixedJob = (
    prepare: readonly object[],
    features: readonly unknown[] = [{ name: 'g', encode: 'onehot' }, 'x'],
  ) => {
    folder.write('mixed.csv', `g,x,y\n${mixedRows.map((row) => row.join()).join('\n')}\n`);
    return jobOf({
      data: { path: 'mixed.csv', target: 'y', features },
      prepare,
      model: { type: 'ridge' },
    });
  };

  it('leaves cells missing beside means of the target, in rows and in the model', async () => {
    const predicted = async (...steps: string[]) => {
      const record = await runJob(mixedJob(steps.map((step) => ({ step }))), {
        engine: 'local',
        open,
      });
      const run = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
      const found = await readModel(run, folder.file('runs'));
      const { table } = await predict(found, folder.file('mixed.csv'), { engine: 'local', open });
      assert.equal(table!.length, 1 + mixedRows.length);
      return table!.slice(1).map(([cell]) => Number(cell));
    };
    const after = await predicted('impute', 'target');
    for (const [i, cell] of (await predicted('target', 'impute')).entries()) {
      assert.ok(Math.abs(cell - after[i]!) <= 1e-9, `${cell}, not ${after[i]}`);
    }
  });

  it('takes no hashed text, nor a number with = in its name, for categories', async () => {
    const features = [{ name: 'g', encode: 'onehot' }, { name: 't', sql: "g || ' b'", encode: 'hash', columns: 4 }, { name: 'y=1', sql: 'y * y' }]; // biome-ignore format: a list
    const job = mixedJob([{ step: 'target' }], features);
    const { model } = await runJob(job, { engine: 'local', open });
    assert.deepEqual(model!.columns, ['g', 't=#0', 't=#1', 't=#2', 't=#3', 'y=1']);
    const asked = mixedJob([{ step: 'target', columns: ['t'] }], features);
    await assert.rejects(runJob(asked, { engine: 'local', open }), /target: expected columns of one-hot features, got t/); // biome-ignore format: a call
  });

  it('refuses means of the target by categories that are missing', async () => {
    const outliers = { step: 'outliers', method: 'quantile', upper: 0.5, action: 'missing' };
    const bounded = (columns: string[]) =>
      runJob(mixedJob([{ ...outliers, columns }, { step: 'target' }, { step: 'impute' }]), {
        engine: 'local',
        open,
      });
    await assert.rejects(
      bounded(['g']),
      /prepare target: expected an impute step before it, got missing cells in g=/,
    );
    assert.ok(Number.isFinite((await bounded(['x'])).search.trials[0]!.meanScore.r2));
  });

  it('scores nested splits by columns of their own, and is replayed', async () => {
    const { job } = searchOf('ridge on rows of its own');
    const search = { grid: { 'outliers.action': ['clip', 'zero'] } };
    const alike = { ...(job.document as object), search };
    const cv = { folds: 3, outer: { folds: 2 } };
    const nested = await runJob(jobOf({ ...alike, cv }), { engine: 'local', open });
    const inner = await runJob(jobOf(alike), { engine: 'local', open });
    assert.deepEqual(
      nested.search.trials.map(({ splitScores }) => splitScores),
      inner.search.trials.map(({ splitScores }) => splitScores),
    );
    assert.equal(nested.search.nested!.splits.length, 2);
    for (const record of [nested, await runJob(searchOf('ridge').job, { engine: 'local', open })]) {
      const run = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
      const { compared, agrees } = await replayRun(run, { engine: 'local' });
      assert.ok(agrees, JSON.stringify(compared));
      assert.ok(compared.some(({ what, count }) => what === 'scores' && count >= 12));
    }
  });

  it('scores data in float32 as in float64, within its rounding', async () => {
    const { trials, job } = searchOf('ridge');
    const data = { path: 'data.csv', target: 'y', features: FEATURES, dtype: 'float32' };
    const { search } = await runJob(jobOf({ ...(job.document as object), data }), { engine: 'local', open }); // biome-ignore format: a call
    for (const [t, { scores }] of trials.entries()) {
      for (const [fold, score] of scores.r2!.entries()) {
        assert.ok(Math.abs(search.trials[t]!.splitScores.r2![fold]! - score) < 1e-4, `${t}`);
      }
    }
  });

  it('is planned, and refuses what steps do not allow', async () => {
    const plan = await planJob(searchOf('ridge').job, { engine: 'local', open });
    assert.equal(plan.trials, 24);
    const whole = plan.memory.items.find(({ what }) => what === 'columns that steps take whole');
    assert.equal(whole?.bytes, 90 * 6 * 8);
    const counted = jobOf({
      data: { path: 'data.csv', target: 'x4', features: ['x0', 'x1'] },
      prepare: [{ step: 'impute' }],
      model: { type: 'bernoulli-nb' },
    });
    await assert.rejects(runJob(counted, { engine: 'local', open }), /steps that leave no column out for bernoulli-nb/); // biome-ignore format: a call
    const missing = jobOf({ prepare: [{ step: 'scale' }], model: { type: 'ridge' } });
    await assert.rejects(
      runJob(missing, { engine: 'local', open }),
      /prepare steps: expected an impute step before it, got missing cells in x0, x1/,
    );
  });

  for (const { name, steps, scoring, members } of fixture.ensembles) {
    it(`ensembles of members by other steps score and predict as Pipelines: ${name}`, async () => {
      const isClass = scoring === 'neg_log_loss';
      const models = [...new Set(members.map(({ model }) => model))];
      const exact = { lasso: { tol: 1e-13, max_iter: 100_000 }, logistic: { tol: 1e-10, max_iter: 1000 } }; // biome-ignore format: settings
      const grid = members.map(({ model, params }) => {
        const own = Object.entries(params).map(([key, value]) => [key, [value]] as const);
        return { ...(models.length > 1 ? { model } : {}), ...Object.fromEntries(own) };
      });
      const job = jobOf({
        data: { path: 'data.csv', target: isClass ? 'k' : 'y', features: FEATURES },
        prepare: steps,
        model: models.map((type) => ({ type, ...exact[type as keyof typeof exact] })),
        search: { grid, ensemble: { members: members.length, trials: 100, seed: 1 } },
        scoring: [scoring],
        cv: { type: 'kfold', folds: 3 },
      });
      const record = await runJob(job, { engine: 'local', open });
      const { ensemble, trials } = record.search;
      assert.ok(ensemble, JSON.stringify(record.search.warnings));
      assert.equal(ensemble.members.length, members.length);
      const order = ensemble.members.map((one) => {
        const same = (member: (typeof members)[number]) =>
          member.model === (one.model ?? models[0]) &&
          JSON.stringify(sorted(member.params)) === JSON.stringify(sorted(one.params));
        return members.find(same)!;
      });
      const sum = (
        of: (member: (typeof members)[number]) => readonly (number | readonly number[])[],
      ): number[][] =>
        // biome-ignore format: a type
        of(order[0]!).map((_, i) =>
          [of(order[0]!)[i]!].flat().map((_, c) => {
            return order.reduce((all, one, m) => all + ensemble.weights[m]! * [of(one)[i]!].flat()[c]!, 0); // biome-ignore format: a sum
          }),
        );
      const said = sum(({ says }) => says);
      for (const fold of [0, 1, 2]) {
        const rows = Array.from({ length: 30 }, (_, i) => fold * 30 + i);
        const expected = isClass
          ? mean(rows.map((i) => Math.log(said[i]![fixture.k[i]!]!)))
          : r2(rows.map((i) => said[i]![0]!), rows.map((i) => fixture.y[i]!)); // biome-ignore format: a choice
        const got = ensemble.splitScores[scoring]![fold]!;
        assert.ok(Math.abs(got - expected) <= 1e-6, `${fold}: ${got}, not ${expected}`);
      }
      assert.ok(ensemble.meanScore[scoring]! > Math.max(...trials.map((one) => one.meanScore[scoring]!))); // biome-ignore format: a rule
      const run = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
      const found = await readModel(run, folder.file('runs'));
      const outputs = [isClass ? 'probability' : 'prediction'] as const;
      const { table } = await predict(found, folder.file('new.csv'), { engine: 'local', open, outputs }); // biome-ignore format: a call
      const expected = sum(({ fitted }) => fitted);
      for (const [i, row] of table!.slice(1).entries()) {
        for (const [c, cell] of row.entries()) {
          const wanted = expected[i]![c]!;
          assert.ok(Math.abs(Number(cell) - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted)), `${cell}, not ${wanted}`); // biome-ignore format: a rule
        }
      }
      // Where members' columns are the encoded ones, the model is of these.
      assert.equal(record.model!.prepare?.[0]?.kind, name === 'maps of equal fills' ? undefined : 'beside'); // biome-ignore format: a rule
      const { compared, agrees } = await replayRun(run, { engine: 'local' });
      assert.ok(agrees, JSON.stringify(compared));
      const again = await runJob(job, { engine: 'local', open });
      assert.deepEqual([again.passes, again.search], [0, record.search]);
    });
  }

  const refuses = (fields: object, expected: RegExp) => () =>
    assert.throws(() => jobOf({ model: { type: 'ridge' }, ...fields }), expected);

  it('refuses a step there is not', refuses({ prepare: [{ step: 'scael' }] }, /prepare\[?\.?0.*scale/)); // biome-ignore format: a test
  it('refuses a value out of range', refuses({ prepare: [{ step: 'pca', n_components: 0 }] }, /n_components/)); // biome-ignore format: a test
  it('refuses one name twice', refuses({ prepare: [{ step: 'scale' }, { step: 'scale' }] }, /each step's name once, got scale twice/)); // biome-ignore format: a test
  it('refuses a searched parameter of no step', refuses({ prepare: [{ step: 'scale' }], search: { grid: { 'pca.n_components': [1] } } }, /pca\.n_components/)); // biome-ignore format: a test
  it('refuses a searched value out of range', refuses({ prepare: [{ step: 'scale' }], search: { grid: { scale: ['robust', 'log'] } } }, /scale/)); // biome-ignore format: a test
});
