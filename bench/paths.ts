/**
 * Where the bench finds this checkout, the rivals' scripts and the rivals' data. Rivals live
 * outside the repository; a missing one ends the bench with the command that prepares it.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, InternalError } from '../driver/errors.js';

/** Folder of the checkout: the nearest one up from here that holds package.json. */
export function repoRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) {
      throw new InternalError(
        'bench: expected a package.json above the compiled bench, found none',
      );
    }
    folder = parent;
  }
  return folder;
}

/** Folder of the rivals' scripts: `REPRISE_BASELINES`, or `../shared/baselines` by the checkout. */
export function baselineScripts(): string {
  return process.env.REPRISE_BASELINES ?? resolve(repoRoot(), '../shared/baselines');
}

/** Folder of the rivals' data and Python: `BASELINES_HOME`, or `~/.cache/reprise-baselines`. */
export function baselineHome(): string {
  return process.env.BASELINES_HOME ?? join(homedir(), '.cache', 'reprise-baselines');
}

/** A script of the baselines' folder, or an absolute path. @throws ConfigError how to get it */
export function rivalScript(name: string): string {
  if (isAbsolute(name)) return name;
  return found(join(baselineScripts(), name), 'REPRISE_BASELINES');
}

/** The Python the rivals run in. @throws ConfigError saying how to get it */
export function rivalPython(): string {
  return found(join(baselineHome(), 'venv', 'bin', 'python'), 'BASELINES_HOME');
}

/**
 * The Python of a rival with an environment of its own.
 * @param install what pip is asked for @throws ConfigError saying how to make it
 */
export function ownPython(name: string, install: readonly string[]): string {
  const folder = join(baselineHome(), name);
  const python = join(folder, 'bin', 'python');
  if (existsSync(python)) return python;
  const made = install.map((packages) => `${join(folder, 'bin', 'pip')} install ${packages}`);
  throw new ConfigError(
    `bench: expected ${python}, found nothing; make it by ${[`python3 -m venv ${folder}`, ...made].join(' && ')}`,
    { key: 'BASELINES_HOME', value: python, source: 'env' },
  );
}

/** A data file of the rivals. @throws ConfigError saying how to get it */
export function rivalData(name: string): string {
  return found(join(baselineHome(), 'data', name), 'BASELINES_HOME');
}

/** A file of `bench/` in the source tree (Python files are not copied to dist). */
export function benchFile(name: string): string {
  return join(repoRoot(), 'bench', name);
}

function found(path: string, key: string): string {
  if (existsSync(path)) return path;
  throw new ConfigError(
    `bench: expected ${path}, found nothing; prepare the rivals once with ${join(baselineScripts(), 'setup.sh')}, ` +
      `or point ${key} at a folder that holds them`,
    { key, value: path, source: 'env' },
  );
}
