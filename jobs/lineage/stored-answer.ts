/** Compares recomputed values with the answer a run stored: its table's scores, its model. */
import type { DenseMatrix } from '../../driver/index.js';
import type { AggregateValues, TableAggregates } from '../../driver/ir/table-aggregates.js';
import type { JobDocument } from '../job-file/schema.js';
import { scoringsOf } from '../job-file/scoring-schema.js';
import { partOutput } from '../search/prepare.js';
import type { SearchResult } from '../search/result.js';
import { readFormulas, sqlScorers, viewsOf } from '../search/scoring/formulas.js';
import { lossOutput } from '../search/scoring/losses.js';
import { readMeasure } from '../search/scoring/measure-readers.js';
import type { Metric } from '../search/scoring/metrics.js';
import { nameOf, type Scorer, scorerOf } from '../search/scoring/scorers.js';
import { type ScoreOutput, Tallies } from '../search/scoring/tallies.js';
import { testScatters } from '../search/splits/partition.js';
import type { LoadedRun } from './load-run.js';

export interface StoredComparison {
  /** `scores`; `coefficients`, `intercept`, `imputed` (model.json); `gram in the store`. */
  readonly what: string;
  /** Numbers compared. */
  readonly count: number;
  /** Largest difference, relative to max(1, |stored|); in the store, to the largest cell. */
  readonly difference: number;
  /** Where that is: `r2, candidate 3, fold 0`. */
  readonly where: string;
  readonly agrees: boolean;
}

/** Metrics in SQL over a table of predictions that was computed again. */
export type AggregateAgain = (
  table: DenseMatrix,
  asked: TableAggregates,
) => Promise<AggregateValues>;

/** Every comparison the values allow; a value the run stored nothing of gives none. */
export async function compareAnswer(
  run: LoadedRun,
  values: ReadonlyMap<string, DenseMatrix>,
  tolerance: number,
  aggregate: AggregateAgain,
): Promise<StoredComparison[]> {
  const done: StoredComparison[] = [];
  const compare = (what: string, pairs: Iterable<Pair>): void => {
    const comparison = largest(what, pairs, tolerance);
    if (comparison.count > 0) done.push(comparison);
  };
  compare('scores', await scorePairs(run, values, aggregate));
  const { model } = run.record.search;
  if (model === null) return done;
  const cells = (name: string): readonly number[] => [...(values.get(name)?.data ?? [])];
  const outputs = model.intercepts.length;
  const nameOf = (name: string, k: number): string =>
    outputs === 1 ? name : `${name}, output ${k}`;
  compare(
    'coefficients',
    cells('coefficients').map((now, at) => {
      const [j, k] = [Math.floor(at / outputs), at % outputs];
      return [nameOf(model.columns[j] ?? `coefficient ${j}`, k), model.coefficients[k]?.[j], now];
    }),
  );
  compare(
    'intercept',
    cells('intercept').map((now, k) => [nameOf('intercept', k), model.intercepts[k], now]),
  );
  const imputed = cells('imputed').map((now, j): Pair => {
    const column = model.columns[j]!;
    return [column, model.imputed[column], now];
  });
  compare(
    'imputed',
    imputed.filter(([, stored]) => stored !== undefined),
  );
  return done;
}

/** Where, stored, computed again. */
type Pair = readonly [string, number | undefined, number];

/** Scores of all candidates on all splits, as the search takes them from what it measured. */
async function scorePairs(
  run: LoadedRun,
  values: ReadonlyMap<string, DenseMatrix>,
  aggregate: AggregateAgain,
): Promise<Pair[]> {
  const { outputs, program } = run;
  const { search, job } = run.record;
  const alone = [Array.from({ length: search.folds }, (_, fold) => [fold])];
  const scorers = scorersOf(search, job);
  let first = 0;
  const scatter = (search.tests ?? alone).flatMap((tests, p) => {
    const name = partOutput('gram', p);
    const gram = values.get(name);
    const own =
      // Moments of prepared columns are about the means, and put together of others.
      gram && testScatters(gram, tests, outputs.get(name)!.attrs.center !== false, first);
    first += tests.length;
    return own === undefined ? [] : [own];
  });
  // Scores are read from all of it together.
  if (scatter.length < (search.tests ?? alone).length) return [];
  const tallies = new Tallies(scatter);
  const stored = program.scores ?? [];
  const asked = [...stored, ...scatter.map((_, p) => earlierLosses(search, run, p))];
  let isComplete = false;
  for (const output of asked) {
    // Nested splits have scores of their own, which the table does not hold.
    if (output === undefined || output.partition >= scatter.length) continue;
    const value = values.get(output.output);
    if (value === undefined) return [];
    isComplete = true;
    if (output.measure !== 'predictions') {
      tallies.add(output, readMeasure(output.measure, output.shape, value));
      continue;
    }
    const formulas = sqlScorers(scorers);
    const views = viewsOf(output.predicted, output.candidates.length);
    const groups = scatter[output.partition]!.length;
    const asked = { formulas: formulas.map(({ formula }) => formula), groups, views };
    tallies.add(output, readFormulas(formulas, await aggregate(value, asked)));
  }
  if (!isComplete) return [];
  return search.trials.flatMap((trial, t) =>
    scatter.flat().flatMap((_, fold): Pair[] => {
      // A failed fit has the error score, which no lineage gives.
      if (trial.errors?.[fold] !== undefined) return [];
      // Nor has it candidates that an earlier attempt of the run scored.
      const number = search.partial?.candidates[t] ?? t;
      if (!tallies.has(fold, number)) return [];
      const tally = tallies.of(fold, number);
      return scorers.map(({ name, score }) => {
        const where = `${name}, candidate ${t}, fold ${fold}`;
        return [where, trial.splitScores[name]?.[fold], score(tally)];
      });
    }),
  );
}

/** Losses of plain linear models, of all candidates: runs of earlier versions say no more of them. */
function earlierLosses(
  { trials }: SearchResult,
  { outputs, program: { scores = [] } }: LoadedRun,
  partition: number,
): ScoreOutput | undefined {
  const output = partOutput('losses', partition);
  const node = outputs.get(output);
  if (node === undefined || scores.some((one) => one.output === output)) return undefined;
  return lossOutput(output, node, partition, [...trials.keys()]);
}

/** The metrics as the job has them; by name in runs whose job says no more. */
function scorersOf({ metrics }: SearchResult, job: unknown): Scorer[] {
  const { scoring, data } = (job ?? {}) as Partial<Pick<JobDocument, 'scoring' | 'data'>>;
  const known = scoring === undefined ? [] : scoringsOf(scoring, data?.dialect);
  return metrics.map((name) =>
    scorerOf(known.find((one) => nameOf(one) === name) ?? (name as Metric)),
  );
}

function largest(what: string, pairs: Iterable<Pair>, tolerance: number): StoredComparison {
  let count = 0;
  let difference = 0;
  let place = '';
  for (const [where, stored, now] of pairs) {
    count++;
    const distance = relativeDistance(stored ?? Number.NaN, now);
    if (count > 1 && !(distance > difference)) continue;
    difference = distance;
    place = where;
  }
  return { what, count, difference, where: place, agrees: difference <= tolerance };
}

/** Relative to the larger of 1 and the first's magnitude. NaN equals NaN and nothing else. */
export function relativeDistance(stored: number, now: number): number {
  if (Object.is(stored, now) || stored === now) return 0;
  const distance = Math.abs(now - stored) / Math.max(1, Math.abs(stored));
  return Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
}
