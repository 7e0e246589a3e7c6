/**
 * A job as the runner takes it: the checked document with every default filled in, paths absolute
 * and the grid written out. Invariant: a `Job` is valid; the runner checks only what needs the
 * data.
 */
import type { DescribeOptions, DType, ReuseSetting, TargetOptions } from '../../driver/index.js';
import type { SparkSection } from '../../spark-bridge/submit/settings.js';
import type { DeviceChoice } from '../devices/device-choice.js';
import type { SearchModel } from '../search/candidates.js';
import type { EnsembleOptions } from '../search/composition.js';
import type { Scoring } from '../search/scoring/scorers.js';
import type { SubSpace } from '../search/space.js';
import type { SplitRule } from '../search/splits/resolve.js';
import type { SearchType } from '../search/strategies/strategy.js';
import type { StorePlace } from '../store-place.js';

/** One feature of the design matrix; a plain column name means `{name}`. */
export interface JobFeature {
  readonly name: string;
  readonly sql?: string;
  readonly encode?: 'number' | 'onehot' | 'bin' | 'hash';
  readonly top?: number;
  readonly bins?: number | readonly number[];
  readonly impute?: number | string;
  readonly columns?: number;
  readonly ngrams?: readonly [number, number];
  readonly lowercase?: boolean;
  readonly norm?: 'l1' | 'l2' | 'none';
  readonly alternate_sign?: boolean;
}

export interface Job {
  readonly kind: 'grid-search' | 'search';
  readonly name: string;
  readonly data: {
    /** Absolute path of a file, folder or glob, or a URI; `table://NAME` for Spark's catalog. */
    readonly path: string;
    /** Format of the files and how they are read. */
    readonly read: DescribeOptions;
    /** Absent when there is nothing to predict. */
    readonly target?: TargetOptions;
    /** The column of the rows' weights. */
    readonly weight?: string;
    /** Absent: every column but the target (and the column that says the fold). */
    readonly features?: readonly JobFeature[];
    /** The engine that the features' `sql` is tied to. */
    readonly dialect?: 'duckdb' | 'spark';
    /** Of the encoded features and the target. */
    readonly dtype: DType;
    readonly standardize: boolean;
  };
  /** Where results are kept for later runs; null for nowhere. */
  readonly store: StorePlace | null;
  /** What is reused. Absent: it is said elsewhere, else all. */
  readonly reuse?: ReuseSetting;
  /** Absent: it is said elsewhere, else GPUs that are there. */
  readonly devices?: DeviceChoice;
  /** Where `--engine spark` runs it; absent: where the environment says. */
  readonly spark?: SparkSection;
  /** Of one task; parameters are those that are not searched, defaults included. */
  readonly models: readonly SearchModel[];
  readonly search: {
    readonly type: SearchType;
    /** What is searched, sub-space by sub-space. */
    readonly space: readonly SubSpace[];
    /** What the type is told besides. */
    readonly settings: Readonly<Record<string, unknown>>;
    /** Failed candidates after which the search stops. Absent: it goes on. */
    readonly maxFailures?: number;
    /** What the best candidates are made one model by. Absent: the best is fitted. */
    readonly ensemble?: EnsembleOptions;
    /** Time after which it stops before the next wave. Absent: it goes on. @units seconds */
    readonly maxSeconds?: number;
  };
  readonly cv: SplitRule & { readonly outer?: SplitRule };
  readonly scoring: readonly Scoring[];
  /** The metric the best candidate is chosen by; one of `scoring`. */
  readonly metric: string;
  /** Whether the best candidate is fitted on all rows at the end. */
  readonly refit: boolean;
  /** Score of a candidate whose fit fails; `raise` ends the run. */
  readonly errorScore: number | 'raise';
  /** Folder that holds the run folders, absolute. */
  readonly output: string;
  /** The document as it runs, with overrides and defaults, for `RunRecord.job` and `job.yaml`. */
  readonly document: unknown;
}
