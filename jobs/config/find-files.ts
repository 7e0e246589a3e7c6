/**
 * Which settings files count: the project's, `reprise.yaml` beside the job or above it as far as the
 * project goes, and the user's. Looks at names alone. Invariant: a project's file of another user is
 * refused, as it may name commands that print secrets.
 */
import { existsSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';

export interface SettingsFiles {
  /** Absolute; undefined where there is none. */
  readonly project?: string;
  readonly user?: string;
}

const PROJECT_FILE = 'reprise.yaml';
/** What stands in the topmost folder of a project. */
const BOUNDARIES = ['.git', 'package.json'];

/** @param folder of the job, or the current one. @throws ConfigError for another user's file */
export function findSettingsFiles(folder: string): SettingsFiles {
  const asked = env.config();
  if (asked === 'off') return {};
  const project = asked === undefined ? projectFile(resolve(folder)) : namedFile(asked);
  const user = env.userConfig();
  return {
    ...(project === undefined ? {} : { project }),
    ...(existsSync(user) && user !== project ? { user } : {}),
  };
}

function namedFile(path: string): string {
  if (statOf(path)?.isFile()) return resolve(path);
  throw new ConfigError(
    `REPRISE_CONFIG: expected a settings file or \`off\`, got no file at ${path}`,
    { key: 'REPRISE_CONFIG', value: path, source: 'environment' },
  );
}

function projectFile(folder: string): string | undefined {
  const path = join(folder, PROJECT_FILE);
  const stats = statOf(path);
  if (stats?.isFile()) return ownFile(path, stats);
  const isTop = dirname(folder) === folder;
  if (isTop || BOUNDARIES.some((name) => existsSync(join(folder, name)))) return undefined;
  return projectFile(dirname(folder));
}

function ownFile(path: string, { uid }: Stats): string {
  const own = process.getuid?.() ?? 0;
  if (own === 0 || uid === own || uid === 0) return path;
  throw new ConfigError(
    `${path}: expected a file of this user, got one of user ${uid}; name it by REPRISE_CONFIG if you trust it, or set REPRISE_CONFIG=off`,
    { source: 'file', file: path },
  );
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
