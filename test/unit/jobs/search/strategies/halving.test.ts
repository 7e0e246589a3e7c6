/** Rungs of halving are scikit-learn's, those of hyperband the paper's; who goes on follows from scores. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../../../../driver/index.js';
import { logistic } from '../../../../../jobs/estimators/logistic.js';
import { ridge } from '../../../../../jobs/estimators/ridge.js';
import type { Candidate } from '../../../../../jobs/search/candidates.js';
import { halving } from '../../../../../jobs/search/strategies/halving.js';
import { bracketsOf, hyperband } from '../../../../../jobs/search/strategies/hyperband.js';
import type {
  Rung,
  RungDone,
  SearchFacts,
  SearchType,
  Strategy,
} from '../../../../../jobs/search/strategies/strategy.js';
import { sklearnFolder } from '../../../../support/sklearn-fixtures.js';

interface HalvingCase {
  readonly facts: Omit<SearchFacts, 'models'> & { readonly candidates: number };
  readonly settings: Readonly<Record<string, unknown>>;
  readonly n_candidates?: readonly number[];
  readonly n_resources?: readonly number[];
  readonly rungs?: readonly (readonly number[])[];
  readonly best?: number;
  readonly error?: string;
}

const model = { name: 'logistic', estimator: logistic, params: {} };

function begin(
  type: SearchType,
  candidates: number,
  given: Readonly<Record<string, unknown>>,
  facts: Partial<SearchFacts> = {},
): Strategy {
  const C = Array.from({ length: candidates }, (_, i) => 1 + i);
  return type.begin([{ models: ['logistic'], values: { C } }], z.object(type.keys).parse(given), {
    models: [model],
    rows: 1000,
    splits: 5,
    classes: 2,
    features: [],
    ...facts,
  });
}

const numberOf = ({ params }: Candidate): number => (params.C as number) - 1;

/** Of those powers whose logarithm comes out too small there. */
const isPower = (candidates: number, factor: number): boolean =>
  (candidates === 243 && factor === 3) || (candidates === 1000 && factor === 10);

/** All rungs, scores being a function of the candidate. */
function rungsOf(strategy: Strategy, scoreOf: (number: number) => number): Rung[] {
  const done: RungDone[] = [];
  for (let rung = strategy.next(done); rung !== undefined; rung = strategy.next(done)) {
    done.push({ ...rung, scores: rung.candidates.map((one) => scoreOf(numberOf(one))) });
  }
  return done;
}

describe('halving', () => {
  it("has scikit-learn's rungs and survivors", () => {
    const { cases } = JSON.parse(readFileSync(join(sklearnFolder, 'halving.json'), 'utf8')) as {
      cases: readonly HalvingCase[];
    };
    const scoreOf = (n: number): number => (n % 11 === 5 ? Number.NaN : ((n * 37) % 50) / 8);
    let refused = 0;
    for (const { facts, settings, ...wanted } of cases) {
      const { resource: name, ...own } = settings;
      const given = { ...own, ...(name === 'n_iter' ? { resource: 'iterations' } : {}) };
      const what = JSON.stringify([facts, settings]);
      if (wanted.error !== undefined) {
        refused++;
        assert.throws(() => begin(halving, facts.candidates, given, facts), ConfigError, what);
        continue;
      }
      const strategy = begin(halving, facts.candidates, given, facts);
      const rungs = rungsOf(strategy, scoreOf);
      const count = rungs.length - (wanted.n_candidates?.length ?? 0);
      if (isPower(facts.candidates, settings.factor as number)) {
        // One rung more: scikit-learn rounds the logarithm of a power down to less than it is.
        assert.deepEqual([count, rungs.at(-1)!.candidates.length], [1, 1], what);
        rungs.pop();
      } else assert.equal(count, 0, what);
      assert.deepEqual(
        rungs.map(({ candidates }) => candidates.length),
        wanted.n_candidates,
        what,
      );
      const resources = rungs.map(({ budget }) => budget?.rows ?? budget?.iterations);
      assert.deepEqual(resources, wanted.n_resources, what);
      const outlined = strategy.outline.map(({ candidates }) => candidates);
      assert.deepEqual(outlined.slice(0, rungs.length), wanted.n_candidates);
      if (wanted.rungs === undefined) continue;
      const sets = rungs.map(({ candidates }) => candidates.map(numberOf));
      assert.deepEqual(sets, wanted.rungs, what);
    }
    assert.ok(refused === cases.filter(({ error }) => error).length && cases.length > 90);
  });

  it('refuses what has no such resource', () => {
    const of = (own: Partial<SearchFacts>, given: Readonly<Record<string, unknown>>) => () =>
      begin(halving, 4, given, own);
    assert.throws(
      of({}, { max_resources: 2000 }),
      /at most the rows of the data \(1000\), got 2000/,
    );
    assert.throws(
      of({ rows: 15 }, {}),
      /min_resources: expected at most max_resources \(15\), got 20/,
    );
    assert.equal(
      begin(halving, 4, { resource: 'iterations' }).outline.at(-1)!.budget!.iterations,
      99,
    );
    const linear = { name: 'logistic', estimator: ridge, params: {} };
    assert.throws(
      () =>
        halving.begin(
          [{ models: ['logistic'], values: { lambda: [1, 2] } }],
          { factor: 3, resource: 'iterations', min_resources: 1, max_resources: 9, seed: 0 },
          { models: [linear], rows: 100, splits: 2, classes: 0, features: [] },
        ),
      /resource: expected rows for logistic, which is fitted without iterations/,
    );
  });
});

describe('hyperband', () => {
  it('has the brackets of the paper: 81 of the resource by 3', () => {
    const brackets = bracketsOf(3, { least: 1, most: 81 });
    const rows = brackets.map(({ rungs }) => rungs.map((r) => [r.candidates, r.resources]));
    // Table 1 of Li et al.; its n of the fourth bracket is 6 by another rounding than its algorithm.
    assert.deepEqual(rows, [
      [[81, 1], [27, 3], [9, 9], [3, 27], [1, 81]],
      [[34, 3], [11, 9], [3, 27], [1, 81]],
      [[15, 9], [5, 27], [1, 81]],
      [[8, 27], [2, 81]],
      [[5, 81]],
    ]); // biome-ignore format: a table
  });

  it('takes rungs of equal resources of all brackets together, each by its own scores', () => {
    const strategy = begin(hyperband, 30, {
      ...{ resource: 'iterations', min_resources: 1, max_resources: 9, seed: 4 },
    });
    const rungs = rungsOf(strategy, (n) => -Math.abs(n - 20));
    assert.deepEqual(
      rungs.map(({ budget }) => budget),
      [{ iterations: 1 }, { iterations: 3 }, { iterations: 9 }],
    );
    const [first, second, third] = rungs as [Rung, Rung, Rung];
    assert.equal(first.candidates.length, 9);
    assert.deepEqual(new Set(first.brackets), new Set([0]));
    const survivors = [...first.candidates]
      .sort((a, b) => Math.abs(numberOf(a) - 20) - Math.abs(numberOf(b) - 20))
      .slice(0, 3);
    for (const one of survivors) assert.ok(second.candidates.includes(one));
    assert.ok(second.candidates.length <= 3 + 5 && second.candidates.length > 5);
    assert.ok(third.candidates.length <= 1 + 1 + 3 && third.candidates.length >= 3);
    const again = rungsOf(
      begin(hyperband, 30, {
        ...{ resource: 'iterations', min_resources: 1, max_resources: 9, seed: 4 },
      }),
      (n) => -Math.abs(n - 20),
    );
    assert.deepEqual(
      again.map(({ candidates }) => candidates.map(numberOf)),
      rungs.map(({ candidates }) => candidates.map(numberOf)),
    );
  });

  it('draws candidates of distributions for each bracket', () => {
    const strategy = hyperband.begin(
      [{ models: ['logistic'], values: { C: { loguniform: [1e-3, 1e3] } } }],
      { factor: 3, resource: 'rows', min_resources: 100, max_resources: 'auto', seed: 1 },
      { models: [model], rows: 1000, splits: 5, classes: 2, features: [] },
    );
    const rungs = rungsOf(strategy, (n) => n);
    assert.deepEqual(
      rungs.map(({ candidates, budget }) => [candidates.length, budget!.rows]),
      strategy.outline.map(({ candidates, budget }) => [candidates, budget!.rows]),
    );
    assert.deepEqual(
      strategy.outline.map(({ budget }) => budget!.rows),
      [111, 333, 1000],
    );
  });
});
