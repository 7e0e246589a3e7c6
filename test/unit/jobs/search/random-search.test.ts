/** Random search: draws by seed, trial and name; and what job files say of it. */
import assert from 'node:assert/strict';
import { estimators } from '../../../../jobs/estimators/index.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import type { Candidate, SearchModel } from '../../../../jobs/search/candidates.js';
import { type Distribution, drawn } from '../../../../jobs/search/distributions.js';
import { drawnCandidates, type SubSpace } from '../../../../jobs/search/space.js';
import { random } from '../../../../jobs/search/strategies/random.js';
import type { RungDone } from '../../../../jobs/search/strategies/strategy.js';

const net: SearchModel = {
  name: 'elastic-net',
  estimator: estimators.find(({ name }) => name === 'elastic-net')!,
  params: {},
};

function draw(values: SubSpace['values'], trials: number, seed = 1): readonly Candidate[] {
  return drawnCandidates([{ models: [net.name], values }], [net], { trials, seed }).candidates;
}

describe('random search', () => {
  it('draws the same candidates and more when there are more trials', () => {
    const values = { alpha: { loguniform: [1e-4, 1e2] as const }, l1_ratio: [0.1, 0.5, 0.9] };
    const few = draw(values, 5);
    assert.deepEqual(draw(values, 20).slice(0, 5), few);
    assert.notDeepEqual(draw(values, 5, 2), few);
    // A further parameter leaves the others' draws as they are.
    const more = draw({ ...values, fit_intercept: [true, false] }, 5);
    assert.deepEqual(
      more.map(({ params: { fit_intercept: _, ...rest } }) => rest),
      few.map(({ params }) => params),
    );
  });

  it('takes combinations of lists without replacement, as ParameterSampler', () => {
    const values = { alpha: [1, 2, 3], l1_ratio: [0.1, 0.5, 0.9] };
    const keyOf = ({ params }: Candidate): string => JSON.stringify(params);
    for (const trials of [1, 4, 9, 30]) {
      const found = draw(values, trials).map(keyOf);
      assert.equal(new Set(found).size, Math.min(trials, 9));
      assert.deepEqual(found, draw(values, 9).slice(0, trials).map(keyOf));
    }
    const drawing = { trials: 30, seed: 1 };
    const { notes } = drawnCandidates([{ models: [net.name], values }], [net], drawing);
    assert.match(notes.join(), /9 candidates, fewer than the 30 trials/);
  });

  // Share of draws below each point is the distribution's, within five deviations of a share of 4000.
  const cases: readonly (readonly [Distribution, readonly (readonly [number, number])[]])[] = [
    [{ uniform: [-1, 3] }, [[0, 0.25], [1, 0.5], [2.6, 0.9]]], // biome-ignore format: pairs
    [{ loguniform: [1e-4, 1e2] }, [[1e-3, 1 / 6], [0.1, 0.5], [10, 5 / 6]]], // biome-ignore format: pairs
    [{ randint: [1, 5] }, [[1.5, 0.25], [3.5, 0.75], [4.5, 1]]], // biome-ignore format: pairs
    [{ normal: [10, 2] }, [[8, 0.158655], [10, 0.5], [14, 0.97725]]], // biome-ignore format: pairs
    [{ quniform: [0, 1, 0.5] }, [[0.1, 0.25], [0.6, 0.75], [1.1, 1]]], // biome-ignore format: pairs
  ];
  for (const [distribution, shares] of cases) {
    it(`draws by ${JSON.stringify(distribution)}`, () => {
      const values = Array.from({ length: 4000 }, (_, trial) =>
        drawn(distribution, { seed: 7, trial, name: 'alpha' }),
      );
      for (const [point, share] of shares) {
        const found = values.filter((value) => value < point).length / values.length;
        const limit = 5 * Math.sqrt((share * (1 - share)) / values.length) + 1e-9;
        assert.ok(Math.abs(found - share) <= limit, `below ${point}: ${found}, not ${share}`);
      }
    });
  }

  it('draws again what a parameter does not take, and refuses what gives nothing', () => {
    const found = draw({ alpha: { normal: [0, 1] } }, 50);
    assert.ok(found.every(({ all }) => (all.alpha as number) >= 0));
    assert.throws(() => draw({ alpha: { normal: [-50, 1] } }, 1), /gave none in 1000 draws/);
  });

  it('stops after a round that does not improve the best score', () => {
    const values = { alpha: { loguniform: [1e-4, 1e2] as const } };
    const space = [{ models: [net.name], values }];
    const facts = { models: [net], rows: 100, splits: 5, classes: 0, features: [] };
    const settings = { trials: 12, seed: 1, stop_after: 3, min_improvement: 0.1 };
    const { next, outline, notes } = random.begin(space, settings, facts);
    assert.deepEqual(outline.map(({ candidates }) => candidates), [3, 3, 3, 3]); // biome-ignore format: a list
    const done: RungDone[] = [];
    const scores = [
      [0.2, Number.NaN, 0.1],
      [0.25, 0.4, 0.3],
      [0.5, 0.5, 0.5],
      [0, 0, 0],
    ];
    const tried: Candidate[] = [];
    for (let rung = next(done); rung !== undefined; rung = next(done)) {
      tried.push(...rung.candidates);
      done.push({ ...rung, scores: scores[done.length]! });
    }
    // The third is better by no more than 0.1.
    assert.equal(done.length, 3);
    assert.deepEqual(tried, draw(values, 9));
    assert.match(
      notes!(done).join(),
      /9 of 12 candidates were tried, and the last 3 .* more than 0.1/,
    );
    assert.equal(next(done.slice(0, 2))?.candidates.length, 3);
  });

  const job = (search: string, model = '{type: elastic-net}'): string =>
    `kind: search\ndata: {path: x.csv, target: y}\nmodel: ${model}\nsearch: ${search}\n`;
  const refused: readonly (readonly [string, RegExp, string?])[] = [
    ['{type: randm}', /4:16: search.type: expected one of grid, random.*did you mean random/],
    ['{type: random}', /search.distributions: expected a mapping, got nothing/],
    ['{type: random, grid: {alpha: 1}}', /search.grid: expected a known key, got `grid`/],
    ['{distributions: {alpha: 1}}', /search.distributions: expected a known key/],
    [
      '{type: random, distributions: {alpha: {uniform: [3, 1]}}}',
      /`from` below `to`, got \[3, 1\]/,
    ],
    ['{type: random, distributions: {alpha: {loguniform: [0, 1]}}}', /both above 0, got \[0, 1\]/],
    ['{type: random, distributions: {alpha: {uniform: [-1, 1]}}}', /at least 0, got -1 among what may be drawn/], // biome-ignore format: a case
    ['{type: random, distributions: {alpha: {uniform: [0, 1], randint: [0, 3]}}}', /expected one of .*, got uniform and randint/], // biome-ignore format: a case
    ['{type: random, distributions: {alpha: {uniform: [0, 1]}}, trials: 0}', /search.trials: expected a (whole )?number of at least 1/], // biome-ignore format: a case
    ['{}', /model.1.type: expected models of one task, got logistic, of classification/, '[{type: elastic-net}, {type: logistic}]'], // biome-ignore format: a case
    ['{}', /model.1.type: expected each model's name once, got ridge twice/, '[{type: ridge}, {type: ridge}]'], // biome-ignore format: a case
    ['{grid: [{model: rigde, lambda: 1}]}', /search.grid.0.model: expected one of ridge, ols.*did you mean ridge/, '[{type: ridge}, {type: ols}]'], // biome-ignore format: a case
    ['{grid: {lambda: 1}}', /search.grid.lambda: expected a known key, got `lambda`/, '[{type: ridge}, {type: ols}]'], // biome-ignore format: a case
    ['{grid: [{model: ols, lambda: 1}]}', /search.grid.0.lambda: expected a known key/, '[{type: ridge}, {type: ols}]'], // biome-ignore format: a case
    ['{type: random, distributions: [{model: ridge, lambda: {uniform: [0, 1]}}]}', /distributions for every model, got none for ols/, '[{type: ridge}, {type: ols}]'], // biome-ignore format: a case
  ];
  it('refuses outer splits together with stop_after, which goes by results', () => {
    const text = `${job('{type: random, distributions: {alpha: [1]}, stop_after: 2}')}cv: {outer: {folds: 3}}\n`;
    assert.throws(
      () => parseJob('job.yaml', text),
      /cv.outer: expected no outer splits for search type random/,
    );
    assert.doesNotThrow(() => parseJob('job.yaml', text.replace(', stop_after: 2', '')));
  });

  for (const [search, message, model] of refused) {
    it(`refuses ${search}${model ? ` of ${model}` : ''}`, () => {
      assert.throws(() => parseJob('job.yaml', job(search, model)), message);
    });
  }

  it('reads sub-grids, of the models they name or all, and others as they are', () => {
    const text = job(
      '{grid: [{model: a, lambda: [1, 2]}, {intercept: [true, false]}, {model: b, lambda: 7}]}',
      '[{type: ridge, name: a, lambda: 5}, {type: ridge, name: b}, {type: ols, name: c}]',
    );
    assert.throws(
      () => parseJob('job.yaml', text),
      /search.grid.1.intercept: expected a known key/,
    );
    const { models, search, document } = parseJob('job.yaml', text.replace('{intercept: [true, false]}, ', '')); // biome-ignore format: a call
    assert.deepEqual(search.space, [
      { models: ['a'], values: { lambda: [1, 2] } },
      { models: ['b'], values: { lambda: [7] } },
      { models: ['c'], values: {} },
    ]);
    assert.deepEqual(
      models.map(({ name, params }) => [name, params]),
      [
        ['a', { intercept: true, lambda: 5 }],
        ['b', { intercept: true }],
        ['c', { fit_intercept: true, tol: 1e-6 }],
      ],
    );
    // The document of a run is a job file again, and means the same.
    const again = parseJob('job.yaml', JSON.stringify(document));
    assert.deepEqual([again.models, again.search], [models, search]);
  });
});
