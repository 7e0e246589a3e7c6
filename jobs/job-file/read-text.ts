/** Reads the text of a file of ours, bounded. Invariant: whatever is wrong with it is one error. */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ConfigError } from '../../driver/errors.js';
import { MAX_FILE_BYTES } from './yaml-source.js';

/** A job or pipeline file, which may be a pipe. @throws ConfigError for what is no such text */
export async function readText(path: string, file: string): Promise<string> {
  const fail = (got: string): ConfigError =>
    new ConfigError(`${file}: expected a job file, got ${got}`, { source: 'file', file });
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw fail(cause.code === 'ENOENT' ? 'no such file' : (cause.code ?? 'an unreadable path'));
  });
  if (stats.isDirectory()) throw fail('a folder');
  if (stats.size > MAX_FILE_BYTES) throw fail(`${stats.size} bytes, over ${MAX_FILE_BYTES}`);
  const bytes = await readUpTo(path, MAX_FILE_BYTES + 1).catch((cause: NodeJS.ErrnoException) => {
    throw fail(cause.code ?? 'an unreadable file');
  });
  if (bytes.length > MAX_FILE_BYTES) throw fail(`more than ${MAX_FILE_BYTES} bytes`);
  return textOf(bytes, fail);
}

/** A plain file that another one or the settings name. `fail` makes the error of what came. */
export function readPlainText(path: string, fail: (got: string) => ConfigError): string {
  let bytes: Buffer;
  try {
    const stats = statSync(path);
    if (!stats.isFile()) throw fail(stats.isDirectory() ? 'a folder' : 'something else');
    if (stats.size > MAX_FILE_BYTES) throw fail(`${stats.size} bytes, over ${MAX_FILE_BYTES}`);
    bytes = readFileSync(path);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw fail(code === 'ENOENT' ? `no such file: ${path}` : String(code));
  }
  return textOf(bytes, fail);
}

function textOf(bytes: Buffer, fail: (got: string) => ConfigError): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw fail('bytes that are not UTF-8 text');
  }
}

/** The start of a file, pipe or device: their length may be unknown, or they may not end. */
async function readUpTo(path: string, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes >= most) break;
  }
  return Buffer.concat(chunks);
}
