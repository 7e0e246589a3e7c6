/**
 * A workload in a process of its own, as a program of a user would be: reads the data, opens the
 * backend, does the work once and prints what it took and answered, a JSON document.
 */
import { ConfigError } from '../../driver/errors.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { tasks } from './tasks.js';

const [name = ''] = process.argv.slice(2);
const task = await tasks[name]?.();
if (task === undefined) {
  const names = Object.keys(tasks).join(', ');
  throw new ConfigError(`bench: expected one of ${names}, got ${name}`, {
    key: 'workload',
    value: name,
  });
}
process.env.REPRISE_STORE = 'off';
const run = task.load();
const local = await createCpuBackend();
const sample = await run(local);
process.stdout.write(`${JSON.stringify(sample)}\n`);
await local.close();
