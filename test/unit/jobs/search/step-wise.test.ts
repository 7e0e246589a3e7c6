/** Step-wise searches take the features that scikit-learn's SequentialFeatureSelector takes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface StepCase {
  readonly direction: 'forward' | 'backward';
  readonly standardize: boolean;
  readonly tol: number;
  readonly metric: string;
  /** Features chosen by number of them, and their scores. */
  readonly subsets: readonly (readonly string[])[];
  readonly scores: readonly number[];
  /** By the tolerance. */
  readonly taken: readonly string[];
}

const { cases } = JSON.parse(readFileSync(join(sklearnFolder, 'step-wise.json'), 'utf8')) as {
  readonly cases: readonly StepCase[];
};
const FEATURES = ['x1', 'x2', 'x3', 'x4', 'x5', 'x6'];

describe('step-wise search', () => {
  let open: OpenSession;
  before(async () => {
    open = await openSession('local');
  });
  after(() => open.session.close());

  const run = async (
    { direction, standardize, metric }: StepCase,
    search: object,
    model: object = { type: 'ridge', lambda: 2 },
    prepare: readonly object[] = [],
  ): Promise<{ search: SearchResult; passes: number }> => {
    const job = parseJob(
      join(sklearnFolder, 'job.yaml'),
      JSON.stringify({
        kind: 'search',
        data: { path: 'regression.csv', target: 'y', features: FEATURES, standardize },
        model,
        ...(prepare.length > 0 ? { prepare } : {}),
        search: { type: 'step-wise', direction, ...search },
        cv: { folds: 5 },
        scoring: metric,
      }),
    );
    return runJob(job, { engine: 'local', open });
  };
  const bestOf = ({ trials, bestIndex }: SearchResult) => trials[bestIndex!]!;

  for (const one of cases) {
    const { direction, metric, subsets, scores, tol, taken } = one;
    it(`${direction} by ${metric}: the same features at each step, in one pass`, async () => {
      const { search } = await run(one, { n_features_to_select: direction === 'forward' ? 6 : 1 });
      for (const [rung, size] of rungSizes(search).entries()) {
        const own = search.trials.filter((trial) => trial.rung === rung);
        const best = own.find(({ meanScore }) => meanScore[metric] === greatest(own, metric))!;
        assert.equal(best.params.features, subsets[size - 1]!.join(', '));
        const error = Math.abs(best.meanScore[metric]! - scores[size - 1]!);
        assert.ok(error <= 1e-8 * Math.max(1, Math.abs(scores[size - 1]!)), `${size}: ${error}`);
      }
      const by = await run(one, { tol });
      assert.equal(bestOf(by.search).params.features, taken.join(', '));
      const [weights] = by.search.model!.coefficients;
      assert.deepEqual(FEATURES.filter((_, j) => weights![j] !== 0), taken); // biome-ignore format: a list
      assert.equal(by.passes, 0, 'sums of products answer every subset');
    });
  }

  it('tries every candidate of the grid on each subset, and keeps exactly as many as asked', async () => {
    const one = cases[0]!;
    const { search } = await run(
      one,
      { n_features_to_select: 2, grid: { lambda: [2, 1e6] } },
      { type: 'ridge' },
    );
    assert.equal(search.trials.length, 2 * (6 + 5));
    assert.deepEqual(bestOf(search).params, { features: one.subsets[1]!.join(', '), lambda: 2 });
    await assert.rejects(
      run(one, { n_features_to_select: 7 }),
      /n_features_to_select: expected at most the number of features \(6\), got 7/,
    );
  });

  it('says which steps it cannot come after', async () => {
    await assert.rejects(
      run(cases[0]!, {}, { type: 'ridge' }, [{ step: 'scale' }, { step: 'pca' }]),
      /expected \w+ by name, got columns that a step before it made of others .*; put that step after it, or leave it out of a step-wise search/,
    );
  });

  /** Features of each rung's candidates. */
  function rungSizes({ trials }: SearchResult): number[] {
    const sizes: number[] = [];
    for (const { rung, params } of trials) {
      sizes[rung!] = (params.features as string).split(', ').length;
    }
    return sizes;
  }

  function greatest(trials: SearchResult['trials'], metric: string): number {
    return Math.max(...trials.map(({ meanScore }) => meanScore[metric]!));
  }
});
