/**
 * The settings of this process: read once for the folder a command works in, then asked for by
 * whoever needs them. Invariants: without `loadSettings`, as in a library, the environment alone
 * counts; secrets are read when they are needed, not before.
 */
import { type ProvidedSetting, provideSettings } from '../../driver/support/env.js';
import { findSettingsFiles } from './find-files.js';
import { type Levels, readLevels, requireRight, type Said } from './levels.js';
import type { SecretSource } from './secrets.js';

const NONE: Levels = { files: {}, said: [] };
let current = NONE;
let areLoaded = false;

/**
 * Reads the settings that count in a folder and lets them hold in this process.
 * @throws ConfigError for what is wrong with them
 */
export async function loadSettings(folder: string): Promise<Levels> {
  current = NONE;
  provideSettings(new Map());
  const levels = await readLevels(findSettingsFiles(folder));
  const secrets = levels.said.some(isSecretOfFile) ? await import('./secrets.js') : undefined;
  const provided = new Map<string, ProvidedSetting>();
  for (const said of levels.said) {
    const { setting, value, key, level, folder = '', origin } = said;
    if (provided.has(setting.variable) || !isProvided(said)) continue;
    provided.set(setting.variable, {
      value: isSecretOfFile(said)
        ? () => secrets!.readSecret(value as SecretSource, key, folder)
        : () => String(value),
      place: level === 'environment' ? origin.replace('environment ', '') : `${key} in ${origin}`,
    });
  }
  provideSettings(provided);
  current = levels;
  areLoaded = true;
  return levels;
}

/** The settings that hold; undefined where files do not count, as in a library. */
export function loadedSettings(): Levels | undefined {
  return areLoaded ? current : undefined;
}

const isSecretOfFile = ({ setting, level }: Said): boolean =>
  setting.kind === 'secret' && level !== 'environment';

const IN_DOCUMENTS_ALONE: readonly string[] = ['max_failures', 'parallel'];

/** Whether it stands in for a variable: what a job says itself beats files, not the environment. */
function isProvided({ key, setting, level, origin }: Said): boolean {
  if (['conf', 'list'].includes(setting.kind) || IN_DOCUMENTS_ALONE.includes(key)) return false;
  // A variable under its own name is read where it is used, each time: a copy would outlive it.
  if (level === 'environment') return origin !== `environment ${setting.variable}`;
  return !key.startsWith('store.') || setting.inJob === undefined;
}

/** The value that holds for a setting, without its default. @throws ConfigError for a wrong one */
export function settingValue(key: string): unknown {
  const said = current.said.find((one) => one.key === key);
  if (said === undefined) return undefined;
  requireRight(said);
  return said.value;
}

/** What files say of keys that a job has too, by the job's keys: the ground it is built upon. */
export interface Ground {
  readonly file: string;
  readonly folder: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Where a key of the job is said. */
  position(path: readonly (string | number)[]): { readonly line: number; readonly column: number };
}

/** The user's, then the project's, which is stronger. */
export function settingsGround(levels: Levels): Ground[] {
  return (['user', 'project'] as const).flatMap((level) => {
    const said = inJobs(levels).filter((one) => one.level === level);
    const file = levels.files[level];
    if (file === undefined || said.length === 0) return [];
    const value: Record<string, unknown> = {};
    for (const one of said) put(value, placeOf(one), one.value);
    const position: Ground['position'] = (path) => placeIn(said, path);
    return [{ file, folder: said[0]?.folder ?? '', value, position }];
  });
}

/** What the environment says of keys that a job has too: stronger than the job. */
export function settingsAbove(): readonly {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly origin: string;
  readonly kind: string;
}[] {
  return inJobs(current)
    .filter(({ level, key }) => level === 'environment' && !key.startsWith('store.'))
    .map(({ setting, value, origin }) => ({
      path: setting.inJob!,
      value,
      origin,
      kind: setting.kind,
    }));
}

const inJobs = ({ said }: Levels): Said[] =>
  said.filter(({ setting }) => setting.inJob !== undefined);

/** `store: false` is said of the section as a whole. */
const placeOf = ({ setting, value, name }: Said): readonly string[] =>
  value === false
    ? setting.inJob!.slice(0, 1)
    : [...setting.inJob!, ...(name === undefined ? [] : [name])];

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) target[key] = value;
  else {
    const inner = (target[key] ?? {}) as Record<string, unknown>;
    target[key] = inner;
    put(inner, rest, value);
  }
}

function placeIn(
  said: readonly Said[],
  path: readonly (string | number)[],
): { line: number; column: number } {
  const one = said.find((s) => placeOf(s).every((key, i) => i >= path.length || key === path[i]));
  const [, line = '1', column = '1'] = /:(\d+):(\d+)$/.exec(one?.origin ?? '') ?? [];
  return { line: Number(line), column: Number(column) };
}

/** What settings files say of the store, for commands without a job. */
export function storeSetting(): { folder?: string; size?: string } | false | undefined {
  const ofFiles = current.said.filter(({ level }) => level !== 'environment');
  const said = (key: string): unknown => ofFiles.find((one) => one.key === key)?.value;
  const [folder, size] = [said('store.folder'), said('store.size')];
  if (folder === false) return false;
  if (folder === undefined && size === undefined) return undefined;
  return {
    ...(folder === undefined ? {} : { folder: String(folder) }),
    ...(size === undefined ? {} : { size: String(size) }),
  };
}
