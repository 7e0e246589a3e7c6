/**
 * Many processes that need the same keys of one durable store at once: each key is computed once,
 * by whoever comes first, and the others wait and read. Against the same keys computed by one
 * process alone, which is the least it can take. Every process checks the digest of all it reads.
 * Takes about half a minute; `--quick` five seconds.
 */
import { execFile } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ExecutionError } from '../driver/errors.js';
import { contentDigest } from '../driver/ir/lineage-key.js';
import { dense } from '../driver/ir/value.js';
import { DurableStore } from '../driver/reuse/store/durable-store.js';
import type { Bench, Recorder } from './harness.js';

/** Time to compute one key, slept, so that the machine's cores are not what is measured. */
const COMPUTE_MS = 100;
const CELLS = 20_000;

export const storeProcesses: Bench = {
  name: 'store-processes',
  summary: '32 processes on one durable store: each key computed once, nothing torn',
  run: async (recorder, options) => {
    const size = options.quick
      ? { processes: 8, keys: 5, rounds: 1 }
      : { processes: 32, keys: 20, rounds: 5 };
    for (let round = 0; round < size.rounds; round++) {
      await measure(recorder, 'alone', 1, size.keys);
      await measure(recorder, 'together', size.processes, size.keys);
    }
    const { keys } = size;
    recorder.figure('processes', size.processes);
    recorder.figure('keys', keys);
    recorder.figure(
      'computed_per_key_most',
      Math.max(...raw(recorder, 'together_computed')) / keys,
      {
        atMost: 1,
      },
    );
    recorder.figure(
      'torn',
      raw(recorder, 'together_torn').reduce((a, b) => a + b, 0),
      { atMost: 0 },
    );
    recorder.medianFigure('alone_seconds', 'alone');
    recorder.medianFigure('together_seconds', 'together');
    recorder.ratio('together_over_alone', 'together', 'alone');
  },
};

function raw(recorder: Recorder, name: string): readonly number[] {
  const { min, max } = recorder.summary(name);
  return [min, max];
}

async function measure(
  recorder: Recorder,
  name: string,
  processes: number,
  keys: number,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-store-bench-'));
  const log = join(folder, 'computed.log');
  writeFileSync(log, '');
  const script = fileURLToPath(import.meta.url);
  try {
    const start = performance.now();
    const ended = await Promise.all(
      Array.from({ length: processes }, () =>
        promisify(execFile)(process.execPath, [script, folder, log, String(keys)]),
      ),
    );
    recorder.sample(name, (performance.now() - start) / 1000);
    const torn = ended.reduce((sum, { stdout }) => sum + Number(stdout), 0);
    const computed = readFileSync(log, 'utf8').split('\n').length - 1;
    recorder.sample(`${name}_torn`, torn);
    recorder.sample(`${name}_computed`, computed);
    recorder.progress(`${name}: ${computed} of ${keys} keys computed by ${processes} processes`);
    if (computed < keys) {
      throw new ExecutionError(`store-processes: expected ${keys} keys, got ${computed}`, {
        op: 'bench',
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A worker: needs all keys in an order of its own; says how many values were wrong. */
async function work(folder: string, log: string, keys: number): Promise<void> {
  const store = await DurableStore.open(folder);
  const first = process.pid % keys;
  let torn = 0;
  for (let i = 0; i < keys; i++) {
    const k = (first + i) % keys;
    const value = dense(
      CELLS,
      1,
      Float64Array.from({ length: CELLS }, (_, j) => Math.sin(j * (k + 1))),
    );
    const key = contentDigest(dense(1, 1, Float64Array.of(k)));
    const lease = await store.lease(key);
    if (typeof lease === 'object') {
      appendFileSync(log, `${k}\n`);
      await sleep(COMPUTE_MS);
      const meta = { op: 'bench', seconds: COMPUTE_MS / 1000, createdAt: new Date().toISOString() };
      await store.put(key, value, meta, lease);
      await lease.release();
    }
    const found = await store.get(key);
    const isRight =
      found?.value.kind === 'dense' && contentDigest(found.value) === contentDigest(value);
    if (!isRight) torn++;
  }
  process.stdout.write(String(torn));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder = '', log = '', keys = '0'] = process.argv;
  await work(folder, log, Number(keys));
}
