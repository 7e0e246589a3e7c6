/** `reprise setup`: fetches what runs need and reports it; the exit code says if runs will work. */

import { formatSeconds } from '../format.js';
import { type SetupEngine, setUp } from '../setup/setup.js';
import { EXIT, exitCodeOf } from './exit-codes.js';
import { interruptible } from './interrupt.js';
import { createTerminal, writeData } from './terminal.js';

export interface SetupCommandOptions {
  readonly engine: SetupEngine;
  readonly quiet?: boolean;
}

export async function setupCommand(options: SetupCommandOptions): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const began = performance.now();
  const outcomes = await interruptible(
    (signal) =>
      setUp({ engine: options.engine, signal, onProgress: (line) => terminal.note(line) }),
    () => terminal.note('stopping; what was begun is taken back'),
  );
  let code: number = EXIT.done;
  for (const { part, path, error, isOptional } of outcomes) {
    if (error === undefined) await writeData(`${part.padEnd(10)}${path}\n`);
    else if (isOptional)
      terminal.note(`warning: ${error.message}\nruns work without ${part}, only slower`);
    else {
      terminal.error(error.message);
      code = exitCodeOf(error);
    }
  }
  terminal.note(`set-up ended after ${formatSeconds((performance.now() - began) / 1000)}`);
  return code;
}
