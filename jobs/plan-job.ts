/** What `reprise plan` says: where a job runs, what is held and its cost. Runs only statistics. */
import type { Plan } from '../driver/compiler/plan.js';
import { type Expr, printPlan, type Run } from '../driver/index.js';
import type { Job } from './job-file/job.js';
import type { JobData } from './open-data.js';
import { type OpenJob, type RunJobOptions, withOpenJob } from './open-job.js';
import { Phases } from './runs/phases.js';
import type { PlanReport } from './runs/run-events.js';
import { storeUsage } from './runs/store-usage.js';
import { candidateCount } from './search/candidates.js';
import { fitAll, type PlannedFits, plannedTraining } from './search/fits.js';
import { searchExprs, searchSolvers } from './search/grid-search.js';
import { prepare, type Search } from './search/prepare.js';
import { nameOf } from './search/scoring/scorers.js';
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
    const { exprs, plan, training, kept } = await planned(run, search);
    const cached = [...plan.available.keys()].filter((expr) => expr.inputs.length > 0).length;
    const { files } = data.source;
    return {
      ...asked(job, data),
      data: {
        path: job.data.path,
        files: files.length,
        bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      },
      engine: open.engine,
      reason,
      way: open.way ?? null,
      store: open.store === undefined ? null : storeUsage(open.store),
      rows: data.X.rows,
      columns: data.resolved.columns.length,
      trials: candidateCount(job.search.grid),
      folds: splitCount(data.cv),
      fit: { by: fit.estimator.reads, ...(fit.why ? { why: fit.why } : {}) },
      cached,
      operators: plan.nodes.length + cached,
      passes: passesOf(plan),
      solvers: searchSolvers(search),
      training,
      keptFits: kept,
      estimatedSeconds: run.expectedSeconds(plan),
      plan: options.verbose ? run.explain(exprs, { verbose: true }) : printPlan(plan),
      memory,
      warnings: [...data.warnings, ...(tooLarge ? [tooLarge.message] : [])],
    };
  };
  return withOpenJob(job, options, new Phases(options.onEvent), planIn);
}

/** What the job says, as people ask for it. */
function asked(
  { name, model, search, scoring, data: { standardize, target } }: Job,
  data: JobData,
) {
  const several = Object.entries(search.grid).filter(([, values]) => values.length > 1);
  return {
    name,
    model: model.estimator.name,
    searched: several.map(([parameter]) => parameter),
    scoring: scoring.map(nameOf),
    features: data.resolved.summary.map(({ name, encode, columns }) => ({ name, encode, columns })),
    standardize,
    target: target ?? null,
  };
}

interface Planned extends PlannedFits {
  readonly exprs: readonly Expr[];
  readonly plan: Plan;
}

/** Over what the durable store holds, fits among it. */
async function planned(run: Run, search: Search): Promise<Planned> {
  const exprs = searchExprs(run, search);
  const plan = await run.planStored(exprs);
  const moments = search.parts.map(({ counted }) => counted.expr);
  const isKnown = passesOf(await run.planStored(moments)) === 0;
  const fits = await plannedTraining(run, search, isKnown);
  if (fits.kept === 0 || fits.training.length > 0) return { exprs, plan, ...fits };
  // Scores of fits that are there may be there too.
  const { fits: trained } = await fitAll(run, search, false, false);
  const scored = searchExprs(run, search, trained);
  return { exprs: scored, plan: await run.planStored(scored), ...fits };
}

/** Over the data. */
function passesOf({ nodes }: Plan): number {
  const reduced = nodes.filter(({ how }) => how.kind === 'reduce');
  return new Set(reduced.map(({ wave }) => wave)).size;
}
