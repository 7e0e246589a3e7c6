/**
 * What a process knows of a folder whose index is missing and can't be made: read-only, say, or on
 * a full disk. Invariant: in memory only; listing what is there costs no read of a file until
 * somebody wants to see it.
 */
import { recordOf } from './index-record.js';
import { listKeys, readRecord, type StoreParts } from './maintenance.js';
import { Slots } from './slots.js';

const OPEN_FILES = 8;

/** Takes the names of the files for an index. @throws the file system's error */
export async function adoptFiles(parts: StoreParts): Promise<void> {
  const header = { kind: 'dense', rows: 0, cols: 0, op: '', seconds: 0, createdAt: '' } as const;
  for (const key of await listKeys(parts)) {
    parts.index.adopt(key, recordOf({ key, ...header }, 0, Date.now()));
  }
}

/** Reads what the adopted files hold, those read before excepted. Never throws. */
export async function describeFiles(parts: StoreParts): Promise<void> {
  const { index } = parts;
  const unknown = [...index.records].filter(([, { bytes }]) => bytes === 0);
  const slots = new Slots(OPEN_FILES);
  const describe = async (key: string): Promise<void> => {
    const record = await readRecord(parts, key).catch(() => undefined);
    if (record === undefined) index.forget(key);
    else index.adopt(key, record);
  };
  await Promise.all(unknown.map(([key]) => slots.run(() => describe(key))));
}
