/** A JSON lines file as DuckDB can take it: without the byte order mark, for which it has no use. */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '../../../driver/errors.js';
import { env } from '../../../driver/support/env.js';
import { bytesOf, type LocalFile } from './csv-file.js';
import { prune } from './prune.js';

export interface PlainJson {
  readonly path: string;
  /** Keys of the first line, in their order. */
  readonly firstKeys: readonly string[];
}

const HEAD_BYTES = 1 << 20;

/** @throws DataError when the file does not begin with an object a line */
export async function plainJson(file: LocalFile): Promise<PlainJson> {
  const { path } = file;
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of bytesOf(path)) {
      head = Buffer.concat([head, chunk]);
      if (head.length > HEAD_BYTES || head.includes('\n')) break;
    }
  } catch (cause) {
    throw new DataError(
      `data: expected to read ${path}, got ${(cause as Error).message}`,
      { path },
      { cause },
    );
  }
  const hasMark = head.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
  const text = head.toString('utf8').replace(/^\uFEFF/, '');
  const first =
    text
      .split(/\r?\n/)
      .find((line) => line.trim() !== '')
      ?.trim() ?? '';
  if (first !== '' && !first.startsWith('{')) {
    throw new DataError(
      `data: expected one JSON object a line in ${path}, got a first line that begins with ${JSON.stringify(first.slice(0, 20))}`,
      { path },
    );
  }
  return { path: hasMark ? await withoutMark(file) : path, firstKeys: keysOf(first) };
}

/** In the order they are written; those that are whole numbers too, which an object of JavaScript has first. */
function keysOf(line: string): string[] {
  try {
    const keys = Object.keys(JSON.parse(line) as object);
    const at = (key: string): number => line.indexOf(JSON.stringify(key));
    return keys.some((key) => /^\d+$/.test(key)) ? keys.sort((a, b) => at(a) - at(b)) : keys;
  } catch {
    return [];
  }
}

async function withoutMark({ path, digest }: LocalFile): Promise<string> {
  const folder = join(env.home(), 'text');
  const target = join(folder, `${digest}-no-bom.jsonl`);
  if ((await stat(target).catch(() => undefined)) !== undefined) return target;
  await mkdir(folder, { recursive: true });
  const temporary = `${target}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const hash = createHash('sha256');
  let isFirst = true;
  try {
    const bytes = bytesOf(path, (raw) => hash.update(raw));
    await pipeline(async function* () {
      for await (const chunk of bytes) {
        yield isFirst ? chunk.subarray(3) : chunk;
        isFirst = false;
      }
    }, createWriteStream(temporary));
    if (hash.digest('hex') !== digest) {
      throw new DataError(
        `data: expected ${path} to stay as it was, it changed while being read (other content); run again once it is written`,
        { path },
      );
    }
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
  await prune(folder, target, '.jsonl');
  return target;
}
