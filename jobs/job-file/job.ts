/**
 * A job as the runner takes it: the checked document with every default filled in, paths absolute
 * and the grid written out. Invariant: a `Job` is valid; the runner checks only what needs the
 * data.
 */
import type { DescribeOptions, DType } from '../../driver/index.js';
import type { SparkSection } from '../../spark-bridge/submit/settings.js';
import type { Estimator, Params } from '../estimators/estimator.js';
import type { Grid } from '../search/candidates.js';
import type { Scoring } from '../search/scoring/scorers.js';
import type { SplitRule } from '../search/splits/resolve.js';
import type { StorePlace } from '../store-place.js';

/** One feature of the design matrix; a plain column name means `{name}`. */
export interface JobFeature {
  readonly name: string;
  readonly sql?: string;
  readonly encode?: 'number' | 'onehot' | 'bin';
  readonly top?: number;
  readonly bins?: number | readonly number[];
  readonly impute?: number | string;
}

export interface Job {
  readonly kind: 'grid-search';
  readonly name: string;
  readonly data: {
    /** Absolute path of a file, folder or glob, or a URI; `table://NAME` for Spark's catalog. */
    readonly path: string;
    /** Format of the files and how they are read. */
    readonly read: DescribeOptions;
    /** Absent when there is nothing to predict. */
    readonly target?: string;
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
  /** Where `--engine spark` runs it; absent: where the environment says. */
  readonly spark?: SparkSection;
  readonly model: {
    readonly estimator: Estimator;
    /** Those that are not in the grid, defaults included. */
    readonly params: Params;
  };
  readonly search: {
    readonly grid: Grid;
    /** Failed candidates after which the search stops. Absent: it goes on. */
    readonly maxFailures?: number;
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
