/** What `reprise plan` says: where a job would run, what is held already, and what it would cost. Runs nothing but statistics. */
import { printPlan } from '../driver/index.js';
import { memoryError, outlookOf, runShape } from './check-memory.js';
import { dataBytes } from './data-bytes.js';
import { chooseEngine, openSession } from './engines.js';
import type { Job } from './job-file/job.js';
import { openData } from './open-data.js';
import type { RunJobOptions } from './run-job.js';
import type { PlanReport } from './runs/run-events.js';
import { candidateCount } from './search/candidates.js';
import { searchExprs } from './search/grid-search.js';

export interface PlanJobOptions extends RunJobOptions {
  /** Also print the plan as written and after each pass of the compiler. */
  readonly verbose?: boolean;
}

/** @throws as `runJob`, for what is wrong with job or data */
export async function planJob(job: Job, options: PlanJobOptions): Promise<PlanReport> {
  const { placement, ...choice } =
    options.open === undefined
      ? await chooseEngine(options.engine, job.data.path, dataBytes, job.data.dialect)
      : { engine: options.open.engine, reason: 'the open session', placement: undefined };
  const open =
    options.open ??
    (await openSession(choice.engine, undefined, options.signal, placement, job.spark));
  try {
    const run = open.session.run(options.signal ? { signal: options.signal } : {});
    const enter = (phase: string): void => options.onEvent?.({ kind: 'phase', phase });
    const data = await openData(open, run, job, { enter });
    const exprs = searchExprs(run, {
      ...data,
      columns: data.resolved.columns,
      imputations: data.resolved.imputations,
      ...job.model,
      grid: job.search.grid,
      standardize: job.data.standardize,
      scoring: job.scoring,
    });
    const shape = runShape(open, job, data);
    const memory = outlookOf(shape);
    const tooLarge = memoryError(memory, shape, data);
    const plan = run.plan(exprs);
    const cached = [...plan.available.keys()].filter((expr) => expr.inputs.length > 0).length;
    return {
      ...choice,
      rows: data.X.rows,
      columns: data.resolved.columns.length,
      trials: candidateCount(job.search.grid),
      folds: data.cv.folds,
      cached,
      operators: plan.nodes.length + cached,
      passes: new Set(plan.nodes.filter(({ how }) => how.kind === 'reduce').map(({ wave }) => wave))
        .size,
      estimatedSeconds: run.expectedSeconds(plan),
      plan: options.verbose ? run.explain(exprs, { verbose: true }) : printPlan(plan),
      memory,
      warnings: [...data.warnings, ...(tooLarge ? [tooLarge.message] : [])],
    };
  } finally {
    if (options.open === undefined) await open.session.close();
  }
}
