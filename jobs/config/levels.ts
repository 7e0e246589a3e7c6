/**
 * What holds: each setting by the first that says it, of the environment, the project's file, the
 * user's file and the default. Flags are the commands' own and come before all. Invariant: a
 * setting of two variables has one value.
 */
import { ConfigError } from '../../driver/errors.js';
import { closest } from '../../driver/support/closest.js';
import { env } from '../../driver/support/env.js';
import { expectedOf } from './check-value.js';
import type { SettingsFiles } from './find-files.js';
import { nestedVariable, OTHER_VARIABLES, SETTINGS, type Setting } from './settings.js';
import type { SettingsFile } from './settings-file.js';

/** A setting with what says it. */
export interface Said {
  readonly key: string;
  readonly setting: Setting;
  readonly value: unknown;
  readonly level: 'environment' | 'project' | 'user';
  /** `environment REPRISE_MEMORY`, or file, line and column. */
  readonly origin: string;
  /** Of settings of Spark, which files say one by one. */
  readonly name?: string;
  /** Folder that its relative paths start at; undefined for the current one. */
  readonly folder?: string;
}

export interface Levels {
  readonly files: SettingsFiles;
  /** What says something, strongest first. */
  readonly said: readonly Said[];
}

/** Reads what is there. @throws ConfigError for a file or a variable that is wrong */
export async function readLevels(files: SettingsFiles): Promise<Levels> {
  const said = environment();
  for (const level of ['project', 'user'] as const) {
    const path = files[level];
    if (path === undefined) continue;
    const { readSettingsFile } = await import('./settings-file.js');
    said.push(...saidBy(readSettingsFile(path), level));
  }
  return { files, said };
}

/** What a file says. */
export function saidBy(file: SettingsFile, level: 'project' | 'user'): Said[] {
  return SETTINGS.flatMap((setting) => {
    const { key } = setting;
    const value = file.values.get(key);
    if (value === undefined) return [];
    const path = key.split('.');
    const said = { key, setting, level, folder: file.folder };
    if (setting.kind !== 'conf') return [{ ...said, value, origin: originOf(file, path) }];
    return Object.entries(value as object).map(([name, one]) => ({
      ...said,
      ...{ name, value: one, origin: originOf(file, [...path, name]) },
    }));
  });
}

function originOf(file: SettingsFile, path: readonly string[]): string {
  const { line, column } = file.position(path);
  return `${file.file}:${line}:${column}`;
}

/** @throws ConfigError for a setting that two variables say otherwise */
function environment(): Said[] {
  return SETTINGS.flatMap((setting) => {
    const { key, variable } = setting;
    const nested = nestedVariable(key);
    const [text, other] = [env.variable(variable), env.variable(nested)];
    if (text !== undefined && other !== undefined && text !== other) {
      throw new ConfigError(
        `environment: expected one value for ${key}, got one by ${variable} and another by ${nested}; unset one of them`,
        { key, source: 'environment' },
      );
    }
    const value = text ?? other;
    if (value === undefined) return [];
    const name = text === undefined ? nested : variable;
    return [{ key, setting, value, level: 'environment', origin: `environment ${name}` }];
  });
}

/** Variables that are meant for Reprise and name no setting, with the nearest that does. */
export function unknownVariables(): string[] {
  const known = new Set([
    ...SETTINGS.flatMap(({ key, variable }) => [variable, nestedVariable(key)]),
    ...OTHER_VARIABLES,
  ]);
  return env
    .names()
    .filter((name) => !known.has(name))
    .map((name) => {
      const meant = closest(name, [...known]);
      return meant === undefined ? name : `${name} (did you mean ${meant}?)`;
    });
}

/** @throws ConfigError with the value, which is no secret, when no setting's can be so */
export function requireRight({ setting, value, origin }: Said): void {
  const expected = expectedOf(setting, value);
  if (expected === undefined) return;
  throw new ConfigError(
    `${origin.replace(/^environment /, '')}: expected ${expected}, got ${JSON.stringify(value)}`,
    { key: setting.key, value, source: 'environment' },
  );
}
