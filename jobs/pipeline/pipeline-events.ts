/** What a pipeline's run tells its caller while it works: facts, never needed for the result. */
import type { RunEvent } from '../runs/run-events.js';
import type { StepState } from './step-record.js';

export type PipelineEvent =
  /** A step begins, and why it is not skipped. */
  | {
      readonly kind: 'step';
      readonly step: string;
      readonly state: 'running';
      readonly why: string;
    }
  /** A step is over, and its journal has it. */
  | {
      readonly kind: 'step';
      readonly step: string;
      readonly state: StepState;
      readonly why: string;
      /** @units seconds */
      readonly seconds: number;
      /** What it found. */
      readonly note?: string;
    }
  /** What a step tells. */
  | { readonly kind: 'in-step'; readonly step: string; readonly event: RunEvent };
