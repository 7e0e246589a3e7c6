/**
 * The design of fits that read rows, from the moments of their training rows: how the columns a
 * model is about are made of encoded ones, and what is known of them. Invariant: all that a fit is
 * told comes as matrices by name, those of all models alike (`allRows`) and each model's own
 * (`ownRows`), so that models are trained in one stack and known by them.
 */
import { type Matrix, matrix, takeRows } from '../../driver/index.js';
import type { RowDesign } from '../estimators/estimator.js';
import {
  type ColumnMoments,
  columnScales,
  designMoments,
  preparedMoments,
  type TrainingRows,
} from '../estimators/linear-design.js';
import { type Moments, trainingColumns, trainingMoments } from '../estimators/moments.js';
import {
  spreadScales,
  type WideColumns,
  type WideImputing,
  wideColumns,
  wideImputing,
} from '../estimators/wide-columns.js';
import type { FitMatrices } from './row-arguments.js';

/** Of all rows, training or not, and of the design of every model. */
export function allRows(training: TrainingRows): FitMatrices {
  const everything = { ...training, train: undefined };
  if (training.columns !== undefined) {
    const { own, raw, places } = wideRows(everything);
    return {
      isBinary: isBinary(raw),
      ...(training.columns.border ? { border: training.columns.border } : {}),
      allCount: own.count.asMatrix(),
      allMean: own.mean,
      allSpread: own.spread,
      ...(places === null
        ? {}
        : {
            ownPlace: places.own,
            indicatorPlace: places.indicator,
            designPlace: places.design,
            carriesPlace: places.carries,
          }),
    };
  }
  const { count, mean, scatter } = narrowRows(everything);
  return { allCount: count.asMatrix(), allMean: mean, allScatter: scatter };
}

/** 1 for columns of 0 and 1, whose squares are themselves: [design, 1]. */
function isBinary({ count, mean, spread }: WideColumns): Matrix {
  const sum = mean.mul(count);
  const squares = spread.add(sum.mul(mean));
  return squares.sub(sum).abs().le(sum.abs().mul(BINARY));
}

/** Relative size of rounding in sums of squares. */
const BINARY = 1e-9;

/** Of the training rows of a model. */
export function ownRows(training: TrainingRows): FitMatrices {
  const { gram, groups, train } = training;
  const isTraining = new Float64Array(groups).fill(train === undefined ? 1 : 0);
  for (const group of train ?? []) isTraining[group] = 1;
  const trains = matrix(gram.session, groups, 1, isTraining);
  return { trains, ...(training.columns ? wideArguments(training) : narrowArguments(training)) };
}

function narrowArguments(training: TrainingRows): FitMatrices {
  const { gram, groups, train } = training;
  const d = training.design.encoded;
  const { scatter, mean } = trainingMoments(training.weighted ?? gram, groups, train);
  const { raw, scale, variances, ...own } = narrowRows(training);
  const { map, imputed } = raw;
  const cross = scatter.slice([0, d], d);
  const ofDesign = map === null ? cross : map.t().matmul(cross);
  return {
    count: own.count.asMatrix(),
    mean: own.mean,
    scatter: own.scatter,
    target: mean.at(d, 0).asMatrix(),
    targetScatter: scale === null ? ofDesign : ofDesign.div(scale.t()),
    ...(training.weighted ? { variances } : {}),
    ...(scale === null ? {} : { scale, center: raw.mean }),
    ...(map === null ? {} : { map, imputed: imputed! }),
  };
}

/** Moments of design columns as a model has them: imputed, and standardised where it is said. */
function narrowRows(training: TrainingRows): Pick<ColumnMoments, 'count' | 'mean' | 'scatter'> & {
  readonly raw: ColumnMoments;
  /** With all rows alike: [1, design]. */
  readonly variances: Matrix;
  /** [1, design]; null where nothing is standardised. */
  readonly scale: Matrix | null;
} {
  const raw = preparedMoments(training);
  const { weighted, groups, train, design } = training;
  const own = weighted
    ? designMoments(trainingMoments(weighted, groups, train), raw, design.encoded)
    : raw;
  const { count, mean, scatter } = own;
  const variances = raw.scatter.diag().t().div(raw.count);
  if (!training.standardize) return { count, mean, scatter, raw, variances, scale: null };
  const scale = columnScales(raw);
  return {
    count,
    variances: variances.div(scale.square()),
    mean: weighted ? mean.sub(raw.mean).div(scale.t()) : mean.mul(0),
    scatter: scatter.div(scale).div(scale.t()),
    raw,
    scale,
  };
}

function wideArguments(training: TrainingRows): FitMatrices {
  const { own, raw, scale, imputing } = wideRows(training);
  // The target's moments alone: of a wide design the columns' are not in `gram`.
  const target = trainingMoments(
    training.weighted ?? training.gram,
    training.groups,
    training.train,
  );
  return {
    count: own.count.asMatrix(),
    mean: own.mean,
    spread: own.spread,
    target: target.mean.at(0, 0).asMatrix(),
    ...(scale === null ? {} : { scale, center: raw.mean }),
    ...(imputing === null ? {} : { keeps: imputing.kept, imputes: imputing.imputed }),
  };
}

/** The same of a wide design. */
function wideRows(training: TrainingRows) {
  const { groups, train, design, standardize } = training;
  const columns = training.columns!;
  const places = design.wide?.places ?? null;
  const of = (moments: Matrix): Moments => trainingColumns(moments, groups, train);
  const encoded = of(columns.all);
  const imputing: WideImputing | null = places && wideImputing(encoded, places);
  const raw = wideColumns(encoded, places, imputing);
  const weighted =
    columns.weighted === undefined ? raw : wideColumns(of(columns.weighted), places, imputing);
  if (!standardize) return { own: weighted, raw, scale: null, places, imputing };
  const scale = spreadScales(raw);
  const own: WideColumns = {
    count: weighted.count,
    mean: weighted.mean.sub(raw.mean).div(scale.t()),
    spread: weighted.spread.div(scale.square().t()),
  };
  return { own, raw, scale, places, imputing };
}

/** @param given what `allRows` and `ownRows` name */
export function rowDesign(given: FitMatrices, encoded: number): RowDesign {
  const { scale, center, map, imputed, imputes, scatter, allScatter } = given;
  const columns = given.mean!.rows;
  const { spread = scatter!.diag(), allSpread = allScatter!.diag() } = given;
  const unscaled = (weights: Matrix) => {
    const own = weights.slice([0, columns]);
    const intercept = weights.slice(columns);
    if (scale === undefined) return { coefficients: own, intercept };
    const coefficients = own.div(scale.t());
    return { coefficients, intercept: intercept.sub(center!.t().matmul(coefficients)) };
  };
  const { toEncoded, toDesign } = imputingMaps(given);
  const isPlain = scale === undefined && map === undefined && imputes === undefined;
  return {
    columns,
    isPlain,
    expand: (weights) => {
      if (isPlain) return weights;
      const { coefficients, intercept } = unscaled(weights);
      return toEncoded(coefficients).rbind(intercept);
    },
    ...(map || imputes ? {} : { restrict: (weights) => scaledAgain(weights, given) }),
    rows: (x) => {
      const own = map || imputes ? toDesign(x.cast('float64').t()).t() : x;
      if (scale === undefined) return own.cast(x.dtype);
      return own.cast('float64').sub(center!.t()).div(scale).cast(x.dtype);
    },
    restored: (layer) => {
      if (scale === undefined) return layer;
      const own = layer.mul(scale);
      const last = layer.rows - 1;
      return own.slice([0, last]).rbind(own.slice(last).add(center!.t()));
    },
    contract: (gradient) => {
      if (isPlain) return gradient;
      const ofIntercept = gradient.slice(encoded);
      let own = toDesign(gradient.slice([0, encoded]));
      if (scale !== undefined) own = own.sub(center!.matmul(ofIntercept)).div(scale.t());
      return own.rbind(ofIntercept);
    },
    outputs: (weights) => ({
      ...unscaled(weights),
      ...(imputed ? { imputed } : {}),
      ...(imputes ? { imputed: imputes.t() } : {}),
    }),
    ...(given.isBinary ? { values: valuesOf(given.isBinary, scale, center) } : {}),
    moments: {
      count: given.count!.asScalar(),
      mean: given.mean!,
      spread,
      target: given.target!.asScalar(),
      ...(given.variances ? { variances: given.variances } : {}),
      ...(scatter ? { products: { scatter, targetScatter: given.targetScatter! } } : {}),
    },
    all: {
      count: given.allCount!.asScalar(),
      mean: given.allMean!,
      spread: allSpread,
      ...(allScatter ? { scatter: allScatter } : {}),
    },
  };
}

/** Weights of scaled columns. */
function scaledAgain(weights: Matrix, { scale, center }: FitMatrices): Matrix {
  if (scale === undefined) return weights;
  const [own, intercept] = [weights.slice([0, weights.rows - 1]), weights.slice(weights.rows - 1)];
  return own.mul(scale.t()).rbind(intercept.add(center!.t().matmul(own)));
}

/** What 0 and 1 are in the design. */
function valuesOf(
  isOne: Matrix,
  scale: Matrix | undefined,
  center: Matrix | undefined,
): NonNullable<RowDesign['values']> {
  const low = isOne.mul(0);
  if (scale === undefined) return { low, high: isOne };
  const own = center!.neg().div(scale.t());
  return { low: own, high: own.add(isOne.div(scale.t())) };
}

/** Weights of encoded columns from those of design columns, and the transpose for gradients. */
function imputingMaps({ map, keeps, imputes, ...places }: FitMatrices): {
  readonly toEncoded: (weights: Matrix) => Matrix;
  readonly toDesign: (gradient: Matrix) => Matrix;
} {
  if (map !== undefined) {
    return {
      toEncoded: (weights) => map.matmul(weights),
      toDesign: (gradient) => map.t().matmul(gradient),
    };
  }
  if (imputes === undefined) return { toEncoded: (w) => w, toDesign: (g) => g };
  const { designPlace, carriesPlace, ownPlace, indicatorPlace } = places;
  return {
    toEncoded: (weights) =>
      takeRows(designPlace!, weights.mul(keeps!)).add(
        takeRows(carriesPlace!, weights.mul(imputes)),
      ),
    toDesign: (gradient) =>
      takeRows(ownPlace!, gradient)
        .mul(keeps!)
        .add(takeRows(indicatorPlace!, gradient).mul(imputes)),
  };
}
