/** The command line's grammar: commands, arguments, options. Each command has a file of its own. */
import {
  Command,
  CommanderError,
  InvalidArgumentError,
  Option,
  type OutputConfiguration,
} from 'commander';
import { packageVersion } from '../../driver/support/package-root.js';
import { OUTPUTS } from '../predict/output-names.js';
import { addCache } from './cache-command.js';
import { addCompletion } from './completion-command.js';
import { addConfig } from './config-command.js';
import { EXIT } from './exit-codes.js';
import { addLineageCommands } from './lineage-commands.js';
import {
  devicesOption,
  MODEL,
  memoryOption,
  RUN,
  RUNS_FOLDER,
  reuseOption,
  runId,
  useMemory,
  wholeNumber,
} from './options.js';
import { addRuns } from './runs-commands.js';
import { addBackfill, addSchedule } from './schedule-commands.js';
import { applySettings } from './settings.js';
import { visible, writeData } from './terminal.js';

/** Parses the arguments, runs the command, and returns its exit code. Throws its errors. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  let help = Promise.resolve();
  const program = createProgram((result) => {
    code = result;
  });
  configureOutput(program, {
    writeOut: (text) => {
      help = writeData(text);
    },
    writeErr: (text) => process.stderr.write(visible(text)),
  });
  try {
    await program.parseAsync(args as string[], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    await help;
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  return code;
}

function configureOutput(program: Command, output: OutputConfiguration): void {
  program.configureOutput(output);
  for (const command of program.commands) configureOutput(command, output);
}

type Report = (code: number) => void;

function createProgram(report: Report): Command {
  const program = new Command('reprise')
    .description('Machine-learning workloads from YAML, Spark first, never computed twice.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .exitOverride()
    .showHelpAfterError('(run with --help for the commands and options)')
    .addHelpText('after', EXIT_CODES_HELP)
    .hook('preAction', (_, command) => applySettings(command));
  addInit(program, report);
  addRun(program, report);
  addRuns(program, report);
  addPlan(program, report);
  addReport(program, report);
  addPredict(program, report);
  addExport(program, report);
  addSchedule(program, report);
  addBackfill(program, report);
  addLineageCommands(program, report);
  addCache(program, report);
  addConfig(program, report);
  addSetup(program, report);
  addDoctor(program, report);
  addCompletion(program, report);
  program
    .command('schema')
    .description('print the JSON Schema of job and pipeline files')
    .option('--settings', 'that of settings files (reprise.yaml)')
    .action(async ({ settings }: { readonly settings?: true }) => {
      if (settings) {
        const { settingsJsonSchema } = await import('../config/settings-schema.js');
        return writeData(settingsJsonSchema());
      }
      const { jobJsonSchema } = await import('../job-file/json-schema.js');
      return writeData(jobJsonSchema());
    });
  return program;
}

const engineOption = (): Option =>
  new Option('--engine <engine>', 'where to run')
    .choices(['auto', 'local', 'spark'])
    .default('auto');

function addInit(program: Command, report: Report): void {
  program
    .command('init')
    .description('look at data and write a first job file, with comments')
    .argument('<data>', 'a file, folder or glob')
    .argument('[job]', 'the job file to write', 'job.yaml')
    .option('--target <column>', 'the column to predict (default: a guess, which is said)')
    .option('-q, --quiet', 'no notes')
    .action(async (data: string, job: string, options) => {
      const { initCommand } = await import('./init-command.js');
      report(await initCommand(data, job, options));
    });
}

function addRun(program: Command, report: Report): void {
  program
    .command('run')
    .description('run a job or a pipeline and leave a run folder')
    .argument('<job>', 'job file')
    .argument('[overrides...]', 'settings in place of those in the file, such as cv.folds=5')
    .addOption(engineOption())
    .addOption(memoryOption())
    .addOption(reuseOption())
    .addOption(devicesOption())
    .option('--no-store', 'keep no results for later runs, and use none')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', 'folder for run folders (default: ./runs)')
    .option(
      '--max-failures <count>',
      'stop when more candidates than this have failed',
      wholeNumber,
    )
    .option('--fail-fast', 'stop at the first candidate that fails')
    .option('--parallel <count>', 'steps of a pipeline that may run at once', wholeNumber)
    .option('--date <date>', 'the logical date or time, which templates such as {{ date }} name')
    .option('--run-id <id>', 'the id of the run, such as 20260131T023000Z-nightly', runId)
    .option('-q, --quiet', 'no progress and no notes')
    .action(async (job: string, overrides: string[], options) => {
      await useMemory(options);
      const { runCommand } = await import('./run-command.js');
      report(await runCommand(job, overrides, options));
    });
}

function addPlan(program: Command, report: Report): void {
  program
    .command('plan')
    .description('show what a job or a pipeline would run where, reuse and cost')
    .argument('<job>', 'job file')
    .argument('[overrides...]', 'settings in place of those in the file')
    .addOption(engineOption())
    .addOption(memoryOption())
    .addOption(reuseOption())
    .addOption(devicesOption())
    .option('--no-store', 'as if no results were kept')
    .option('--date <date>', 'the logical date or time, as for `run`')
    .option('--verbose', 'print every step too, as written and after each pass of the compiler')
    .option('--json', 'print one JSON document')
    .option('-q, --quiet', 'no notes')
    .action(async (job: string, overrides: string[], options) => {
      await useMemory(options);
      const { planCommand } = await import('./plan-command.js');
      report(await planCommand(job, overrides, options));
    });
}

function addReport(program: Command, report: Report): void {
  program
    .command('report')
    .description('write the report of a run again and print its path')
    .argument('<run>', RUN)
    .option('--output <folder>', RUNS_FOLDER)
    .option('--open', 'open it in the browser')
    .action(async (run: string, options) => {
      const { reportCommand } = await import('./report-command.js');
      report(await reportCommand(run, options));
    });
}

function addPredict(program: Command, report: Report): void {
  program
    .command('predict')
    .description('predict for new data by the model of a run')
    .argument('<run>', MODEL)
    .argument('<data>', 'a file, folder or glob')
    .addOption(engineOption())
    .addOption(memoryOption())
    .addOption(reuseOption())
    .option(
      '--out <path>',
      '.parquet or .csv file, a folder for a file each; with Spark also hdfs://.., s3a://.. or table://NAME (default: the first rows as a table)',
    )
    .addOption(
      new Option(
        '--output <what>',
        'prediction, probability, decision, components; several with commas',
      ).argParser((text) => namesOf(text, OUTPUTS)),
    )
    .option('--keep <columns>', 'columns of the data to write too, with commas', (text) =>
      namesOf(text),
    )
    .option('--runs <folder>', RUNS_FOLDER)
    .option('--json', 'print one JSON document')
    .option('-q, --quiet', 'no notes')
    .action(async (run: string, data: string, options) => {
      await useMemory(options);
      const { predictCommand } = await import('./predict-command.js');
      report(await predictCommand(run, data, options));
    });
}

function addExport(program: Command, report: Report): void {
  program
    .command('export')
    .description("write a run's model as ONNX or PMML and print its path")
    .argument('<run>', MODEL)
    .argument('<file>', 'a name that ends in .onnx or .pmml')
    .option('--runs <folder>', RUNS_FOLDER)
    .action(async (run: string, file: string, options) => {
      const { exportCommand } = await import('./export-command.js');
      report(await exportCommand(run, file, options));
    });
}

/** Names between commas. */
function namesOf<Name extends string>(text: string, choices?: readonly Name[]): Name[] {
  const names = text.split(',').map((name) => name.trim()) as Name[];
  const wrong = choices && names.find((name) => !choices.includes(name));
  if (wrong === undefined && !names.includes('' as Name)) return names;
  throw new InvalidArgumentError(
    choices ? `Allowed choices are ${choices.join(', ')}.` : 'Expected names.',
  );
}

function addSetup(program: Command, report: Report): void {
  program
    .command('setup')
    .description('bring what runs need: OpenBLAS, the jars of Spark and the shim')
    .addOption(
      new Option('--engine <engine>', 'what to set up for')
        .choices(['all', 'local', 'spark'])
        .default('all'),
    )
    .option('-q, --quiet', 'no notes')
    .action(async (options) => {
      const { setupCommand } = await import('./setup-command.js');
      report(await setupCommand(options));
    });
}

function addDoctor(program: Command, report: Report): void {
  program
    .command('doctor')
    .description('say what is there, what is missing and how to get it')
    .option('--json', 'print one JSON document')
    .action(async (options) => {
      const { doctorCommand } = await import('./doctor-command.js');
      report(await doctorCommand(options));
    });
}

const EXIT_CODES_HELP = `
Exit codes:
  0 done   1 unexpected   2 wrong usage   3 job file, setting or data wrong
  4 candidates failed or have no score, a step failed, or a replay differs   5 cluster unreachable
  6 contact with the cluster was lost (\`reprise resume\` goes on)
  7 kept results are damaged and could not be put aside   75 try later
  130, 143 stopped by a signal`;
