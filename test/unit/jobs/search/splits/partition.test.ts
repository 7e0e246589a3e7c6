/** Splits over any sets of groups score as a search over those rows alone does. */
import assert from 'node:assert/strict';
import { dense, type Matrix, matrix, Session } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import { ridge } from '../../../../../jobs/estimators/ridge.js';
import { gridSearch } from '../../../../../jobs/search/grid-search.js';
import type { Metric } from '../../../../../jobs/search/scoring/metrics.js';
import {
  foldPartition,
  type Splits,
  splitCount,
} from '../../../../../jobs/search/splits/partition.js';
import { assertClose } from '../../../../support/close.js';
import { cells } from '../../../../support/plan.js';

const ROWS = 90;
const groupOfRow = (row: number): number => (row * 7) % 5;

describe('splits over groups', () => {
  let session: Session;

  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  const column = (values: readonly number[]): Matrix =>
    matrix(session, values.length, 1, Float64Array.from(values));

  /** Scores by split of two penalties, of the rows that are wanted. */
  const scoresOf = async (
    rows: readonly number[],
    cv: Splits,
    scoring: Metric,
    intercept: boolean,
  ): Promise<number[]> => {
    const [X, y] = [cells(ROWS, 3), cells(ROWS, 1, 2)];
    const own = rows.flatMap((row) => [...X.data.subarray(3 * row, 3 * row + 3)]);
    const result = await gridSearch(session, {
      X: matrix(session, rows.length, 3, Float64Array.from(own)),
      y: column(rows.map((row) => y.data[row]!)),
      cv,
      estimator: ridge,
      params: { intercept },
      grid: { lambda: [0.1, 10] },
      scoring: [scoring],
    });
    assert.equal(result.folds, splitCount(cv));
    return result.trials.flatMap((trial) => trial.splitScores[scoring]!);
  };

  const all = Array.from({ length: ROWS }, (_, row) => row);
  const splits = [
    { train: [0, 2, 3], test: [1] },
    { train: [1, 3], test: [0, 4] },
    { train: [0, 1, 2, 4], test: [3] },
  ];

  for (const intercept of [true, false]) {
    for (const scoring of ['r2', 'neg_mean_absolute_error'] as const) {
      it(`are scored as their rows alone: ${scoring}, intercept ${intercept}`, async () => {
        const groupOf = column(all.map(groupOfRow));
        const twice = { groupOf, groups: 5, splits };
        const turned = foldPartition(column(all.map((row) => (groupOfRow(row) + 1) % 5)), 5);
        const scores = await scoresOf(all, [twice, turned], scoring, intercept);
        const expected: number[][] = [];
        for (const { train, test } of [
          ...splits,
          ...[4, 0, 1, 2, 3].map((one) => ({ test: [one], train: [0, 1, 2, 3, 4].filter((g) => g !== one) })), // biome-ignore format: a line
        ]) {
          const rows = all.filter((row) => [...train, ...test].includes(groupOfRow(row)));
          const fold = column(rows.map((row) => (test.includes(groupOfRow(row)) ? 0 : 1)));
          expected.push(await scoresOf(rows, [foldPartition(fold, 1, 2)], scoring, intercept));
        }
        const byTrial = [0, 1].flatMap((trial) => expected.map((pair) => pair[trial]!));
        const [got, want] = [scores, byTrial].map((values) =>
          dense(1, values.length, Float64Array.from(values)),
        );
        assertClose(got!, want!, 1e-11, 'scores');
      });
    }
  }
});
