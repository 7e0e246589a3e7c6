/** Compares recomputed values with the answer a run stored: its table's scores, its model. */
import type { DenseMatrix } from '../../driver/index.js';
import { partOutput } from '../search/prepare.js';
import type { SearchResult } from '../search/result.js';
import { lossRows } from '../search/scoring/losses.js';
import { METRICS, type Metric } from '../search/scoring/metrics.js';
import { emptyTally } from '../search/scoring/tally.js';
import { type TestScatter, testScatters } from '../search/splits/partition.js';
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

/** Every comparison the values allow; a value the run stored nothing of gives none. */
export function compareAnswer(
  run: LoadedRun,
  values: ReadonlyMap<string, DenseMatrix>,
  tolerance: number,
): StoredComparison[] {
  const done: StoredComparison[] = [];
  const compare = (what: string, pairs: Iterable<Pair>): void => {
    const comparison = largest(what, pairs, tolerance);
    if (comparison.count > 0) done.push(comparison);
  };
  compare('scores', scorePairs(run, values));
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

/** Scores of all candidates on all splits, as the search takes them from Gram matrices, losses. */
function* scorePairs(run: LoadedRun, values: ReadonlyMap<string, DenseMatrix>): Generator<Pair> {
  const { search } = run.record;
  const alone = [Array.from({ length: search.folds }, (_, fold) => [fold])];
  let first = 0;
  for (const [p, tests] of (search.tests ?? alone).entries()) {
    const names = [partOutput('gram', p), partOutput('losses', p)] as const;
    const [gram, losses] = names.map((name) => values.get(name));
    if (gram !== undefined && losses !== undefined) {
      const center = run.outputs.get(names[0])!.attrs.center as boolean;
      const scatter = testScatters(gram, tests, center, first);
      const rows = lossRows(run.outputs.get(names[1])!);
      yield* partPairs(search, { losses, rows, scatter, first });
    }
    first += tests.length;
  }
}

interface PartScores {
  readonly losses: DenseMatrix;
  /** Which loss each row of them holds. */
  readonly rows: readonly string[];
  /** By split. */
  readonly scatter: readonly TestScatter[];
  /** The number of the first split. */
  readonly first: number;
}

function* partPairs(
  search: SearchResult,
  { losses, rows, scatter, first }: PartScores,
): Generator<Pair> {
  const read = (loss: string, at: number): number => {
    const row = rows.indexOf(loss);
    return row < 0 ? Number.NaN : losses.data[row * losses.cols + at]!;
  };
  for (const [t, trial] of search.trials.entries()) {
    for (const [split, tested] of scatter.entries()) {
      const fold = first + split;
      // A failed fit has the error score, which no lineage gives.
      if (trial.errors?.[fold] !== undefined) continue;
      const at = split * search.trials.length + t;
      const tally = { ...emptyTally, ...tested, sum: (loss: string) => read(loss, at) };
      for (const metric of search.metrics) {
        const score = METRICS[metric as Metric].score(tally);
        const where = `${metric}, candidate ${t}, fold ${fold}`;
        yield [where, trial.splitScores[metric]?.[fold], score];
      }
    }
  }
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
