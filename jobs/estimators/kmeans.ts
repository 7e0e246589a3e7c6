/**
 * k-means: centres of clusters with the least sum of squared distances of rows from their nearest
 * (scikit-learn's `KMeans`, Lloyd's algorithm). All starts of all candidates and splits train in one
 * stack, an iteration of all is one pass. Decision values are 2 x c - |c|^2, greatest for the nearest
 * centre. Models that were asked for with fewer iterations go on where these left their starts.
 * Starts are of our own random numbers: results agree with scikit-learn from equal starts.
 */
import * as z from 'zod';
import { ConfigError, type DenseMatrix, eye, type Matrix, matrix } from '../../driver/index.js';
import { ClusterLoop } from './cluster-loop.js';
import { firstCenters } from './cluster-seeds.js';
import {
  type AffineMap,
  type Clustering,
  type ClusterRows,
  type ClusterStart,
  clusterAll,
  inertiaOf,
} from './clusters.js';
import type { Fit, Params, RowData, RowEstimator, TogetherLoops } from './estimator.js';

const parameters = z.strictObject({
  n_clusters: z.int().min(1).max(65_536).default(8).meta({ description: 'Clusters.' }),
  init: z.enum(['k-means++', 'random']).default('k-means++').meta({
    description: 'First centres: rows far from each other, or any.',
  }),
  n_init: z.int().min(1).max(10_000).default(10).meta({
    description: 'Starts, of which the one with the least inertia is kept.',
  }),
  max_iter: z.int().min(1).max(1_000_000).default(300).meta({
    description: 'Most iterations of a start.',
  }),
  tol: z.number().nonnegative().default(1e-4).meta({
    description: 'Ends when centres move by at most this, relative to the variance of the columns.',
  }),
  random_state: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .meta({
      description: 'Seed of the first centres.',
    }),
});

type KmeansParams = z.output<typeof parameters>;

export const kmeans: RowEstimator = {
  name: 'kmeans',
  description: 'k-means clustering.',
  solver: "Lloyd's iterations",
  parameters,
  task: 'clustering',
  reads: 'rows',
  version: 1,
  link: () => 'margin',
  outputs: ({ n_clusters }) => n_clusters as number,
  stacked: [],
  starts: ({ n_init }) => n_init as number,
  train: async (rows, _numbers, params) => (await together([{ rows, params }]))[0]!,
  together,
};

interface Asked {
  readonly rows: RowData;
  readonly params: KmeansParams;
}

async function together(
  models: readonly { readonly rows: RowData; readonly params: Params }[],
  { isFresh = false, keepsEnds = false }: TogetherLoops = {},
): Promise<Fit[]> {
  const begun = performance.now();
  const asked = models as readonly Asked[];
  const prepared = new Map<RowData, Promise<Prepared>>();
  for (const { rows } of asked) if (!prepared.has(rows)) prepared.set(rows, prepare(rows));
  const own = await Promise.all(asked.map(({ rows }) => prepared.get(rows)!));
  const loops = asked.map(({ rows, params }, i) => {
    return new ClusterLoop(rows, own[i]!.from, { ...params, kmeans: kmeans.version });
  });
  const known = await Promise.all(loops.map((loop) => loop.find(isFresh)));
  const fresh = [...asked.keys()].filter((i) => known[i] === undefined);
  const drawn = await allSeeds(fresh.map((i) => asked[i]!), fresh.map((i) => own[i]!)); // biome-ignore format: a call
  const starts = asked.map(({ params }, i): ClusterStart[] => {
    const { rows, variance } = own[i]!;
    const { n_clusters: clusters, n_init, max_iter: maxIterations, tol } = params;
    const d = rows.design.cols - 1;
    const shared = { rows, clusters, tolerance: tol * variance, maxIterations };
    const ends = known[i];
    if (ends !== undefined) return ends.map((from) => ({ ...shared, centers: from.centers, from }));
    return drawn[fresh.indexOf(i)]!.slice(0, n_init).map((centers) => {
      return { ...shared, centers: centers.slice(0, clusters * d) };
    });
  });
  const found = await clusterAll(starts.flat());
  const waited = (performance.now() - begun) / 1000;
  let from = 0;
  return asked.map(({ rows }, i) => {
    const mine = found.slice(from, from + starts[i]!.length);
    from += mine.length;
    const isDone = mine.every(({ isFinished }) => isFinished);
    if (keepsEnds || !isDone) loops[i]!.keep(mine, known[i], waited / asked.length, waited);
    const inertias = mine.map((one) => inertiaOf(one, own[i]!.squares));
    return fitOf(rows, own[i]!.means, mine[inertias.indexOf(Math.min(...inertias))]!);
  });
}

/** First centres by model; models that differ in sizes share those of the largest. */
async function allSeeds(
  models: readonly Asked[],
  own: readonly Prepared[],
): Promise<Float64Array[][]> {
  const kindOf = ({ params }: Asked, i: number): string =>
    JSON.stringify([own.indexOf(own[i]!), params.init, params.random_state]);
  const most = new Map<string, { centers: number; starts: number }>();
  models.forEach((model, i) => {
    const { n_clusters, n_init } = model.params;
    const { count } = own[i]!;
    if (n_clusters > count) {
      throw new ConfigError(
        `n_clusters: expected at most as many clusters as training rows that weigh something (${count}), got ${n_clusters}`,
        { key: 'model.n_clusters', value: n_clusters },
      );
    }
    const kind = kindOf(model, i);
    const { centers = 0, starts = 0 } = most.get(kind) ?? {};
    most.set(kind, { centers: Math.max(centers, n_clusters), starts: Math.max(starts, n_init) });
  });
  const drawn = new Map<string, Promise<Float64Array[]>>();
  return Promise.all(
    models.map((model, i) => {
      const kind = kindOf(model, i);
      const { centers, starts } = most.get(kind)!;
      const { init, random_state: seed } = model.params;
      const found =
        drawn.get(kind) ?? firstCenters(own[i]!.rows, { init, starts, most: centers, seed });
      drawn.set(kind, found);
      return found;
    }),
  );
}

/** What is known of the rows of a split. */
interface Prepared {
  readonly rows: ClusterRows;
  /** What that is made of. */
  readonly from: readonly Matrix[];
  /** Rows of a weight above 0, which centres may start from. */
  readonly count: number;
  /** Of the design columns, by weight. */
  readonly means: Float64Array;
  /** Mean variance of the design columns with all rows alike, as tolerances are in units of. */
  readonly variance: number;
  /** Sum of squares about the means, by weight. */
  readonly squares: number;
}

async function prepare({ X, weight, design }: RowData): Promise<Prepared> {
  const { count: total, mean, spread, variances } = design.moments;
  const expand = design.expand(eye(X.session, design.columns + 1));
  const columnVariances = variances ?? spread.div(total);
  const [map, means, squares, variance, count] = await Promise.all([
    expand.value(),
    mean.value(),
    spread.sum().value(),
    columnVariances.mean().value(),
    weight.gt(0).sum().value(),
  ]);
  const isOne = weight.expr.op.constant?.(weight.expr.attrs) === 1;
  return {
    rows: { X, weight: isOne ? undefined : weight, design: aboutMeans(map, means.data) },
    from: [X, weight, expand, mean, columnVariances],
    count,
    means: Float64Array.from(means.data),
    variance,
    squares,
  };
}

function aboutMeans({ rows, cols, data }: DenseMatrix, means: ArrayLike<number>): AffineMap {
  const cells: { row: number; col: number; value: number }[] = [];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const shift = row === rows - 1 && col < cols - 1 ? means[col]! : 0;
      const value = data[row * cols + col]! - shift;
      if (value !== 0) cells.push({ row, col, value });
    }
  }
  return { rows, cols, cells };
}

function fitOf({ X, design }: RowData, means: Float64Array, { centers }: Clustering): Fit {
  const d = design.columns;
  const clusters = centers.length / d;
  const cells = new Float64Array((d + 1) * clusters);
  for (let k = 0; k < clusters; k++) {
    let square = 0;
    for (let j = 0; j < d; j++) {
      const center = centers[k * d + j]! + means[j]!;
      cells[j * clusters + k] = 2 * center;
      square += center * center;
    }
    cells[d * clusters + k] = -square;
  }
  const weights = matrix(X.session, d + 1, clusters, cells);
  return { weights: design.expand(weights), outputs: design.outputs(weights) };
}
