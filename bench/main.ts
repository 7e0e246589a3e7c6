/**
 * `npm run bench -- NAME.. [--quick] [--devices cuda:0]` or `--table`: one line a figure on standard
 * output, the rest on standard error, and `bench/results/NAME.json`. Exit code 0 when every answer agreed (a missed
 * target is reported, not an error), 1 when one did not or a run failed, 2 for wrong usage.
 */
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { RepriseError } from '../driver/errors.js';
import { benches } from './benches.js';
import { type BenchOptions, Recorder } from './harness.js';
import { writeTable } from './table.js';

const usage = `npm run bench -- NAME.. [--quick] [--devices cuda:0]

  --quick     fewer runs, to see that a bench works; results go to NAME.quick.json
  --devices   the device that benches of devices run on; default: a GPU, else PoCL
  --table     write the figures of bench/results into docs/benchmarks.md

${benches.map((bench) => `  ${bench.name.padEnd(14)} ${bench.summary}`).join('\n')}
`;

/** What is measured is what is computed: benches of the store say which. */
process.env.REPRISE_STORE = 'off';
// As the command line has it: see `jobs/cli/main.ts`.
setFlagsFromString('--interrupt-budget=400000');

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      devices: { type: 'string' },
      table: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (values.table) {
    process.stderr.write(`bench: figures written to ${writeTable()}\n`);
    return 0;
  }
  const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
  if (positionals.length === 0 || unknown.length > 0) {
    const got = unknown.length > 0 ? unknown.join(', ') : 'none';
    process.stderr.write(`bench: expected names of benches, got ${got}\n\n${usage}`);
    return 2;
  }
  const options: BenchOptions = {
    quick: values.quick,
    ...(values.devices === undefined ? {} : { device: values.devices }),
  };
  for (const bench of benches.filter(({ name }) => positionals.includes(name))) {
    const recorder = new Recorder(bench.name);
    await bench.run(recorder, options);
    recorder.progress(`written to ${recorder.write(options)}`);
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error;
  const text =
    error instanceof RepriseError || isUsage
      ? (error as Error).message
      : ((error as Error).stack ?? String(error));
  process.stderr.write(`${text}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
