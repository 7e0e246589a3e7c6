/** The grammar of `reprise resume` and `reprise runs`. */
import type { Command } from 'commander';
import { memoryOption, RUN, RUNS_FOLDER, useMemory, wholeNumber } from './options.js';

/** Adds the commands; `report` takes their exit codes. */
export function addRuns(program: Command, report: (code: number) => void): void {
  program
    .command('resume')
    .description('go on with a run that was stopped, killed or cut off; what is scored is kept')
    .argument('<run>', RUN)
    .option('--max-failures <count>', 'stop when more candidates than this failed', wholeNumber)
    .option('--max-seconds <count>', 'stop when the search took as long', wholeNumber)
    .addOption(memoryOption())
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .option('-q, --quiet', 'no progress and no notes')
    .action(async (run: string, options) => {
      await useMemory(options);
      const { resumeCommand } = await import('./resume-command.js');
      report(await resumeCommand(run, options));
    });
  const runs = program.command('runs').description('list, watch, tag, compare and remove runs');
  runs
    .command('ls', { isDefault: true })
    .description('list the runs, the latest last')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (options) => {
      const { listCommand } = await import('./runs-command.js');
      report(await listCommand(options));
    });
  runs
    .command('show')
    .description('say how far a run is: waves, the best so far, why it ended')
    .argument('<run>', RUN)
    .option('--follow', 'watch it until it ends')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (run: string, options) => {
      const { showCommand } = await import('./runs-command.js');
      report(await showCommand(run, options));
    });
  runs
    .command('tag')
    .description('give a run words to know it by; -TAG takes one away')
    .argument('<run>', RUN)
    .argument('<tags...>', 'words; after `--` those that begin with a hyphen')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (run: string, tags: string[], options) => {
      const { tagCommand } = await import('./runs-command.js');
      report(await tagCommand(run, tags, options));
    });
  runs
    .command('compare')
    .description('put runs beside each other: settings that differ, scores, times, data')
    .argument('<runs...>', 'as for `show`')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (names: string[], options) => {
      const { compareCommand } = await import('./compare-command.js');
      report(await compareCommand(names, options));
    });
  runs
    .command('rm')
    .description('remove runs; never one that is running')
    .argument('<runs...>', 'as for `show`')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (names: string[], options) => {
      const { removeCommand } = await import('./runs-command.js');
      report(await removeCommand(names, options));
    });
}
