/** Reference results are complete: a fixture cut short must not make the agreement tests pass. */
import assert from 'node:assert/strict';
import { candidateCount } from '../../../../jobs/search/candidates.js';
import { numericColumns, sklearnScenarios } from '../../../support/sklearn-fixtures.js';

describe("scikit-learn's reference results", () => {
  it('hold a score of every metric, penalty and fold', () => {
    const scenarios = sklearnScenarios();
    assert.equal(scenarios.length, 38);
    for (const { name, grid, folds, scoring, expected } of scenarios) {
      assert.equal(scoring.length, 4, name);
      for (const metric of scoring) {
        const { split, mean, std, rank } = expected.scores[metric];
        assert.deepEqual(
          [split.length, mean.length, std.length, rank.length],
          Array(4).fill(candidateCount(grid)),
          name,
        );
        for (const scores of split) {
          assert.equal(scores.length, folds, name);
          assert.ok(scores.every(Number.isFinite), name);
        }
      }
    }
  });

  it('read empty cells as missing numbers', () => {
    const columns = numericColumns('missing.csv');
    const missing = ['x1', 'x2', 'x3', 'x4', 'x5'].map(
      (name) => columns.get(name)!.filter(Number.isNaN).length,
    );
    assert.ok(missing.slice(0, 4).every((count) => count > 0));
    assert.equal(missing[4], 0);
  });
});
