/** The library: reads, builds and runs jobs, keeps folders; matrix searches, set-up, diagnosis. */

export { type Diagnosis, diagnose } from './doctor/doctor.js';
export { type OpenSession, openSession } from './engines.js';
export type { Estimator, Params, ParamValue } from './estimators/estimator.js';
export { estimators } from './estimators/index.js';
export { decisionValues, type LinearModel } from './estimators/model.js';
export type { Job, JobFeature } from './job-file/job.js';
export { parseJob, type ReadJobOptions, readJob } from './job-file/read-job.js';
export { linspace, logspace } from './job-file/spaces.js';
export type { RunJobOptions } from './open-job.js';
export { planJob } from './plan-job.js';
export { renderReport } from './report/index.js';
export { runJob } from './run-job.js';
export { findRun, readRun } from './runs/read-run.js';
export type { RunRecord } from './runs/record.js';
export type { EngineName, PlanReport, RunEvent } from './runs/run-events.js';
export { type RunSummary, summarize } from './runs/summary.js';
export { type WriteRunOptions, writeRun } from './runs/write-run.js';
export type { Grid } from './search/candidates.js';
export { gridSearch } from './search/grid-search.js';
export type { GridSearchOptions } from './search/prepare.js';
export type { SearchResult, TrialResult } from './search/result.js';
export { METRICS, type Metric } from './search/scoring/metrics.js';
export type { CrossValidation, Partition, RowSplit, Splits } from './search/splits/partition.js';
export { type SetupOptions, type SetupOutcome, setUp } from './setup/setup.js';
