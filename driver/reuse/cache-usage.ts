/** What the reuse cache holds and moved between tiers, for people. Walks over the entries. */
import type { TierUsage } from '../backend/cache-tier.js';
import type { ReuseCache } from './reuse-cache.js';

export interface TierState extends TierUsage {
  /** `memory`, `disk`, or the name of the backend that keeps the values. */
  readonly tier: string;
}

export interface CacheUsage {
  readonly policy: string;
  readonly tiers: readonly TierState[];
  /** Values that left for good, that went to disk, and that came back from there. */
  readonly evicted: number;
  readonly spilled: number;
  readonly restored: number;
}

export function cacheUsage(cache: ReuseCache): CacheUsage {
  const held = { memory: 0, disk: 0 };
  for (const { state, value } of cache.entries()) {
    if (state === 'spilled') held.disk++;
    else if (value?.kind === 'dense') held.memory++;
  }
  const tiers: TierState[] = [
    { tier: 'memory', entries: held.memory, bytes: cache.bytes, budgetBytes: cache.budgetBytes },
  ];
  if (cache.spill !== undefined) {
    const { bytes, limitBytes: budgetBytes } = cache.spill.budget;
    tiers.push({ tier: 'disk', entries: held.disk, bytes, budgetBytes });
  }
  for (const tier of cache.tiers) tiers.push({ tier: tier.name, ...tier.usage() });
  const { evicted, spilled, restored } = cache;
  return { policy: cache.policy.name, tiers, evicted, spilled, restored };
}
