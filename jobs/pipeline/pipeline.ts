/**
 * A pipeline as the runner takes it. Invariants: steps stand in an order in which each comes after
 * all it needs; no two of them write to one place; every path is absolute.
 */
import type { ReuseSetting } from '../../driver/index.js';
import type { SparkSection } from '../../spark-bridge/submit/settings.js';
import type { DeviceChoice } from '../devices/device-choice.js';
import type { StepKind, StepWork } from '../steps/step-kind.js';
import type { StorePlace } from '../store-place.js';

/** What becomes of others when a step fails. */
export type OnFailure = 'stop' | 'warn' | 'continue';

export interface PipelineStep {
  readonly name: string;
  readonly kind: StepKind;
  /** Its inputs include those that templates name. */
  readonly work: StepWork;
  /** Steps it waits for, in the order of the file. */
  readonly needs: readonly string[];
  /** Those of them whose output it reads. */
  readonly reads: readonly string[];
  /** Tries after the first. */
  readonly retries: number;
  readonly retryDelayMs: number;
  /** Of one try; absent for no limit. */
  readonly timeoutMs?: number;
  readonly onFailure: OnFailure;
  /** Never skipped. */
  readonly isAlways: boolean;
}

export interface Pipeline {
  readonly name: string;
  /** The file it was read from, absolute. */
  readonly file: string;
  readonly folder: string;
  readonly steps: readonly PipelineStep[];
  /** Most steps at once. */
  readonly parallel: number;
  /** Where results are kept for later runs; null for nowhere. */
  readonly store: StorePlace | null;
  /** What is reused. Absent: it is said elsewhere, else all. */
  readonly reuse?: ReuseSetting;
  /** As of a job. */
  readonly devices?: DeviceChoice;
  readonly spark?: SparkSection;
  /** Folder that holds the run folders, absolute. */
  readonly output: string;
  /** As it runs, enough to read it again from its folder: for the journal and `pipeline.yaml`. */
  readonly document: unknown;
}
