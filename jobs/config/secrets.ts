/**
 * Where a secret comes from: the environment, a file or a command. What stands in documents is that,
 * never the value. Invariant: no message holds a secret, nor what a command printed.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { isMap } from '../job-file/plain-data.js';

/** `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, ..]}`. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  | { readonly command: readonly string[] };

/** Of one text of a source. */
export const MAX_SOURCE_CHARACTERS = 4096;
/** Of a command, its program among them. */
export const MAX_SOURCE_WORDS = 100;

const isWord = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && value.length <= MAX_SOURCE_CHARACTERS;

/** Whether a value of a file says where a secret is. By hand, as zod costs each command 50 ms. */
export function isSecretSource(value: unknown): value is SecretSource {
  const [entry, ...others] = isMap(value) ? Object.entries(value) : [];
  if (entry === undefined || others.length > 0) return false;
  const [key, said] = entry;
  if (key !== 'command') return ['env', 'file'].includes(key) && isWord(said);
  const isCommand = Array.isArray(said) && said.length > 0 && said.length <= MAX_SOURCE_WORDS;
  return isCommand && said.every(isWord);
}

/** What is wrong with a secret that stands in a document. */
export const OPEN_SECRET =
  'expected where the secret is, got a value; say {env: NAME}, {file: PATH} or {command: [PROGRAM, ..]}';

const COMMAND_TIMEOUT_MS = 60_000;
/** A command is not run again sooner: who asks twice in a row wants the same. */
const COMMAND_KEPT_MS = 30_000;
const MAX_SECRET_BYTES = 65_536;

const printed = new Map<string, { readonly text: string; readonly atMs: number }>();

/**
 * The secret, without the end of its line.
 * @param key the setting it is for
 * @param folder that a relative path starts at, and a command runs in
 * @throws ConfigError when there is none
 */
export function readSecret(source: SecretSource, key: string, folder: string): string {
  const fail = (expected: string, got: string, cause?: unknown): ConfigError =>
    new ConfigError(`${key}: expected ${expected}, got ${got}`, { key }, { cause });
  const text = textOf(source, folder, fail).replace(/\r?\n$/, '');
  if (text === '') throw fail('a secret', `an empty text from ${sourceText(source)}`);
  if (text.length > MAX_SECRET_BYTES) {
    throw fail(`a secret of at most ${MAX_SECRET_BYTES} bytes`, `more from ${sourceText(source)}`);
  }
  return text;
}

/** What may be told of it. */
export function sourceText(source: SecretSource): string {
  if ('env' in source) return `environment ${source.env}`;
  return 'file' in source ? `file ${source.file}` : `command ${source.command[0]}`;
}

type Fail = (expected: string, got: string, cause?: unknown) => ConfigError;

function textOf(source: SecretSource, folder: string, fail: Fail): string {
  if ('env' in source) {
    const text = env.variable(source.env);
    if (text === undefined) throw fail(`the environment variable ${source.env}`, 'none; set it');
    return text;
  }
  if ('command' in source) return printedBy(source.command, folder, fail);
  const path = resolve(folder, source.file);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw fail('a file with a secret', `${code} at ${path}`, cause);
  }
}

function printedBy(command: readonly string[], folder: string, fail: Fail): string {
  const name = JSON.stringify([folder, ...command]);
  const known = printed.get(name);
  if (known !== undefined && performance.now() - known.atMs < COMMAND_KEPT_MS) return known.text;
  const [program = '', ...args] = command;
  const { status, signal, error, stdout } = spawnSync(program, args, {
    cwd: folder,
    env: env.forChild(),
    encoding: 'utf8',
    // What it asks or complains of is for people.
    stdio: ['inherit', 'pipe', 'inherit'],
    timeout: COMMAND_TIMEOUT_MS,
    maxBuffer: 2 * MAX_SECRET_BYTES,
  });
  if (error !== undefined || status !== 0) {
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    const got = code ?? (signal ? `signal ${signal}` : `exit code ${status}`);
    throw fail(`the command ${program} to print a secret`, got);
  }
  printed.set(name, { text: stdout, atMs: performance.now() });
  return stdout;
}
