/**
 * Which stored results go first: those past their age, then the cheapest to recompute for their size, discounted by
 * the time since they were last used. Source: LIMA's CostNSize (cost / size), with age in place of the hit counts, which
 * a folder shared by many processes does not keep.
 */
import type { StoreEntry } from './durable-store.js';

export interface Shortage {
  /** Bytes and entries to free; 0 or less for none. */
  readonly freeBytes: number;
  readonly freeEntries: number;
  readonly maxAgeSeconds: number;
}

const HOUR_MS = 3_600_000;

/** The entries to drop, cheapest loss first. */
export function chooseVictims(entries: readonly StoreEntry[], shortage: Shortage): StoreEntry[] {
  const now = Date.now();
  const isOld = (entry: StoreEntry): boolean => now - entry.usedMs > shortage.maxAgeSeconds * 1000;
  const victims = entries.filter(isOld);
  let { freeBytes, freeEntries } = shortage;
  for (const victim of victims) {
    freeBytes -= victim.bytes;
    freeEntries--;
  }
  const worth = (entry: StoreEntry): number =>
    entry.header.seconds / entry.bytes / (1 + (now - entry.usedMs) / HOUR_MS);
  const rest = entries.filter((entry) => !isOld(entry)).sort((a, b) => worth(a) - worth(b));
  for (const entry of rest) {
    if (freeBytes <= 0 && freeEntries <= 0) break;
    victims.push(entry);
    freeBytes -= entry.bytes;
    freeEntries--;
  }
  return victims;
}
