/**
 * Runs a job from checked file to run record: open the data, resolve the features, search, collect what happened.
 * Invariant: nothing is written here, and a run whose input files changed while they were read has no record.
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import {
  type Expr,
  type FrameEngine,
  type Json,
  Matrix,
  openFrame,
  printPlan,
  type ResolvedFeatures,
  resolveFeatures,
  type Session,
  verifyUnchanged,
} from '../driver/index.js';
import { env } from '../driver/support/env.js';
import { packageVersion } from './cli/package-info.js';
import { dataBytes } from './data-bytes.js';
import { chooseEngine, type OpenSession, openSession } from './engines.js';
import type { Job } from './job-file/job.js';
import { lineageNodes, runProgram } from './runs/lineage-nodes.js';
import type { RunRecord } from './runs/record.js';
import type { RunOptions } from './runs/run-events.js';
import { newRunId } from './runs/run-id.js';
import { type CrossValidation, gridSearch } from './search/grid-search.js';

export interface RunJobOptions extends RunOptions {
  /** An open session to run in, which keeps its results for the next run. Default: one of its own. */
  readonly open?: OpenSession;
}

/**
 * Runs the job and returns its record.
 * @throws ConfigError, DataError for what is wrong with job or data; ExecutionError, ResourceError from engines
 */
export async function runJob(job: Job, options: RunJobOptions): Promise<RunRecord> {
  const startedAt = new Date();
  const clock = new Phases(options.onEvent);
  clock.enter('start');
  const choice =
    options.open === undefined
      ? await chooseEngine(options.engine, job.data.path, dataBytes)
      : { engine: options.open.engine, reason: 'the open session' };
  options.onEvent?.({ kind: 'engine', ...choice });
  const warn = (message: string): void => options.onEvent?.({ kind: 'warning', message });
  const open = options.open ?? (await openSession(choice.engine, warn));
  try {
    return await runIn(open, job, options, startedAt, clock);
  } finally {
    if (options.open === undefined) await open.session.close();
  }
}

async function runIn(
  open: OpenSession,
  job: Job,
  options: RunJobOptions,
  startedAt: Date,
  clock: Phases,
): Promise<RunRecord> {
  const { session, engine } = open;
  const statistics = session.beginRun();
  session.scope = {
    ...(options.signal ? { signal: options.signal } : {}),
    onProgress: (fraction) => clock.progress(fraction),
  };
  const data = await openData(open, job, clock);
  for (const message of data.resolved.warnings) options.onEvent?.({ kind: 'warning', message });
  options.signal?.throwIfAborted();
  const outputs = new Map<string, Expr>();
  const search = await gridSearch(session, {
    ...data,
    columns: data.resolved.columns,
    imputations: data.resolved.imputations,
    lambdas: job.search.grid.lambda,
    intercept: job.model.intercept,
    standardize: job.data.standardize,
    scoring: job.scoring,
    metric: job.metric,
    refit: job.refit,
    errorScore: job.errorScore,
    onPhase: (phase) => clock.enter(phase),
    onOutput: (name, expr) => outputs.set(name, expr),
  });
  await verifyUnchanged(data.source);
  clock.end();
  const best = search.trials[search.bestIndex];
  if (best !== undefined) {
    options.onEvent?.({
      kind: 'best',
      params: best.params,
      metric: search.refit,
      score: best.meanScore[search.refit]!,
    });
  }
  const counters = statistics.counters();
  return {
    run: newRunId(job.name, startedAt),
    name: job.name,
    startedAt: startedAt.toISOString(),
    reprise: packageVersion(),
    engine,
    job: job.document,
    search,
    reuse: {
      hits: counters.hits,
      partial: counters.partial,
      misses: counters.misses,
      savedSeconds: counters.savedSeconds,
    },
    passes: counters.passes,
    scans: counters.scans,
    sparkJobs: counters.sparkJobs,
    kernels: counters.kernels,
    seconds: clock.seconds(),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    lineage: lineageNodes(statistics),
    program: runProgram(statistics, outputs, env.store() ?? null),
    timeline: statistics.timeline().map(({ lane, name, start, end }) => ({
      lane,
      name,
      start: (start - clock.origin) / 1000,
      end: (end - clock.origin) / 1000,
    })),
    plan: statistics.plans.map(printPlan).join('\n\n'),
    environment: {
      Node: process.version,
      System: `${process.platform} ${process.arch}, ${availableParallelism()} cores`,
      Backends: [...new Set([session.local.name, session.blocks.name])].join(', '),
    },
  };
}

interface JobData {
  readonly X: Matrix;
  readonly y: Matrix;
  readonly cv: CrossValidation;
  readonly resolved: ResolvedFeatures;
  readonly source: Parameters<typeof verifyUnchanged>[0];
}

/** Opens the frame and encodes features, target and folds; nothing is read but what resolving needs. */
export async function openData(
  { session, frames }: OpenSession,
  job: Job,
  clock: { enter(phase: string): void },
): Promise<JobData> {
  clock.enter('open');
  const frame = await openFrame(session, frames, job.data.path, job.data.format);
  clock.enter('profile');
  const { cv } = job;
  const key = JSON.stringify([
    frame.expr.attrsText,
    job.data.features ?? null,
    job.data.target,
    cv,
  ]);
  const resolve = async (): Promise<Json> => {
    const start = performance.now();
    const result = await resolveFeatures(counting(frames, session), frame.description, {
      ...(job.data.features ? { features: job.data.features } : {}),
      target: job.data.target,
      ...(cv.kind === 'group' ? { group: { column: cv.column, folds: cv.folds } } : {}),
      ...(cv.kind === 'predefined' ? { predefined: { column: cv.column } } : {}),
    });
    session.statistics.bar(frames.name, 'profile', start, performance.now());
    return result as unknown as Json;
  };
  const { source } = frame.description;
  const memo = await session.memo(key, resolve, () => verifyUnchanged(source));
  const resolved = memo as unknown as ResolvedFeatures;
  const X = Matrix.of(session, frame.encode(resolved.features));
  const y = Matrix.of(session, frame.encode([resolved.target]));
  const folds: CrossValidation =
    cv.kind === 'kfold'
      ? cv
      : {
          folds: resolved.folds!.count,
          assignment: Matrix.of(session, frame.encode([resolved.folds!.feature])),
        };
  return {
    X,
    y,
    cv: folds,
    resolved,
    source,
  };
}

/** Counts the scans an engine makes into the session's statistics. */
function counting(frames: FrameEngine, session: Session): FrameEngine {
  return {
    name: frames.name,
    describe: (path, format) => frames.describe(path, format),
    profile: (source, requests) => {
      session.statistics.scans++;
      return frames.profile(source, requests);
    },
  };
}

/** Seconds by phase, in order. */
class Phases {
  readonly origin = performance.now();
  readonly #seconds: Record<string, number> = {};
  readonly #onEvent: RunOptions['onEvent'];
  #phase: string | undefined;
  #since = this.origin;
  #end = 0;

  constructor(onEvent: RunOptions['onEvent']) {
    this.#onEvent = onEvent;
  }

  enter(phase: string): void {
    this.end();
    this.#phase = phase;
    this.#since = performance.now();
    this.#onEvent?.({ kind: 'phase', phase });
  }

  progress(fraction: number): void {
    if (this.#phase !== undefined) {
      this.#onEvent?.({ kind: 'progress', phase: this.#phase, fraction });
    }
  }

  end(): void {
    this.#end = performance.now();
    if (this.#phase === undefined) return;
    const known = this.#seconds[this.#phase] ?? 0;
    this.#seconds[this.#phase] = known + (this.#end - this.#since) / 1000;
    this.#phase = undefined;
  }

  seconds(): Record<string, number> {
    return { total: (this.#end - this.origin) / 1000, ...this.#seconds };
  }
}
