/** Whether models can be scored by metrics at all, which is known before anything is fitted. */
import { ConfigError } from '../../../driver/index.js';
import type { Estimator, Params } from '../../estimators/estimator.js';
import { METRICS, type Metric, type MetricDef, metricsOf } from './metrics.js';
import type { Scorer } from './scorers.js';
import type { Measure } from './tally.js';

/** What is measured by the order of rows. */
const RANKINGS: ReadonlySet<Measure> = new Set(['ranks', 'probabilityRanks', 'precisions']);

/** @throws ConfigError naming the first metric that can't be, and what can */
export function checkMetrics(
  scoring: readonly Scorer[],
  estimator: Estimator,
  params: Params,
  classes: number,
): void {
  const fail = (expected: string, got: string): ConfigError =>
    new ConfigError(`scoring: expected ${expected}, got ${got}`, { key: 'scoring' });
  for (const { name, task, instead, probabilities, needs } of scoring) {
    if (task !== undefined && task !== estimator.task) {
      throw fail(`a metric of ${estimator.task} for ${estimator.name}`, `${name}, of ${task}`);
    }
    if (instead !== undefined && classes > 2) {
      const got = `${name}, which is for two, for ${classes} classes; say ${instead}`;
      throw fail('a metric for any number of classes', got);
    }
    if (estimator.ranksRows === false && needs.some((one) => RANKINGS.has(one))) {
      const got = `${name}, and ${estimator.name} does not rank rows`;
      throw fail('a metric of predicted classes', `${got}; say accuracy or balanced_accuracy`);
    }
    if (probabilities && estimator.link(params, classes) === 'margin') {
      const other = metricsOf([estimator.task]).filter((one) => !isOfProbabilities(one));
      const got = `${name}, and ${estimator.name} has none; say one of ${other.join(', ')}`;
      throw fail('a metric that needs no probabilities', got);
    }
  }
}

function isOfProbabilities(name: Metric): boolean {
  const { probabilities }: MetricDef = METRICS[name];
  return probabilities === true;
}
