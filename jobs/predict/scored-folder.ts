/**
 * A folder of predictions with a file for each file of the data, under the same names, so that a
 * file that was scored is not read again. `_scored.json` says what each was made from: model, content
 * of the file, how it is read and what was asked for. Invariant: a file is listed only once it
 * stands there whole; what is listed for files that are gone from the data is removed.
 */
import { createHash } from 'node:crypto';
import { lstat, readFile, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { isGlob } from '../../driver/frame/glob.js';
import { isRemote } from '../../driver/frame/identity.js';
import { fixedPart } from '../../driver/frame/partitions.js';
import type { FrameFile, FrameSource } from '../../driver/index.js';
import { replaceFile } from '../../driver/support/replace-file.js';

const LIST = '_scored.json';

/** What a file of predictions was made from besides the file of the data. */
export interface ScoringIdentity {
  /** Digest of the model file. */
  readonly model: string;
  readonly outputs: readonly string[];
  readonly keep: readonly string[];
}

interface ScoredFile {
  readonly key: string;
  readonly rows: number;
}

export class ScoredFolder {
  readonly #folder: string;
  readonly #root: string;
  readonly #identity: ScoringIdentity;
  readonly #files: Map<string, ScoredFile>;

  private constructor(
    folder: string,
    root: string,
    identity: ScoringIdentity,
    files: Map<string, ScoredFile>,
  ) {
    this.#folder = folder;
    this.#root = root;
    this.#identity = identity;
    this.#files = files;
  }

  /** @param data what the user gave: a file, folder or glob */
  static async open(
    folder: string,
    data: string,
    identity: ScoringIdentity,
  ): Promise<ScoredFolder> {
    const text = await readFile(join(folder, LIST), 'utf8').catch(() => '{}');
    let listed: object = {};
    try {
      listed = (JSON.parse(text) as { files?: object }).files ?? {};
    } catch {
      // A list that can't be read says nothing; everything is scored again.
    }
    const files = new Map(Object.entries(listed as Record<string, ScoredFile>));
    return new ScoredFolder(folder, await rootOf(data), identity, files);
  }

  /** Where the predictions of a file stand. */
  pathOf(file: FrameFile): string {
    return join(this.#folder, this.#nameOf(file));
  }

  /** Whether they are there. */
  async has(file: FrameFile, source: FrameSource): Promise<boolean> {
    const known = this.#files.get(this.#nameOf(file));
    if (known?.key !== this.#keyOf(file, source)) return false;
    const stats = await stat(this.pathOf(file)).catch(() => undefined);
    return stats?.isFile() === true;
  }

  /** Lists a file whose predictions were written. */
  async add(file: FrameFile, source: FrameSource): Promise<void> {
    const key = this.#keyOf(file, source);
    this.#files.set(this.#nameOf(file), { key, rows: file.rows });
    await this.#write();
  }

  /** Removes predictions of files that are not among these; how many there were. */
  async keepOnly(files: readonly FrameFile[]): Promise<number> {
    const names = new Set(files.map((file) => this.#nameOf(file)));
    const gone = [...this.#files.keys()].filter((name) => !names.has(name));
    for (const name of gone) {
      await this.#remove(resolve(this.#folder, name));
      this.#files.delete(name);
    }
    if (gone.length > 0) await this.#write();
    return gone.length;
  }

  /** The list may be a stranger's: nothing outside the folder is touched, through links neither. */
  async #remove(path: string): Promise<void> {
    const parent = await realpath(dirname(path)).catch(() => '');
    const folder = await realpath(this.#folder);
    const isInside = parent === folder || parent.startsWith(`${folder}${sep}`);
    const stats = isInside ? await lstat(path).catch(() => undefined) : undefined;
    if (stats?.isDirectory() === false) await rm(path, { force: true });
  }

  #nameOf({ path }: FrameFile): string {
    const name = path.slice(this.#root.length).replace(/^\/+/, '');
    return name.endsWith('.parquet') ? name : `${name}.parquet`;
  }

  #keyOf(file: FrameFile, { format, options, text }: FrameSource): string {
    const { model, outputs, keep } = this.#identity;
    const made = [file.digest, file.partition, format, options, text, model, outputs, keep];
    return createHash('sha256').update(JSON.stringify(made)).digest('hex');
  }

  async #write(): Promise<void> {
    const files = Object.fromEntries([...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)));
    await replaceFile(
      join(this.#folder, LIST),
      `${JSON.stringify({ version: 1, files }, null, 2)}\n`,
    );
  }
}

/** The folder that names of data files are told from: the same whatever files there are. */
async function rootOf(data: string): Promise<string> {
  if (isRemote(data)) return isGlob(data) ? fixedPart(data) : dirname(data);
  const path = resolve(data);
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return fixedPart(path);
  return stats.isDirectory() ? path : dirname(path);
}
