/**
 * One settings file, checked: every problem with file, line and column, keys that are not known with
 * the nearest that are. Invariant: no secret stands in it in the open.
 */
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { closest, closestText } from '../../driver/support/closest.js';
import { isOpenSecret, isSecretSetting } from '../../spark-bridge/channel/redact.js';
import { settingProblem } from '../job-file/check-spark.js';
import { isMap } from '../job-file/plain-data.js';
import { readPlainText } from '../job-file/read-text.js';
import {
  type KeyPath,
  type Position,
  parseYaml,
  type YamlSource,
} from '../job-file/yaml-source.js';
import { expectedOf } from './check-value.js';
import { isSecretSource, OPEN_SECRET } from './secrets.js';
import { SETTINGS, type Setting, settingOf } from './settings.js';

/** A settings file as it was read. */
export interface SettingsFile {
  readonly file: string;
  readonly folder: string;
  /** By key, paths absolute; `false` for `store: false`; settings of Spark in one map. */
  readonly values: ReadonlyMap<string, unknown>;
  position(path: KeyPath): Position;
}

/** @throws ConfigError listing what is wrong */
export function readSettingsFile(file: string): SettingsFile {
  const fail = (got: string): ConfigError =>
    new ConfigError(`${file}: expected a settings file, got ${got}`, { source: 'file', file });
  const source = parseYaml(file, readPlainText(file, fail));
  const values = new Map<string, unknown>();
  const problems: Problem[] = [];
  const walk = (value: unknown, path: readonly string[]): void => {
    const key = path.join('.');
    const setting = settingOf(key);
    if (setting !== undefined) {
      const found = problemsOf(setting, value, path);
      problems.push(...found);
      if (found.length === 0) values.set(key, placed(setting, value, dirname(file)));
    } else if (key === 'store' && value === false) values.set('store.folder', false);
    else if (isMap(value) && (key === '' || SETTINGS.some((s) => s.key.startsWith(`${key}.`)))) {
      for (const [name, inner] of Object.entries(value)) walk(inner, [...path, name]);
    } else problems.push(unknownKey(path, value));
  };
  if (source.value !== null) walk(source.value, []);
  if (problems.length > 0) throw problemError(source, problems);
  return {
    file,
    folder: dirname(file),
    values,
    position: (path) => source.position(path, 'key'),
  };
}

interface Problem {
  readonly path: KeyPath;
  readonly message: string;
}

function problemsOf(setting: Setting, value: unknown, path: KeyPath): Problem[] {
  const { kind, key } = setting;
  if (kind === 'conf' && isMap(value)) return Object.entries(value).flatMap(confProblems(path));
  if (kind === 'secret') {
    return isSecretSource(value) ? [] : [{ path, message: OPEN_SECRET }];
  }
  const expected = expectedOf(setting, value);
  if (expected !== undefined)
    return [{ path, message: `expected ${expected}, got ${shown(value)}` }];
  if (kind !== 'address' || new URL(String(value)).password === '') return [];
  const message = `expected an address without a password, got one; say ${key.replace('url', 'user')} and ${key.replace('url', 'password')}`;
  return [{ path, message }];
}

/** What is wrong with one setting of Spark. */
function confProblems(path: KeyPath): (entry: [string, unknown]) => Problem[] {
  return ([name, value]) => {
    const at = [...path, name];
    const wrongName = settingProblem(name);
    if (wrongName !== undefined) return [{ path: at, message: wrongName }];
    if (isSecretSource(value)) return [];
    if (isOpenSecret(name, value)) return [{ path: at, message: OPEN_SECRET }];
    if (['string', 'number', 'boolean'].includes(typeof value)) return [];
    const got = isSecretSetting(name) ? 'something else' : shown(value);
    return [{ path: at, message: `expected text, a number or a boolean, got ${got}` }];
  };
}

function placed({ kind, words }: Setting, value: unknown, folder: string): unknown {
  const isPath = kind === 'path' && !words?.includes(String(value));
  return isPath ? resolve(folder, String(value)) : value;
}

function unknownKey(path: readonly string[], value: unknown): Problem {
  const key = path.join('.');
  if (key === '') return { path, message: `expected a mapping of settings, got ${shown(value)}` };
  const above = path
    .slice(0, -1)
    .map((name) => `${name}.`)
    .join('');
  const known = SETTINGS.filter((s) => s.key.startsWith(above)).map((s) => s.key);
  const names = known.length > 0 ? known : SETTINGS.map((s) => s.key);
  const group = names.find((name) => name.startsWith(`${key}.`));
  if (group !== undefined) {
    return { path, message: `expected a mapping with keys such as ${group}, got ${shown(value)}` };
  }
  const meant = closest(key, names);
  const remedy = meant ? `did you mean \`${meant}\`?` : `known keys: ${closestText(key, names)}`;
  return { path, message: `expected a known setting, got \`${key}\`; ${remedy}` };
}

function problemError(source: YamlSource, problems: readonly Problem[]): ConfigError {
  const lines = problems.map(({ path, message }) => {
    const { line, column } = source.position(path, 'key');
    const key = path.length === 0 ? '' : `${path.join('.')}: `;
    return `${source.file}:${line}:${column}: ${key}${message}`;
  });
  return new ConfigError(lines.join('\n'), { source: 'file', file: source.file });
}

/** A value, cut short. */
function shown(value: unknown): string {
  if (value === null) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
