/**
 * One session that runs ever new jobs: other data, features, penalties and folds each time. What it
 * keeps has to stop growing, and a job has to take as long at the end as at the start.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ReuseCache } from '../driver/reuse/reuse-cache.js';
import { openSession } from '../jobs/engines.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import type { Bench } from './harness.js';
import { median } from './stats.js';

export interface SoakOptions {
  readonly jobs: number;
  /** Heap is measured after every so many jobs. */
  readonly every: number;
  readonly onHeap?: (job: number, memory: Memory, seconds: number) => void;
}

/** After full collections. @units MiB */
export interface Memory {
  readonly heap: number;
  /** Heap and array buffers, less the cells of cached values. */
  readonly besidesValues: number;
}

export interface Soak {
  /** Of each job: by the clock, and on the processors. */
  readonly seconds: readonly number[];
  readonly cpuSeconds: readonly number[];
  /** By the number of jobs run. */
  readonly memory: ReadonlyMap<number, Memory>;
}

const MIB = 1024 * 1024;
const ROWS = 200;
const REST_MS = 2500;

/** Runs different jobs one after the other in one session on this machine. */
export async function soak(options: SoakOptions): Promise<Soak> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-soak-'));
  const open = await openSession('local');
  const seconds: number[] = [];
  const cpuSeconds: number[] = [];
  const memory = new Map<number, Memory>();
  try {
    const paths = Array.from({ length: options.jobs }, (_, i) => writeJob(folder, i + 1));
    // Only files at rest are remembered by their times, as most files of real data sets are.
    await sleep(REST_MS);
    for (const [at, path] of paths.entries()) {
      const i = at + 1;
      const job = await readJob(path, { overrides: [] });
      const start = performance.now();
      const cpu = process.cpuUsage();
      await runJob(job, { engine: 'local', open });
      seconds.push((performance.now() - start) / 1000);
      const { user, system } = process.cpuUsage(cpu);
      cpuSeconds.push((user + system) / 1e6);
      if (i % options.every !== 0) continue;
      memory.set(i, measure(open.session.cache));
      options.onHeap?.(i, memory.get(i)!, median(seconds.slice(-options.every)));
    }
  } finally {
    await open.session.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return { seconds, cpuSeconds, memory };
}

/** A job like no other: its own rows, expressions, penalties and number of folds. */
export function writeJob(folder: string, i: number): string {
  const lines = ['a,b,c,y'];
  for (let row = 0; row < ROWS; row++) {
    const a = Math.sin(row * 12.9898 + i) * 10;
    const b = Math.cos(row * 78.233 * i);
    lines.push(`${a},${b},${'pqrs'[(row * i) % 4]},${2 * a - b + Math.sin(row)}`);
  }
  writeFileSync(join(folder, `${i}.csv`), lines.join('\n'));
  const lambdas = Array.from({ length: 8 }, (_, l) => (l + 1) * (1 + i / 1000));
  const path = join(folder, `${i}.yaml`);
  writeFileSync(
    path,
    `kind: grid-search
data: {path: ${i}.csv, target: y, features: [a, b, {name: c, encode: onehot}, {name: f, sql: "a * ${i} + b"}]}
model: {type: ridge}
search: {grid: {lambda: [${lambdas.join(', ')}]}}
cv: {folds: ${3 + (i % 5)}, shuffle: true, seed: ${i}}
scoring: [r2, neg_mean_absolute_error]
`,
  );
  return path;
}

function measure(cache: ReuseCache): Memory {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  let cells = 0;
  for (const { value } of cache.entries()) {
    if (value?.kind === 'dense') cells += value.data.byteLength;
  }
  return { heap: heapUsed / MIB, besidesValues: (heapUsed + arrayBuffers - cells) / MIB };
}

export const soakBench: Bench = {
  name: 'soak',
  summary: '1,000 different jobs in one session: heap and time a job stay what they were',
  run: async (recorder, { quick }) => {
    const jobs = quick ? 200 : 1000;
    const { seconds, cpuSeconds, memory } = await soak({
      jobs,
      every: jobs / 20,
      onHeap: (job, { heap, besidesValues }, time) =>
        recorder.progress(
          `${job} jobs: heap ${heap.toFixed(1)} MiB, ${besidesValues.toFixed(1)} besides values, ${(time * 1000).toFixed(1)} ms a job`,
        ),
    });
    const tenth = jobs / 10;
    for (const at of [tenth, jobs / 2, jobs]) {
      recorder.figure(`heap_mib_${at}`, memory.get(at)!.heap);
      recorder.figure(`besides_values_mib_${at}`, memory.get(at)!.besidesValues);
    }
    const grown = memory.get(jobs)!.besidesValues - memory.get(jobs / 2)!.besidesValues;
    recorder.figure('growth_kib_per_job', (grown * 2048) / jobs, { atMost: 20 });
    for (const [name, all] of Object.entries({ ms: seconds, cpu_ms: cpuSeconds })) {
      recorder.figure(`${name}_first_tenth`, median(all.slice(0, tenth)) * 1000);
      recorder.figure(`${name}_last_tenth`, median(all.slice(-tenth)) * 1000);
    }
    const [first, last] = [cpuSeconds.slice(0, tenth), cpuSeconds.slice(-tenth)];
    recorder.figure('last_over_first', median(last) / median(first), { atMost: 1.3 });
  },
};
