/**
 * A process of its own that runs the job files named on standard input, a line each, every one in a
 * session of its own. Says `ready` once everything is loaded, then what each run counted.
 */
import { createInterface } from 'node:readline';
import { openSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';

process.stdout.write('ready\n');
for await (const path of createInterface({ input: process.stdin })) {
  const job = await readJob(path, { overrides: [] });
  const open = await openSession('local');
  try {
    const { passes, scans, search } = await runJob(job, { engine: 'local', open });
    const scores = search.trials.map(({ meanScore }) => meanScore);
    process.stdout.write(`${JSON.stringify({ passes, scans, scores })}\n`);
  } finally {
    await open.session.close();
  }
}
process.exit(0);
