/**
 * scikit-learn's scorers by name: the one table of metrics. Greater is better for every one.
 * Invariant: a score equals that of scikit-learn 1.9 for the same predictions, but that the greater
 * of two classes is always the positive one, and that a score scikit-learn can't compute for want of
 * a class is NaN.
 */
import type { Task } from '../../estimators/estimator.js';
import { type Average, byClass, correlation, pairwiseArea, restArea } from './class-scores.js';
import type { Measure, Tally } from './tally.js';

export interface MetricDef {
  readonly task: Task;
  readonly needs: readonly Measure[];
  /** Fewest rows of a test fold it is defined on. Default 1. */
  readonly minRows?: number;
  /** For two classes only; the other metric to take where there are more. */
  readonly instead?: string;
  readonly probabilities?: true;
  /** Undefined on a test fold without rows of every class (of two, it may be defined). */
  readonly allClasses?: true;
  /** Of which targets or predictions it is undefined. */
  readonly range?: string;
  readonly score: (tally: Tally) => number;
}

const sums = { task: 'regression' } as const;
const classes = { task: 'classification' } as const;

/** The mean of a summed cell, negative: less is better. */
function negMean(name: Parameters<Tally['sum']>[0]) {
  return { ...sums, needs: [name], score: ({ sum, count }: Tally) => -sum(name) / count };
}

function counted(kind: 'precision' | 'recall' | 'f1', average: Average) {
  const score = (tally: Tally): number => byClass(tally, kind, average);
  const instead = average === 'binary' ? { instead: `${kind}_macro` } : {};
  return { ...classes, needs: ['hits', 'calls'], ...instead, score } as const;
}

function area(
  from: 'ranks' | 'probabilityRanks',
  score: typeof restArea,
  isWeighted: boolean,
): Omit<MetricDef, 'instead'> {
  const ofTally = (tally: Tally): number => score(tally, from, isWeighted);
  const probabilities = from === 'ranks' ? {} : { probabilities: true as const };
  return { ...classes, needs: [from], allClasses: true, ...probabilities, score: ofTally };
}

const logRange = 'targets and predictions above -1';
const poissonRange = 'targets from 0 and predictions above 0';
const gammaRange = 'targets and predictions above 0';

export const METRICS = {
  r2: { ...sums, needs: ['squared'], minRows: 2, score: (t) => determined(t.sum('squared'), t) },
  neg_mean_squared_error: negMean('squared'),
  neg_root_mean_squared_error: {
    ...sums,
    needs: ['squared'],
    score: ({ sum, count }) => -Math.sqrt(sum('squared') / count),
  },
  neg_mean_absolute_error: negMean('absolute'),
  neg_median_absolute_error: { ...sums, needs: ['median'], score: ({ median }) => -median },
  neg_max_error: { ...sums, needs: ['greatest'], score: ({ greatest }) => -greatest },
  neg_mean_absolute_percentage_error: negMean('percentage'),
  neg_mean_squared_log_error: { ...negMean('logSquared'), range: logRange },
  neg_root_mean_squared_log_error: {
    ...sums,
    needs: ['logSquared'],
    range: logRange,
    score: ({ sum, count }) => -Math.sqrt(sum('logSquared') / count),
  },
  explained_variance: {
    ...sums,
    needs: ['squared', 'residual'],
    score: ({ sum, count, targetScatter }) => {
      const left = sum('squared') - sum('residual') ** 2 / count;
      // Where the errors are all one number, what is left of their squares is rounding.
      return share(left > 1e-14 * sum('squared') ? left : 0, targetScatter);
    },
  },
  d2_absolute_error_score: {
    ...sums,
    needs: ['absolute', 'targetDeviation'],
    minRows: 2,
    score: (t) => (t.count < 2 ? Number.NaN : share(t.sum('absolute'), t.targetDeviation)),
  },
  neg_mean_poisson_deviance: { ...negMean('poisson'), range: poissonRange },
  neg_mean_gamma_deviance: { ...negMean('gamma'), range: gammaRange },
  neg_inertia: { task: 'clustering', needs: ['inertia'], score: ({ sum }) => -sum('inertia') },
  silhouette: {
    task: 'clustering',
    needs: ['silhouette'],
    range: 'test sets whose rows are in two clusters or more, and fewer than there are rows',
    score: ({ silhouette }) => silhouette,
  },
  neg_reconstruction_error: {
    task: 'decomposition',
    needs: ['reconstruction'],
    range: 'components that are not whitened',
    score: ({ sum, count }) => -sum('reconstruction') / count,
  },
  accuracy: {
    ...classes,
    needs: ['hits'],
    score: ({ hits, count }) => total(hits) / count,
  },
  balanced_accuracy: {
    ...classes,
    needs: ['hits'],
    score: ({ hits, classRows }) => {
      const recalls = hits.flatMap((n, c) => (classRows[c] === 0 ? [] : [n / classRows[c]!]));
      return total(recalls) / recalls.length;
    },
  },
  precision: counted('precision', 'binary'),
  precision_macro: counted('precision', 'macro'),
  precision_micro: counted('precision', 'micro'),
  precision_weighted: counted('precision', 'weighted'),
  recall: counted('recall', 'binary'),
  recall_macro: counted('recall', 'macro'),
  recall_micro: counted('recall', 'micro'),
  recall_weighted: counted('recall', 'weighted'),
  f1: counted('f1', 'binary'),
  f1_macro: counted('f1', 'macro'),
  f1_micro: counted('f1', 'micro'),
  f1_weighted: counted('f1', 'weighted'),
  matthews_corrcoef: { ...classes, needs: ['hits', 'calls'], score: correlation },
  roc_auc: { ...area('ranks', restArea, false), instead: 'roc_auc_ovr' },
  roc_auc_ovr: area('probabilityRanks', restArea, false),
  roc_auc_ovr_weighted: area('probabilityRanks', restArea, true),
  roc_auc_ovo: area('probabilityRanks', pairwiseArea, false),
  roc_auc_ovo_weighted: area('probabilityRanks', pairwiseArea, true),
  average_precision: {
    ...classes,
    needs: ['precisions'],
    allClasses: true,
    score: (t) => {
      const { length } = t.classRows;
      if (length > 2 && t.classRows.includes(0)) return Number.NaN;
      if (length === 2 && t.classRows[1] === 0) t.note('no row of the positive class: 0');
      const own = t.classRows.map((_, c) => (length === 2 && c === 0 ? 0 : t.precision(c)));
      return total(own) / (length === 2 ? 1 : length);
    },
  },
  neg_log_loss: {
    ...classes,
    needs: ['logLoss'],
    probabilities: true,
    allClasses: true,
    score: (t) => (t.classRows.includes(0) ? Number.NaN : -t.sum('logLoss') / t.count),
  },
  neg_brier_score: {
    ...classes,
    needs: ['brier'],
    allClasses: true,
    probabilities: true,
    score: ({ classRows, sum, count }) =>
      classRows.length > 2 && classRows.includes(0) ? Number.NaN : -sum('brier') / count,
  },
} as const satisfies Readonly<Record<string, MetricDef>>;

export type Metric = keyof typeof METRICS;

/** What models are scored by when nothing is said, as their `score` in scikit-learn. */
export function defaultMetric(task: Task): Metric {
  return metricsOf([task])[0]!;
}

/** The metrics of models that do one of these tasks. */
export function metricsOf(tasks: readonly Task[]): Metric[] {
  return (Object.keys(METRICS) as Metric[]).filter((name) => tasks.includes(METRICS[name].task));
}

export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** 1 less the share of the target's scatter that is left. */
function determined(left: number, { count, targetScatter }: Tally): number {
  return count < 2 ? Number.NaN : share(left, targetScatter);
}

/** As scikit-learn's `r2_score`: where there is nothing to explain, 1 if all is explained, else 0. */
function share(left: number, all: number): number {
  if (all === 0) return left === 0 ? 1 : 0;
  return 1 - left / all;
}
