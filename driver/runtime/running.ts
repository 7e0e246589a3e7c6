/** What the parts of one execution share. */
import type { Plan } from '../compiler/plan.js';
import type { ExecutionContext } from './execution-context.js';
import type { Operands } from './operands.js';
import type { PlanValues } from './plan-values.js';
import type { Results } from './results.js';

export interface Running {
  readonly plan: Plan;
  readonly context: ExecutionContext;
  readonly values: PlanValues;
  readonly results: Results;
  readonly operands: Operands;
  /** What runs now; these promises never reject. */
  readonly inFlight: Set<Promise<void>>;
}

/** @param work that never rejects */
export function launch({ inFlight }: Pick<Running, 'inFlight'>, work: Promise<void>): void {
  inFlight.add(work);
  void work.then(() => inFlight.delete(work));
}
