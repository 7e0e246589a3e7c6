/**
 * Which stored results go first: those past their age, then the cheapest to recompute for their
 * size, discounted by the time since they were last used. Source: LIMA's CostNSize (cost / size),
 * with age in place of the hit counts, which a folder shared by many processes does not keep.
 */
import { type Indexed, isOnItsWay } from './index-record.js';

export interface Shortage {
  /** Bytes and entries to free; 0 or less for none. */
  readonly freeBytes: number;
  readonly freeEntries: number;
  readonly maxAgeSeconds: number;
}

const HOUR_MS = 3_600_000;

/** The entries to drop, cheapest loss first; never what is on its way in. */
export function chooseVictims(entries: Iterable<Indexed>, shortage: Shortage): Indexed[] {
  const now = Date.now();
  const victims: Indexed[] = [];
  const rest: { readonly entry: Indexed; readonly worth: number }[] = [];
  const isAgeOnly = shortage.freeBytes <= 0 && shortage.freeEntries <= 0;
  let { freeBytes, freeEntries } = shortage;
  for (const entry of entries) {
    if (isOnItsWay(entry[1])) continue;
    const { bytes, seconds, usedMs } = entry[1];
    const idleMs = Math.max(0, now - usedMs);
    if (idleMs > shortage.maxAgeSeconds * 1000) {
      victims.push(entry);
      freeBytes -= bytes;
      freeEntries--;
    } else if (!isAgeOnly) rest.push({ entry, worth: seconds / bytes / (1 + idleMs / HOUR_MS) });
  }
  if (freeBytes <= 0 && freeEntries <= 0) return victims;
  rest.sort((a, b) => a.worth - b.worth);
  for (const { entry } of rest) {
    if (freeBytes <= 0 && freeEntries <= 0) break;
    victims.push(entry);
    freeBytes -= entry[1].bytes;
    freeEntries--;
  }
  return victims;
}
