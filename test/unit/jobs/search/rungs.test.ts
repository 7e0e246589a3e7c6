/** Searches by rungs: fits see what their rung may, survivors go on, and one pass makes all sums. */
import assert from 'node:assert/strict';
import { z } from 'zod';
import { type Matrix, matrix, Session } from '../../../../driver/index.js';
import { fillFolds } from '../../../../driver/operators/kfold.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { Estimator } from '../../../../jobs/estimators/estimator.js';
import { kmeans } from '../../../../jobs/estimators/kmeans.js';
import { linearSvm } from '../../../../jobs/estimators/linear-svm.js';
import { logistic } from '../../../../jobs/estimators/logistic.js';
import { nmf } from '../../../../jobs/estimators/nmf.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { candidateOf } from '../../../../jobs/search/candidates.js';
import { fitAll } from '../../../../jobs/search/fits.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import { searchGroups } from '../../../../jobs/search/groups.js';
import { prepare as prepareSearch, type SearchOptions } from '../../../../jobs/search/prepare.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import { runSearch } from '../../../../jobs/search/run-search.js';
import { RungFits } from '../../../../jobs/search/rung-fits.js';
import { halving } from '../../../../jobs/search/strategies/halving.js';
import { hyperband } from '../../../../jobs/search/strategies/hyperband.js';
import { oneRung, type SearchType } from '../../../../jobs/search/strategies/strategy.js';
import { MemoryLog } from '../../../support/memory-log.js';
import { cells } from '../../../support/plan.js';

const ROWS = 240;
const STRENGTHS = [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1e3, 1e4];
type Of = Readonly<{ name?: string; estimator: Estimator; params?: Record<string, number> }>;

describe('searches by rungs', () => {
  let session: Session;
  beforeEach(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  afterEach(() => session.close());

  const columns = (): Matrix => matrix(session, cells(ROWS, 6));
  const target = (X: Matrix): Matrix =>
    X.col(0)
      .add(X.col(1).mul(X.col(2)))
      .add(X.col(3).mul(0.2));

  const search = (
    type: SearchType,
    models: readonly Of[],
    settings: Readonly<Record<string, unknown>>,
    more: Partial<SearchOptions> = {},
  ): Promise<SearchResult> => {
    const X = columns();
    const isClass = models[0]!.estimator.task === 'classification';
    const y = isClass ? target(X).gt(0) : target(X);
    const own = models.map(({ estimator, name = estimator.name, params = {} }) => {
      return { name, estimator, params };
    });
    const space = own.map(({ name, estimator }) => {
      const key = estimator === ridge ? 'lambda' : 'C';
      return { models: [name], values: { [key]: STRENGTHS } };
    });
    return runSearch(session.run(more.signal ? { signal: more.signal } : {}), {
      ...{ X, y, ...(isClass ? { classes: ['no', 'yes'] } : {}), cv: { folds: 3 } },
      models: own,
      strategy: (facts) => type.begin(space, z.object(type.keys).parse(settings), facts),
      ...more,
    });
  };
  const last = ({ trials }: SearchResult) => {
    const rung = Math.max(...trials.map((trial) => trial.rung!));
    return trials.filter((trial) => trial.rung === rung);
  };
  const scoreOf = ({ meanScore, splitScores }: SearchResult['trials'][number], name: string) => [
    meanScore[name]!,
    ...splitScores[name]!,
  ];
  const close = (got: readonly number[], wanted: readonly number[], by: number, what: string) =>
    got.forEach((one, i) => {
      assert.ok(Math.abs(one - wanted[i]!) <= by * Math.max(1, Math.abs(wanted[i]!)), `${what}: ${one}, ${wanted[i]}`); // biome-ignore format: a rule
    });

  it('rows: fits from moments of all rungs take one pass, and the last is a grid search', async () => {
    const found = await search(halving, [{ estimator: ridge }], { min_resources: 20 });
    const { passes } = session.statistics.counters();
    assert.deepEqual(
      found.trials.map(({ rung, budget }) => [rung, budget?.rows]),
      [...Array(9).fill([0, 20]), ...Array(3).fill([1, 60]), [2, 180]],
    );
    assert.ok(passes <= 2, `${passes} passes`);
    const all = await search(halving, [{ estimator: ridge }], { factor: 3 });
    const [best] = last(all);
    assert.equal(best!.budget!.rows, 234);
    const whole = await search(halving, [{ estimator: ridge }], { min_resources: 240 });
    const X = columns();
    const grid = await gridSearch(session, {
      ...{ X, y: target(X), cv: { folds: 3 }, estimator: ridge, grid: { lambda: STRENGTHS } },
    });
    assert.equal(whole.trials.length, 9);
    for (const [t, trial] of whole.trials.entries()) {
      const name = whole.refit;
      close(scoreOf(trial, name), scoreOf(grid.trials[t]!, name), 1e-9, `trial ${t}`);
    }
    assert.deepEqual(whole.bestIndex, grid.bestIndex);
    close(whole.model!.coefficients.flat(), grid.model!.coefficients.flat(), 1e-9, 'model');
  });

  it('rows: fits that read rows train on the sample, tested on all test rows', async () => {
    const name = 'neg_log_loss';
    const settings = { min_resources: 40, max_resources: 120, seed: 5 };
    const params = { tol: 1e-8 };
    const options = { scoring: [name] as const };
    const found = await search(halving, [{ estimator: logistic, params }], settings, options);
    // The same by hand: rows outside the sample weigh nothing in fits.
    const position = new Float64Array(ROWS);
    fillFolds({ rows: ROWS, folds: ROWS, shuffle: true, seed: 5 }, 0, position);
    assert.deepEqual([...position].sort((a, b) => a - b), Array.from({ length: ROWS }, (_, i) => i)); // biome-ignore format: a rule
    for (const rows of [40, 120]) {
      const trials = found.trials.filter(({ budget }) => budget!.rows === rows);
      const X = columns();
      const wanted = await gridSearch(session, {
        ...{ X, y: target(X).gt(0), classes: ['no', 'yes'], cv: { folds: 3 }, params },
        weight: matrix(session, ROWS, 1, position.map((at) => (at < rows ? 1 : 0))), // biome-ignore format: an argument
        ...{ estimator: logistic, grid: { C: trials.map((trial) => trial.params.C!) }, ...options },
      });
      for (const [t, trial] of trials.entries()) {
        close(scoreOf(trial, name), scoreOf(wanted.trials[t]!, name), 1e-5, `${rows} rows, ${t}`);
      }
    }
    assert.equal(found.trials.filter(({ budget }) => budget!.rows === 120).length, 3);
  });

  it('rows: fits begin at those to fewer rows, but with cleaning steps, whose columns differ', async () => {
    const run = session.run();
    const X = columns();
    for (const prepare of [[], [{ step: 'scale' }]]) {
      const model = { name: 'logistic', estimator: logistic, params: {}, prepare };
      const candidate = candidateOf(model, {});
      const options = { X, y: target(X).gt(0), classes: ['no', 'yes'], cv: { folds: 3 } };
      const made = prepareSearch(run, { ...options, models: [model], strategy: () => oneRung([candidate]) }); // biome-ignore format: a call
      const fits = new RungFits(run);
      const opened = [40, 120].map((rows, number) => {
        const samples = { sizes: [40, 120], seed: 0 };
        return {
          trials: [{ number, candidate }],
          facts: { budget: { rows }, samples, largest: 1 },
        };
      });
      const before: (number | undefined)[] = [];
      for (const { trials, facts } of opened) {
        fits.begin(trials);
        const [group] = searchGroups(made, trials, facts);
        const own = await fits.before(group!);
        before.push(own.rung!.before?.size);
        fits.add(group!, await fitAll(run, own, true, false));
      }
      assert.deepEqual(before, [undefined, prepare.length > 0 ? undefined : 1]);
    }
  });

  it('iterations: survivors go on where they stood, to what they would be at once', async () => {
    const settings = { resource: 'iterations', min_resources: 2, max_resources: 18, factor: 3 };
    const options = { scoring: ['neg_log_loss'] as const, refit: false };
    const found = await search(halving, [{ estimator: logistic }], settings, options);
    assert.deepEqual(
      [0, 1, 2].map((rung) => found.trials.filter((trial) => trial.rung === rung).length),
      [9, 3, 1],
    );
    // Three survivors on three splits did not take 2 iterations again, one not 6, or fewer if done.
    const { loops } = session;
    assert.equal(loops.found, 9 + 3);
    assert.ok(loops.iterations > 9 * 2 && loops.iterations <= 9 * 2 + 3 * 6, `${loops.iterations}`);
    const trial = last(found)[0]!;
    const cold = new Session({ local: await createCpuBackend() });
    const X = matrix(cold, cells(ROWS, 6));
    const alone = await gridSearch(cold, {
      ...{ X, y: target(X).gt(0), classes: ['no', 'yes'], cv: { folds: 3 } },
      ...{ estimator: logistic, params: { max_iter: 18 }, grid: { C: [trial.params.C!] } },
      ...options,
    });
    close(scoreOf(trial, 'neg_log_loss'), scoreOf(alone.trials[0]!, 'neg_log_loss'), 1e-6, 'cold');
    await cold.close();
  });

  it('iterations: fits that did not converge say which key of the search limits them', async () => {
    const settings = { resource: 'iterations', min_resources: 1, max_resources: 2, factor: 2 };
    const models = [{ estimator: logistic, params: { tol: 1e-12 } }];
    const { warnings } = await search(halving, models, settings, { scoring: ['accuracy'] });
    assert.match(
      warnings!.join('\n'),
      /^16 of 16 fits did not converge, .* after at most 2 iterations \(search\.max_resources\); raise search\.max_resources or/,
    );
  });

  for (const [name, estimator, params] of [
    ['nmf', nmf, { n_components: 2, tol: 0 }],
    ['logistic', logistic, { tol: 1e-9, C: 100 }],
    ['logistic with l1', logistic, { tol: 1e-9, penalty: 'l1' }],
    ['hinge', linearSvm, { tol: 1e-9, loss: 'hinge' }],
  ] as const) {
    it(`a larger max_iter goes on: ${name}`, async () => {
      const fitted = async (of: Session, max_iter: number): Promise<number[]> => {
        const X = matrix(of, cells(ROWS, 6)).abs();
        const y = target(matrix(of, cells(ROWS, 6))).gt(0);
        const { model } = await gridSearch(of, {
          ...{ X, ...(estimator === nmf ? {} : { y, classes: ['no', 'yes'] }), cv: { folds: 3 } },
          ...{ estimator, params: { ...params, max_iter }, grid: {} },
        });
        return model!.coefficients.flat();
      };
      await fitted(session, 3);
      const more = await fitted(session, 7);
      const { found, iterations } = session.loops;
      // Three folds, and all rows.
      assert.deepEqual([found, iterations], [4, 12]);
      const cold = new Session({ local: await createCpuBackend() });
      assert.deepEqual(more, await fitted(cold, 7));
      await cold.close();
    });
  }

  it('k-means goes on as well, from the starts where they stood', async () => {
    const halved = async (of: Session) => {
      const X = matrix(of, cells(ROWS, 6));
      const model = { name: 'kmeans', estimator: kmeans, params: { n_init: 4, tol: 0 } };
      const settings = { resource: 'iterations', min_resources: 2, max_resources: 18, factor: 3 };
      const space = [{ models: ['kmeans'], values: { n_clusters: [2, 3, 4, 5, 6, 7, 8, 9, 10] } }];
      const run = of.run();
      const found = await runSearch(run, {
        ...{ X, cv: { folds: 3 }, models: [model] },
        strategy: (facts) => halving.begin(space, z.object(halving.keys).parse(settings), facts),
      });
      return { found, kernels: run.statistics.counters().kernels };
    };
    const { found, kernels } = await halved(session);
    assert.deepEqual([0, 1, 2].map((rung) => found.trials.filter((trial) => trial.rung === rung).length), [9, 3, 1]); // biome-ignore format: a rule
    const { loops } = session;
    // Three survivors on three splits, then one on three; those that were done took fewer.
    assert.equal(loops.found, 9 + 3);
    assert.ok(loops.iterations > 9 * 2 && loops.iterations <= 9 * 2 + 3 * 6, `${loops.iterations}`);
    const off = new Session({ local: await createCpuBackend(), reuse: 'off' });
    const anew = await halved(off);
    assert.ok(kernels < anew.kernels / 1.5, `${kernels} and ${anew.kernels} kernels`);
    for (const [t, trial] of found.trials.entries()) {
      close(
        scoreOf(trial, found.refit),
        scoreOf(anew.found.trials[t]!, found.refit),
        1e-9,
        `trial ${t}`,
      );
    }
    const cold = new Session({ local: await createCpuBackend() });
    const trial = last(found)[0]!;
    const alone = await gridSearch(cold, {
      ...{ X: matrix(cold, cells(ROWS, 6)), cv: { folds: 3 }, estimator: kmeans },
      params: { n_init: 4, tol: 0, max_iter: 18 },
      grid: { n_clusters: [trial.params.n_clusters!] },
    });
    close(scoreOf(trial, found.refit), scoreOf(alone.trials[0]!, found.refit), 1e-9, 'cold');
    close(found.model!.coefficients.flat(), alone.model!.coefficients.flat(), 1e-9, 'model');
    await Promise.all([off.close(), cold.close()]);
  });

  it('hyperband over two models has the best of those with all there is', async () => {
    const models = [{ estimator: logistic }, { name: 'svm', estimator: linearSvm }];
    const settings = { resource: 'iterations', max_resources: 9, seed: 2 };
    const found = await search(hyperband, models, settings, { scoring: ['accuracy'] });
    const full = last(found);
    assert.ok(full.every(({ budget }) => budget!.iterations === 9));
    const best = Math.max(...full.map(({ meanScore }) => meanScore.accuracy!));
    assert.equal(found.trials[found.bestIndex!]!.meanScore.accuracy, best);
    assert.ok(new Set(found.trials.map(({ model }) => model)).size === 2);
    assert.ok(found.trials.some(({ bracket }) => bracket === 2) && found.model !== null);
  });

  it('that are stopped as the next rung begins have what is done', async () => {
    const log = new MemoryLog();
    const controller = new AbortController();
    log.onEnd = () => controller.abort(new Error('stopped'));
    const own = { waves: log, signal: controller.signal };
    const { trials, bestIndex, partial, model } = await search(halving, [{ estimator: ridge }], { min_resources: 20 }, own); // biome-ignore format: a call
    assert.deepEqual([log.kept.size, trials.length, model], [1, 9, null]);
    assert.deepEqual([partial!.why, partial!.of], ['it was stopped', 13]);
    const most = Math.max(...trials.map(({ meanScore }) => meanScore.r2!));
    assert.equal(trials[bestIndex!]!.meanScore.r2, most);
  });

  for (const [resource, settings] of [
    ['rows', { min_resources: 26, max_resources: 240 }],
    ['iterations', { resource: 'iterations', min_resources: 2, max_resources: 18 }],
  ] as const) {
    it(`a search by ${resource} that was stopped ends with the same bits`, async () => {
      const options = { scoring: ['neg_log_loss', 'accuracy'] as const };
      const log = new MemoryLog();
      const whole = await search(halving, [{ estimator: logistic }], settings, { ...options, waves: log }); // biome-ignore format: a call
      assert.ok(log.waves.length >= 3);
      for (let kept = 1; kept <= log.waves.length; kept++) {
        await session.close();
        session = new Session({ local: await createCpuBackend() });
        const resumed = new MemoryLog();
        for (let w = 0; w < kept; w++) resumed.kept.set(w, log.kept.get(w)!);
        const again = await search(halving, [{ estimator: logistic }], settings, { ...options, waves: resumed }); // biome-ignore format: a call
        assert.deepEqual(again, whole, `from wave ${kept}`);
      }
    });
  }
});
