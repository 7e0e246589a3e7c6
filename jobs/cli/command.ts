/**
 * The `reprise` command. Loads only what the asked command needs, so that `--help` and `--version`
 * start at once; turns whatever ended a command into one clear paragraph and an exit code.
 */
import { exitCodeOf } from './exit-codes.js';
import { hardExit } from './hard-exit.js';
import { InterruptError } from './interrupt.js';
import { showsStacks } from './log.js';
import { runProgram } from './program.js';
import { createTerminal, watchStreams } from './terminal.js';

/** Runs the command that the arguments ask for, then ends the process. */
export async function runCommandLine(args: readonly string[]): Promise<never> {
  watchStreams();
  let code: number;
  try {
    code = await runProgram(args);
  } catch (error) {
    const terminal = createTerminal({ quiet: false });
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    terminal.error(showsStacks() ? (stack ?? message) : message);
    code = exitCodeOf(error);
    // Something may be waited for that never comes.
    if (error instanceof InterruptError) hardExit(code);
  }
  // Libraries may leave timers or sockets behind; a finished command ends.
  process.exit(code);
}
