/**
 * The elastic net by passes over the rows: least (w'C w - 2 c'w) / 2 + l1 |w|_1 + l2 w'w / 2, C and c
 * being the scatter of the columns, and with the target, about the means of the training rows, where
 * the intercept is the rest. C is not made: a pass gives C v at the points v of all models of a stack.
 * Accelerated proximal gradient steps in the metric of C's diagonal, begun anew when they turn back.
 * How much steeper than its diagonal C is, is learned from the steps: a step that shows more is the
 * last by the old number. Invariant: an end is certified by the duality gap, as scikit-learn's.
 *
 * Source: Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm" (SIAM J. Imaging
 * Sci. 2009); O'Donoghue and Candès, "Adaptive restart for accelerated gradient schemes" (2015).
 */
import { iterate, type LoopState, type Matrix, ones, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import type { Ended } from './row-fit.js';
import { productsOf, rowDecisions } from './row-products.js';

export interface ElasticNetRows {
  readonly rows: RowData;
  /** Weight of the penalty, and its share on absolute values: [1, 1] */
  readonly alpha: Matrix;
  readonly ratio: Matrix;
  readonly hasIntercept: boolean;
  /** Largest duality gap, relative to the target's sum of squares. */
  readonly tol: number;
  readonly maxIterations: number;
}

/** Steepness is taken to be this much more than a step has shown. */
const MARGIN = 1.05;

/** The ending is the gap. */
export async function fitElasticNetRows(fit: ElasticNetRows): Promise<Ended> {
  const { rows, hasIntercept } = fit;
  const { y, weight, design } = rows;
  const { session } = y;
  const { count, mean, spread, target } = design.moments;
  const d = design.columns;
  const about = hasIntercept ? mean : mean.mul(0);
  const decided = rowDecisions(rows);
  /** X~' r of centred columns. @shape r: [n, 1], times the weights of the rows -> [d, 1] */
  const against = (r: Matrix): Matrix => {
    const g = productsOf(rows, r);
    return g.slice([0, d]).sub(about.mul(g.slice(d)));
  };
  const shift = hasIntercept ? y.sub(target) : y;
  const right = against(shift.mul(weight));
  const all = shift.square().mul(weight).sum().asMatrix();
  const diagonal = hasIntercept ? spread : spread.add(mean.square().mul(count));
  const l1 = fit.alpha.mul(fit.ratio).mul(count);
  const l2 = fit.alpha.mul(fit.ratio.neg().add(1)).mul(count);
  const gapOf = dualityGap({ right, all, l1, l2 });
  const none = zeros(session, d, 1);
  const one = ones(session, 1, 1);
  const state = { w: none, v: none, from: none, product: none, t: one, steep: one, ending: one };

  const next = (now: LoopState) => {
    const { w, v, from, product: before, t, steep } = now as typeof state;
    const z = decided(v.rbind(about.mul(v).sum().neg().asMatrix()));
    const product = against(z.mul(weight));
    const move = v.sub(from);
    const length = sum(move.square().mul(diagonal));
    const shown = length.gt(0).ifelse(sum(move.mul(product.sub(before))).div(length), 0);
    const isSteeper = shown.gt(steep);
    const known = isSteeper.ifelse(shown.mul(MARGIN), steep);
    const metric = diagonal.mul(known).add(l2);
    const scale = diagonal.gt(0).ifelse(metric.recip(), 0);
    const point = v.sub(product.sub(right).add(v.mul(l2)).mul(scale));
    const size = point.abs().sub(scale.mul(l1)).maximum(0);
    const best = diagonal.gt(0).ifelse(point.sign().mul(size), 0);
    const turned = sum(v.sub(best).mul(metric).mul(best.sub(w))).gt(0);
    const ending = gapOf(v, product);
    const isGood = ending.le(fit.tol);
    // A step is the end once its own gap is known: it may have gone too far. It has the zeros.
    const done = isGood.and(sum(v.sub(w).abs()).eq(0));
    const isAnew = turned.or(isSteeper).or(isGood);
    const later = t.square().mul(4).add(1).sqrt().add(1).div(2);
    const push = isAnew.ifelse(0, t.sub(1).div(later));
    return {
      state: {
        w: done.ifelse(w, best),
        v: best.add(best.sub(w).mul(push)),
        from: v,
        product,
        t: isAnew.ifelse(1, later),
        steep: known,
        ending,
      },
      done,
    };
  };
  const { w, ending } = await iterate(state, next, { maxIterations: fit.maxIterations });
  const last = hasIntercept ? target.asMatrix().sub(mean.mul(w).sum()) : zeros(session, 1, 1);
  return { weights: w.rbind(last), ending };
}

const sum = (cells: Matrix): Matrix => cells.sum().asMatrix();

interface Penalised {
  readonly right: Matrix;
  /** y'y about the mean, and the penalties, times the rows: [1, 1] */
  readonly all: Matrix;
  readonly l1: Matrix;
  readonly l2: Matrix;
}

/** As `dualityGap` of `driver/operators/coordinate-descent.ts`, relative to y'y. */
function dualityGap({ right, all, l1, l2 }: Penalised): (w: Matrix, product: Matrix) => Matrix {
  return (w, product) => {
    const explained = sum(w.mul(right));
    const residual = all.add(sum(w.mul(product))).sub(explained.mul(2));
    const withTarget = all.sub(explained);
    const squares = sum(w.square());
    const slope = right.sub(product);
    const gradient = sum(slope.square());
    const largest = slope.sub(w.mul(l2)).abs().max().asMatrix();
    const share = largest.gt(l1).ifelse(l1.div(largest), 1);
    const ofSizes = residual
      .add(squares.mul(l2))
      .mul(share.square().add(1))
      .div(2)
      .add(sum(w.abs()).mul(l1))
      .sub(share.mul(withTarget));
    const ofSquares = residual.add(squares.mul(l2).add(gradient.div(l2)).div(2)).sub(withTarget);
    const gap = l1.gt(0).ifelse(ofSizes, l2.gt(0).ifelse(ofSquares, gradient));
    return all.gt(0).ifelse(gap.div(all), 0);
  };
}
