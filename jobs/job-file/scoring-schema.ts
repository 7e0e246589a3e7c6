/**
 * The keys of `scoring`: metrics by name, with settings, or in SQL of one's own; and what they say.
 */
import * as z from 'zod';
import type { SqlDialect } from '../../driver/index.js';
import type { Task } from '../estimators/estimator.js';
import { defaultMetric, METRICS, metricsOf } from '../search/scoring/metrics.js';
import { nameOf, type Scoring } from '../search/scoring/scorers.js';
import type { Problem } from './check-job.js';

const silhouette = z.strictObject({
  name: z.literal('silhouette').meta({ description: 'Mean silhouette coefficient.' }),
  sample_size: z.int().min(2).max(1_000_000).optional().meta({
    description: 'Most rows of a set to compare with each other. Default: all, up to 50000.',
  }),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).optional().meta({
    description: 'Seed of the sample. Default: 0.',
  }),
  rows: z.enum(['held-out', 'all']).optional().meta({
    description: "Of each test set, or of all rows under each split's model. Default: held-out.",
  }),
});

const sqlMetric = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, { error: 'a name of letters, digits and _' })
    .meta({ description: 'Name of the metric, in results and for `refit`.' }),
  sql: z.string().min(1).max(10_000).meta({
    description:
      'Aggregate over the rows of a test set: of `prediction`, `target`, `weight` and `probability_CLASS`.',
  }),
  greater_is_better: z.boolean().optional().meta({
    description:
      'False: the score is the value with its sign changed, as for errors. Default: true.',
  }),
});

/** `scoring` of estimators that do one of these tasks. */
export function scoringOf(tasks: readonly Task[]) {
  const metric = z.enum(metricsOf(tasks));
  const mapping = z.union(tasks.includes('clustering') ? [silhouette, sqlMetric] : [sqlMetric]);
  const one = z.union([metric, mapping]);
  return z
    .union([metric, mapping, z.array(one).min(1).max(100)])
    .default(defaultMetric(tasks[0]!))
    .meta({
      description: `scikit-learn's scorer names, or metrics in SQL; one or a list. Default: ${defaultsOf(tasks)}.`,
    });
}

function defaultsOf(tasks: readonly Task[]): string {
  const [first, ...others] = [...new Set(tasks)];
  const rest = others.map((task) => `${defaultMetric(task)} for ${task}`);
  return [defaultMetric(first!), ...rest].join(', ');
}

export type ScoringDocument = z.output<ReturnType<typeof scoringOf>>;
type Entry = Exclude<ScoringDocument, readonly unknown[]>;

export function scoringsOf(document: ScoringDocument, dialect?: SqlDialect): Scoring[] {
  return entriesOf(document).map((entry): Scoring => {
    if (typeof entry === 'string') return entry;
    if ('sql' in entry) {
      const { name, sql, greater_is_better: greaterIsBetter = true } = entry;
      return { name, sql, ...(dialect ? { dialect } : {}), greaterIsBetter };
    }
    const { sample_size: sampleSize, seed, rows } = entry;
    return {
      name: 'silhouette',
      ...(sampleSize === undefined ? {} : { sampleSize }),
      ...(seed === undefined ? {} : { seed }),
      ...(rows === undefined ? {} : { rows }),
    };
  });
}

function entriesOf(document: ScoringDocument): readonly Entry[] {
  return Array.isArray(document) ? (document as readonly Entry[]) : [document as Entry];
}

/** Names once each, none of them taken; `refit` one of them. */
export function checkScoring(
  document: ScoringDocument,
  refit: string | false | undefined,
): Problem[] {
  const entries = entriesOf(document);
  const names = entries.map(nameOf);
  const problems = entries.flatMap((entry, i): Problem[] => {
    const name = names[i]!;
    const path = Array.isArray(document) ? ['scoring', i] : ['scoring'];
    const isTaken = typeof entry === 'object' && 'sql' in entry && name in METRICS;
    if (isTaken) {
      const message = `expected a name that is no metric of scikit-learn's, got ${name}`;
      return [{ path: [...path, 'name'], message }];
    }
    if (names.indexOf(name) === i) return [];
    return [{ path, message: `expected each metric once, got ${name} twice` }];
  });
  if (typeof refit === 'string' && !names.includes(refit)) {
    problems.push({
      path: ['refit'],
      message: `expected one of the scored metrics (${names.join(', ')}), got ${refit}; add it to scoring`,
    });
  }
  return problems;
}
