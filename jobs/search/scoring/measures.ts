/**
 * How what metrics need is computed: a node for each measure that is wanted, over the rows that the
 * splits of one partition test, of all models of one kind at once. Invariant: all sums over rows are
 * one node, so that they take one pass whatever is asked for.
 */
import {
  fill,
  foldCols,
  groupPrecision,
  groupQuantile,
  groupRanks,
  groupSums,
  type Matrix,
  ones,
  takeRows,
} from '../../../driver/index.js';
import type { HeldOut } from './held-out.js';
import type { MeasureName, MeasureShape } from './measure-readers.js';
import type { Measure, SumName } from './tally.js';

/** Probabilities of 0 and 1 are this far from them in a logarithm, as scikit-learn has it. */
const LEAST_PROBABILITY = Number.EPSILON;

/** Measures whose rows have to be sorted, so that the scores of all rows stand in memory. */
export const SORTED: readonly Measure[] = [
  'ranks',
  'probabilityRanks',
  'precisions',
  'median',
  'greatest',
];

/** A cell of each row and model: [n, models]. */
const CELLS: Readonly<Record<SumName, (held: HeldOut) => Matrix>> = {
  squared: (held) => residual(held).square(),
  absolute: (held) => residual(held).abs(),
  residual,
  // scikit-learn divides by the least step there is where the target is 0.
  percentage: (held) => residual(held).abs().div(held.y.abs().maximum(Number.EPSILON)),
  logSquared: ({ y, mean }) =>
    y
      .log1p()
      .sub(mean.log1p())
      .square()
      .add(nanWhere(mean.le(-1).or(y.le(-1)))),
  poisson: ({ y, mean }) => {
    const ratio = y.gt(0).ifelse(y, mean).div(mean);
    const deviance = ratio.log().mul(y).sub(y).add(mean).mul(2);
    return deviance.add(nanWhere(mean.le(0).or(y.lt(0))));
  },
  gamma: ({ y, mean }) => {
    const ratio = y.div(mean);
    const deviance = ratio.sub(1).sub(ratio.log()).mul(2);
    return deviance.add(nanWhere(mean.le(0).or(y.le(0))));
  },
  // Decision values of clusters are 2 x c - |c|^2.
  inertia: ({ lengths, decisions, kind }) =>
    lengths.sub(foldCols(decisions, { width: kind.outputs, fold: 'max' })).maximum(0),
  reconstruction: (held) => {
    const { partsError } = held;
    if (partsError !== undefined) return partsError;
    const { decisions, kind, models } = held;
    if (kind.projects === 'rows') return unlikeness(held);
    const kept = foldCols(decisions, { width: kind.outputs, fold: 'sumSq' });
    if (kind.projects !== 'nowhere') return held.lengths.sub(kept).maximum(0);
    return nanWhere(ones(kept.session, 1, models)).add(kept.mul(0));
  },
  logLoss,
  brier: ({ probabilities, y, classes, ownClass }) => {
    if (classes === 2) return probabilities.sub(y).square();
    return foldCols(probabilities.sub(ownClass), { width: classes, fold: 'sumSq' });
  },
};

/** Squared distances of what models say rows are from the rows as they see them. */
function unlikeness({ prepared, decisions, kind, models }: HeldOut): Matrix {
  const own = prepared.cast('float64');
  const all = own.cbind(...Array.from({ length: models - 1 }, () => own));
  return foldCols(decisions.sub(all), { width: kind.outputs, fold: 'sumSq' });
}

function residual({ y, mean }: HeldOut): Matrix {
  return y.sub(mean);
}

/** NaN where `broken` is 1, else 0. */
function nanWhere(broken: Matrix): Matrix {
  return broken.mul(-2).add(1).log();
}

function logLoss({ probabilities, y, classes, ownClass, kind, decisions }: HeldOut): Matrix {
  if (kind.link === 'logit') {
    return decisions.softplus().sub(decisions.mul(y)).minimum(-Math.log(LEAST_PROBABILITY));
  }
  const own =
    classes === 2
      ? y.ifelse(probabilities, probabilities.neg().add(1))
      : foldCols(probabilities.mul(ownClass), { width: classes, fold: 'sum' });
  return own.maximum(LEAST_PROBABILITY).log().neg();
}

/** A node, and how its value is read. */
export interface MeasureNode {
  readonly name: MeasureName;
  readonly node: Matrix;
  readonly shape: MeasureShape;
}

/** @param measures those that the metrics need, each once; silhouettes are in `silhouettes.ts` */
export function measureNodes(held: HeldOut, measures: readonly Measure[]): MeasureNode[] {
  const sums = measures.filter((measure): measure is SumName => measure in CELLS);
  const others = measures.filter((measure): measure is OtherName => measure in OTHERS);
  const names: readonly NodeName[] = [
    ...(sums.length > 0 ? (['sums'] as const) : []),
    ...(held.classes > 0 ? (['class rows'] as const) : []),
    ...others,
  ];
  const shape = shapeOf(held, sums);
  return names.map((name) => ({ name, node: nodeOf(name, held, sums), shape }));
}

export function shapeOf(held: HeldOut, sums: readonly SumName[] = []): MeasureShape {
  const { models, classes, kind } = held;
  const hasScores = classes > 0;
  return {
    models,
    classes,
    scoreWidth: hasScores ? held.scoreWidth : 0,
    probabilityWidth: hasScores && kind.link !== 'margin' ? held.probabilityWidth : 0,
    sums,
  };
}

type OtherName = keyof typeof OTHERS;
type NodeName = OtherName | 'sums' | 'class rows';

function nodeOf(name: NodeName, held: HeldOut, sums: readonly SumName[]): Matrix {
  if (name === 'sums') {
    const cells = sums.map((one) => CELLS[one](held));
    return groupSums(held.splitOf, cells[0]!.cbind(...cells.slice(1)), held.splits);
  }
  if (name === 'class rows') {
    const { y, splits, classes } = held;
    return groupSums(cellOf(held), fill(y.session, y.rows, 1, 1), splits * classes);
  }
  return OTHERS[name](held);
}

/** A group for each class on each split. */
function cellOf({ splitOf, classes, y }: HeldOut): Matrix {
  return splitOf.cast('float64').mul(classes).add(y);
}

const OTHERS = {
  hits: (held) => {
    const { winner, y, splits, classes } = held;
    return groupSums(cellOf(held), winner.eq(y), splits * classes);
  },
  calls: ({ winner, splitOf, splits, classes }) => {
    const calls = Array.from({ length: classes }, (_, c) => winner.eq(c));
    return groupSums(splitOf, calls[0]!.cbind(...calls.slice(1)), splits);
  },
  ranks: (held) => ranksOf(held, held.scores, held.scoreWidth),
  probabilityRanks: (held) => ranksOf(held, held.probabilities, held.probabilityWidth),
  precisions: ({ splitOf, y, scores, scoreWidth: width, splits: groups, classes }) =>
    groupPrecision(splitOf, y, scores, { groups, classes, width }),
  median: (held) => groupQuantile(held.splitOf, CELLS.absolute(held), held.splits, 0.5),
  greatest: (held) => groupQuantile(held.splitOf, CELLS.absolute(held), held.splits, 1),
  targetDeviation: ({ splitOf, y, splits }) => {
    const median = groupQuantile(splitOf, y, splits, 0.5);
    return groupSums(splitOf, y.sub(takeRows(splitOf, median)).abs(), splits);
  },
} as const satisfies Partial<Readonly<Record<MeasureName, (held: HeldOut) => Matrix>>>;

function ranksOf({ splitOf, y, splits, classes }: HeldOut, scores: Matrix, width: number): Matrix {
  return groupRanks(splitOf, y, scores, { groups: splits, classes, width });
}
