/** What the reuse cache holds, tier by tier, and what moved between tiers: for people. Costs a walk over the entries. */
import type { ReuseCache } from './reuse-cache.js';

export interface TierState {
  /** `memory`, `disk`, or the name of the backend that keeps the values. */
  readonly tier: string;
  /** Values, each counted once whatever the number of its keys. */
  readonly entries: number;
  /** Held now, as far as the tier knows. @units bytes */
  readonly bytes: number;
  /** What may be held; null where the backend sets no limit. @units bytes */
  readonly budgetBytes: number | null;
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
  const remote = new Map<string, { entries: number; bytes: number }>();
  for (const { state, value } of cache.entries()) {
    if (state === 'spilled') held.disk++;
    else if (value?.kind === 'handle') {
      const known = remote.get(value.backend) ?? { entries: 0, bytes: 0 };
      const { entries, bytes } = known;
      remote.set(value.backend, { entries: entries + 1, bytes: bytes + value.bytes });
    } else if (value !== undefined) held.memory++;
  }
  const tiers: TierState[] = [
    { tier: 'memory', entries: held.memory, bytes: cache.bytes, budgetBytes: cache.budgetBytes },
  ];
  if (cache.spill !== undefined) {
    const { bytes, limitBytes: budgetBytes } = cache.spill.budget;
    tiers.push({ tier: 'disk', entries: held.disk, bytes, budgetBytes });
  }
  for (const tier of cache.tiers) {
    const { name } = tier;
    const own = tier.usage?.();
    if (own !== undefined) tiers.push({ tier: name, ...own });
    else if (remote.has(name)) tiers.push({ tier: name, ...remote.get(name)!, budgetBytes: null });
  }
  const { evicted, spilled, restored } = cache;
  return { policy: cache.policy.name, tiers, evicted, spilled, restored };
}
