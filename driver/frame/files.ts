/**
 * From what the user wrote (a file, a folder or a glob) to the list of data files and their one format. Invariant: the
 * list is sorted by path, so the rows of a frame have one order on every machine.
 */
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DataError } from '../errors.js';
import { requireLocal } from './addresses.js';
import type { FrameFormat } from './engine.js';
import { byText, expandGlob, isGlob } from './glob.js';

const EXTENSIONS: readonly (readonly [FrameFormat, RegExp])[] = [
  ['parquet', /\.(parquet|pq)$/i],
  ['orc', /\.orc$/i],
  ['csv', /\.(csv|tsv)(\.gz)?$/i],
  ['arrow', /\.(arrow|arrows|feather|ipc)$/i],
  ['jsonl', /\.(jsonl|ndjson)(\.gz)?$/i],
];

const KNOWN_NAMES =
  '.parquet, .pq, .orc, .csv, .tsv, .arrow, .arrows, .feather, .ipc, .jsonl or .ndjson';

/** A `file:` URI as the path it stands for; other paths and URIs as they are. */
export function withoutFileScheme(path: string): string {
  const found = /^file:(?:\/\/(?:localhost)?)?(\/.*)$/is.exec(path);
  if (found === null) return path;
  try {
    return decodeURIComponent(found[1]!);
  } catch {
    return found[1]!;
  }
}

/** The format a file's name says, if it says one. */
export function formatOf(path: string): FrameFormat | undefined {
  return EXTENSIONS.find(([, pattern]) => pattern.test(path))?.[0];
}

/**
 * Absolute paths of the data files of `path`, sorted, and their format. In a folder, names that begin with `.` or `_`
 * (`_SUCCESS`) are skipped, and files of no known format too unless `format` is given.
 * @throws DataError when there is nothing, or the formats differ, or the format cannot be told
 */
export async function listDataFiles(
  path: string,
  format?: FrameFormat,
): Promise<{ readonly format: FrameFormat; readonly paths: readonly string[] }> {
  requireLocal(path);
  const stats = await statOf(path);
  if (stats === undefined && isGlob(path)) {
    const paths = (await expandGlob(resolve(path))).filter((file) => !isHidden(file));
    if (paths.length === 0) {
      throw new DataError(
        `data: expected files that match ${path}, found none; check the pattern`,
        {
          path,
        },
      );
    }
    return oneFormat(path, paths, format);
  }
  if (stats === undefined) {
    throw new DataError(`data: expected a file, folder or glob at ${path}, found nothing there`, {
      path,
    });
  }
  if (!stats.isDirectory()) return oneFormat(path, [resolve(path)], format);
  return listFolder(path, format);
}

async function listFolder(
  path: string,
  format: FrameFormat | undefined,
): Promise<{ readonly format: FrameFormat; readonly paths: readonly string[] }> {
  const entries = await readdir(path, { withFileTypes: true });
  const visible = entries.filter((entry) => !isHidden(entry.name));
  const folders = visible.filter((entry) => entry.isDirectory());
  const names = visible
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name) => format !== undefined || formatOf(name) !== undefined)
    .sort(byText);
  if (names.length === 0) {
    const remedy = folders.some((folder) => folder.name.includes('='))
      ? `; its folders (${folders[0]?.name}) are partitions: their columns are not in the files, so add them to the files and give a glob such as ${join(path, '**', '*.parquet')}`
      : '';
    throw new DataError(
      `data: expected files named ${KNOWN_NAMES} in the folder ${path}, found none among ${entries.length} entries${remedy}`,
      { path },
    );
  }
  return oneFormat(
    path,
    names.map((name) => resolve(path, name)),
    format,
  );
}

function oneFormat(
  path: string,
  paths: readonly string[],
  format: FrameFormat | undefined,
): { readonly format: FrameFormat; readonly paths: readonly string[] } {
  if (format !== undefined) return { format, paths };
  let first: FrameFormat | undefined;
  for (const file of paths) {
    const own = formatOf(file);
    if (own === undefined) {
      throw new DataError(
        `data: expected a name that ends in ${KNOWN_NAMES}, got ${file}; say data.format`,
        { path: file },
      );
    }
    first ??= own;
    if (own !== first) {
      throw new DataError(
        `data: expected files of one format in ${path}, got ${first} (${paths[0]}) and ${own} (${file}); give a glob or data.format`,
        { path },
      );
    }
  }
  return { format: first as FrameFormat, paths };
}

function isHidden(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name.startsWith('.') || name.startsWith('_');
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new DataError(
      `data: expected to be able to look at ${path}, got ${code}`,
      { path, code },
      { cause },
    );
  }
}
