/** The grammar of `reprise lineage`, `diff`, `why` and `replay`. */
import { type Command, Option } from 'commander';
import { RUN, RUNS_FOLDER } from './options.js';

/** Adds the commands; `report` takes their exit codes. */
export function addLineageCommands(program: Command, report: (code: number) => void): void {
  program
    .command('lineage')
    .description('print what a run was computed from, step by step')
    .argument('<run>', RUN)
    .option('--step <step>', 'one step by number, or all of an operator, in full')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (run: string, options) => {
      const { lineageCommand } = await import('./lineage-command.js');
      report(await lineageCommand(run, options));
    });
  program
    .command('diff')
    .description('say what differs between two runs and which steps could not be reused for it')
    .argument('<first>', RUN)
    .argument('<second>', 'as the first')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (first: string, second: string, options) => {
      const { diffCommand } = await import('./lineage-command.js');
      report(await diffCommand(first, second, options));
    });
  program
    .command('why')
    .description('say why a step was computed and not reused')
    .argument('<run>', RUN)
    .argument('<step>', 'its number, an output (gram, losses, ..) or an operator that occurs once')
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (run: string, step: string, options) => {
      const { whyCommand } = await import('./lineage-command.js');
      report(await whyCommand(run, step, options));
    });
  program
    .command('replay')
    .description('compute a run again from its lineage and compare; exit code 4 when it differs')
    .argument('<run>', RUN)
    .option('--step <step>', 'one step by number, output or operator')
    .addOption(
      new Option('--engine <engine>', 'where to compute')
        .choices(['reference', 'local', 'spark'])
        .default('local'),
    )
    .option('--json', 'print one JSON document')
    .option('--output <folder>', RUNS_FOLDER)
    .action(async (run: string, options) => {
      const { replayCommand } = await import('./replay-command.js');
      report(await replayCommand(run, options));
    });
}
