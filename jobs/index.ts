/** The library: reads, builds and runs jobs, keeps folders; matrix searches, set-up, diagnosis. */

export { loadSettings } from './config/current.js';
export { type Diagnosis, diagnose } from './doctor/doctor.js';
export { type OpenSession, openSession } from './engines.js';
export type { Estimator, Params, ParamValue } from './estimators/estimator.js';
export { estimators } from './estimators/index.js';
export { decisionValues, type LinearModel } from './estimators/model.js';
export type { Job, JobFeature } from './job-file/job.js';
export { parseJob, type ReadJobOptions, readJob } from './job-file/read-job.js';
export { linspace, logspace } from './job-file/spaces.js';
export {
  type CutValue,
  Network,
  READ_LAYERS,
  READ_OPERATORS,
  readNetwork,
} from './networks/network.js';
export { type PngRows, pngRows } from './networks/png-rows.js';
export { type BringOptions, localPath } from './npm-data.js';
export type { RunJobOptions } from './open-job.js';
export type { Pipeline, PipelineStep } from './pipeline/pipeline.js';
export type { PipelineEvent } from './pipeline/pipeline-events.js';
export { PipelineJournal } from './pipeline/pipeline-journal.js';
export { type PipelinePlan, planPipeline } from './pipeline/plan-pipeline.js';
export { parsePipeline, readPipeline } from './pipeline/read-pipeline.js';
export type { PipelineResult } from './pipeline/result.js';
export { type RunPipelineOptions, runPipeline } from './pipeline/run-pipeline.js';
export { planJob } from './plan-job.js';
export { renderPipelineReport, renderReport } from './report/index.js';
export { runJob } from './run-job.js';
export { findRun, readRun } from './runs/read-run.js';
export type { RunRecord } from './runs/record.js';
export type { EngineName, PlanReport, RunEvent } from './runs/run-events.js';
export { type RunSummary, summarize } from './runs/summary.js';
export { type WriteRunOptions, writeRun } from './runs/write-run.js';
export { launchProcess, type RunLaunch } from './schedule/launch.js';
export { Scheduler, type SchedulerOptions } from './schedule/scheduler.js';
export type { Grid, SearchModel } from './search/candidates.js';
export { gridSearch } from './search/grid-search.js';
export type { GridSearchOptions, SearchOptions } from './search/prepare.js';
export type { SearchResult, TrialResult } from './search/result.js';
export { runSearch } from './search/run-search.js';
export { METRICS, type Metric } from './search/scoring/metrics.js';
export type { CrossValidation, Partition, RowSplit, Splits } from './search/splits/partition.js';
export { searchTypes } from './search/strategies/index.js';
export type { SearchFacts, SearchType, Strategy } from './search/strategies/strategy.js';
export { type SetupOptions, type SetupOutcome, setUp } from './setup/setup.js';
