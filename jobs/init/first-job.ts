/**
 * The text of a first job file for data that were looked at: every choice beside the reason for it.
 * Invariant: the job is checked before it is handed out.
 */
import type { z } from 'zod';
import { UnsupportedError } from '../../driver/errors.js';
import type { ColumnProfile } from '../../driver/ir/frame-engine.js';
import type { Estimator, Task } from '../estimators/estimator.js';
import { estimators } from '../estimators/index.js';
import { formatCount, plural } from '../format.js';
import { parseJob } from '../job-file/read-job.js';
import { METRICS, type Metric, type MetricDef, metricsOf } from '../search/scoring/metrics.js';
import { type SeenColumn, type SeenData, type TargetChoice, useOf } from './look.js';

export interface FirstJob {
  /** Of the data, as the job file says it. */
  readonly path: string;
  readonly seen: SeenData;
  readonly target: TargetChoice;
}

/** Parameters worth a search, by name as scikit-learn has them: the first an estimator has. */
const GRIDS = [
  ['lambda', '{ logspace: [-2, 4, 7] }'],
  ['C', '{ logspace: [-3, 3, 7] }'],
  ['alpha', '{ logspace: [-4, 1, 6] }'],
] as const;

/** The metrics to show first, of those there are. */
const SCORING: Readonly<Partial<Record<Task, readonly string[]>>> = {
  regression: ['r2', 'neg_root_mean_squared_error'],
  classification: ['neg_log_loss', 'accuracy'],
};

/** @param file where it will be written, for its messages */
export function firstJob(file: string, { path, seen, target }: FirstJob): string {
  const { column, task, why, whyTask } = target;
  const { estimator, grid } = firstEstimator(task);
  const { name, profile } = column;
  const isTimed = seen.columns.some(({ type }) => type === 'timestamp');
  const others = estimators.filter((each) => each.task === task && each !== estimator);
  const least =
    task === 'classification' && profile.top.length > 0
      ? profile.top.reduce((a, b) => (b.count < a.count ? b : a))
      : undefined;
  const lines = [
    '# yaml-language-server: $schema=node_modules/reprise/jobs/job-file/job.schema.json',
    `# A first job, made by looking at ${formatCount(seen.rows)} rows. Run it:  reprise run ${comment(file)}`,
    '# Every key is in docs/job-file.md.',
    'kind: grid-search',
    'data:',
    `  path: ${scalar(path)} # relative to this file`,
    `  target: ${scalar(name)} # ${why}`,
    ...(profile.missing > 0
      ? [`  drop_missing_target: true # ${formatCount(profile.missing)} rows have none`]
      : []),
    '  features:',
    ...seen.columns.filter((each) => each !== column).flatMap((each) => featureLines(each, seen)),
    '  standardize: true # one penalty for columns of all scales; fitted on the training rows',
    `model: { type: ${estimator.name} } # ${task}, as the target has ${whyTask}${others.length > 0 ? `; or ${others.map((each) => each.name).join(', ')}, or a list of several` : ''}`,
    ...(grid === undefined
      ? []
      : [
          `search: { grid: { ${grid[0]}: ${grid[1]} } } # every value of it is tried on every fold`,
        ]),
    cvLine(isTimed, least),
    ...scoringLines(task, profile.distinct, least),
  ];
  const text = `${lines.join('\n')}\n`;
  parseJob(file, text);
  return text;
}

function featureLines(column: SeenColumn, { rows }: SeenData): string[] {
  const { features, note } = useOf(column, rows);
  if (features.length === 0) return [`    # ${comment(column.name)} is left out: ${comment(note)}`];
  return features.map((feature, i) => {
    const keys = Object.entries(feature).map(([key, value]) => `${key}: ${scalar(value)}`);
    const item = keys.length === 1 ? scalar(feature.name!) : `{ ${keys.join(', ')} }`;
    return `    - ${item}${i === 0 ? ` # ${comment(note)}` : ''}`;
  });
}

interface FirstEstimator {
  readonly estimator: Estimator;
  readonly grid: (typeof GRIDS)[number] | undefined;
}

/** The first that has a parameter worth a search. */
function firstEstimator(task: Task): FirstEstimator {
  const fitting = estimators.filter((estimator) => estimator.task === task);
  for (const grid of GRIDS) {
    const estimator = fitting.find(
      ({ parameters }) => grid[0] in (parameters as z.ZodObject).shape,
    );
    if (estimator !== undefined) return { estimator, grid };
  }
  const [estimator] = fitting;
  if (estimator !== undefined) return { estimator, grid: undefined };
  throw new UnsupportedError(`init: expected a target to predict by regression, got a ${task}`, {
    task,
  });
}

/** The rarest class; undefined without classes. */
type RarestClass = ColumnProfile['top'][number] | undefined;

const FOLDS = 5;

/** As many folds as the rarest class has rows, so that each tests one; never fewer than 2. */
function cvLine(isTimed: boolean, least: RarestClass): string {
  const folds = Math.max(2, Math.min(FOLDS, least?.count ?? FOLDS));
  const cv = `cv: { folds: ${folds}, shuffle: true, seed: 7 }`;
  if (folds < FOLDS)
    return `${cv} # class ${comment(least!.value)} has ${plural(least!.count, 'row')}`;
  return isTimed
    ? `${cv} # if rows come in time: { type: time-series, folds: 5 }`
    : `${cv} # rows that belong together: { folds: 5, group: COLUMN }`;
}

/** @param values of the target: classes where it has classes */
function scoringLines(task: Task, values: number, least: RarestClass): string[] {
  const isFor = (name: Metric): boolean => {
    const { instead, range, allClasses }: MetricDef = METRICS[name];
    // A class of one row is missing in some test set, whatever the split.
    if (allClasses && least?.count === 1) return false;
    return range === undefined && (instead === undefined || values === 2);
  };
  const there: readonly string[] = metricsOf([task]).filter(isFor);
  const shown = (SCORING[task] ?? []).filter((name) => there.includes(name));
  if (shown.length === 0) return [];
  const more = there.filter((name) => !shown.includes(name)).slice(0, 4);
  const note = more.length > 0 ? `; also ${more.join(', ')}` : '';
  return [`scoring: [${shown.join(', ')}] # the first chooses the best${note}`];
}

/** A value as YAML: quoted where it could be read as anything else. */
function scalar(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const isPlain =
    /^[\p{L}_./][\p{L}\p{N}_./-]*$/u.test(value) && !/^(true|false|null|\.nan|\.inf)$/i.test(value);
  return isPlain ? value : JSON.stringify(value);
}

/** Text in a comment stays on its line. */
function comment(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}
