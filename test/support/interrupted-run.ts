/**
 * A process of its own that begins the run of a job file under an id, says in its journal what files
 * it read, and is killed: `node interrupted-run.js JOB RUNS ID`.
 */
import { readJob } from '../../jobs/job-file/read-job.js';
import { RunJournal } from '../../jobs/runs/run-journal.js';

const [file = '', output = '', run = ''] = process.argv.slice(2);
const job = await readJob(file, { output });
const journal = await RunJournal.begin(job, file, 'local', run);
const files = [{ path: job.data.path, digest: 'as it was', bytes: 1 }];
await journal.opened('local', files, async () => {});
await journal.divide({ rung: 0, waves: [[0, 1, 2]], metric: 'r2', of: 3 });
await journal.begin(0);
process.kill(process.pid, 'SIGKILL');
