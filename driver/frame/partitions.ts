/**
 * Columns that stand in the names of folders: `year=2024/month=01`. Only folders below what the
 * user named count: below the folder, or below the part of a glob before its first wildcard. One
 * rule types them for every engine: whole numbers if all values are and none is written in two
 * ways, dates if all are, else text. Invariant: every file of a source has the same such columns,
 * and they are part of what its rows are, since equal files in two folders hold different rows.
 */
import { DataError } from '../errors.js';
import type { AttrValue } from '../ir/attrs.js';
import type { ColumnType, FrameFile, PartitionType, PartitionValue } from '../ir/frame-engine.js';
import type { ReadOptions } from '../ir/read-options.js';

/** What Hive calls the folder of rows without a value. */
const MISSING = '__HIVE_DEFAULT_PARTITION__';
const MOST_INT64 = 2n ** 63n;

const TYPES: Readonly<Record<PartitionType, ColumnType>> = {
  integer: 'number',
  date: 'timestamp',
  text: 'text',
};

/** Whether a folder's name is one of a partition. */
export function isPartition(folder: string): boolean {
  return folder.indexOf('=') > 0;
}

/**
 * The files with the values of their folders.
 * @param root folder whose own name does not count
 * @throws DataError when the folders of two files have other names
 */
export function withPartitions<F extends { readonly path: string }>(
  files: readonly F[],
  root: string,
  options: ReadOptions | undefined,
): (F & Pick<FrameFile, 'partition'>)[] {
  const folders = files.map((file) => foldersOf(file.path, root));
  const [first] = folders;
  if (options?.partitions === false || first === undefined) return [...files];
  const keys = (pairs: typeof first): string => pairs.map(([name]) => name).join(', ') || 'none';
  for (const [i, pairs] of folders.entries()) {
    if (keys(pairs) === keys(first)) continue;
    throw new DataError(
      `data: expected the same partition folders above every file, got ${keys(first)} above ${files[0]?.path} and ${keys(pairs)} above ${files[i]?.path}; give a glob that leaves one out, or say partitions: false`,
      { path: files[i]?.path },
    );
  }
  if (first.length === 0) return [...files];
  const names = first.map(([name]) => name.toLowerCase());
  const twice = first.find(([name], i) => names.indexOf(name.toLowerCase()) < i);
  if (twice !== undefined) {
    throw new DataError(
      `data: expected partition folders of different names, got ${twice[0]} twice above ${files[0]?.path}; say partitions: false`,
      { path: files[0]?.path },
    );
  }
  const types = first.map((_, k) => typeOf(folders.map((pairs) => pairs[k]![1])));
  return files.map((file, i) => ({
    ...file,
    partition: folders[i]!.map(([name, value], k) => {
      const type = types[k]!;
      return {
        name,
        type,
        value: value !== null && type === 'integer' ? `${BigInt(value)}` : value,
      };
    }),
  }));
}

/**
 * Leaves out partitions that are columns of the files as well: what stands in a file is what its
 * rows say.
 * @param own names of the files' columns
 */
export function withoutOwn<F extends Pick<FrameFile, 'partition'>>(
  files: readonly F[],
  own: readonly string[],
): { readonly files: readonly F[]; readonly warnings: readonly string[] } {
  const taken = new Set(own.map((name) => name.toLowerCase()));
  const both = (files[0]?.partition ?? []).filter(({ name }) => taken.has(name.toLowerCase()));
  if (both.length === 0) return { files, warnings: [] };
  const kept = files.map(({ partition = [], ...file }) => {
    const rest = partition.filter(({ name }) => !taken.has(name.toLowerCase()));
    return (rest.length > 0 ? { ...file, partition: rest } : file) as F;
  });
  const warnings = both.map(
    ({ name }) =>
      `data: ${name} is a column of the files and the name of their folders; the files' own values are used`,
  );
  return { files: kept, warnings };
}

/** The columns the folders of these files make, by the engine's names of types. */
export function partitionColumns<T extends string>(
  files: readonly Pick<FrameFile, 'partition'>[],
  engineTypes: Readonly<Record<PartitionType, T>>,
): { readonly name: string; readonly type: ColumnType; readonly engineType: T }[] {
  return (files[0]?.partition ?? []).map(({ name, type }) => {
    return { name, type: TYPES[type], engineType: engineTypes[type] };
  });
}

/** As attributes of lineage, which read text normalised: folders may differ in nothing else. */
export function partitionAttr(partition: readonly PartitionValue[]): AttrValue {
  return partition.map(({ name, type, value }) => {
    return [encodeURIComponent(name), type, value === null ? null : encodeURIComponent(value)];
  });
}

/** Tells files of equal content apart by their folders. */
export function fileKey({ digest, partition }: Pick<FrameFile, 'digest' | 'partition'>): string {
  return partition === undefined ? digest : `${digest} ${JSON.stringify(partitionAttr(partition))}`;
}

/** The part of a glob before its first wildcard, or the folder of a path. */
export function fixedPart(pattern: string): string {
  const segments = pattern.split('/');
  const first = segments.findIndex((segment) => /[*?[{]/.test(segment));
  return segments.slice(0, first < 0 ? -1 : first).join('/');
}

/** `[name, value]` of each partition folder between root and file. */
function foldersOf(path: string, root: string): (readonly [string, string | null])[] {
  const below = withoutHost(root).replace(/\/+$/, '');
  const place = withoutHost(path);
  if (!place.startsWith(`${below}/`)) return [];
  return place
    .slice(below.length + 1)
    .split('/')
    .slice(0, -1)
    .filter(isPartition)
    .map((folder) => {
      const at = folder.indexOf('=');
      const value = folder.slice(at + 1);
      return [
        decoded(folder.slice(0, at)),
        value === MISSING || value === '' ? null : decoded(value),
      ];
    });
}

/** A remote path without scheme and host, which an engine may spell another way than the user. */
function withoutHost(path: string): string {
  return path.replace(/^[a-z][a-z0-9+.-]+:(\/\/[^/]*)?/i, '');
}

/** Writers escape what can't stand in a folder's name as URLs do. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function typeOf(values: readonly (string | null)[]): PartitionType {
  const present = [...new Set(values)].filter((value) => value !== null);
  if (present.length > 0 && present.every(isInteger)) {
    const numbers = new Set(present.map((value) => BigInt(value)));
    if (numbers.size === present.length) return 'integer';
  }
  return present.length > 0 && present.every(isDate) ? 'date' : 'text';
}

function isInteger(text: string): boolean {
  if (!/^-?\d{1,19}$/.test(text)) return false;
  const value = BigInt(text);
  return value < MOST_INT64 && value >= -MOST_INT64;
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
