/** A run's answer as one JSON document: `reprise run --json` and the start of `result.json`. */
import { bestTrial, calledIn, type PartialSearch, type SearchResult } from '../search/result.js';
import type { ReuseSummary, RunRecord, StoreUsage } from './record.js';

export interface BestSummary {
  /** The model's name, where there are several. */
  readonly model?: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly metric: string;
  readonly score: number;
}

export interface RunSummary {
  readonly run: string;
  /** Null when no candidate has a finite score; `warnings` say why. */
  readonly best: BestSummary | null;
  readonly trials: number;
  readonly folds: number;
  /** Why these are not all candidates, or none was fitted; absent for a whole search. */
  readonly partial?: PartialSearch;
  /** Of nested cross-validation: the score on rows the search has not seen. Absent without. */
  readonly nested?: OuterSummary & { readonly metric: string };
  readonly engine: 'local' | 'spark';
  readonly reuse: Omit<ReuseSummary, 'savedSeconds'>;
  readonly passes: number;
  /** Rows read from files; a row read twice counts twice. */
  readonly rowsRead: number;
  /** Rows left out for want of a target; absent when there is none. */
  readonly rowsDropped?: number;
  readonly sparkJobs: number;
  readonly kernels: number;
  /** Absent without devices. */
  readonly devices?: RunRecord['devices'];
  /** @units seconds */
  readonly seconds: Readonly<Record<string, number>>;
  /** Peak of the process, and what was forecast. @units bytes */
  readonly memory: { readonly peakBytes: number; readonly forecastBytes: number | null };
  /** Absent where nothing outlives the run. */
  readonly store?: StoreUsage;
  /** The run folder. */
  readonly path: string;
  /** Candidates with a failed fit; absent when there is none. */
  readonly failedTrials?: number;
  /** What the user should know of scores and fits; absent when there is nothing. */
  readonly warnings?: readonly string[];
}

export interface OuterSummary {
  readonly score: number;
  readonly std: number;
  readonly splits: number;
}

/** By the metric that candidates are chosen by. */
export function outerScore({ nested, refit }: SearchResult): OuterSummary | undefined {
  if (nested === undefined) return undefined;
  const { meanScore, stdScore, splits } = nested;
  return { score: meanScore[refit]!, std: stdScore[refit]!, splits: splits.length };
}

/** The summary of a finished run that was left in `path`. */
export function summarize(record: RunRecord, path: string): RunSummary {
  const { search, reuse } = record;
  const best = bestTrial(search);
  const failed = failedTrials(record);
  const outer = outerScore(search);
  const warnings = search.warnings ?? [];
  return {
    run: record.run,
    best: best
      ? { ...calledIn(best), metric: search.refit, score: best.meanScore[search.refit]! }
      : null,
    trials: search.trials.length,
    folds: search.folds,
    ...(search.partial ? { partial: search.partial } : {}),
    ...(outer ? { nested: { metric: search.refit, ...outer } } : {}),
    engine: record.engine,
    reuse: {
      ...(reuse.setting ? { setting: reuse.setting } : {}),
      hits: reuse.hits,
      partial: reuse.partial,
      misses: reuse.misses,
    },
    passes: record.passes,
    rowsRead: record.rowsRead,
    ...(record.rowsDropped ? { rowsDropped: record.rowsDropped } : {}),
    sparkJobs: record.sparkJobs,
    kernels: record.kernels,
    ...(record.devices ? { devices: record.devices } : {}),
    seconds: record.seconds,
    memory: {
      peakBytes: record.peakMemoryBytes,
      forecastBytes: record.memory?.processBytes ?? null,
    },
    ...(record.store ? { store: record.store } : {}),
    path,
    ...(failed > 0 ? { failedTrials: failed } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
}

/** How many candidates had a fit that failed on some fold. */
export function failedTrials(record: RunRecord): number {
  return record.search.trials.filter((trial) => Object.keys(trial.errors ?? {}).length > 0).length;
}
