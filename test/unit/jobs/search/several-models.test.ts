/** Searches of several models: each as by itself, sums shared, and one best of all. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { planJob } from '../../../../jobs/plan-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { SearchModel } from '../../../../jobs/search/candidates.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { SearchOptions } from '../../../../jobs/search/prepare.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import { runSearch } from '../../../../jobs/search/run-search.js';
import type { SubSpace } from '../../../../jobs/search/space.js';
import { resolveSplits } from '../../../../jobs/search/splits/partition.js';
import { grid } from '../../../../jobs/search/strategies/grid.js';
import { random } from '../../../../jobs/search/strategies/random.js';
import { MemoryLog } from '../../../support/memory-log.js';
import { cells } from '../../../support/plan.js';
import {
  type SklearnScenario,
  sklearnFolder,
  sklearnScenarios,
} from '../../../support/sklearn-fixtures.js';

const TOLERANCE = 1e-8;

describe('searches of several models', () => {
  describe('agree with scikit-learn, model by model', () => {
    let open: OpenSession;
    before(async () => {
      open = await openSession('local');
    });
    after(() => open.session.close());
    const all = sklearnScenarios();
    const cases = [
      ['contiguous folds of unequal size, intercept', 'least squares', 'lasso', 'elastic net'],
      ['mean imputation, standardised', 'least squares, mean imputation, standardised', 'elastic net, mean imputation, standardised'], // biome-ignore format: names
    ].map((names) => names.map((name) => all.find((one) => one.name === name)!));
    for (const scenarios of cases) {
      it(scenarios.map(({ estimator }) => estimator).join(', '), async () => {
        const { search, passes } = await runJob(jobOf(scenarios), { engine: 'local', open });
        let first = 0;
        for (const { estimator, scoring, expected } of scenarios) {
          const { split } = expected.scores[scoring[0]!]!;
          for (const [t, wanted] of split.entries()) {
            const trial = search.trials[first + t]!;
            assert.equal(trial.model, estimator);
            for (const [f, score] of wanted.entries()) {
              const found = trial.splitScores[scoring[0]!]![f]!;
              const error = Math.abs(found - score) / Math.max(1, Math.abs(score));
              assert.ok(error <= TOLERANCE, `${estimator} ${t}, fold ${f}: ${found}, ${score}`);
            }
          }
          first += split.length;
        }
        assert.equal(search.trials.length, first);
        const best = scenarios.map(({ scoring, expected }) =>
          Math.max(...expected.scores[scoring[0]!]!.mean),
        );
        const winner = scenarios[best.indexOf(Math.max(...best))]!;
        assert.equal(search.trials[search.bestIndex!]!.model, winner.estimator);
        // What the models read is one: the data were read for the first of them.
        const alone = await runJob(jobOf(scenarios.slice(-1)), { engine: 'local' });
        assert.ok(passes <= alone.passes, `${passes} passes, ${alone.passes} of one model`);
      });
    }

    it('and plan says what each model reads', async () => {
      const job = jobOf(cases[0]!);
      const plan = await planJob(job, { engine: 'local', open });
      assert.deepEqual(
        plan.fits.map(({ model }) => model),
        ['ridge', 'ols', 'lasso', 'elastic-net'],
      );
      assert.equal(plan.trials, 7 + 1 + 5 + 9);
    });
  });

  describe('over matrices', () => {
    const named = (name: string, called = name): SearchModel => ({
      name: called,
      estimator: estimators.find((one) => one.name === name)!,
      params: {},
    });
    const models = [named('logistic'), named('linear-svm', 'svm'), named('gaussian-nb')];
    const search = async (own: Partial<SearchOptions>): Promise<SearchResult> => {
      const session = new Session({ local: await createCpuBackend() });
      const X = matrix(session, cells(150, 3));
      const y = X.col(0).add(X.col(1).mul(X.col(2))).gt(0); // biome-ignore format: a formula
      const all: SearchOptions = {
        ...{ X, y, classes: ['no', 'yes'], models, cv: { folds: 3 } },
        strategy: (facts) => grid.begin(SPACE, {}, facts),
        ...{ scoring: ['accuracy'], reportClasses: true, ...own },
      };
      try {
        return await runSearch(session, all);
      } finally {
        await session.close();
      }
    };
    const SPACE: readonly SubSpace[] = [
      { models: ['logistic', 'svm'], values: { C: [0.1, 1] } },
      { models: ['svm'], values: { loss: ['hinge'], C: [1, 2] } },
      { models: ['gaussian-nb'], values: {} },
    ];

    it('have the scores that each model has alone, to the bit', async () => {
      const result = await search({});
      assert.deepEqual(result.models, ['logistic', 'svm', 'gaussian-nb']);
      assert.deepEqual(result.paramNames, ['C', 'loss']);
      const session = new Session({ local: await createCpuBackend() });
      const X = matrix(session, cells(150, 3));
      const y = X.col(0).add(X.col(1).mul(X.col(2))).gt(0); // biome-ignore format: a formula
      const same = {
        X,
        y,
        classes: ['no', 'yes'],
        cv: { folds: 3 },
        scoring: ['accuracy'] as const,
      };
      const alone = async (model: SearchModel, space: readonly SubSpace['values'][]) => {
        const all = await Promise.all(
          space.map((values) =>
            gridSearch(session, { ...same, estimator: model.estimator, grid: values as never }),
          ),
        );
        return all.flatMap(({ trials }) => trials.map(({ splitScores }) => splitScores));
      };
      const expected = [
        ...(await alone(models[0]!, [{ C: [0.1, 1] }])),
        ...(await alone(models[1]!, [{ C: [0.1, 1] }, { loss: ['hinge'], C: [1, 2] }])),
        ...(await alone(models[2]!, [{}])),
      ];
      assert.deepEqual(
        result.trials.map(({ splitScores }) => splitScores),
        expected,
      );
      await session.close();
    });

    it('go on from waves that are kept, to the same bits', async () => {
      const space = [
        { models: ['logistic', 'svm'], values: { C: { loguniform: [1e-2, 10] as const } } },
      ];
      const own: Partial<SearchOptions> = {
        models: models.slice(0, 2),
        strategy: (facts) => random.begin(space, { trials: 9, seed: 3 }, facts),
      };
      const log = new MemoryLog();
      const whole = await search({ ...own, waves: log });
      assert.equal(whole.trials.length, 9);
      assert.ok(log.kept.size > 1);
      for (const wave of log.kept.keys()) {
        const resumed = new MemoryLog();
        resumed.kept.set(wave, log.kept.get(wave)!);
        assert.deepEqual(await search({ ...own, waves: resumed }), whole);
        assert.equal(resumed.begun.includes(wave), false);
      }
    });

    it('share the passes of models that need no training', async () => {
      const bayes = [named('gaussian-nb'), named('lda'), named('nearest-centroid')];
      const local = await createCpuBackend();
      const passes = async (models: readonly SearchModel[]): Promise<number> => {
        const run = new Session({ local }).run();
        const X = matrix(run, cells(150, 3));
        const space = [{ models: models.map(({ name }) => name), values: {} }];
        await runSearch(run, {
          ...{ X, y: X.col(0).gt(0), classes: ['no', 'yes'], cv: { folds: 3 }, models },
          ...{ strategy: (facts) => grid.begin(space, {}, facts), scoring: ['accuracy'] },
          refit: false,
        });
        return run.statistics.counters().passes;
      };
      const alone = await Promise.all(bayes.map((model) => passes([model])));
      assert.equal(await passes(bayes), Math.max(...alone), `${alone} one by one`);
    });

    it('stop before the next wave once their time is over', async () => {
      const log = new MemoryLog();
      const { partial, trials, model } = await search({ maxSeconds: 0, waves: log });
      assert.equal(partial?.why, 'its 0 s were over');
      assert.deepEqual(trials.map((one) => one.model), ['logistic', 'logistic']); // biome-ignore format: a list
      assert.equal(model, null);
      // An attempt that goes on does a wave, however little time it has.
      const again = new MemoryLog();
      again.kept.set(0, log.kept.get(0)!);
      const more = await search({ maxSeconds: 0, waves: again });
      assert.deepEqual([again.begun, more.trials.length > trials.length], [[1], true]);
    });

    it('refuse nested splits where results decide what is tried', async () => {
      const space = [{ models: ['logistic'], values: { C: { loguniform: [0.1, 1] as const } } }];
      const session = new Session({ local: await createCpuBackend() });
      const outer = resolveSplits(session.run(), 150, { folds: 2 });
      await assert.rejects(
        search({
          nested: { outer, inner: [outer, outer] },
          strategy: (facts) => random.begin(space, { trials: 4, stop_after: 2 }, facts),
        }),
        /search: expected candidates that do not depend on results together with nested splits, got 2/,
      );
      await session.close();
    });

    it('refuse a metric that a model of a later round has not, before any round', async () => {
      const space = ['logistic', 'svm'].map((name) => ({ models: [name], values: { C: [1] } }));
      let phases = 0;
      const asked = search({
        ...{ models: models.slice(0, 2), scoring: ['neg_log_loss'], reportClasses: false },
        strategy: (facts) => {
          const made = random.begin(space, { trials: 2, seed: 0, stop_after: 1 }, facts);
          assert.equal(made.next([])!.candidates[0]!.model.name, 'logistic');
          return made;
        },
        onPhase: () => phases++,
      });
      await assert.rejects(
        asked,
        /expected a metric that needs no probabilities, got neg_log_loss/,
      );
      assert.equal(phases, 0);
    });

    it('that are stopped within a round have the best of all that is done', async () => {
      const space = [
        { models: ['logistic', 'svm'], values: { C: { loguniform: [1e-4, 10] as const } } },
      ];
      const rungs: number[] = [];
      for (const seed of [6, 7]) {
        const own: Partial<SearchOptions> = {
          ...{ models: models.slice(0, 2), scoring: ['roc_auc'], reportClasses: false },
          strategy: (facts) => random.begin(space, { trials: 6, seed, stop_after: 3 }, facts),
        };
        const log = new MemoryLog();
        const whole = await search({ ...own, waves: log });
        const part = new MemoryLog();
        const first = new Set(whole.trials.slice(0, 3).map(({ model }) => model)).size;
        for (let wave = 0; wave < first; wave++) part.kept.set(wave, log.kept.get(wave)!);
        const { trials, bestIndex, partial } = await search({ ...own, waves: part, maxSeconds: 0 });
        assert.ok(trials.length > 3 && (partial !== undefined || trials.length === 6));
        const most = Math.max(...trials.map(({ meanScore }) => meanScore.roc_auc!));
        assert.equal(trials[bestIndex!]!.meanScore.roc_auc, most);
        if (partial) rungs.push(trials[bestIndex!]!.rung!);
      }
      assert.deepEqual(new Set(rungs), new Set([0, 1]), `${rungs}`);
    });

    it('try equal candidates once, and say so', async () => {
      const space = [
        { models: ['svm'], values: { C: [1, 2] } },
        { models: ['svm'], values: { C: [2], loss: ['squared_hinge'] } },
      ];
      const { trials, warnings } = await search({
        strategy: (facts) => grid.begin(space, {}, facts),
      });
      assert.equal(trials.length, 2);
      assert.match(warnings!.join(), /1 of 3 candidates are equal to others before them/);
    });
  });
});

/** One search of the models of several scenarios, which have data and folds in common. */
function jobOf(scenarios: readonly SklearnScenario[]): ReturnType<typeof parseJob> {
  const [{ data, target, features, standardize, cv, scoring }] = scenarios as [SklearnScenario];
  assert.ok(cv.kind === 'kfold' && !cv.shuffle);
  const document = {
    kind: 'search',
    data: { path: data, target, features, standardize },
    model: scenarios.map(({ estimator, params }) => ({ type: estimator, ...params })),
    search: { grid: scenarios.map((one) => ({ model: one.estimator, ...one.grid })) },
    cv: { type: 'kfold', folds: cv.folds },
    scoring: scoring.slice(0, 1),
  };
  return parseJob(join(sklearnFolder, 'job.yaml'), JSON.stringify(document));
}
