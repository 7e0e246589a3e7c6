/**
 * Reads files that may have been put there by others. Invariant: a pipe, a device or a socket in
 * the place of a file is an error and never waited for; in folders of our own so is a link.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { lstat, open } from 'node:fs/promises';

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;

/** The text of a file, links followed. @throws the file system's error, or if it is no file */
export async function readPlainFile(path: string, flags = O_RDONLY | O_NONBLOCK): Promise<string> {
  const file = await open(path, flags);
  try {
    if (!(await file.stat()).isFile()) throw noFile(path);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** As `readPlainFile`, of a file that only Reprise has reason to put there. */
export function readOwnFile(path: string): Promise<string> {
  return readPlainFile(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
}

/** As `readOwnFile`, at once. */
export function readOwnFileSync(path: string): string {
  const file = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    if (!fstatSync(file).isFile()) throw noFile(path);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function noFile(path: string): Error {
  return new Error(`${path} is a pipe, a device or a folder, no file`);
}

/** What a file of our own says, parsed again only when it is another file or has changed. */
export class ParsedFile<T> {
  readonly #parse: (text: string) => T;
  #stamp = '';
  #value: T | undefined;

  /** @param parse what a text says; of an empty one when there is no file to read. Never throws */
  constructor(parse: (text: string) => T) {
    this.#parse = parse;
  }

  /** Of the file there now; shared by all who ask, so nobody changes it. */
  async read(path: string): Promise<T> {
    const stamp = await stampOf(path);
    if (this.#value === undefined || stamp !== this.#stamp) {
      this.#value = this.#parse(await readOwnFile(path).catch(() => ''));
      this.#stamp = stamp;
    }
    return this.#value;
  }

  /**
   * Told of what was just put there, so that it is not parsed again. What another process has put
   * over it at once may go unnoticed until the file changes again, like a look a moment earlier.
   */
  async wrote(path: string, value: T): Promise<void> {
    this.#stamp = await stampOf(path);
    this.#value = value;
  }
}

async function stampOf(path: string): Promise<string> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined);
  return `${path} ${stats?.ino} ${stats?.size} ${stats?.mtimeNs} ${stats?.ctimeNs}`;
}
