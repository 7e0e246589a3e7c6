/**
 * The store's folder on disk and who may write in it. Invariant: folders are made 0700 and files
 * 0600, or 0770 and 0660 where results of other users are trusted; a file of another user is not
 * read otherwise.
 */
import { join } from 'node:path';
import type { LineageKey } from '../../ir/lineage-key.js';
import { errorCode, type FileSystem } from './file-system.js';

/** What others may not do where they are not trusted. */
const OTHERS_WRITE = 0o022;

/** Links are not followed: what lies behind one is not the store's to read, write or remove. */
function noFolder(path: string): string {
  return `${path} is a link or no folder; remove it, or give another store`;
}

export class StoreFolder {
  readonly root: string;
  readonly objects: string;
  readonly tmp: string;
  readonly quarantine: string;
  readonly leases: string;
  readonly index: string;
  /** Made when the first is noted. */
  readonly siblings: string;
  readonly folderMode: number;
  readonly fileMode: number;
  readonly #files: FileSystem;
  readonly #trustOtherUsers: boolean;
  readonly #shards = new Set<string>();

  constructor(files: FileSystem, folder: string, trustOtherUsers: boolean) {
    this.#files = files;
    this.#trustOtherUsers = trustOtherUsers;
    this.root = join(folder, 'v1');
    this.objects = join(this.root, 'objects');
    this.tmp = join(this.root, 'tmp');
    this.quarantine = join(this.root, 'quarantine');
    this.leases = join(this.root, 'leases');
    this.index = join(this.root, 'index');
    this.siblings = join(this.root, 'siblings');
    this.folderMode = trustOtherUsers ? 0o770 : 0o700;
    this.fileMode = trustOtherUsers ? 0o660 : 0o600;
  }

  entry(key: LineageKey): string {
    return join(this.#shard(key), key);
  }

  /** Makes what is missing. Returns why writing fails, if it does. @throws file-system errors */
  async make(): Promise<string | undefined> {
    for (const folder of [this.root, this.objects, this.tmp, this.quarantine, this.leases]) {
      const reason = await this.#makeOwn(folder);
      if (reason !== undefined) return reason;
    }
    const siblings = await this.#files.stat(this.siblings).catch(() => undefined);
    if (siblings !== undefined && siblings.kind !== 'folder') return noFolder(this.siblings);
    return (await this.#files.isWritable(this.root)) ? undefined : 'the folder is read-only';
  }

  /** Makes a folder that nobody else writes in, or says why that is none. */
  async #makeOwn(folder: string): Promise<string | undefined> {
    await this.#files.makeFolder(folder, this.folderMode).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    const { uid, mode, kind } = await this.#files.stat(folder);
    if (kind !== 'folder') return noFolder(folder);
    if (!this.isTrusted(uid)) return `the folder ${folder} belongs to another user (${uid})`;
    if (!this.#trustOtherUsers && (mode & OTHERS_WRITE) !== 0) {
      await this.#files.setMode(folder, this.folderMode);
    }
    return undefined;
  }

  /** Makes the folder an entry goes in, once a process; `again` when it was removed meanwhile. */
  async makeShard(key: LineageKey, again = false): Promise<void> {
    const shard = this.#shard(key);
    if (this.#shards.has(shard) && !again) return;
    if (await this.#files.makeFolder(shard, this.folderMode)) {
      await this.#files.syncFolder(this.objects);
    }
    this.#shards.add(shard);
  }

  async syncShard(key: LineageKey): Promise<void> {
    await this.#files.syncFolder(this.#shard(key));
  }

  isTrusted(uid: number): boolean {
    const own = process.getuid?.();
    return this.#trustOtherUsers || own === undefined || uid === own || uid === 0;
  }

  #shard(key: LineageKey): string {
    return join(this.objects, key.slice(0, 2));
  }
}
