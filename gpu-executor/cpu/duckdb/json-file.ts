/** A JSON lines file as DuckDB can take it: without the byte order mark. */
import { open } from 'node:fs/promises';
import { DataError } from '../../../driver/errors.js';
import { bytesOf, type LocalFile } from './csv-file.js';
import { textCopy } from './text-copy.js';

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

/** In the order written, also whole numbers, which a JavaScript object would put first. */
function keysOf(line: string): string[] {
  try {
    const keys = Object.keys(JSON.parse(line) as object);
    const at = (key: string): number => line.indexOf(JSON.stringify(key));
    return keys.some((key) => /^\d+$/.test(key)) ? keys.sort((a, b) => at(a) - at(b)) : keys;
  } catch {
    return [];
  }
}

function withoutMark(file: LocalFile): Promise<string> {
  return textCopy(file, 'without a mark', '.jsonl', async (target, onRaw) => {
    const out = await open(target, 'w');
    try {
      let skipped = 3;
      for await (const chunk of bytesOf(file.path, onRaw)) {
        await out.write(chunk.subarray(skipped));
        skipped = Math.max(0, skipped - chunk.length);
      }
    } finally {
      await out.close();
    }
  });
}
