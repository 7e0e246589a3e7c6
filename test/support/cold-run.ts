/** A run that knows nothing, in this process: what a run with a store has to agree with. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { Session } from '../../driver/index.js';
import { createCpuBackend, createDuckDbEngine } from '../../gpu-executor/cpu/index.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import { writeRun } from '../../jobs/runs/write-run.js';
import { createTestSpark } from './spark.js';

export interface ColdRun {
  /** Run folder, beside the job file. */
  readonly path: string;
  readonly passes: number;
  readonly rowsRead: number;
}

/** Runs a job file in a session of its own without a store, and writes all but the report. */
export async function coldRun(file: string, engine: 'local' | 'spark' = 'local'): Promise<ColdRun> {
  const job = await readJob(file, { output: join(dirname(file), 'cold-runs') });
  const duckdb = createDuckDbEngine();
  const local = await createCpuBackend({ frames: duckdb });
  const blocks = engine === 'spark' ? await createTestSpark() : local;
  assert.ok(typeof blocks !== 'string', String(blocks));
  const session = new Session({ local, blocks, placement: 'blocks' });
  try {
    const open = { session, engine, frames: blocks.frames!, duckdb };
    const record = await runJob(job, { engine, open });
    const path = await writeRun(record, { output: job.output, renderReport: () => '' });
    return { path, passes: record.passes, rowsRead: record.rowsRead };
  } finally {
    await session.close();
  }
}
