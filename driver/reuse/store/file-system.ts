/**
 * The file-system calls the durable store makes, as a value, so that tests can fail or stop at the
 * Nth call for every N. Invariants: nothing else touches the store's folder, and each method is one
 * step that happens or fails; no call follows a link in place of a file or of the folder it lies
 * in, and none waits for the other end of a pipe.
 */
import { lstatSync, type Stats } from 'node:fs';
import {
  access,
  chmod,
  constants,
  type FileHandle,
  lstat,
  lutimes,
  open,
  readdir,
  rename,
  rmdir,
  unlink,
} from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../support/make-folder.js';

export interface FileStat {
  readonly bytes: number;
  /** @units ms since 1970 */
  readonly modifiedMs: number;
  readonly uid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly inode: number;
  /** A link, a pipe, a socket and a device are other. */
  readonly kind: 'file' | 'folder' | 'other';
}

export interface OpenFile {
  stat(): Promise<FileStat>;
  /** Fills `into` from `position` on; fewer bytes only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** All of `bytes`, where the last write ended; at the end of the file when opened to append. */
  write(bytes: Uint8Array): Promise<void>;
  /** Forces what was written to disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** `create` wants a new file, `append` and `read` one that is there. */
export type OpenFor = 'read' | 'create' | 'append';

export interface FileSystem {
  open(path: string, use: OpenFor, mode: number): Promise<OpenFile>;
  /** Makes a folder and those above it; true if it was not there. */
  makeFolder(path: string, mode: number): Promise<boolean>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, a link or a pipe; no error if there is none. */
  remove(path: string): Promise<void>;
  /** Removes an empty folder. */
  removeFolder(path: string): Promise<void>;
  /** Forces a folder's entries to disk, without which a rename may be lost. */
  syncFolder(path: string): Promise<void>;
  list(path: string): Promise<string[]>;
  stat(path: string): Promise<FileStat>;
  /** Sets the time of modification to now. */
  touch(path: string): Promise<void>;
  setMode(path: string, mode: number): Promise<void>;
  isWritable(path: string): Promise<boolean>;
}

/** One request to the kernel at most; larger ones fail on some systems. @units bytes */
const CHUNK_BYTES = 1 << 24;

// A pipe is opened at once, whether anybody is at its other end or not, and then found to be no
// file.
const FLAGS: Readonly<Record<OpenFor, number>> = {
  read: constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  create: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
  append: constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK,
};
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Error code of a link, pipe, folder or device as a file, or of a link as a folder. */
export const NOT_PLAIN = 'NOT_PLAIN';

function notPlain(path: string, wanted: string): Error {
  return Object.assign(new Error(`${path} is no ${wanted}`), { code: NOT_PLAIN });
}

export const nodeFileSystem: FileSystem = {
  open: async (path, use, mode) => {
    await requireFolder(dirname(path));
    let handle: FileHandle;
    try {
      handle = await open(path, FLAGS[use], mode);
    } catch (error) {
      const isOther = ['ELOOP', 'ENXIO', 'EISDIR', 'EMLINK'].includes(errorCode(error) ?? '');
      throw isOther ? notPlain(path, 'file') : error;
    }
    if ((await handle.stat()).isFile()) return openFile(handle);
    await handle.close().catch(() => {});
    throw notPlain(path, 'file');
  },
  makeFolder,
  rename: async (from, to) => {
    await requireFolder(dirname(from));
    await requireFolder(dirname(to));
    await rename(from, to);
  },
  remove: async (path) => {
    try {
      await requireFolder(dirname(path));
      await unlink(path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  },
  removeFolder: async (path) => {
    await requireFolder(dirname(path));
    await rmdir(path);
  },
  syncFolder: async (path) => {
    const folder = await open(path, FOLDER);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  list: async (path) => {
    await requireFolder(path);
    return readdir(path);
  },
  stat: async (path) => fileStat(await lstat(path)),
  touch: async (path) => {
    const now = new Date();
    await lutimes(path, now, now);
  },
  setMode: async (path, mode) => {
    await requireFolder(path);
    await chmod(path, mode);
  },
  isWritable: (path) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    ),
};

/**
 * Asked at once: the kernel looks at the folder anyway when its file is opened, and waiting for a
 * thread to ask takes longer than the answer.
 * @throws NOT_PLAIN for a link, ENOTDIR for anything else that is no folder
 */
async function requireFolder(path: string): Promise<void> {
  const found = lstatSync(path);
  if (found.isDirectory()) return;
  if (found.isSymbolicLink()) throw notPlain(path, 'folder');
  throw Object.assign(new Error(`${path} is no folder`), { code: 'ENOTDIR' });
}

function openFile(handle: FileHandle): OpenFile {
  return {
    stat: async () => fileStat(await handle.stat()),
    read: async (into, position) => {
      let done = 0;
      while (done < into.byteLength) {
        const length = Math.min(CHUNK_BYTES, into.byteLength - done);
        const { bytesRead } = await handle.read(into, done, length, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    write: async (bytes) => {
      for (let done = 0; done < bytes.byteLength; ) {
        const length = Math.min(CHUNK_BYTES, bytes.byteLength - done);
        done += (await handle.write(bytes, done, length)).bytesWritten;
      }
    },
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

function fileStat(found: Stats): FileStat {
  const { size, mtimeMs, uid, mode, ino } = found;
  const kind = found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
  return { bytes: size, modifiedMs: mtimeMs, uid, mode: mode & 0o7777, inode: ino, kind };
}

const OUT_OF_FILES_TRIES = 6;
const OUT_OF_FILES_WAIT_MS = 15;

/** Runs `work` on an open file and closes it. Waits a little if file descriptors run out. */
export async function withFile<T>(
  files: FileSystem,
  path: string,
  use: OpenFor,
  mode: number,
  work: (file: OpenFile) => Promise<T>,
): Promise<T> {
  let file: OpenFile;
  for (let tries = 1; ; tries++) {
    try {
      file = await files.open(path, use, mode);
      break;
    } catch (error) {
      const code = errorCode(error);
      const isOutOfFiles = code === 'EMFILE' || code === 'ENFILE';
      if (!isOutOfFiles || tries === OUT_OF_FILES_TRIES) throw error;
      await sleep(OUT_OF_FILES_WAIT_MS * tries);
    }
  }
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
  // Some systems report what could not be written only here; what was read was read.
  await file.close().catch((error: unknown) => {
    if (use !== 'read') throw error;
  });
  return result;
}

/** A folder's contents; nothing for a link or a file. @throws the file system's error */
export async function listFolder(files: FileSystem, path: string): Promise<string[]> {
  return files.list(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR', NOT_PLAIN].includes(errorCode(error) ?? '')) return [];
    throw error;
  });
}

/** Whether there is anything in that place. @throws the file system's error */
export async function isThere(files: FileSystem, path: string): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The code of a file-system error, `ENOENT` say. */
export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** What went wrong, in few words: the code if there is one. */
export function describeError(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined && code !== NOT_PLAIN) return code;
  return error instanceof Error ? error.message : String(error);
}
