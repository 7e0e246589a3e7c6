/**
 * Whether results can be kept for later runs, and if not, why: what a run says in one warning.
 * Tries by writing a file that is removed at once, since a quota or a read-only disk shows nowhere
 * else.
 */
import { open, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { processToken } from '../../driver/support/process-token.js';
import { storeSetting } from '../config/current.js';
import { storePlace } from '../store-place.js';
import type { Finding } from './finding.js';

/** Larger than what a full disk may still have left in pages that are open. @units bytes */
const TRIAL_BYTES = 65_536;

export async function storeCheck(): Promise<Finding> {
  const place = storePlace(process.cwd(), storeSetting());
  if (place === null) {
    const found = 'off: results last as long as their process, as settings say';
    return { name: 'store', status: 'ok', found, remedy: null };
  }
  const folder = resolve(place.folder);
  try {
    const near = await nearestFolder(join(folder, 'v1'));
    await checkOwner(near);
    await writeTrial(join(near, `.reprise-trial-${processToken()}`));
    return { name: 'store', status: 'ok', found: folder, remedy: null };
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    return {
      name: 'store',
      status: 'degraded',
      found: `${folder}: results are not kept: ${code === '' ? message : code}`,
      remedy: isFull
        ? 'free space there, by `reprise cache clear` say, or set REPRISE_STORE to another disk'
        : 'set REPRISE_STORE to a folder of your own that can be written',
    };
  }
}

/** The folder itself, or its nearest existing parent. @throws ENOTDIR for a file in its place */
async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return nearestFolder(dirname(path));
  if (found.isDirectory()) return path;
  throw Object.assign(new Error(`${path} is a file`), { code: 'ENOTDIR' });
}

/** @throws Error when the store's folder is another user's */
async function checkOwner(place: string): Promise<void> {
  const own = process.getuid?.();
  const { uid } = await stat(place);
  if (own === undefined || uid === own || uid === 0) return;
  throw new Error(`the folder belongs to another user (${uid})`);
}

async function writeTrial(path: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.write(Buffer.alloc(TRIAL_BYTES));
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}
