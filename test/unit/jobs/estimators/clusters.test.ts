/**
 * k-means from given starts is scikit-learn's (`test/fixtures/sklearn/generate-classes.py`), with
 * clusters that run empty; models that train together are those that train alone; an iteration is
 * one pass for all.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '../../../../driver/backend/backend.js';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { type Matrix, matrix, Session, scalar } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { type ClusterRows, clusterAll, inertiaOf } from '../../../../jobs/estimators/clusters.js';
import type { Params, RowData } from '../../../../jobs/estimators/estimator.js';
import { kmeans } from '../../../../jobs/estimators/kmeans.js';
import { assertClose } from '../../../support/close.js';
import { cells } from '../../../support/plan.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Fixture {
  readonly data: { readonly numbers: readonly (readonly number[])[] };
  readonly weight: readonly number[];
  readonly clusters: readonly {
    readonly weighted: boolean;
    readonly start: readonly (readonly number[])[];
    readonly max_iter: number;
    readonly tol: number;
    readonly iterations: number;
    readonly inertia: number;
    readonly centers: readonly (readonly number[])[];
  }[];
}

describe('k-means', () => {
  const { data, clusters, weight } = JSON.parse(
    readFileSync(join(sklearnFolder, 'classes.json'), 'utf8'),
  ) as Fixture;

  it('is that of scikit-learn from the same starts, all at once', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const X = matrix(session, data.numbers);
    const [alike, weighted] = [about(X, data.numbers), about(X, data.numbers, weight)];
    const { means, variance } = alike;
    const starts = clusters.map(({ start, max_iter, tol, weighted: isWeighted }) => ({
      rows: (isWeighted ? weighted : alike).rows,
      centers: Float64Array.from(start.flatMap((row) => row.map((cell, j) => cell - means[j]!))),
      clusters: start.length,
      tolerance: tol * variance,
      maxIterations: max_iter,
    }));
    const found = await clusterAll(starts);
    // The same stopped after 1, 2, .. iterations, each time to go on where it stood.
    let stopped = await clusterAll(starts.map((one) => ({ ...one, maxIterations: 1 })));
    for (let most = 2; most <= Math.max(...starts.map((one) => one.maxIterations)); most++) {
      stopped = await clusterAll(
        starts.map((one, i) => {
          return { ...one, maxIterations: Math.min(most, one.maxIterations), from: stopped[i]! };
        }),
      );
      if (stopped.every((one, i) => one.isFinished || most >= starts[i]!.maxIterations)) break;
    }
    stopped.forEach((one, i) => {
      assert.equal(one.iterations, found[i]!.iterations, `iterations of run ${i} in pieces`);
      assertCells(one.centers, [...found[i]!.centers], `centres of run ${i} in pieces`);
    });
    found.forEach((one, i) => {
      const { iterations, inertia, centers, weighted: isWeighted } = clusters[i]!;
      const { squares } = isWeighted ? weighted : alike;
      const own = centers.flatMap((row) => row.map((cell, j) => cell - means[j]!));
      assert.equal(one.iterations, iterations, `iterations of run ${i}`);
      assertCells(one.centers, own, `centres of run ${i}`);
      assertCells([inertiaOf(one, squares)], [inertia], `inertia of run ${i}`);
    });
  });

  it('knows a cluster that weights have come to and gone from by rounding for empty', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const numbers = [21, 22, 18, 9, 10, 13, 28, 30, 27, 0, 27].map((cell) => [cell]);
    // The last cluster has 4 rows, 2 leave it, then 2: in tenths 1.8e-15 is left of their weights.
    const whole = [18, 22, 7, 28, 12, 28, 28, 4, 33, 12, 27];
    const starts = [whole, whole.map((weight) => weight / 10)].map((weight) => {
      const { rows, means } = about(matrix(session, numbers), numbers, weight);
      const centers = Float64Array.of(32, 15, 16, 25).map((cell) => cell - means[0]!);
      return { rows, centers, clusters: 4, tolerance: 0, maxIterations: 50 };
    });
    const [exact, rounded] = await clusterAll(starts);
    assertCells(rounded!.centers, [...exact!.centers], 'centres');
  });

  it('compares clusters with rows and tolerances with variances, not with weights', async () => {
    const session = new Session({ local: await createCpuBackend() });
    const X = matrix(session, cells(150, 3));
    const rows = await plainRows(X);
    const { variances } = (await plainRows(X.mul(100))).design.moments;
    const light = { ...rows, weight: rows.weight.mul(1e-3) };
    const params = kmeans.parameters.parse({ n_clusters: 3, tol: 1e-3, n_init: 1 }) as Params;
    const weights = async (own: RowData) => (await kmeans.train(own, {}, params)).weights.value();
    assertClose(await weights(light), await weights(rows), 1e-9, 'light');
    const moments = { ...rows.design.moments, variances: variances! };
    const wide = { ...rows, design: { ...rows.design, moments } };
    assert.notDeepEqual((await weights(wide)).data, (await weights(rows)).data);
    const none = { ...rows, weight: rows.weight.mul(X.col(0).gt(X.col(0).max())) };
    await assert.rejects(weights(none), /as training rows that weigh something \(0\), got 3/);
  });

  it('finds the same models together as alone, from starts that all sizes share', async () => {
    const session = new Session({ local: await createCpuBackend() });
    const X = matrix(session, cells(150, 3));
    const rows = await plainRows(X);
    const params = (n_clusters: number, init: string): Params => ({
      ...(kmeans.parameters.parse({ n_clusters, n_init: 2, init }) as Params),
    });
    const asked = [params(2, 'k-means++'), params(5, 'k-means++'), params(4, 'random')];
    const together = await kmeans.together!(asked.map((own) => ({ rows, params: own })));
    for (const [i, own] of asked.entries()) {
      const alone = await kmeans.train(rows, {}, own);
      const [a, b] = [await alone.weights.value(), await together[i]!.weights.value()];
      assert.deepEqual([b.rows, b.cols], [4, own.n_clusters]);
      assertClose(b, a, 1e-12, String(own.n_clusters));
    }
  });

  it('takes one pass an iteration for all models', async () => {
    const session = new Session({ local: await createCpuBackend() });
    const run = session.run();
    const X = matrix(session, cells(500, 4)).in(run);
    const { rows } = about(X, (await X.toArray()) as number[][]);
    const starts = [2, 3, 7].map((size) => ({
      rows,
      centers: cells(size, 4, 9).data.slice() as Float64Array,
      clusters: size,
      tolerance: 0,
      maxIterations: 4,
    }));
    const before = run.statistics.counters().kernels;
    const found = await clusterAll(starts);
    assert.deepEqual(
      found.map(({ iterations }) => iterations),
      [4, 4, 4],
    );
    // Four iterations and the last comparison, two kernels each.
    assert.ok(run.statistics.counters().kernels - before <= 5 * 3);
  });

  it('is the same by rows on threads as at once', async () => {
    const cpu = await createCpuBackend({ helperFlops: 0 });
    const d = 3;
    const starts = Array.from({ length: 60 }, (_, i) => cells(3, d, i).data as Float64Array);
    const inertias = async (local: Backend): Promise<number[]> => {
      const session = new Session({ local });
      const X = matrix(session, cells(20_000, d));
      const { rows, squares } = about(X, (await X.toArray()) as number[][]);
      const models = starts.map((centers) => ({
        ...{ rows, centers, clusters: 3, tolerance: 0, maxIterations: 3 },
      }));
      return (await clusterAll(models)).map((one) => inertiaOf(one, squares));
    };
    const expected = await inertias(createReferenceBackend());
    assertCells(await inertias(cpu), expected, 'inertias');
    await cpu.close();
  });
});

function about(
  X: Matrix,
  numbers: readonly (readonly number[])[],
  weight: readonly number[] = numbers.map(() => 1),
) {
  const d = X.cols;
  const means = Array.from({ length: d }, (_, j) =>
    numbers.reduce((sum, row) => sum + row[j]! / numbers.length, 0),
  );
  const squares = numbers.reduce(
    (sum, row, i) =>
      sum + weight[i]! * row.reduce((own, cell, j) => own + (cell - means[j]!) ** 2, 0),
    0,
  );
  const ones = Array.from({ length: d + 1 }, (_, j) => ({ row: j, col: j, value: 1 }));
  const shifts = means.map((mean, col) => ({ row: d, col, value: -mean }));
  const design = { rows: d + 1, cols: d + 1, cells: [...ones, ...shifts] };
  const isOne = weight.every((own) => own === 1);
  const rows: ClusterRows = {
    X,
    design,
    weight: isOne ? undefined : matrix(X.session, weight.length, 1, Float64Array.from(weight)),
  };
  return { rows, squares, means, variance: squares / numbers.length / d };
}

/** Rows of a design that is the encoded columns. */
async function plainRows(X: Matrix): Promise<RowData> {
  const { session, rows, cols } = X;
  const center = X.colMeans();
  const about = X.sub(center);
  const moments = {
    count: scalar(session, rows),
    mean: center.t(),
    scatter: about.tsmm(),
    variances: about.square().colMeans(),
  };
  const { scatter } = moments;
  const all = { ...moments, spread: scatter.diag() };
  const products = { scatter, targetScatter: center.t().mul(0) };
  return {
    X,
    y: X.slice(null, 0),
    weight: matrix(session, rows, 1, new Float64Array(rows).fill(1)),
    classes: 0,
    models: 1,
    design: {
      columns: cols,
      isPlain: true,
      expand: (weights) => weights,
      rows: (own) => own,
      restored: (layer) => layer,
      contract: (gradient) => gradient,
      outputs: (weights) => ({
        coefficients: weights.slice([0, cols]),
        intercept: weights.slice(cols),
      }),
      moments: { ...all, target: scalar(session, 0), products },
      all,
    },
  };
}

function assertCells(got: ArrayLike<number>, expected: readonly number[], what: string): void {
  assert.equal(got.length, expected.length, what);
  expected.forEach((cell, i) => {
    const error = Math.abs(got[i]! - cell);
    assert.ok(error <= 1e-9 * (1 + Math.abs(cell)), `${what}: expected ${cell}, got ${got[i]}`);
  });
}
