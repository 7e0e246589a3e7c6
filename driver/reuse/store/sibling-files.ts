/**
 * Which stored results share an input: a small file for each input, that all processes append lines
 * to. It is read when a plan asks for that input, so opening a store costs nothing however much it
 * holds. Invariant: lines are hints; each ends with a CRC-32, and whoever uses one makes the key of
 * the result anew, so that a wrong, torn or lost line costs a miss and nothing else.
 *
 *     <key of the result> <text> <crc>        text: base64url of what the writer says of the result
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { LineageKey } from '../../ir/lineage-key.js';
import { processToken } from '../../support/process-token.js';
import { errorCode, listFolder, NOT_PLAIN, withFile } from './file-system.js';
import { isKey } from './index-record.js';
import { keysIn, type StoreParts } from './maintenance.js';

export interface StoredSibling {
  readonly key: LineageKey;
  /** As it was written. */
  readonly text: string;
}

/** Results remembered under one input; the latest count. */
const MAX_LINES = 64;
/** A file that has grown larger is written anew with its latest lines. @units bytes */
const MAX_BYTES = 1 << 18;
/** Longer texts are not kept. @units bytes */
const MAX_TEXT = 1 << 14;

/** The results noted under `input`, oldest first, each once. @throws the file system's error */
export async function readSiblings(parts: StoreParts, input: LineageKey): Promise<StoredSibling[]> {
  const { files, folder } = parts;
  const path = pathOf(parts, input);
  try {
    return await withFile(files, path, 'read', folder.fileMode, async (file) => {
      const { bytes, uid } = await file.stat();
      if (!folder.isTrusted(uid)) return [];
      const read = Buffer.alloc(Math.min(bytes, 2 * MAX_BYTES));
      const length = await file.read(read, bytes - read.length);
      return parse(read.toString('latin1', 0, length));
    });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Notes a result under an input. Not synced: a loss costs a miss. @throws file-system errors */
export async function addSibling(
  parts: StoreParts,
  input: LineageKey,
  sibling: StoredSibling,
): Promise<void> {
  if (sibling.text.length > MAX_TEXT) return;
  const { files, folder } = parts;
  const path = pathOf(parts, input);
  const line = lineOf(sibling);
  try {
    await append(parts, path, line);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    await files.makeFolder(join(folder.siblings, input.slice(0, 2)), folder.folderMode);
    try {
      await withFile(files, path, 'create', folder.fileMode, (file) => file.write(line));
    } catch (created) {
      if (errorCode(created) !== 'EEXIST') throw created;
      await append(parts, path, line);
    }
  }
}

/** Removes the files that name no result `isKept` accepts. @throws the file system's error */
export async function sweepSiblings(
  parts: StoreParts,
  isKept: (key: LineageKey) => boolean,
): Promise<void> {
  const { files, folder } = parts;
  const shards = await listFolder(files, folder.siblings);
  for (const name of await keysIn(files, folder.siblings, shards)) {
    const found = await readSiblings(parts, name).catch((error: unknown) => {
      if (errorCode(error) === NOT_PLAIN) return [];
      throw error;
    });
    if (!found.some(({ key }) => isKept(key))) await files.remove(pathOf(parts, name));
  }
}

async function append(parts: StoreParts, path: string, line: Buffer): Promise<void> {
  const { files, folder } = parts;
  const bytes = await withFile(files, path, 'append', folder.fileMode, async (file) => {
    await file.write(line);
    return (await file.stat()).bytes;
  });
  if (bytes <= MAX_BYTES) return;
  const input = path.slice(path.lastIndexOf('/') + 1);
  const lines = (await readSiblings(parts, input)).map(lineOf);
  let size = 0;
  const kept = lines.reverse().filter(({ length }) => {
    size += length;
    return size <= MAX_BYTES / 2;
  });
  const made = join(folder.tmp, processToken());
  await withFile(files, made, 'create', folder.fileMode, (file) =>
    file.write(Buffer.concat(kept.reverse())),
  );
  await files.rename(made, path);
}

function pathOf({ folder }: StoreParts, input: LineageKey): string {
  return join(folder.siblings, input.slice(0, 2), input);
}

function lineOf({ key, text }: StoredSibling): Buffer {
  const body = `${key} ${Buffer.from(text).toString('base64url')}`;
  return Buffer.from(`${body} ${crc32(body).toString(16)}\n`, 'latin1');
}

/** The whole lines: the first may be cut where reading began, the last may not be written yet. */
function parse(text: string): StoredSibling[] {
  const found = new Map<LineageKey, StoredSibling>();
  for (const line of text.split('\n')) {
    const [key = '', body = '', crc = ''] = line.split(' ');
    if (!isKey(key) || crc !== crc32(`${key} ${body}`).toString(16)) continue;
    found.delete(key);
    found.set(key, { key, text: Buffer.from(body, 'base64url').toString() });
  }
  return [...found.values()].slice(-MAX_LINES);
}
