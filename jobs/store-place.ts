/**
 * Where results are kept for later runs, and how much of them: by the flag `--no-store`, else by the
 * environment, else by the job file, else in a project's own store, `.reprise` beside its job files.
 * Invariant: version control passes the project's store over.
 */
import { writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { DurableStore, DurableStoreOptions } from '../driver/reuse/store/durable-store.js';
import { env } from '../driver/support/env.js';
import { makeFolder } from '../driver/support/make-folder.js';
import { parseSize, wrongSetting } from '../driver/support/size.js';

/** A store's folder; its limits by the environment, else these, else the store's own. */
export interface StorePlace {
  readonly folder: string;
  /** A folder of ours with the store in it, which version control is to pass over. */
  readonly project?: string;
  /** @units bytes */
  readonly maxBytes?: number;
}

/** What a job file says of its store. */
export interface StoreSection {
  readonly folder?: string | undefined;
  readonly size?: string | undefined;
}

/** Of a project's store, unless it is told otherwise. @units bytes */
const PROJECT_BYTES = 2 * 1024 ** 3;

/** @param folder of the job file: one inside `node_modules` is nobody's project, so `cwd` is */
export function storePlace(
  folder: string,
  asked: StoreSection | false | undefined,
  cwd = process.cwd(),
): StorePlace | null {
  const given = env.store();
  if (given !== undefined) return given === false ? null : { folder: given };
  if (asked === false) return null;
  return projectStore(folder.split(sep).includes('node_modules') ? cwd : folder, asked);
}

/** The store of the project in a folder. */
export function projectStore(
  base: string,
  { folder = '.reprise', size }: StoreSection = {},
): StorePlace {
  const project = resolve(base, folder);
  const bytes = size === undefined ? undefined : parseSize(size);
  return { folder: join(project, 'store'), project, maxBytes: bytes ?? PROJECT_BYTES };
}

/** Makes a project's folder of ours. @throws the file system's error */
export async function makeProject(project: string): Promise<void> {
  await makeFolder(project, 0o700);
  await writeFile(join(project, '.gitignore'), '*\n', { flag: 'wx', mode: 0o600 }).catch(() => {});
}

/**
 * Opens or makes the store of a place; one that can't be used keeps nothing, and says so once.
 * @throws ConfigError for limits of the environment that are none
 */
export async function openStore(
  { folder, project, maxBytes }: StorePlace,
  options: Pick<DurableStoreOptions, 'origin' | 'onWarning'> = {},
): Promise<DurableStore> {
  const limits = storeLimits();
  // What is wrong with the folder the store says.
  if (project !== undefined) await makeProject(project).catch(() => {});
  // The command line asks for places and limits alone.
  const { DurableStore } = await import('../driver/reuse/store/durable-store.js');
  return DurableStore.open(folder, { ...(maxBytes ? { maxBytes } : {}), ...limits, ...options });
}

export type StoreLimitOptions = Pick<
  DurableStoreOptions,
  'maxBytes' | 'maxEntries' | 'maxAgeSeconds'
>;

const DAY_SECONDS = 86_400;

/** @throws ConfigError for a limit that is none */
export function storeLimits(): StoreLimitOptions {
  const [bytes, results, days] = [env.storeBytes(), env.storeResults(), env.storeDays()];
  return {
    ...(bytes === undefined ? {} : { maxBytes: bytesOf(bytes) }),
    ...(results === undefined
      ? {}
      : { maxEntries: numberOf('REPRISE_STORE_RESULTS', results, 'a whole number', /^\d+$/) }),
    ...(days === undefined
      ? {}
      : {
          maxAgeSeconds:
            DAY_SECONDS * numberOf('REPRISE_STORE_DAYS', days, 'a number of days', DECIMAL),
        }),
  };
}

const DECIMAL = /^\d+(\.\d+)?$/;

function bytesOf(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  const expected = 'a size such as 20GiB, 500MB or a number of bytes';
  throw wrongSetting('REPRISE_STORE_BYTES', expected, text);
}

function numberOf(name: string, text: string, expected: string, form: RegExp): number {
  if (form.test(text.trim())) return Number(text);
  throw wrongSetting(name, expected, text);
}
