/**
 * Compiled kernels on disk, for later processes on this machine: what a vendor's compiler made of a
 * text, under the digest of all that it follows from. Invariants: a file whose content has not the
 * digest it says is none; a disk that is full or read-only costs time and nothing else; the folder
 * stays below a limit, what was used longest ago going first.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { env } from '../../driver/support/env.js';
import { replaceFile } from '../../driver/support/replace-file.js';

const DIGEST_BYTES = 32;
const LIMIT_BYTES = 256 * 1024 * 1024;

export class KernelBinaries {
  readonly #folder: string;
  #isTidied = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  has(of: readonly string[]): boolean {
    return existsSync(this.#path(of));
  }

  /** @param of everything the binary follows from: text, options, device, its driver's version */
  read(of: readonly string[]): Uint8Array | undefined {
    const path = this.#path(of);
    try {
      const content = readFileSync(path);
      const binary = content.subarray(DIGEST_BYTES);
      if (!digest(binary).equals(content.subarray(0, DIGEST_BYTES))) return undefined;
      const now = new Date();
      void utimes(path, now, now).catch(() => undefined);
      return binary;
    } catch {
      return undefined;
    }
  }

  /** Returns at once. */
  write(of: readonly string[], binary: Uint8Array): void {
    const content = Buffer.concat([digest(binary), binary]);
    void replaceFile(this.#path(of), content)
      .then(() => this.#tidy())
      .catch(() => undefined);
  }

  #path(of: readonly string[]): string {
    return join(this.#folder, digest(Buffer.from(JSON.stringify(of))).toString('hex'));
  }

  async #tidy(): Promise<void> {
    if (this.#isTidied) return;
    this.#isTidied = true;
    const paths = (await readdir(this.#folder)).map((name) => join(this.#folder, name));
    const files = await Promise.all(
      paths.map(async (path) => ({ path, stats: await stat(path).catch(() => undefined) })),
    );
    files.sort((a, b) => (b.stats?.mtimeMs ?? 0) - (a.stats?.mtimeMs ?? 0));
    let bytes = 0;
    for (const { path, stats } of files) {
      bytes += stats?.size ?? 0;
      if (bytes > LIMIT_BYTES) await rm(path, { force: true });
    }
  }
}

/** Those in a folder; false: none are kept. Default: below `REPRISE_HOME`. */
export function kernelBinaries(
  folder: string | false = join(env.home(), 'kernels'),
): KernelBinaries | undefined {
  return folder === false ? undefined : new KernelBinaries(folder);
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
