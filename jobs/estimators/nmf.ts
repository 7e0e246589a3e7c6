/**
 * Nonnegative matrix factorisation: X about W H, both from 0 up, least in half the squared distance
 * or the Kullback-Leibler divergence and penalties on W and H (scikit-learn's `NMF`, solver `mu`).
 * Multiplicative updates from the same start by the same steps, so that a fit ends where it ends
 * there. Models of nearly as many components train together: components beyond a model's own are 0,
 * which updates leave at 0.
 *
 * Source: Fevotte and Idier, "Algorithms for nonnegative matrix factorization with the
 * beta-divergence" (Neural Computation 2011); the start: Boutsidis and Gallopoulos, "SVD based
 * initialization" (Pattern Recognition 2008).
 */
import * as z from 'zod';
import {
  ConfigError,
  iterate,
  type LoopState,
  type Matrix,
  rand,
  seq,
  weightedCrossEntropy,
  weightedProduct,
  zeros,
} from '../../driver/index.js';
import type { Fit, Nonnegative, RowData, RowEstimator } from './estimator.js';
import { refuseStandardised } from './multinomial-nb.js';
import { columnProducts, failsAtNaN, rowFit, wideRows } from './solvers/row-fit.js';

const penalty = z.number().nonnegative();
const parameters = z.strictObject({
  n_components: z.int().min(1).max(65_536).default(2).meta({ description: 'Components.' }),
  init: z.enum(['nndsvda', 'nndsvd', 'random']).default('nndsvda').meta({
    description:
      'The start: by singular vectors, their zeros as the mean of the columns or left; or random.',
  }),
  beta_loss: z.enum(['frobenius', 'kullback-leibler']).default('frobenius').meta({
    description: 'Half the squared distance, or the divergence.',
  }),
  tol: z.number().nonnegative().default(1e-4).meta({
    description: 'Ends when ten iterations lessen the error by less than this share of the first.',
  }),
  max_iter: z.int().min(1).max(1_000_000).default(200).meta({
    description: 'Most iterations, each a pass over the rows.',
  }),
  random_state: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .meta({ description: 'Seed of a random start.' }),
  alpha_W: penalty.default(0).meta({
    description: 'Penalty on what rows have of the components, times the columns.',
  }),
  alpha_H: z
    .union([penalty, z.literal('same')])
    .default('same')
    .meta({ description: 'Penalty on the components, times the rows; `same`: as `alpha_W`.' }),
  l1_ratio: z.number().min(0).max(1).default(0).meta({
    description: 'Share of the penalties that is on sums, and not on half the squares.',
  }),
});
type NmfParams = z.output<typeof parameters>;
/** With how many components there is room for. */
type PaddedParams = NmfParams & { readonly width: number };

/** What scikit-learn puts in the place of divisors of 0: the least step of a float32 at 1. */
const EPSILON = 2 ** -23;
/** Cells of singular vectors below this are 0 in a start. */
const TINY = 1e-6;
/** Iterations between two looks at the error. */
const LOOK = 10;

export const nmf: RowEstimator = {
  name: 'nmf',
  description: 'Nonnegative matrix factorisation.',
  solver: 'multiplicative updates',
  parameters,
  task: 'decomposition',
  takesWeights: false,
  reads: 'rows',
  version: 1,
  link: () => 'identity',
  outputs: ({ n_components }) => n_components as number,
  nonnegative: (params, columns) => {
    const own = params as unknown as NmfParams;
    checkComponents(own, columns);
    return partsOf(own, columns);
  },
  stacked: ['n_components', 'alpha_W', 'l1_ratio'],
  padded: 'n_components',
  ends: (params) => {
    const { max_iter, tol } = params as unknown as NmfParams;
    return {
      warn: (ending, limit = 'max_iter') =>
        ending === 0 || tol === 0
          ? undefined
          : `expected an error that stands still (tol ${tol}), got one that still falls after ${max_iter} iterations (${limit}); raise ${limit}`,
      fails: failsAtNaN('expected columns from 0 up, got a training row with a negative cell'),
    };
  },
  train: (given, numbers, params) =>
    factorise(given, numbers as Numbers, params as unknown as PaddedParams),
};

type Numbers = Readonly<Record<'n_components' | 'alpha_W' | 'l1_ratio', Matrix>>;

function partsOf({ beta_loss, alpha_W, l1_ratio }: NmfParams, columns: number): Nonnegative {
  const all = alpha_W * columns;
  return { loss: beta_loss, l1: all * l1_ratio, l2: all * (1 - l1_ratio) };
}

function checkComponents({ init, n_components: k }: NmfParams, columns: number): void {
  if (init === 'random' || k <= columns) return;
  throw new ConfigError(
    `n_components: expected at most as many as columns (${columns}) with init ${init}, got ${k}; say init: random`,
    { key: 'model.n_components', value: k },
  );
}

/** H is kept as its transpose, [d, k]. */
interface Factors {
  readonly W: Matrix;
  readonly H: Matrix;
}

/** Penalties on sums and on half the squares: [1, 1] each. */
interface Penalties {
  readonly l1: Matrix;
  readonly l2: Matrix;
}

async function factorise(given: RowData, numbers: Numbers, params: PaddedParams): Promise<Fit> {
  const { width: k, beta_loss, tol, max_iter, alpha_H } = params;
  const rows = wideRows(given);
  const { X, weight, design } = rows;
  const { session } = X;
  const probe = zeros(session, X.cols + 1, 1);
  if (design.columns !== X.cols || design.expand(probe) !== probe) {
    // Whatever has a map of its own: means of folds would be rows of each model's own.
    refuseStandardised(design.columns === X.cols, 'nmf');
    throw new ConfigError(
      'impute: expected a number or `zero` with nmf, got mean; say impute: zero',
      { key: 'data.features' },
    );
  }
  const { count } = design.moments;
  const { alpha_W, l1_ratio } = numbers;
  const ofH = alpha_H === 'same' ? alpha_W : alpha_W.mul(0).add(alpha_H);
  const penalties = (all: Matrix): Penalties => ({
    l1: all.mul(l1_ratio),
    l2: all.mul(l1_ratio.neg().add(1)),
  });
  const update = {
    ...{ rows, ownLogs: params.beta_loss === 'frobenius' ? undefined : sparseLogs(X) },
    byRow: penalties(alpha_W.mul(X.cols)),
    byPart: penalties(ofH.mul(count.asMatrix())),
  };
  const step = beta_loss === 'frobenius' ? stepOfSquares : stepOfDivergence;
  const none = zeros(session, 1, 1);
  const start = {
    ...startOf(rows, numbers.n_components, params),
    taken: none,
    first: none,
    last: none,
  };
  const next = (now: LoopState) => {
    const { W, H, taken, first, last } = now as typeof start;
    const { error, ...after } = step(update, { W, H });
    const isFirst = taken.eq(0);
    const isLook = taken.sub(taken.div(LOOK).floor().mul(LOOK)).eq(0);
    const isOver = isLook
      .and(isFirst.not())
      .and(last.sub(error).div(first).lt(tol))
      .mul(tol > 0 ? 1 : 0);
    return {
      state: {
        W: isOver.ifelse(W, after.W),
        H: isOver.ifelse(H, after.H),
        taken: taken.add(1),
        first: isFirst.ifelse(error, first),
        last: isLook.ifelse(error, last),
      },
      done: isOver,
    };
  };
  const { H, finished } = await iterate(start, next, { maxIterations: max_iter });
  const isBad = X.rowMins().lt(0).mul(weight).colMaxs().gt(0);
  const weights = H.rbind(zeros(session, 1, k));
  return rowFit(design, { weights, ending: isBad.ifelse(Number.NaN, finished.neg().add(1)) });
}

interface Update {
  readonly rows: RowData;
  /** Where X is mostly zero, by row what its divergence has of X alone: [n, 1]. */
  readonly ownLogs: Matrix | undefined;
  readonly byRow: Penalties;
  readonly byPart: Penalties;
}

/** Factors times a ratio whose divisor is never 0. */
function scaled(factor: Matrix, over: Matrix, under: Matrix, { l1, l2 }: Penalties): Matrix {
  const penalised = under.add(l1).add(factor.mul(l2));
  return factor.mul(over.div(penalised.eq(0).ifelse(EPSILON, penalised)));
}

/** New factors, and the error |X - W H| of those before, over the training rows. */
function stepOfSquares({ rows, byRow, byPart }: Update, { W, H }: Factors) {
  const { X, weight, design } = rows;
  const { count, mean, spread } = design.moments;
  const square = spread.sum().add(mean.square().sum().mul(count));
  const over = X.matmul(H);
  const gram = H.t().matmul(H);
  const weighed = W.mul(weight);
  const across = weighed.mul(over).sum();
  const own = weighed.t().matmul(W).mul(gram).sum();
  const error = square.sub(across.mul(2)).add(own).maximum(0).sqrt().asMatrix();
  const next = scaled(W, over, W.matmul(gram), byRow);
  const nextWeighed = next.mul(weight);
  const under = H.matmul(nextWeighed.t().matmul(next));
  return { W: next, H: scaled(H, X.t().matmul(nextWeighed), under, byPart), error };
}

/** The same of the divergence: its root, twice. */
function stepOfDivergence(update: Update, { W, H }: Factors) {
  const { rows, ownLogs, byRow, byPart } = update;
  if (ownLogs !== undefined) return sparseStepOfDivergence({ ...update, ownLogs }, { W, H });
  const { X, weight } = rows;
  const ratioOf = (own: Matrix): Matrix => X.div(own.matmul(H.t()).maximum(EPSILON));
  const ratio = ratioOf(W);
  const isCell = X.gt(EPSILON);
  const logs = isCell.ifelse(ratio, 1).log().sub(1).mul(isCell).mul(X).mul(weight).sum();
  const all = W.mul(weight).colSums().mul(H.colSums()).sum();
  const error = logs.add(all).mul(2).maximum(0).sqrt().asMatrix();
  const next = scaled(W, ratio.matmul(H), H.colSums().add(W.mul(0)), byRow);
  const weighed = next.mul(weight);
  const sums = weighed.colSums();
  const under = sums.eq(0).ifelse(1, sums).add(H.mul(0));
  return { W: next, H: scaled(H, ratioOf(next).t().matmul(weighed), under, byPart), error };
}

/** Of at most this share of its cells X is asked about where it is not zero alone. */
const SPARSE_SHARE = 1 / 8;

/** Sums of x log x - x, where X is mostly zero. */
function sparseLogs(X: Matrix): Matrix | undefined {
  const { nnz, rows, cols } = X.expr;
  if (nnz === undefined || nnz > rows * cols * SPARSE_SHARE) return undefined;
  const isCell = X.gt(EPSILON);
  return isCell.ifelse(X, 1).log().sub(1).mul(isCell).mul(X).rowSums();
}

/**
 * The same at the cells of X that are not zero. Rows that do not train have factors of 0, so that
 * they add nothing to a product with W, and x log of the least divisor to the error.
 */
function sparseStepOfDivergence(
  { rows, ownLogs, byRow, byPart }: Update & { readonly ownLogs: Matrix },
  { W, H }: Factors,
) {
  const { X, weight } = rows;
  const weighed = W.mul(weight);
  const asked = { X, U: weighed, V: H };
  const least = X.rowSums().mul(weight.neg().add(1)).sum().mul(Math.log(EPSILON));
  const crossed = weightedCrossEntropy(asked, { least: EPSILON }).sub(least);
  const all = weighed.colSums().mul(H.colSums()).sum();
  const error = ownLogs.mul(weight).sum().sub(crossed).add(all).mul(2).maximum(0).sqrt().asMatrix();
  const quotients = { cells: 'quotient', least: EPSILON } as const;
  const over = weightedProduct({ X, U: W, V: H }, { ...quotients, side: 'right' });
  const next = scaled(W, over, H.colSums().add(W.mul(0)), byRow);
  const nextWeighed = next.mul(weight);
  const sums = nextWeighed.colSums();
  const under = sums.eq(0).ifelse(1, sums).add(H.mul(0));
  const across = weightedProduct({ X, U: nextWeighed, V: H }, { ...quotients, side: 'left' });
  return { W: next, H: scaled(H, across, under, byPart), error };
}

/** First factors, 0 beyond a model's own components. @param own how many it has: [1, 1] */
function startOf(rows: RowData, own: Matrix, { width: k, init, random_state }: PaddedParams) {
  const { X, design } = rows;
  const { session } = X;
  const { mean } = design.moments;
  const isOwn = seq(session, 0, k - 1)
    .t()
    .lt(own);
  const average = mean.sum().div(mean.rows).asMatrix();
  if (init === 'random') {
    const size = average.div(own).sqrt();
    const drawn = (length: number, stream: number): Matrix => {
      const columns = Array.from({ length: k }, (_, t) => {
        const seed = random_state * 2 ** 18 + 2 * t + stream;
        return rand(session, length, 1, { distribution: 'normal', seed }).abs();
      });
      return columns[0]!
        .cbind(...columns.slice(1))
        .mul(size)
        .mul(isOwn);
    };
    return { W: drawn(X.rows, 0), H: drawn(X.cols, 1) };
  }
  const { W, H } = bySingularVectors(rows, k);
  const filled = (factor: Matrix): Matrix => {
    const sparse = factor.mul(factor.ge(TINY));
    return (init === 'nndsvd' ? sparse : sparse.eq(0).ifelse(average, sparse)).mul(isOwn);
  };
  return { W: filled(W), H: filled(H) };
}

/** Of each pair of singular vectors the parts above or below 0, whichever weigh more. */
function bySingularVectors({ X, weight, design }: RowData, width: number): Factors {
  const { count, mean } = design.moments;
  const { scatter } = columnProducts(design);
  const k = Math.min(width, X.cols);
  const system = scatter.add(mean.mul(count).matmul(mean.t())).eigen();
  const sizes = system.slice([0, k], 0).maximum(0).sqrt().t();
  const V = system.slice(null, [1, k + 1]);
  const U = X.matmul(V).mul(weight.gt(0)).div(sizes.gt(0).ifelse(sizes, Number.POSITIVE_INFINITY));
  const halves = (vectors: Matrix) => {
    const [above, below] = [vectors.maximum(0), vectors.neg().maximum(0)];
    const lengths = [above, below].map((half) => half.colSumSqs().sqrt());
    return { above, below, lengths: lengths as [Matrix, Matrix] };
  };
  const [u, v] = [halves(U), halves(V)];
  const [up, down] = [0, 1].map((i) => u.lengths[i]!.mul(v.lengths[i]!)) as [Matrix, Matrix];
  const isUp = up.gt(down);
  const size = sizes.mul(up.maximum(down)).sqrt();
  const half = ({ above, below, lengths: [a, b] }: typeof u): Matrix => {
    const length = isUp.ifelse(a, b);
    return isUp.ifelse(above, below).mul(size).div(length.gt(0).ifelse(length, 1));
  };
  const isFirst = seq(X.session, 0, k - 1)
    .t()
    .eq(0);
  const factor = (vectors: Matrix, of: typeof u): Matrix => {
    const found = isFirst.ifelse(vectors.abs().mul(sizes.sqrt()), half(of));
    return k === width ? found : found.cbind(zeros(X.session, found.rows, width - k));
  };
  return { W: factor(U, u), H: factor(V, v) };
}
