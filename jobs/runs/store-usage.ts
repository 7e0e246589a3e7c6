/** What is told of the store by who used it. */
import { dirname } from 'node:path';
import type { DurableStore } from '../../driver/reuse/store/durable-store.js';
import type { StoreUsage } from './record.js';

/** What the store holds, and what of it this session was answered by. */
export function storeUsage(store: DurableStore): StoreUsage {
  const { entries, bytes } = store.usage();
  const answered = [...store.answered].sort(([, a], [, b]) => b - a);
  return {
    folder: dirname(store.folder),
    results: entries,
    bytes,
    answered: answered.reduce((sum, [, count]) => sum + count, 0),
    from: answered.flatMap(([origin]) => (origin === '' ? [] : [origin])),
  };
}
