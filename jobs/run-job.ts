/**
 * Runs a job from checked file to run record: open the data, resolve the features, search, collect
 * what happened. Invariant: nothing is written here but to the journal, and a run whose input files
 * changed while they were read has no record.
 */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { type Expr, printPlan, verifyUnchanged } from '../driver/index.js';
import { cacheUsage } from '../driver/reuse/cache-usage.js';
import { peakMemoryBytes } from '../driver/support/memory.js';
import { packageVersion } from '../driver/support/package-root.js';
import { deviceWarnings } from './devices/device-warnings.js';
import type { Job } from './job-file/job.js';
import { makeModel } from './model/make-model.js';
import { type OpenJob, type RunJobOptions, withOpenJob } from './open-job.js';
import { lineageOf } from './runs/lineage-nodes.js';
import { Phases } from './runs/phases.js';
import type { RunRecord } from './runs/record.js';
import { newRunId } from './runs/run-id.js';
import { storeUsage } from './runs/store-usage.js';
import { bestTrial, type SearchResult } from './search/result.js';
import { runSearch } from './search/run-search.js';
import type { ScoreOutput } from './search/scoring/tallies.js';

/**
 * Runs the job and returns its record.
 * @throws ConfigError, DataError for what is wrong with job or data; ExecutionError, ResourceError
 *   from engines
 */
export function runJob(job: Job, options: RunJobOptions): Promise<RunRecord> {
  const startedAt = options.journal?.startedAt ?? new Date();
  const id = options.journal?.attempt.run ?? newRunId(job.name, startedAt);
  const clock = new Phases(options.onEvent);
  return withOpenJob(job, { ...options, origin: id }, clock, async (opened) => ({
    run: id,
    ...(await runIn(opened, job, options, startedAt, clock)),
  }));
}

async function runIn(
  { open, run, data, search: asked, memory, tooLarge }: OpenJob,
  job: Job,
  options: RunJobOptions,
  startedAt: Date,
  clock: Phases,
): Promise<Omit<RunRecord, 'run'>> {
  const { session, engine, store } = open;
  const { statistics } = run;
  for (const message of data.warnings) options.onEvent?.({ kind: 'warning', message });
  options.signal?.throwIfAborted();
  if (tooLarge !== undefined) throw tooLarge;
  const { journal, signal } = options;
  await journal?.opened(engine, data.source.files, () => verifyUnchanged(data.source));
  const outputs = new Map<string, Expr>();
  const scores: ScoreOutput[] = [];
  const found = await runSearch(run, {
    ...asked,
    ...(journal ? { waves: journal } : {}),
    ...(signal ? { signal } : {}),
    onTrials: ({ done, of, best }) => {
      options.onEvent?.({ kind: 'trials', done, of });
      if (best) options.onEvent?.({ kind: 'best', metric: job.metric, ...best });
    },
    onPhase: (phase) => clock.enter(phase),
    onOutput: (name, expr, read) => {
      outputs.set(name, expr);
      if (read !== undefined) scores.push(read);
    },
  });
  const model =
    found.model === null
      ? undefined
      : await makeModel(run, found.model, {
          job,
          estimator: fittedName(found, job),
          data,
          gram: outputs.get('gram'),
          parser: open.duckdb?.sql,
        });
  await verifyUnchanged(data.source);
  clock.end();
  const search = withWarnings(found, deviceWarnings(statistics));
  for (const message of search.warnings ?? []) options.onEvent?.({ kind: 'warning', message });
  // What is on its way into the store counts as held.
  await session.settle();
  const counters = statistics.counters();
  const provided = open.provided?.();
  const place = store ? dirname(store.folder) : null;
  const { lineage, program } = lineageOf(statistics, outputs, place);
  return {
    name: job.name,
    startedAt: startedAt.toISOString(),
    ...(journal && journal.attempt.attempt > 1 ? { attempts: journal.attempt.attempt } : {}),
    reprise: packageVersion(),
    engine,
    job: job.document,
    search,
    ...(model ? { model } : {}),
    reuse: {
      setting: session.reuse.setting,
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
    ...(open.devices ? { devices: Object.fromEntries(statistics.devices()) } : {}),
    seconds: clock.seconds(),
    peakMemoryBytes: peakMemoryBytes(),
    memory,
    cache: cacheUsage(session.cache),
    ...(store ? { store: storeUsage(store) } : {}),
    lineage,
    program: { ...program, scores },
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
      ...(open.devices ? { Devices: open.devices.join('; ') } : {}),
      ...(provided === undefined ? {} : { Provided: provided }),
      Backends: [...new Set([session.local.name, session.blocks.name])].join(', '),
    },
  };
}

function withWarnings(search: SearchResult, more: readonly string[]): SearchResult {
  return more.length === 0
    ? search
    : { ...search, warnings: [...(search.warnings ?? []), ...more] };
}

/** What the model that was fitted on all rows is called in its file. */
function fittedName(search: SearchResult, { models }: Job): string {
  if (search.ensemble !== undefined) return 'ensemble';
  const name = bestTrial(search)?.model;
  return (models.find((model) => model.name === name) ?? models[0]!).estimator.name;
}
