/** What `reprise plan` says: where a job runs, what is held and its cost. Runs only statistics. */
import type { Plan } from '../driver/compiler/plan.js';
import { type Expr, printPlan, type Run, type TargetOptions } from '../driver/index.js';
import type { Job } from './job-file/job.js';
import type { JobData } from './open-data.js';
import { type OpenJob, type RunJobOptions, withOpenJob } from './open-job.js';
import { Phases } from './runs/phases.js';
import type { PlanReport } from './runs/run-events.js';
import { storeUsage } from './runs/store-usage.js';
import { fitAll, type PlannedFits, plannedTraining } from './search/fits.js';
import type { SearchGroup } from './search/groups.js';
import { groupExprs, groupSolvers } from './search/plan-search.js';
import { nameOf } from './search/scoring/scorers.js';
import { splitCount } from './search/splits/partition.js';

export interface PlanJobOptions extends RunJobOptions {
  /** Also print the plan as written and after each pass of the compiler. */
  readonly verbose?: boolean;
}

/** @throws as `runJob`, for what is wrong with job or data */
export async function planJob(job: Job, options: PlanJobOptions): Promise<PlanReport> {
  const planIn = async (given: OpenJob) => {
    const { open, reason, run, data, memory, tooLarge } = given;
    const { groups, rungs } = given.plan;
    const { exprs, plan, training, kept } = await planned(run, groups);
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
      devices: open.devices ?? [],
      reuse: open.session.reuse.setting,
      store: open.store === undefined ? null : storeUsage(open.store),
      rows: data.X.rows,
      columns: data.resolved.columns.length,
      trials: rungs.reduce((sum, { candidates }) => sum + candidates, 0),
      rungs,
      folds: splitCount(data.cv),
      fits: fitsOf(groups),
      cached,
      operators: plan.nodes.length + cached,
      passes: passesOf(plan),
      solvers: [...new Set(groups.flatMap(groupSolvers))],
      training,
      keptFits: kept,
      estimatedSeconds: run.expectedSeconds(plan),
      plan: options.verbose ? await run.explainStored(exprs) : printPlan(plan),
      memory,
      warnings: [...data.warnings, ...(tooLarge ? [tooLarge.message] : [])],
    };
  };
  return withOpenJob(job, options, new Phases(options.onEvent), planIn);
}

/** What the fits of each model read; of groups of one model that read alike once. */
function fitsOf(groups: readonly SearchGroup[]): PlanReport['fits'] {
  const fits = new Map<string, PlanReport['fits'][number]>();
  for (const { model, estimator, why } of groups) {
    const fit = { model: model.name, by: estimator.reads, ...(why ? { why } : {}) };
    fits.set(JSON.stringify(fit), fit);
  }
  return [...fits.values()];
}

function targetText({ name, sql }: TargetOptions): string {
  return sql === undefined ? name : `${name} (${sql.trim()})`;
}

/** What the job says, as people ask for it. */
function asked(
  { name, models, search, scoring, data: { standardize, target } }: Job,
  data: JobData,
) {
  const several = search.space.flatMap(({ values }) =>
    Object.entries(values).filter(([, own]) => !Array.isArray(own) || own.length > 1),
  );
  return {
    name,
    model: models
      .map(({ name: own, estimator }) => (models.length > 1 ? own : estimator.name))
      .join(', '),
    searched: [...new Set(several.map(([parameter]) => parameter))],
    scoring: scoring.map(nameOf),
    features: data.resolved.summary.map(({ name, encode, columns }) => ({ name, encode, columns })),
    standardize,
    target: target === undefined ? null : targetText(target),
  };
}

interface Planned extends PlannedFits {
  readonly exprs: readonly Expr[];
  readonly plan: Plan;
}

/** Over what the durable store holds, fits among it. */
async function planned(run: Run, groups: readonly SearchGroup[]): Promise<Planned> {
  const all = await Promise.all(groups.map((group) => plannedGroup(run, group)));
  const exprs = all.flatMap((own) => own.exprs);
  return {
    exprs,
    plan: await run.planStored(exprs),
    training: all.flatMap(({ training }) => training),
    kept: all.reduce((sum, own) => sum + own.kept, 0),
  };
}

async function plannedGroup(run: Run, group: SearchGroup): Promise<Omit<Planned, 'plan'>> {
  const moments = group.parts.map(({ counted }) => counted.expr);
  const isKnown = passesOf(await run.planStored(moments)) === 0;
  const fits = await plannedTraining(run, group, isKnown);
  if (fits.kept === 0 || fits.training.length > 0)
    return { exprs: groupExprs(run, group), ...fits };
  // Scores of fits that are there may be there too.
  const { fits: trained } = await fitAll(run, group, false, false);
  return { exprs: groupExprs(run, group, trained), ...fits };
}

/** Over the data. */
function passesOf({ nodes }: Plan): number {
  const reduced = nodes.filter(({ how }) => how.kind === 'reduce');
  return new Set(reduced.map(({ wave }) => wave)).size;
}
