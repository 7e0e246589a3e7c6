/**
 * What a caller tells a run and what a run tells its caller while it works. The command line draws
 * its progress line from these events and nothing else; events are facts, never needed for the
 * result.
 */

import type { ReuseSetting } from '../../driver/index.js';
import type { MemoryOutlook } from '../check-memory.js';
import type { TrainingPlan } from '../search/row-fits.js';
import type { RungOutline } from '../search/strategies/strategy.js';
import type { StoreUsage } from './record.js';

export type EngineName = 'auto' | 'local' | 'spark';

export type RunEvent =
  /** The engine the run uses and why. */
  | { readonly kind: 'engine'; readonly engine: 'local' | 'spark'; readonly reason: string }
  /** Public data that are not on this machine yet are being brought: a package of npm's. */
  | { readonly kind: 'data'; readonly what: string }
  /** Something is brought or built for the engine first, which may take minutes. */
  | { readonly kind: 'setup'; readonly what: string }
  /** How Spark is reached, where it runs and what its kernels use, once it is open. */
  | { readonly kind: 'spark'; readonly way: string }
  /** Devices that work beside the processor, by name. */
  | { readonly kind: 'devices'; readonly devices: readonly string[] }
  /** A phase began: `open`, `profile`, `gram`, `fit`, `score`, `refit`, .. */
  | { readonly kind: 'phase'; readonly phase: string }
  /** How far the phase is. @units fraction: 0..1; rows: rows read so far */
  | {
      readonly kind: 'progress';
      readonly phase: string;
      readonly fraction: number;
      readonly rows?: number;
    }
  /** Candidates that are scored, and kept where there is a journal. */
  | { readonly kind: 'trials'; readonly done: number; readonly of: number }
  /** The best candidate so far. */
  | {
      readonly kind: 'best';
      /** The model's name, where there are several. */
      readonly model?: string;
      readonly params: Readonly<Record<string, unknown>>;
      readonly metric: string;
      readonly score: number;
    }
  /** Something the user should know that does not stop the run. */
  | { readonly kind: 'warning'; readonly message: string };

export interface RunOptions {
  readonly engine: EngineName;
  readonly onEvent?: (event: RunEvent) => void;
  readonly signal?: AbortSignal;
}

/** What `reprise plan` prints: where the job would run, what it would reuse and cost. */
/** A feature, and how many columns it is. */
interface PlannedInput {
  readonly name: string;
  readonly encode: string;
  readonly columns: number;
}

export interface PlanReport {
  readonly name: string;
  readonly model: string;
  /** Parameters with several values to try. */
  readonly searched: readonly string[];
  readonly scoring: readonly string[];
  readonly data: { readonly path: string; readonly files: number; readonly bytes: number };
  readonly features: readonly PlannedInput[];
  readonly standardize: boolean;
  readonly target: string | null;
  readonly engine: 'local' | 'spark';
  /** Why this engine. */
  readonly reason: string;
  /** How Spark is reached. */
  readonly way: string | null;
  /** That work beside the processor. */
  readonly devices: readonly string[];
  /** What the setting of reuse allows. */
  readonly reuse: ReuseSetting;
  /** What results are kept for later runs, and what of them this plan builds on. */
  readonly store: StoreUsage | null;
  readonly rows: number;
  readonly columns: number;
  readonly trials: number;
  readonly folds: number;
  /** Of several rungs, what each tries. */
  readonly rungs: readonly RungOutline[];
  /** What the fits of each model read, and why where there was a choice. */
  readonly fits: readonly {
    readonly model: string;
    readonly by: 'moments' | 'classes' | 'rows';
    readonly why?: string;
  }[];
  /** Results already held, of those the plan needs. */
  readonly cached: number;
  readonly operators: number;
  /** Passes over the data. */
  readonly passes: number;
  /** Which solvers train the fits, and why: lines. */
  readonly solvers: readonly string[];
  /** Of fits that read rows, a stack each; the plan below is of what comes before and after. */
  readonly training: readonly TrainingPlan[];
  /** Fits that read rows and are kept from earlier runs. */
  readonly keptFits: number;
  /** @units seconds */
  readonly estimatedSeconds: number;
  /** What it would hold at its peak, and what it may. */
  readonly memory: MemoryOutlook;
  /** The plan after the last compiler pass; verbose: after each that changed it. */
  readonly plan: string;
  readonly warnings: readonly string[];
}
