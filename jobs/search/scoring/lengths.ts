/**
 * Squared lengths of rows as models see them (imputed, standardised, about the mean or the
 * origin), which are linear in encoded
 * columns and their squares: a missing cell is 0 and its indicator 1, so with imputed mean m the
 * value's square is x^2 + m^2 for the indicator, and ((x - c) / s)^2 = x^2 / s^2 - 2 c x / s^2 +
 * c^2 / s^2.
 */
import { eye, type Matrix, zeros } from '../../../driver/index.js';
import {
  columnScales,
  preparedMoments,
  type TrainingRows,
} from '../../estimators/linear-design.js';
import { allRows, ownRows, rowDesign } from '../row-design.js';

/**
 * What gives rows as models see them: of an encoded row e, [e, 1] times it.
 * @returns [encoded + 1, design]
 */
export function preparingWeights(training: TrainingRows): Matrix {
  if (training.columns !== undefined) return widePreparing(training);
  const moments = preparedMoments(training);
  const { map, mean } = moments;
  const { session } = mean;
  const all = map ?? eye(session, training.design.encoded);
  if (!training.standardize) return all.rbind(zeros(session, 1, mean.rows));
  const scale = columnScales(moments);
  return all.div(scale).rbind(mean.t().div(scale).neg());
}

/** The same of designs without products of columns. */
function widePreparing(training: TrainingRows): Matrix {
  const { encoded } = training.design;
  const { rows } = rowDesign({ ...allRows(training), ...ownRows(training) }, encoded);
  const { session } = training.gram;
  const least = rows(zeros(session, 1, encoded));
  return rows(eye(session, encoded)).sub(least).rbind(least);
}

/** Weights of [X, X * X], the last of 1, that give squared lengths. [2 * encoded + 1, 1] */
export function lengthWeights(training: TrainingRows, isAboutMean: boolean): Matrix {
  const moments = preparedMoments(training);
  const { map, imputed, mean } = moments;
  const { session } = mean;
  const scale = training.standardize ? columnScales(moments).t() : null;
  const share = scale === null ? zeros(session, mean.rows, 1).add(1) : scale.square().recip();
  const center = scale === null && !isAboutMean ? mean.mul(0) : mean;
  const { select, carry } = training.design;
  const squares =
    map === null || select === null || carry === null
      ? share
      : select.add(carry.mul(imputed!.square())).matmul(share);
  const own = center.mul(share).mul(-2);
  const linear = map === null ? own : map.matmul(own);
  return linear.rbind(squares, center.square().mul(share).sum().asMatrix());
}
