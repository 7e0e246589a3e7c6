/** The grammar of `reprise schedule` and `reprise backfill`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

/** Adds the command; `report` takes its exit code. */
export function addSchedule(program: Command, report: (code: number) => void): void {
  const schedule = program
    .command('schedule')
    .description('run jobs and pipelines when their `schedule` says, until stopped')
    .argument('<files...>', 'job and pipeline files with a `schedule`')
    .option('--once', 'run what is due now, and end: for systemd, Kubernetes, Airflow')
    .option('--parallel <count>', 'runs at once', positive, 1)
    .option('--metrics <port>', 'health and Prometheus metrics on 127.0.0.1', port)
    .addOption(engineOption())
    .option('--no-store', 'keep no results for later runs, and use none')
    .option('--output <folder>', 'folder for run folders (default: runs beside each file)')
    .option('-q, --quiet', 'no notes')
    .action(async (files: string[], options) => {
      const { scheduleCommand } = await import('./schedule-command.js');
      report(await scheduleCommand(files, options));
    });
  schedule
    .command('ls')
    .description('list the schedules: next times, what runs, how the last runs ended')
    .argument('<files...>', 'job and pipeline files with a `schedule`')
    .option('--json', 'print one JSON document')
    .action(async (files: string[], options) => {
      const { scheduleListCommand } = await import('./schedule-list-command.js');
      report(await scheduleListCommand(files, options));
    });
}

/** Adds `reprise backfill`. */
export function addBackfill(program: Command, report: (code: number) => void): void {
  program
    .command('backfill')
    .description("run a schedule's times of the past")
    .argument('<file>', 'job or pipeline file with a `schedule`')
    .requiredOption('--from <date>', 'the first date or time')
    .requiredOption('--to <date>', 'the last date or time')
    .addOption(
      new Option('--reprocess <which>', 'of times that ran before, those to run again')
        .choices(['none', 'failed', 'all'])
        .default('none'),
    )
    .option('--backwards', 'the latest first')
    .option('--dry-run', 'only say what would run')
    .option('--parallel <count>', 'runs at once', positive, 1)
    .addOption(engineOption())
    .option('--no-store', 'keep no results for later runs, and use none')
    .option('--output <folder>', 'folder for run folders (default: runs beside the file)')
    .option('--json', 'print one JSON document')
    .option('-q, --quiet', 'no notes')
    .action(async (file: string, options) => {
      const { backfillCommand } = await import('./backfill-command.js');
      report(await backfillCommand(file, options));
    });
}

export const engineOption = (): Option =>
  new Option('--engine <engine>', 'where to run (default: as the settings say)').choices([
    'auto',
    'local',
    'spark',
  ]);

/** @throws InvalidArgumentError */
export function positive(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number from 1.');
}

function port(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('Expected a port from 0 to 65535; 0 takes a free one.');
}
