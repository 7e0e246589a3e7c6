/**
 * Scores without a target, of rows as models see them: imputed and standardised by the training
 * rows. They are compared with sums over the rows, one by one.
 */
import assert from 'node:assert/strict';
import { matrix, Session } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import type { Estimator, Params } from '../../../../../jobs/estimators/estimator.js';
import { kmeans } from '../../../../../jobs/estimators/kmeans.js';
import type { LinearModel } from '../../../../../jobs/estimators/model.js';
import { pca, svd } from '../../../../../jobs/estimators/pca.js';
import { gridSearch } from '../../../../../jobs/search/grid-search.js';
import type { GridSearchOptions } from '../../../../../jobs/search/prepare.js';
import type { Metric } from '../../../../../jobs/search/scoring/metrics.js';
import { cells } from '../../../../support/plan.js';

const ROWS = 60;
const HELD = 20;
const COLUMNS = 3;

/** Three columns of two far clusters, the last with gaps: null. */
const table = Array.from({ length: ROWS }, (_, i) => {
  const { data } = cells(ROWS, COLUMNS);
  const row = [...data.subarray(i * COLUMNS, (i + 1) * COLUMNS)].map(
    (cell) => 3 * cell + 2 + 30 * (i % 2),
  );
  return [row[0]!, row[1]!, i % 5 === 1 ? null : row[2]!] as const;
});

/** As encoded: gaps are 0, and a fourth column says where. */
function encoded(session: Session, from: number, to: number) {
  const rows = table.slice(from, to).map(([a, b, c]) => [a, b, c ?? 0, c === null ? 1 : 0]);
  return matrix(session, rows.length, 4, Float64Array.from(rows.flat()));
}

/** Held-out rows as a model of the others sees them. */
function prepared(standardize: boolean): { rows: number[][]; scales: number[] } {
  const training = table.slice(HELD);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const present = training.flatMap(([, , c]) => (c === null ? [] : [c]));
  const filled = (row: (typeof table)[number]) => row.map((cell) => cell ?? mean(present));
  const columns = [0, 1, 2].map((j) => training.map((row) => filled(row)[j]!));
  const means = columns.map(mean);
  const scales = columns.map((column, j) =>
    standardize ? Math.sqrt(mean(column.map((cell) => (cell - means[j]!) ** 2))) : 1,
  );
  const rows = table
    .slice(0, HELD)
    .map((row) =>
      filled(row).map((cell, j) => (cell - (standardize ? means[j]! : 0)) / scales[j]!),
    );
  return { rows, scales };
}

function squared(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, j) => sum + (value - b[j]!) ** 2, 0);
}

/** Sum of squared distances from the nearest centre. */
function inertia(model: LinearModel, standardize: boolean): number {
  const { rows, scales } = prepared(standardize);
  const centers = model.coefficients.map((own) => own.map((cell, j) => (cell * scales[j]!) / 2));
  return rows.reduce((sum, row) => sum + Math.min(...centers.map((one) => squared(row, one))), 0);
}

/** Mean squared distance from the reconstruction o + V V' (x - o). */
function reconstruction(model: LinearModel, standardize: boolean): number {
  const { rows, scales } = prepared(standardize);
  const vectors = model.coefficients.map((own) => own.map((cell, j) => cell * scales[j]!));
  const distances = rows.map((row) => {
    const z = vectors.map(
      (vector, k) =>
        vector.reduce((sum, cell, j) => sum + cell * row[j]!, 0) +
        (standardize ? 0 : model.intercepts[k]!),
    );
    // o from the intercepts, which are -V' o; its part at right angles to V from the training mean.
    const origin = model.intercepts.every((b) => b === 0) || standardize ? [0, 0, 0] : center();
    const back = origin.map((o, j) => o + vectors.reduce((sum, v, k) => sum + v[j]! * z[k]!, 0));
    return squared(row, back);
  });
  return distances.reduce((a, b) => a + b, 0) / HELD;
}

/** The training means, imputed. */
function center(): number[] {
  const training = table.slice(HELD);
  return [0, 1, 2].map((j) => {
    const present = training.flatMap((row) => (row[j] === null ? [] : [row[j]!]));
    return present.reduce((a, b) => a + b, 0) / present.length;
  });
}

/** Mean silhouette coefficient, by its definition. */
function silhouette(model: LinearModel, standardize: boolean): number {
  const { rows, scales } = prepared(standardize);
  const centers = model.coefficients.map((own) => own.map((cell, j) => (cell * scales[j]!) / 2));
  const labels = rows.map((row) => {
    const all = centers.map((one) => squared(row, one));
    return all.indexOf(Math.min(...all));
  });
  const scores = rows.map((row, i) => {
    const means = centers.map((_, c) => {
      const own = rows.filter((_, j) => j !== i && labels[j] === c);
      return own.reduce((sum, other) => sum + Math.sqrt(squared(row, other)), 0) / own.length;
    });
    const inside = means[labels[i]!]!;
    const nearest = Math.min(...means.filter((_, c) => c !== labels[i]));
    return (nearest - inside) / Math.max(nearest, inside);
  });
  return -scores.reduce((a, b) => a + b, 0) / HELD;
}

const CASES: [Estimator, Params, (model: LinearModel, standardize: boolean) => number, Metric?][] =
  [
    [kmeans, { n_clusters: 2, n_init: 2, tol: 0 }, inertia],
    [kmeans, { n_clusters: 2, n_init: 2, tol: 0 }, silhouette, 'silhouette'],
    [pca, { n_components: 2 }, reconstruction],
    [svd, { n_components: 2 }, reconstruction],
  ];

describe('scores without a target', () => {
  for (const [estimator, params, wanted, metric] of CASES) {
    for (const standardize of [false, true]) {
      it(`are those of rows: ${metric ?? estimator.name}, standardised ${standardize}`, async () => {
        const session = new Session({ local: await createCpuBackend() });
        const same: Omit<GridSearchOptions, 'X' | 'cv'> = {
          estimator,
          params,
          grid: {},
          standardize,
          ...(metric ? { scoring: [metric] } : {}),
          imputations: [{ column: 2, indicator: 3 }],
        };
        const X = encoded(session, 0, ROWS);
        const { trials, refit } = await gridSearch(session.run(), { ...same, X, cv: { folds: 3 } });
        const others = encoded(session, HELD, ROWS);
        const { model } = await gridSearch(session.run(), { ...same, X: others, cv: { folds: 2 } });
        const [score] = trials[0]!.splitScores[refit]!;
        const distance = wanted(model!, standardize);
        assert.ok(
          Math.abs(score! + distance) <= 1e-9 * Math.abs(distance),
          `${score} and ${distance}`,
        );
        await session.close();
      });
    }
  }
});
