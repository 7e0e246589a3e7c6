/**
 * Drawings kept in the durable store, so that a run whose results were all there need not load the drawing library, which takes
 * longer than everything else it does. Invariant: a drawing is found by all it is drawn from; without a store, or when
 * anything is wrong with it, it is drawn.
 */
import { createHash } from 'node:crypto';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { env } from '../../driver/support/env.js';
import { storeLimits } from '../store-limits.js';

/** Raise it when the same specification is to look different: another version of Vega, other clean-up. */
const DRAWING_VERSION = 1;

/** One for all drawings of a page. */
const stores = new Map<string, Promise<DurableStore>>();
/** Drawings on their way to the store; nobody who draws waits for them. */
const keeping = new Set<Promise<boolean>>();

/** The drawing of `source` (plain data), from the store or by `draw`. @throws what `draw` throws */
export async function keptDrawing(source: unknown, draw: () => Promise<string>): Promise<string> {
  const folder = env.store();
  if (folder === undefined) return draw();
  let opened = stores.get(folder);
  if (opened === undefined) {
    opened = DurableStore.open(folder, storeLimits());
    stores.set(folder, opened);
  }
  const store = await opened;
  const text = JSON.stringify([DRAWING_VERSION, source]);
  const key = createHash('sha256').update(`drawing\n${text}`).digest('hex');
  const found = await store.get(key);
  if (found?.value.kind === 'json' && typeof found.value.json === 'string') return found.value.json;
  const start = performance.now();
  const drawing = await draw();
  const seconds = (performance.now() - start) / 1000;
  const meta = { op: 'drawing', seconds, createdAt: new Date().toISOString() };
  const kept = store.put(key, { kind: 'json', json: drawing }, meta).catch(() => false);
  keeping.add(kept);
  void kept.then(() => keeping.delete(kept));
  return drawing;
}

/** Resolves when what was drawn is kept, or can't be. */
export async function drawingsKept(): Promise<void> {
  await Promise.all(keeping);
}
