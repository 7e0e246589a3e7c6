/**
 * Profiles of data in many files, kept file by file: each file is profiled once, whatever stands
 * beside it, and the profile of all is merged. Files not profiled yet are scanned together.
 * Invariant: answers equal those of one scan over all files; a request that can't be merged exactly
 * is handed to the engine whole.
 */

import { createHash } from 'node:crypto';
import type {
  ColumnProfile,
  FrameEngine,
  FrameFile,
  FrameSource,
  ProfileRequest,
  SqlText,
} from '../ir/frame-engine.js';
import { sqlText } from '../operators/encode-block.js';
import {
  FILE_VALUES,
  isComplete,
  mergeProfiles,
  mergeQuantiles,
  quantileValues,
} from './merge-profiles.js';
import { fileKey } from './partitions.js';
import { type FileGroup, fileTree } from './parts.js';
import { optionsKey } from './read-options.js';

/** Keeps plain data by key: a `Run`. */
export interface Memos {
  memo(key: string, compute: () => Promise<unknown>): Promise<unknown>;
  /** What is kept under a key; undefined for nothing. */
  memoOf(key: string): Promise<unknown>;
}

/** Distinct values that the profiles of a group of files may list to be kept together. */
const MAX_PACKED = 50_000;

/** Raised when what a file's profile holds changes. */
const VERSION = 2;

interface Asked {
  readonly key: string;
  readonly top: number;
}

export class FileProfiles implements Pick<FrameEngine, 'profile'> {
  /** The engine's. */
  readonly name: string;
  readonly #engine: Pick<FrameEngine, 'profile' | 'profileFiles'>;
  readonly #memos: Memos;
  readonly #onScan: (files: readonly FrameFile[]) => void;
  /** What `profile` learned, by request, then by file, so that parts of the data can be viewed. */
  readonly #known = new Map<string, Map<FrameFile, ColumnProfile>>();
  /** The request that answers for an expression; its key is empty where there was none. */
  readonly #asked = new Map<string, Asked>();
  readonly #learned: (readonly ProfileRequest[])[] = [];
  readonly #groups = new WeakMap<FileGroup, Map<string, ColumnProfile | undefined>>();

  /** @param onScan called as the engine begins to read files, or when it is known that it did */
  constructor(
    engine: Pick<FrameEngine, 'name' | 'profile' | 'profileFiles'>,
    memos: Memos,
    onScan: (files: readonly FrameFile[]) => void = () => undefined,
  ) {
    this.name = engine.name;
    this.#engine = engine;
    this.#memos = memos;
    this.#onScan = onScan;
  }

  /** See `FrameEngine.profile`; cost: a scan of the files that are new. */
  async profile(
    source: FrameSource,
    requests: readonly ProfileRequest[],
  ): Promise<ColumnProfile[]> {
    if (source.files.length < 2 || source.isUndivided) return this.#whole(source, requests);
    const counted = requests.map(({ top, fromStatistics, ...text }) => ({
      ...sqlText(text),
      top: top > 0 ? FILE_VALUES : 0,
      quantiles: [],
      ...(fromStatistics ? { fromStatistics } : {}),
    }));
    await this.#learn(source, counted);
    const withQuantiles = requests.filter((request, i) => {
      const [any] = this.#of(source.files, counted[i]!);
      return request.quantiles.length > 0 && (any?.type === 'number' || any?.type === 'boolean');
    });
    await this.#learn(source, withQuantiles.map(quantileValues));
    const all = { files: source.files, parts: fileTree(source.files, 0), isClosed: false };
    const merged = requests.map((request, i) => {
      const profile = this.#mergedTo(all, counted[i]!, request.top);
      if (profile === undefined || !withQuantiles.includes(request)) return profile;
      const values = this.#of(source.files, quantileValues(request));
      const quantiles = mergeQuantiles(values, request.quantiles);
      return quantiles === undefined ? undefined : { ...profile, quantiles };
    });
    const rest = requests.filter((_, i) => merged[i] === undefined);
    const whole = rest.length > 0 ? await this.#whole(source, rest) : [];
    return requests.map((request, i) => merged[i] ?? whole[rest.indexOf(request)]!);
  }

  #whole(source: FrameSource, requests: readonly ProfileRequest[]): Promise<ColumnProfile[]> {
    const scan = () => this.#engine.profile(source, requests);
    return this.#counted(source.files, requests, scan, (profiles) => profiles);
  }

  /** Tells of a scan before it, or after it where statistics might have spared it. */
  async #counted<T>(
    files: readonly FrameFile[],
    requests: readonly ProfileRequest[],
    scan: () => Promise<T>,
    profilesOf: (found: T) => readonly ColumnProfile[],
  ): Promise<T> {
    const mayBeSpared = requests.every((request) => request.fromStatistics);
    if (!mayBeSpared) this.#onScan(files);
    const found = await scan();
    const isRead = !profilesOf(found).every((profile) => profile.fromStatistics);
    if (mayBeSpared && isRead) this.#onScan(files);
    return found;
  }

  /**
   * The profile over some of the files of an expression that `profile` was asked about, every
   * distinct value listed; undefined when it was not asked about or has too many values.
   */
  ofGroup(group: FileGroup, text: SqlText): ColumnProfile | undefined {
    const asked = JSON.stringify(sqlText(text));
    let request = this.#asked.get(asked);
    if (request === undefined) {
      const counted = { ...sqlText(text), top: 0, quantiles: [] };
      const all = [{ ...counted, top: FILE_VALUES }, counted, { ...counted, fromStatistics: true }];
      const [first, ...others] = all.map((one) => JSON.stringify(one));
      const isListed = this.#known.has(first!);
      const key = isListed ? first! : (others.find((one) => this.#known.has(one)) ?? '');
      request = { key, top: isListed ? Number.POSITIVE_INFINITY : 0 };
      this.#asked.set(asked, request);
    }
    return this.#merged(group, request);
  }

  /** The profile of all files, of its values the `top` most frequent ones. */
  #mergedTo(all: FileGroup, request: ProfileRequest, top: number): ColumnProfile | undefined {
    const asked = { key: JSON.stringify(request), top: top > 0 ? Number.POSITIVE_INFINITY : 0 };
    const profile = this.#merged(all, asked);
    return profile && { ...profile, top: profile.top.slice(0, top) };
  }

  #merged(group: FileGroup, request: Asked): ColumnProfile | undefined {
    if (group.parts === undefined && group.files.length === 1) {
      const profile = this.#known.get(request.key)?.get(group.files[0]!);
      return profile !== undefined && isComplete(profile) ? profile : undefined;
    }
    let merged = this.#groups.get(group);
    if (merged === undefined) {
      merged = new Map();
      this.#groups.set(group, merged);
    }
    if (!merged.has(request.key)) {
      const parts = group.parts ?? group.files.map((file) => ({ files: [file], isClosed: true }));
      const profiles = parts.map((part) => this.#merged(part, request));
      const known = profiles.filter((profile) => profile !== undefined);
      const isKnown = known.length === profiles.length;
      merged.set(request.key, isKnown ? mergedOnce(known, request.top) : undefined);
    }
    return merged.get(request.key);
  }

  #of(files: readonly FrameFile[], request: ProfileRequest): ColumnProfile[] {
    const known = this.#known.get(JSON.stringify(request));
    return files.map((file) => known?.get(file)).filter((profile) => profile !== undefined);
  }

  /** What `profile` asked of each file, to be learned again by `learn`. */
  get learned(): readonly (readonly ProfileRequest[])[] {
    return this.#learned;
  }

  /** Brings what an earlier `profile` learned of the files, so that parts can be viewed. */
  async learn(source: FrameSource, learned: FileProfiles['learned']): Promise<void> {
    for (const requests of learned) await this.#learn(source, requests);
  }

  /** Profiles every file, each from its memo or, all that have none together, from one scan. */
  async #learn(source: FrameSource, requests: readonly ProfileRequest[]): Promise<void> {
    if (requests.length === 0) return;
    this.#learned.push(requests);
    const keyOf = (kind: string, names: string): string => {
      const options = optionsKey(source.options);
      return JSON.stringify([
        kind,
        VERSION,
        source.format,
        names,
        JSON.stringify(requests),
        options,
      ]);
    };
    const closed = closedGroups(fileTree(source.files, 0));
    const found = await this.#packed(closed, (names) => keyOf('group-profiles', names));
    const missing = closed.filter(({ files }) => !found.has(fileKey(files[0]!)));
    await this.#learnFiles(source, requests, found, (name) => keyOf('file-profile', name));
    for (const group of missing) this.#pack(group, found, keyOf);
    for (const [r, request] of requests.entries()) {
      const byFile = new Map(source.files.map((file) => [file, found.get(fileKey(file))![r]!]));
      this.#known.set(JSON.stringify(request), byFile);
    }
  }

  /** Profiles of files, by their keys, that are kept by groups: one look in place of many. */
  async #packed(
    groups: readonly FileGroup[],
    keyOf: (names: string) => string,
  ): Promise<Map<string, ColumnProfile[]>> {
    const found = new Map<string, ColumnProfile[]>();
    await Promise.all(
      groups.map(async ({ files }) => {
        const packed = await this.#memos.memoOf(keyOf(namesOf(files)));
        for (const [i, profiles] of ((packed ?? []) as ColumnProfile[][]).entries())
          found.set(fileKey(files[i]!), profiles);
      }),
    );
    return found;
  }

  /** Keeps the profiles of a group's files together, if they are small. */
  #pack(
    { files }: FileGroup,
    found: ReadonlyMap<string, ColumnProfile[]>,
    keyOf: (kind: string, names: string) => string,
  ): void {
    const profiles = files.map((file) => found.get(fileKey(file))!);
    const values = profiles.flat().reduce((sum, profile) => sum + profile.top.length, 0);
    if (values > MAX_PACKED) return;
    const key = keyOf('group-profiles', namesOf(files));
    this.#memos.memo(key, async () => profiles).catch(() => undefined);
  }

  /** Adds the profiles of those files that have none in `found`. */
  async #learnFiles(
    source: FrameSource,
    requests: readonly ProfileRequest[],
    found: Map<string, ColumnProfile[]>,
    keyOf: (name: string) => string,
  ): Promise<void> {
    // Files of equal content and folders share their key, so waiting for one another they would
    // wait for ever.
    const all = new Map(source.files.map((file) => [fileKey(file), file]));
    const distinct = [...all].filter(([name]) => !found.has(name));
    const batch = new Batch(distinct.length, (files) => {
      const one = (file: FrameFile) => this.#whole({ ...source, files: [file] }, requests);
      if (this.#engine.profileFiles === undefined) return inTurn(files, one);
      const scan = () => this.#engine.profileFiles!({ ...source, files }, requests);
      return this.#counted(files, requests, scan, (profiles) => profiles.flat());
    });
    await Promise.all(
      distinct.map(async ([name, file]) => {
        const profiles = this.#memos.memo(keyOf(name), () => batch.add(file));
        profiles.then(() => batch.decide(file)).catch(() => undefined);
        found.set(name, (await profiles) as ColumnProfile[]);
      }),
    );
  }
}

/** The largest closed groups of a tree. */
function closedGroups(groups: readonly FileGroup[]): FileGroup[] {
  return groups.flatMap((group) => {
    if (group.parts === undefined) return [];
    return group.isClosed ? [group] : closedGroups(group.parts);
  });
}

function namesOf(files: readonly FrameFile[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${fileKey(file)}\n`);
  return hash.digest('hex');
}

const mergedWith = new WeakMap<ColumnProfile, Merged>();

interface Merged extends Pick<Asked, 'top'> {
  readonly profiles: readonly ColumnProfile[];
  readonly profile: ColumnProfile | undefined;
}

/** As `mergeProfiles`; of the same profiles again what was merged before, by the first of them. */
function mergedOnce(profiles: readonly ColumnProfile[], top: number): ColumnProfile | undefined {
  const [first] = profiles;
  const known = first && mergedWith.get(first);
  const isSame =
    known?.top === top &&
    known.profiles.length === profiles.length &&
    known.profiles.every((profile, i) => profile === profiles[i]);
  if (isSame) return known.profile;
  const profile = mergeProfiles(profiles, top);
  if (first !== undefined) mergedWith.set(first, { profiles, top, profile });
  return profile;
}

async function inTurn<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await run(item));
  return results;
}

/**
 * Collects the files that have no profile yet and profiles them at once, as soon as every file is
 * known to have one or not. Files are asked for in one turn, so of two batches that share files one
 * owns all they share and neither waits for the other in a circle.
 */
class Batch {
  readonly #total: number;
  readonly #decided = new Set<FrameFile>();
  readonly #files: FrameFile[] = [];
  readonly #profiles: Promise<ColumnProfile[][]>;
  #begin: () => void = () => undefined;

  constructor(total: number, run: (files: readonly FrameFile[]) => Promise<ColumnProfile[][]>) {
    this.#total = total;
    this.#profiles = new Promise<void>((resolve) => {
      this.#begin = resolve;
    }).then(() => run(this.#files));
  }

  /** The file has no profile: it is computed with the others. */
  async add(file: FrameFile): Promise<ColumnProfile[]> {
    const place = this.#files.push(file) - 1;
    this.decide(file);
    return (await this.#profiles)[place]!;
  }

  /** It is known whether the file has a profile. */
  decide(file: FrameFile): void {
    this.#decided.add(file);
    if (this.#decided.size === this.#total && this.#files.length > 0) this.#begin();
  }
}
