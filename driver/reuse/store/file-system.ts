/**
 * The file-system calls the durable store makes, as a value, so that tests can fail the Nth call for every N. Every
 * durable step of the store is one of these and nothing else touches its folder.
 */
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
} from 'node:fs/promises';

export interface FileStat {
  readonly bytes: number;
  readonly modifiedMs: number;
  readonly uid: number;
}

export interface FileSystem {
  makeFolder(path: string): Promise<void>;
  isWritable(path: string): Promise<boolean>;
  /** Creates the file (it must not exist), writes all pieces, forces them to disk. */
  writeNew(path: string, pieces: readonly Uint8Array[]): Promise<void>;
  read(path: string): Promise<Buffer>;
  /** At most the first `bytes`. */
  readHead(path: string, bytes: number): Promise<Buffer>;
  rename(from: string, to: string): Promise<void>;
  /** Forces a folder's entries to disk, without which a rename may be lost. */
  syncFolder(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  list(path: string): Promise<string[]>;
  stat(path: string): Promise<FileStat>;
  touch(path: string): Promise<void>;
}

export const nodeFileSystem: FileSystem = {
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  isWritable: (path) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    ),
  writeNew: async (path, pieces) => {
    const file = await open(path, 'wx', 0o600);
    try {
      for (const piece of pieces) {
        for (let done = 0; done < piece.byteLength; ) {
          done += (await file.write(piece, done)).bytesWritten;
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
  },
  read: (path) => readFile(path),
  readHead: async (path, bytes) => {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(bytes);
      const { bytesRead } = await file.read(buffer, 0, bytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  },
  rename: (from, to) => rename(from, to),
  syncFolder: async (path) => {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  remove: (path) => rm(path, { force: true }),
  list: (path) => readdir(path),
  stat: async (path) => {
    const { size, mtimeMs, uid } = await stat(path);
    return { bytes: size, modifiedMs: mtimeMs, uid };
  },
  touch: async (path) => {
    const now = new Date();
    await utimes(path, now, now);
  },
};

/** The code of a file-system error, `ENOENT` say. */
export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
