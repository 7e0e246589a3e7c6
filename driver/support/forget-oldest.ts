/**
 * Keeps a map to its limit by the order in which keys were put. An eighth goes at once: a map walks
 * over all keys deleted before the oldest one to find it, so that forgetting one at a time takes
 * time quadratic in the limit.
 */
export function forgetOldest<Key>(map: Map<Key, unknown>, limit: number): void {
  if (map.size <= limit) return;
  const kept = limit - (limit >> 3);
  for (const key of map.keys()) {
    if (map.size <= kept) return;
    map.delete(key);
  }
}
