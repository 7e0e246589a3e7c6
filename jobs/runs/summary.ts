/** The answer of a run in one JSON document: what `reprise run --json` prints and `result.json` begins with. */
import type { RunRecord } from './record.js';

export interface RunSummary {
  readonly run: string;
  readonly best: {
    readonly params: Readonly<Record<string, unknown>>;
    readonly metric: string;
    /** Null when no candidate could be scored. */
    readonly score: number | null;
  };
  readonly trials: number;
  readonly folds: number;
  readonly engine: 'local' | 'spark';
  readonly reuse: { readonly hits: number; readonly partial: number; readonly misses: number };
  readonly passes: number;
  /** Rows read from files; a row read twice counts twice. */
  readonly rowsRead: number;
  /** Rows left out for want of a target; absent when there is none. */
  readonly rowsDropped?: number;
  readonly sparkJobs: number;
  readonly kernels: number;
  /** @units seconds */
  readonly seconds: Readonly<Record<string, number>>;
  /** The run folder. */
  readonly path: string;
  /** Candidates with a failed fit; absent when there is none. */
  readonly failedTrials?: number;
}

/** The summary of a finished run that was left in `path`. */
export function summarize(record: RunRecord, path: string): RunSummary {
  const { search, reuse } = record;
  const best = search.trials[search.bestIndex];
  const score = best?.meanScore[search.refit];
  const failed = failedTrials(record);
  return {
    run: record.run,
    best: {
      params: best?.params ?? {},
      metric: search.refit,
      score: score === undefined || !Number.isFinite(score) ? null : score,
    },
    trials: search.trials.length,
    folds: search.folds,
    engine: record.engine,
    reuse: { hits: reuse.hits, partial: reuse.partial, misses: reuse.misses },
    passes: record.passes,
    rowsRead: record.rowsRead,
    ...(record.rowsDropped ? { rowsDropped: record.rowsDropped } : {}),
    sparkJobs: record.sparkJobs,
    kernels: record.kernels,
    seconds: record.seconds,
    path,
    ...(failed > 0 ? { failedTrials: failed } : {}),
  };
}

/** How many candidates had a fit that failed on some fold. */
export function failedTrials(record: RunRecord): number {
  return record.search.trials.filter((trial) => Object.keys(trial.errors ?? {}).length > 0).length;
}
