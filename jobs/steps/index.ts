/** The kinds of steps there are: a line each. Nothing else lists them. */
import { jobStep } from './job-step.js';
import { predictStep } from './predict-step.js';
import { runStep } from './run-step.js';
import { sqlStep } from './sql-step.js';
import type { StepKind } from './step-kind.js';

/** Of several kinds whose key a step has the first is meant. */
export const stepKinds: readonly StepKind[] = [jobStep, predictStep, runStep, sqlStep];
