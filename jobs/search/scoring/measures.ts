/**
 * How what metrics need is computed: a node for each measure that is wanted, over the rows that the
 * splits of one partition test, of all models of one kind at once. Invariant: all sums over rows are
 * one node, so that they take one pass whatever is asked for.
 */
import {
  type DenseMatrix,
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
import type { Measure, SumName, Tally } from './tally.js';

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
  reconstruction: ({ lengths, decisions, kind, models }) => {
    const kept = foldCols(decisions, { width: kind.outputs, fold: 'sumSq' });
    if (kind.projects !== 'nowhere') return lengths.sub(kept).maximum(0);
    return nanWhere(ones(kept.session, 1, models)).add(kept.mul(0));
  },
  logLoss,
  brier: ({ probabilities, y, classes, ownClass }) => {
    if (classes === 2) return probabilities.sub(y).square();
    return foldCols(probabilities.sub(ownClass), { width: classes, fold: 'sumSq' });
  },
};

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

/** A node, and what it says of a model on a split. */
export interface MeasureNode {
  readonly name: string;
  readonly node: Matrix;
  readonly read: (value: DenseMatrix) => (split: number, model: number) => Partial<Tally>;
}

/** @param measures those that the metrics need, each once; silhouettes are in `silhouettes.ts` */
export function measureNodes(held: HeldOut, measures: readonly Measure[]): MeasureNode[] {
  const sums = measures.filter((measure): measure is SumName => measure in CELLS);
  const others = measures.filter((measure): measure is keyof typeof OTHERS => measure in OTHERS);
  return [
    ...(sums.length > 0 ? [sumNode(held, sums)] : []),
    ...(held.classes > 0 ? [classRowsNode(held)] : []),
    ...others.map((measure) => OTHERS[measure](held)),
  ];
}

function sumNode(held: HeldOut, names: readonly SumName[]): MeasureNode {
  const cells = names.map((name) => CELLS[name](held));
  const { splitOf, splits, models } = held;
  return {
    name: 'sums',
    node: groupSums(splitOf, cells[0]!.cbind(...cells.slice(1)), splits),
    read:
      ({ cols, data }) =>
      (split, model) => ({
        sum: (name) => data[split * cols + names.indexOf(name) * models + model] ?? Number.NaN,
      }),
  };
}

/** A group for each class on each split. */
function cellOf({ splitOf, classes, y }: HeldOut): Matrix {
  return splitOf.cast('float64').mul(classes).add(y);
}

function classRowsNode(held: HeldOut): MeasureNode {
  const { splits, classes, y } = held;
  return {
    name: 'class rows',
    node: groupSums(cellOf(held), fill(y.session, y.rows, 1, 1), splits * classes),
    read:
      ({ data }) =>
      (split) => ({
        classRows: [...data.subarray(split * classes, (split + 1) * classes)],
      }),
  };
}

type OtherName = Exclude<Measure, SumName | 'silhouette'>;

const OTHERS: Readonly<Record<OtherName, (held: HeldOut) => MeasureNode>> = {
  hits: (held) => {
    const { winner, y, splits, classes } = held;
    return {
      name: 'hits',
      node: groupSums(cellOf(held), winner.eq(y), splits * classes),
      read:
        ({ cols, data }) =>
        (split, model) => ({
          hits: range(classes, (c) => data[(split * classes + c) * cols + model]!),
        }),
    };
  },
  calls: ({ winner, splitOf, splits, classes, models }) => {
    const calls = range(classes, (c) => winner.eq(c));
    return {
      name: 'calls',
      node: groupSums(splitOf, calls[0]!.cbind(...calls.slice(1)), splits),
      read:
        ({ cols, data }) =>
        (split, model) => ({
          calls: range(classes, (c) => data[split * cols + c * models + model]!),
        }),
    };
  },
  ranks: (held) => ranksNode('ranks', held, held.scores, held.scoreWidth),
  probabilityRanks: (held) =>
    ranksNode('probabilityRanks', held, held.probabilities, held.probabilityWidth),
  precisions: ({ splitOf, y, scores, scoreWidth: width, splits: groups, classes }) => ({
    name: 'precisions',
    node: groupPrecision(splitOf, y, scores, { groups, classes, width }),
    read:
      ({ cols, data }) =>
      (split, model) => ({
        precision: (c) => data[split * cols + model * width + (width === 1 ? 0 : c)]!,
      }),
  }),
  median: (held) => quantileNode('median', held, 0.5),
  greatest: (held) => quantileNode('greatest', held, 1),
  targetDeviation: ({ splitOf, y, splits }) => {
    const median = groupQuantile(splitOf, y, splits, 0.5);
    return {
      name: 'targetDeviation',
      node: groupSums(splitOf, y.sub(takeRows(splitOf, median)).abs(), splits),
      read:
        ({ data }) =>
        (split) => ({ targetDeviation: data[split]! }),
    };
  },
};

function ranksNode(
  name: 'ranks' | 'probabilityRanks',
  { splitOf, y, splits, classes }: HeldOut,
  scores: Matrix,
  width: number,
): MeasureNode {
  return {
    name,
    node: groupRanks(splitOf, y, scores, { groups: splits, classes, width }),
    read:
      ({ cols, data }) =>
      (split, model) => ({
        [name]: (c: number, o: number) =>
          data[(split * classes + o) * cols + model * width + (width === 1 ? 0 : c)]!,
      }),
  };
}

function quantileNode(name: 'median' | 'greatest', held: HeldOut, at: number): MeasureNode {
  const { splitOf, splits } = held;
  return {
    name,
    node: groupQuantile(splitOf, CELLS.absolute(held), splits, at),
    read:
      ({ cols, data }) =>
      (split, model) => ({ [name]: data[split * cols + model]! }),
  };
}

function range<T>(length: number, of: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => of(i));
}
