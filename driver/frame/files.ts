/**
 * From what the user wrote (a file, a folder or a glob) to the list of data files and their one
 * format. Invariant: the list is sorted by path, so the rows of a frame have one order on every
 * machine.
 */
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DataError } from '../errors.js';
import type { FrameFormat } from '../ir/frame-engine.js';
import { requireLocal } from './addresses.js';
import { byText, expandGlob, isGlob } from './glob.js';
import { fixedPart, isPartition } from './partitions.js';

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

export interface ListedFiles {
  readonly format: FrameFormat;
  /** Sorted. */
  readonly paths: readonly string[];
  /** The folder given, or the part of a glob before its first wildcard. */
  readonly root: string;
}

/**
 * Absolute paths of the data files of `path`, sorted, and their format. In a folder, names that
 * begin with `.` or `_` (`_SUCCESS`) are skipped, and files of no known format too unless `format`
 * is given; of its folders, those of partitions (`year=2024`) are looked into.
 * @throws DataError when there is nothing, or the formats differ, or the format cannot be told
 */
export async function listDataFiles(path: string, format?: FrameFormat): Promise<ListedFiles> {
  requireLocal(path);
  const stats = await statOf(path);
  if (stats === undefined && isGlob(path)) {
    const root = fixedPart(resolve(path));
    const tail = resolve(path).slice(root.length);
    const asked = tail.includes('/_');
    const paths = (await expandGlob(resolve(path))).filter(
      (file) => !isHidden(file) && (asked || !isUnderHidden(file.slice(root.length))),
    );
    if (paths.length === 0) {
      throw new DataError(
        `data: expected files that match ${path}, found none; check the pattern`,
        {
          path,
        },
      );
    }
    return { ...oneFormat(path, paths, format), root };
  }
  if (stats === undefined) {
    throw new DataError(`data: expected a file, folder or glob at ${path}, found nothing there`, {
      path,
    });
  }
  if (!stats.isDirectory()) {
    return { ...oneFormat(path, [resolve(path)], format), root: dirname(resolve(path)) };
  }
  return listFolder(path, format);
}

async function listFolder(path: string, format: FrameFormat | undefined): Promise<ListedFiles> {
  const found: string[] = [];
  const entries = await walkPartitions(resolve(path), found);
  const known = found.filter((file) => format !== undefined || formatOf(file) !== undefined);
  if (known.length === 0) {
    throw new DataError(
      `data: expected files named ${KNOWN_NAMES} in the folder ${path}, found none among ${entries} entries`,
      { path },
    );
  }
  return { ...oneFormat(path, known.sort(byText), format), root: resolve(path) };
}

/** Adds the visible files of a folder and its partitions; returns the folder's entry count. */
async function walkPartitions(folder: string, found: string[]): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) {
      if (!isHidden(entry.name)) found.push(path);
    } else if (isPartition(entry.name) && !entry.name.startsWith('.')) {
      await walkPartitions(path, found);
    }
  }
  return entries.length;
}

function oneFormat(
  path: string,
  paths: readonly string[],
  format: FrameFormat | undefined,
): Omit<ListedFiles, 'root'> {
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

/** Whether a folder in the path is one writers keep for themselves: `_temporary`, `_delta_log`. */
function isUnderHidden(path: string): boolean {
  const folders = path.split('/').slice(0, -1);
  return folders.some((folder) => folder.startsWith('_') && !isPartition(folder));
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
