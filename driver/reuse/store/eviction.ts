/**
 * Which stored results go first: those past their age, then the cheapest to recompute for their
 * size, discounted by the time since they were last used. Source: LIMA's CostNSize (cost / size),
 * with age in place of the hit counts, which a folder shared by many processes does not keep.
 */
import { Budget, type BudgetItem, type VictimRule } from '../../support/budget.js';
import { type IndexEntry, isOnItsWay } from './index-record.js';

export interface Shortage {
  /** Bytes and entries to free; 0 or less for none. */
  readonly freeBytes: number;
  readonly freeEntries: number;
  readonly maxAgeSeconds: number;
}

const HOUR_MS = 3_600_000;

interface StoredEntry extends BudgetItem {
  readonly entry: IndexEntry;
  readonly worth: number;
}

const leastWorth: VictimRule<StoredEntry> = { score: ({ worth }) => worth, tieBreak: () => 0 };

/** The entries to drop, cheapest loss first; never what is on its way in. */
export function chooseVictims(entries: Iterable<IndexEntry>, shortage: Shortage): IndexEntry[] {
  const now = Date.now();
  const victims: IndexEntry[] = [];
  let { freeEntries } = shortage;
  const excess = new Budget(leastWorth, 0);
  excess.charge(shortage.freeBytes);
  const goes = (entry: IndexEntry): void => {
    victims.push(entry);
    excess.charge(-entry[1].bytes);
    freeEntries--;
  };
  for (const entry of entries) {
    if (isOnItsWay(entry[1])) continue;
    const { bytes, seconds, usedMs } = entry[1];
    const idleMs = Math.max(0, now - usedMs);
    const worth = seconds / bytes / (1 + idleMs / HOUR_MS);
    if (idleMs > shortage.maxAgeSeconds * 1000) goes(entry);
    else excess.add({ entry, worth, budget: undefined });
  }
  const isOver = (): boolean => excess.isOver() || freeEntries > 0;
  for (const { entry } of excess.victims(isOver)) goes(entry);
  return victims;
}
