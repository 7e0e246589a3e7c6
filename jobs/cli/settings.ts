/**
 * Settings before a command runs: those of the folder it works in hold from then on, and stand in
 * for flags that nobody gave. Commands that look into settings read them for themselves.
 */
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { env } from '../../driver/support/env.js';

/** Commands that work without settings, or mend them. */
const WITHOUT: readonly string[] = ['config', 'completion', 'complete', 'doctor', 'schema'];
/** Commands whose first argument is a job or pipeline file. */
const OF_A_FILE: readonly string[] = ['run', 'plan', 'backfill', 'schedule'];

/** @throws ConfigError for settings that are wrong */
export async function applySettings(command: Command): Promise<void> {
  const names = [command.name(), command.parent?.name() ?? ''];
  if (names.some((name) => WITHOUT.includes(name))) return;
  const { loadSettings, settingValue } = await import('../config/current.js');
  const [given] = command.processedArgs as unknown[];
  // Of several files, the first one's folder.
  const file: unknown = Array.isArray(given) ? given[0] : given;
  const isOfFile = names.some((name) => OF_A_FILE.includes(name)) && typeof file === 'string';
  await loadSettings(isOfFile ? dirname(resolve(file)) : process.cwd());
  await tellUnknown(command.getOptionValue('quiet') === true);
  // The same flag of set-up says something else.
  const hasEngine = command.name() !== 'setup' && command.getOptionValue('engine') !== undefined;
  const engine = settingValue('engine');
  if (hasEngine && engine !== undefined && command.getOptionValueSource('engine') !== 'cli') {
    command.setOptionValueWithSource('engine', engine, 'config');
  }
}

/** A misspelt variable would be as good as unset. */
async function tellUnknown(quiet: boolean): Promise<void> {
  const { unknownVariables } = await import('../config/levels.js');
  const unknown = unknownVariables();
  if (unknown.length === 0) return;
  const { createTerminal } = await import('./terminal.js');
  createTerminal({ quiet }).note(
    `warning: environment: expected variables that name settings, got ${unknown.join(', ')}; correct or unset`,
  );
}

/** The folder that holds the run folders. */
export function runsFolder(given: string | undefined): string {
  return resolve(given ?? env.output() ?? 'runs');
}
