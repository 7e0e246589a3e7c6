/** `reprise init`: looks at data, writes a first job file with comments, and prints its path. */
import { resolve } from 'node:path';
import { writeFirstJob } from '../init/init.js';
import { EXIT } from './exit-codes.js';
import { createTerminal, writeData } from './terminal.js';

export interface InitCommandOptions {
  readonly target?: string;
  readonly quiet?: boolean;
}

export async function initCommand(
  data: string,
  file: string,
  { target, quiet }: InitCommandOptions,
): Promise<number> {
  const { column, task, why } = await writeFirstJob(data, file, target);
  createTerminal({ quiet: quiet === true }).note(
    `target: ${column.name} (${why}), a ${task}; look through ${file}, then: reprise run ${file}`,
  );
  await writeData(`${resolve(file)}\n`);
  return EXIT.done;
}
