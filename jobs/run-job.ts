/**
 * Runs a job from checked file to run record: open the data, resolve the features, search, collect
 * what happened. Invariant: nothing is written here, and a run whose input files changed while they
 * were read has no record.
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { type Expr, printPlan, verifyUnchanged } from '../driver/index.js';
import { cacheUsage } from '../driver/reuse/cache-usage.js';
import { env } from '../driver/support/env.js';
import { memoryError, outlookOf, runShape } from './check-memory.js';
import { packageVersion } from './cli/package-info.js';
import { dataBytes } from './data-bytes.js';
import { chooseEngine, type OpenSession, openSession } from './engines.js';
import type { Job } from './job-file/job.js';
import { openData } from './open-data.js';
import { lineageNodes, runProgram } from './runs/lineage-nodes.js';
import type { RunRecord } from './runs/record.js';
import type { RunOptions } from './runs/run-events.js';
import { newRunId } from './runs/run-id.js';
import { gridSearch } from './search/grid-search.js';
import { bestTrial } from './search/result.js';

export interface RunJobOptions extends RunOptions {
  /** An open session to run in, which keeps its results for the next run. Default: one of its own. */
  readonly open?: OpenSession;
}

/**
 * Runs the job and returns its record.
 * @throws ConfigError, DataError for what is wrong with job or data; ExecutionError, ResourceError
 *   from engines
 */
export async function runJob(job: Job, options: RunJobOptions): Promise<RunRecord> {
  const startedAt = new Date();
  const clock = new Phases(options.onEvent);
  clock.enter('start');
  const { placement, ...choice } =
    options.open === undefined
      ? await chooseEngine(options.engine, job.data.path, dataBytes, job.data.dialect)
      : { engine: options.open.engine, reason: 'the open session', placement: undefined };
  options.onEvent?.({ kind: 'engine', ...choice });
  const warn = (message: string): void => options.onEvent?.({ kind: 'warning', message });
  const open =
    options.open ?? (await openSession(choice.engine, warn, options.signal, placement, job.spark));
  if (open.way !== undefined) options.onEvent?.({ kind: 'spark', way: open.way });
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
  const run = session.run({
    ...(options.signal ? { signal: options.signal } : {}),
    onProgress: (fraction) => clock.progress(fraction),
  });
  const { statistics } = run;
  const data = await openData(open, run, job, clock);
  for (const message of data.warnings) options.onEvent?.({ kind: 'warning', message });
  options.signal?.throwIfAborted();
  const shape = runShape(open, job, data);
  const outlook = outlookOf(shape);
  const tooLarge = memoryError(outlook, shape, data);
  if (tooLarge !== undefined) throw tooLarge;
  const outputs = new Map<string, Expr>();
  const search = await gridSearch(run, {
    ...data,
    columns: data.resolved.columns,
    imputations: data.resolved.imputations,
    ...job.model,
    grid: job.search.grid,
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
  for (const message of search.warnings ?? []) options.onEvent?.({ kind: 'warning', message });
  const best = bestTrial(search);
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
    rowsRead: counters.rowsRead,
    ...(data.dropped > 0 ? { rowsDropped: data.dropped } : {}),
    scans: counters.scans,
    sparkJobs: counters.sparkJobs,
    kernels: counters.kernels,
    seconds: clock.seconds(),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    memory: outlook,
    cache: cacheUsage(session.cache),
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
      ...(open.way === undefined ? {} : { Spark: open.way }),
      Backends: [...new Set([session.local.name, session.blocks.name])].join(', '),
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
