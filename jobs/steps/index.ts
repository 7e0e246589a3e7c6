/** The kinds of steps there are: a line each. Nothing else lists them. */
import { dataCheckStep } from './check-step.js';
import { jobStep } from './job-step.js';
import { predictStep } from './predict-step.js';
import { runStep } from './run-step.js';
import { sqlStep } from './sql-step.js';
import type { StepKind } from './step-kind.js';
import { writeStep } from './write-step.js';

/** Of several kinds whose key a step has the first is meant: a check may have `sql`. */
export const stepKinds: readonly StepKind[] = [
  dataCheckStep,
  jobStep,
  predictStep,
  runStep,
  sqlStep,
  writeStep,
];
