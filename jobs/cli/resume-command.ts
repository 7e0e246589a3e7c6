/** `reprise resume`: goes on with a run where its journal ends, in the same folder. */
import { dirname } from 'node:path';
import { loadSettings } from '../config/current.js';
import { readJournal } from '../runs/journal.js';
import { findRun } from '../runs/read-run.js';
import { openResume } from '../runs/resume.js';
import { attemptsOf, overviewOf } from '../runs/run-state.js';
import { EXIT } from './exit-codes.js';
import { limitOverrides, runAndAnswer } from './run-command.js';
import { runsFolder } from './settings.js';
import { createTerminal, writeData } from './terminal.js';

export interface ResumeCommandOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly maxFailures?: number;
  readonly maxSeconds?: number;
}

/** Answers the exit code, as `runCommand`; a finished run is no error. */
export async function resumeCommand(run: string, options: ResumeCommandOptions): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const folder = await findRun(run, runsFolder(options.output), 'any');
  const shown = await overviewOf(folder);
  if (shown.state === 'finished') {
    terminal.note(`run ${shown.run} is finished; nothing is left to do`);
    if (options.json) await writeData(`${JSON.stringify(shown)}\n`);
    return EXIT.done;
  }
  await useSettingsOf(folder);
  if (shown.kind === 'pipeline') {
    const { resumePipelineCommand } = await import('./pipeline-command.js');
    return resumePipelineCommand(folder, terminal, options);
  }
  const { job, engine, begin, notes } = await openResume(folder, limitOverrides(options));
  for (const note of notes) terminal.note(note);
  return runAndAnswer(job, begin, terminal, { engine, ...(options.json ? { json: true } : {}) });
}

/** Those that the run began with: of the folder of its file, where that is still there. */
async function useSettingsOf(folder: string): Promise<void> {
  const attempt = attemptsOf((await readJournal(folder)) ?? []).at(-1);
  if (attempt !== undefined) await loadSettings(dirname(attempt.file));
}
