/**
 * The outputs of one try of a step: written beside their places, then moved there when all of them
 * are whole. Invariant: a reader of a place finds what was there before or what the step left, never
 * a part; of a folder there may be an instant in which it is gone.
 */
import { lstat, open, opendir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DataError } from '../../driver/errors.js';
import { isRemote } from '../../driver/frame/identity.js';
import { makeStaging } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import type { StepOutput } from '../steps/step-kind.js';

/** Followed by the token of a process: what a step is writing. */
const STAGING = '.step-';

/** An output and its place, absolute. */
export interface PlacedOutput extends StepOutput {
  readonly path: string;
}

export class Outputs {
  /** By output, those that are not put there by the step itself. */
  readonly #staged = new Map<PlacedOutput, string>();
  readonly #outputs: readonly PlacedOutput[];

  private constructor(outputs: readonly PlacedOutput[]) {
    this.#outputs = outputs;
  }

  /** @throws the file system's error */
  static async stage(outputs: readonly PlacedOutput[]): Promise<Outputs> {
    const staged = new Outputs(outputs);
    for (const output of outputs) {
      if (isRemote(output.path)) continue;
      await makeFolder(dirname(output.path));
      if (output.isDirect) continue;
      const folder = await makeStaging(dirname(output.path), STAGING);
      staged.#staged.set(output, join(folder, basename(output.path)));
    }
    return staged;
  }

  /** Where the step writes an output; undefined for a name it has not. */
  pathOf(name: string): string | undefined {
    const output = this.#outputs.find((candidate) => candidate.name === name);
    return output && (this.#staged.get(output) ?? output.path);
  }

  /** Moves what was written to its places. @throws DataError where nothing was */
  async place(): Promise<void> {
    for (const output of this.#outputs) {
      if (isRemote(output.path)) continue;
      const written = this.#staged.get(output) ?? output.path;
      if ((await statsOf(written)) === undefined) throw lacking(output);
      await flush(written);
    }
    for (const [{ path }, written] of this.#staged) {
      const isFolder = (await statsOf(path))?.isDirectory() ?? false;
      if (isFolder) await rename(path, join(dirname(written), `.before-${basename(path)}`));
      await rename(written, path);
    }
  }

  /** Removes what was not placed. Never rejects. */
  async clear(): Promise<void> {
    for (const written of this.#staged.values()) {
      await rm(dirname(written), { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

function statsOf(path: string) {
  return lstat(path).catch(() => undefined);
}

function lacking({ name, path }: PlacedOutput): DataError {
  return new DataError(`output ${name}: expected the step to leave ${path}, found nothing there`, {
    path,
  });
}

/** A file, or all files of a folder, onto the disk. */
async function flush(path: string): Promise<void> {
  if ((await statsOf(path))?.isDirectory()) {
    for await (const entry of await opendir(path, { recursive: true })) {
      if (entry.isFile()) await syncFile(join(entry.parentPath, entry.name));
    }
  } else await syncFile(path);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
