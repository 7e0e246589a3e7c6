/**
 * Data of many files as parts, each a frame of its own whose results are kept apart. Few files are
 * a part each; many are grouped so that there are never more than so many parts. Where a group ends
 * is decided by the file that ends it (its digest, as content-defined chunking does it), so a file
 * added, replaced or removed changes the groups next to it and no other. Invariant: parts in order
 * hold the rows of the source in order; files without rows are in none.
 */
import { createHash } from 'node:crypto';
import type { FrameFile, FrameSource } from '../ir/frame-engine.js';
import { forgetOldest } from '../support/forget-oldest.js';
import { memoryShares } from '../support/memory.js';

/** More parts than this cost more in small steps than they save. */
const MAX_PARTS = 64;
/** Most files of a group, in mean sizes: where no file ends a group for long, this length does. */
const LONGEST = 3;

/**
 * The files of each part.
 * @param resultBytes size of the result that is kept for each part
 * @param totalBytes what the results of all parts may take together. Default their share of memory
 */
export function partFiles(
  files: readonly FrameFile[],
  resultBytes: number,
  totalBytes: number = memoryShares().partsBytes,
): (readonly FrameFile[])[] {
  return readTogether(files, resultBytes, totalBytes, MAX_PARTS).map((group) => group.files);
}

/** Some neighbouring files whose results are kept together. */
export interface FileGroup {
  readonly files: readonly FrameFile[];
  /** What its results are merged of; absent where its files are read together. */
  readonly parts?: readonly FileGroup[];
  /** Files that come after it do not change it: its results are worth keeping. */
  readonly isClosed: boolean;
}

/** A list of so many parts is merged as it is. */
const FEW = 16;
/** Mean parts of a group. */
const FAN = 8;

/**
 * The files as a tree: a part each, and groups of parts, groups of these and so on, until few are
 * left. A group ends at a file whose digest says so, one in eight, a group of groups at one in
 * eight of these. So what a file that is added, replaced or removed changes are the groups around
 * it, one on each level; and with one more level every group stays what it was.
 * @param resultBytes size of the result that is kept for each part
 * @param totalBytes what the results of all parts may take together. Default their share of
 *   memory. Where it is too little for all files, parts are groups of files that are read together
 */
export function fileTree(
  files: readonly FrameFile[],
  resultBytes: number,
  totalBytes: number = memoryShares().partsBytes,
): FileGroup[] {
  const isEachAlone = files.length * resultBytes <= totalBytes;
  const known = isEachAlone ? trees.get(files) : undefined;
  if (known !== undefined) return known;
  let groups = readTogether(files, resultBytes, totalBytes, Number.POSITIVE_INFINITY);
  for (let every = FAN; groups.length > FEW; every *= FAN) groups = grouped(groups, every, FAN);
  const [only] = groups;
  const tree = groups.length === 1 && only?.parts ? [...only.parts] : groups;
  if (isEachAlone) trees.set(files, tree);
  return tree;
}

/** Trees of files that are a part each: asked for several times a run, for profiles and moments. */
const trees = new WeakMap<readonly FrameFile[], FileGroup[]>();

type Ended = FileGroup & { readonly end: number };

/** Files with rows, one by one or, where these are more than there may be, in groups of some. */
function readTogether(
  files: readonly FrameFile[],
  resultBytes: number,
  totalBytes: number,
  maxParts: number,
): Ended[] {
  const filled = files.filter((file) => file.rows > 0);
  const most = Math.max(1, Math.min(maxParts, Math.floor(totalBytes / Math.max(1, resultBytes))));
  if (most === 1) return [{ files: filled, isClosed: false, end: 0 }];
  const alone = filled.map((file) => {
    return { files: [file], isClosed: true, end: numberOf(file.digest) };
  });
  if (filled.length <= most) return alone;
  // Powers of two, so that it changes only as the number of files doubles.
  const size = 2 ** Math.ceil(Math.log2((2 * filled.length) / most));
  return grouped(alone, size, size, most).map(({ parts: _, ...group }) => group);
}

/**
 * @param every a group ends after a part whose number this divides
 * @param size mean parts
 * @param most groups; what is left over is in the last one
 */
function grouped(
  parts: readonly Ended[],
  every: number,
  size: number,
  most = Number.POSITIVE_INFINITY,
): Ended[] {
  const groups: Ended[] = [];
  let open: Ended[] = [];
  const close = (isClosed: boolean): void => {
    const files = open.flatMap((part) => part.files);
    const { end, isClosed: isLastClosed } = open.at(-1)!;
    const group = { files, parts: open, isClosed: isClosed && isLastClosed, end };
    groups.push(open.length === 1 ? open[0]! : group);
    open = [];
  };
  for (const part of parts) {
    open.push(part);
    const ends = part.end % every === 0 || open.length >= LONGEST * size;
    if (ends && groups.length + 1 < most) close(true);
  }
  if (open.length > 0) close(false);
  return groups;
}

/** The files of each run of rows. @param runs in order, all rows between them */
export function cutFiles(
  files: readonly FrameFile[],
  runs: readonly { readonly to: number }[],
): FrameFile[][] {
  const groups: FrameFile[][] = runs.map(() => []);
  let row = 0;
  for (const file of files) {
    if (file.rows > 0) groups[runs.findIndex(({ to }) => row < to)]!.push(file);
    row += file.rows;
  }
  return groups;
}

/** The part of a source that these files are; the source itself when they are all its files. */
export function subSource(source: FrameSource, files: readonly FrameFile[]): FrameSource {
  return files.length === source.files.length ? source : { ...source, files, isUndivided: true };
}

/**
 * Seed of a file's own shuffle: a function of the job's seed and the file's content, so that a
 * row's fold never depends on the files beside it. 48 bits, which every engine holds exactly.
 */
export function fileSeed(seed: number, file: Pick<FrameFile, 'digest'>): number {
  const text = `shuffle\n${seed}\n${file.digest}`;
  let own = seeds.get(text);
  if (own === undefined) {
    own = numberOf(digestOf(text));
    seeds.set(text, own);
    forgetOldest(seeds, MAX_SEEDS);
  }
  return own;
}

/** Digests are as good as random. 48 bits. */
function numberOf(digest: string): number {
  const hex = /^[0-9a-f]{12}/.exec(digest)?.[0] ?? digestOf(digest).slice(0, 12);
  return Number.parseInt(hex, 16);
}

/** Seeds of files, by what they are made of: each night asks for those of all files. */
const seeds = new Map<string, number>();
const MAX_SEEDS = 1 << 16;

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
