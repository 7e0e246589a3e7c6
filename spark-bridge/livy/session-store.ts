/**
 * Records of the sessions we own, written before the session is asked for. Invariant: at any
 * moment, whatever dies, each session we may have started on a cluster has a record that names it,
 * so the next start adopts or deletes it.
 */
import { createHash } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepLeftovers, WRITING } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { readOwnFile } from '../../driver/support/plain-file.js';
import { isFromDeadProcess, processToken } from '../../driver/support/process-token.js';
import { replaceFile } from '../../driver/support/replace-file.js';

export interface SessionRecord {
  /** What the session is for; sessions of one key follow each other. */
  readonly key: string;
  /** Base address of the server, without credentials. */
  readonly url: string;
  readonly name: string;
  /** `intent`: the session may or may not exist. `created`: the server has told us its id. */
  readonly phase: 'intent' | 'created';
  readonly id: number | null;
  readonly appId: string | null;
  readonly owner: string | null;
  /** The shim's boot token, once it has answered. */
  readonly boot: string | null;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

export interface SessionStore {
  load(key: string): Promise<SessionRecord | undefined>;
  /** Durable when it returns. */
  save(record: SessionRecord): Promise<void>;
  remove(key: string): Promise<void>;
}

/** For callers that need no restart: records last as long as the process. */
export function memorySessionStore(): SessionStore {
  const records = new Map<string, SessionRecord>();
  return {
    load: async (key) => records.get(key),
    save: async (record) => {
      records.set(record.key, record);
    },
    remove: async (key) => {
      records.delete(key);
    },
  };
}

/** Records are of no use when the lease of their session must have run out. @units ms */
const STALE_MS = 7 * 24 * 3600 * 1000;

const fileName = (key: string): string =>
  // Keys are the caller's text; a digest is a safe file name whatever they hold.
  `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`;

/** Ends the name of a record that a process is taking over; the process stands before it. */
const CLAIM = '.claim';

/**
 * A key of this process for sessions that serve `purpose`, and with it the record of one whose
 * process has died, if there is one. Processes that live keep theirs: each would end the session of
 * the other. One of several that ask at the same time gets a record, by renaming its file to a name
 * of its own; what dies on the way leaves one file, which the next one takes over.
 */
export async function claimSessionKey(folder: string, purpose: string): Promise<string> {
  const token = processToken();
  const key = `${purpose} @${token}`;
  // Of processes that were killed while they wrote a record.
  await sweepLeftovers(folder, [WRITING]);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const claimant = name.endsWith(CLAIM) ? name.slice(0, -CLAIM.length) : undefined;
    if (claimant === undefined && !name.endsWith('.json')) continue;
    const record = await readRecord(join(folder, name));
    if (record === undefined) continue;
    if (Date.now() - Date.parse(record.createdAt) > STALE_MS) {
      await rm(join(folder, name), { force: true });
      continue;
    }
    const at = record.key.lastIndexOf(' @');
    const owner = claimant ?? record.key.slice(at + 2);
    if (record.key.slice(0, at) !== purpose || !isFromDeadProcess(owner)) continue;
    const claim = join(folder, `${token}${CLAIM}`);
    try {
      await rename(join(folder, name), claim);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    await replaceFile(claim, textOf({ ...record, key }), true);
    await rename(claim, join(folder, fileName(key)));
    break;
  }
  return key;
}

const textOf = (record: SessionRecord): string => `${JSON.stringify(record, null, 2)}\n`;

async function readRecord(path: string): Promise<SessionRecord | undefined> {
  let text: string;
  try {
    text = await readOwnFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const record = JSON.parse(text) as SessionRecord;
    return typeof record.name === 'string' && typeof record.key === 'string' ? record : undefined;
  } catch {
    // A damaged record can't name a session; its lease ends that.
    return undefined;
  }
}

/** One JSON file a record in `folder` (made with mode 0700), replaced atomically. */
export function folderSessionStore(folder: string): SessionStore {
  const fileOf = (key: string): string => join(folder, fileName(key));
  return {
    load: async (key) => {
      const record = await readRecord(fileOf(key));
      return record?.key === key ? record : undefined;
    },
    save: async (record) => {
      await makeFolder(folder, 0o700);
      await replaceFile(fileOf(record.key), textOf(record), true);
    },
    remove: (key) => rm(fileOf(key), { force: true }),
  };
}
