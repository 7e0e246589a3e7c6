/** Whether a value that leaves a backend is worth keeping on the host. */

import type { Backend } from '../backend/backend.js';
import type { CacheEntry } from '../backend/cache-entry.js';
import { denseBytes } from '../ir/expr.js';
import type { Handle } from '../ir/value.js';
import type { CostModel } from './cost-model.js';

/**
 * Readers expected from those it had, each saved what computing it takes less what sending it back
 * takes, against bringing it.
 * @param isHere a copy is on the host already
 */
export function movePays(
  entry: CacheEntry,
  handle: Handle,
  backend: Backend,
  costs: CostModel,
  isHere: boolean,
): boolean {
  if (backend.collect === undefined) return false;
  const bytes = denseBytes(handle);
  const bring = isHere ? 0 : costs.start(backend).seconds + costs.download(backend, bytes).seconds;
  const saved = entry.seconds - costs.upload(backend, bytes).seconds;
  return (entry.hits + entry.misses) * saved > bring;
}
