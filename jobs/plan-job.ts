/** What `reprise plan` says: where a job runs, what is held and its cost. Runs only statistics. */
import { printPlan } from '../driver/index.js';
import type { Job } from './job-file/job.js';
import { type OpenJob, type RunJobOptions, withOpenJob } from './open-job.js';
import { Phases } from './runs/phases.js';
import type { PlanReport } from './runs/run-events.js';
import { candidateCount } from './search/candidates.js';
import { plannedTraining } from './search/fits.js';
import { searchExprs, searchSolvers } from './search/grid-search.js';
import { prepare } from './search/prepare.js';
import { splitCount } from './search/splits/partition.js';

export interface PlanJobOptions extends RunJobOptions {
  /** Also print the plan as written and after each pass of the compiler. */
  readonly verbose?: boolean;
}

/** @throws as `runJob`, for what is wrong with job or data */
export async function planJob(job: Job, options: PlanJobOptions): Promise<PlanReport> {
  const planIn = async (given: OpenJob) => {
    const { open, reason, run, data, fit, memory, tooLarge } = given;
    const search = prepare(run, given.search);
    const exprs = searchExprs(run, search);
    const plan = run.plan(exprs);
    const cached = [...plan.available.keys()].filter((expr) => expr.inputs.length > 0).length;
    return {
      engine: open.engine,
      reason,
      rows: data.X.rows,
      columns: data.resolved.columns.length,
      trials: candidateCount(job.search.grid),
      folds: splitCount(data.cv),
      fit: { by: fit.estimator.reads, ...(fit.why ? { why: fit.why } : {}) },
      cached,
      operators: plan.nodes.length + cached,
      passes: new Set(plan.nodes.filter(({ how }) => how.kind === 'reduce').map(({ wave }) => wave))
        .size,
      solvers: searchSolvers(search),
      training: await plannedTraining(run, search),
      estimatedSeconds: run.expectedSeconds(plan),
      plan: options.verbose ? run.explain(exprs, { verbose: true }) : printPlan(plan),
      memory,
      warnings: [...data.warnings, ...(tooLarge ? [tooLarge.message] : [])],
    };
  };
  return withOpenJob(job, options, new Phases(options.onEvent), planIn);
}
