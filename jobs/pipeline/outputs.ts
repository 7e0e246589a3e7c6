/**
 * The outputs of one try of a step: written beside their places, then moved there when all of them
 * are whole. Invariant: a reader of a place finds what was there before or what the step left, never
 * a part; of a folder there may be an instant in which it is gone.
 */
import { lstat, open, opendir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { ConfigError, DataError, ResourceError } from '../../driver/errors.js';
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

  /** @throws ResourceError for a place that can't be written */
  static async stage(outputs: readonly PlacedOutput[]): Promise<Outputs> {
    const staged = new Outputs(outputs);
    for (const output of outputs) {
      if (isRemote(output.path)) continue;
      await staged.#stage(output).catch((cause: NodeJS.ErrnoException) => {
        throw unwritable(output, cause.code ?? cause.message, cause);
      });
    }
    return staged;
  }

  async #stage(output: PlacedOutput): Promise<void> {
    const parent = dirname(output.path);
    await makeFolder(parent);
    if (output.isDirect) return;
    const folder = await makeStaging(parent, STAGING);
    this.#staged.set(output, join(folder, basename(output.path)));
  }

  /** Where the step writes an output; undefined for a name it has not. */
  pathOf(name: string): string | undefined {
    const output = this.#outputs.find((candidate) => candidate.name === name);
    return output && (this.#staged.get(output) ?? output.path);
  }

  /**
   * Moves what was written to its places.
   * @throws DataError where nothing was written, ConfigError for a folder with other things in it
   */
  async place(): Promise<void> {
    for (const output of this.#outputs) {
      if (isRemote(output.path)) continue;
      const written = this.#staged.get(output) ?? output.path;
      if ((await statsOf(written)) === undefined) throw lacking(output);
      await flush(written);
    }
    const folders = new Set<PlacedOutput>();
    for (const [output, written] of this.#staged) {
      if (!(await statsOf(output.path))?.isDirectory()) continue;
      await requireOwnFolder(output, written);
      folders.add(output);
    }
    for (const [output, written] of this.#staged) {
      const { path } = output;
      if (folders.has(output)) {
        await rename(path, join(dirname(written), `.before-${basename(path)}`));
      }
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

function unwritable({ name, path }: PlacedOutput, got: string, cause: unknown): ResourceError {
  return new ResourceError(
    `output ${name}: expected a place that can be written at ${path}, got ${got}; choose another, or make room`,
    { resource: 'disk', path },
    { cause },
  );
}

/** A folder is only put in the place of one whose files are named alike: what else is there stays. */
async function requireOwnFolder({ name, path }: PlacedOutput, written: string): Promise<void> {
  const isFolder = (await statsOf(written))?.isDirectory() ?? false;
  const own = isFolder ? new Set((await readdir(written)).map((file) => extname(file))) : undefined;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (own !== undefined && entry.isFile() && own.has(extname(entry.name))) continue;
    const wanted = isFolder
      ? 'a folder with nothing but what the step writes'
      : 'a file or nothing';
    throw new ConfigError(
      `output ${name}: expected ${wanted} at ${path}, got a folder with ${entry.name} in it; name another place, or move that away`,
      { key: name, value: path },
    );
  }
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
