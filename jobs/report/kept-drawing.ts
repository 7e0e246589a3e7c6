/**
 * Drawings kept in the durable store, so that a run whose results were all there need not load the drawing library, which takes
 * longer than everything else it does. Invariant: drawings are found by all they are drawn from; without a store, or when
 * anything is wrong with them, they are drawn.
 */
import { createHash } from 'node:crypto';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { env } from '../../driver/support/env.js';
import { storeLimits } from '../store-limits.js';

/** Raise it when the same specification is to look different: another version of Vega, other clean-up. */
const DRAWING_VERSION = 2;

/** One for all drawings of a page. */
const stores = new Map<string, Promise<DurableStore>>();
/** Drawings on their way to the store; nobody who draws waits for them. */
const keeping = new Set<Promise<unknown>>();

export interface DrawOptions {
  /** Draws without a look for what is kept: for a run that computed something, whose drawings will be new. */
  readonly isNew: boolean;
}

/** The drawings of `source` (plain data), from the store or by `draw`. @throws what `draw` throws */
export async function keptDrawings(
  source: unknown,
  draw: () => Promise<string[]>,
  { isNew }: DrawOptions,
): Promise<string[]> {
  const folder = env.store();
  if (folder === undefined) return draw();
  const key = keyOf(source);
  if (!isNew) {
    const store = await storeOf(folder);
    const found = await store.get(key);
    if (found?.value.kind === 'json' && isTexts(found.value.json)) return [...found.value.json];
  }
  const start = performance.now();
  const drawings = await draw();
  const seconds = (performance.now() - start) / 1000;
  const meta = { op: 'drawing', seconds, createdAt: new Date().toISOString() };
  const kept = storeOf(folder)
    .then((store) => store.put(key, { kind: 'json', json: drawings }, meta))
    .catch(() => false);
  keeping.add(kept);
  void kept.then(() => keeping.delete(kept));
  return drawings;
}

/** Resolves when what was drawn is kept, or can't be. */
export async function drawingsKept(): Promise<void> {
  await Promise.all(keeping);
}

function keyOf(source: unknown): string {
  const text = JSON.stringify([DRAWING_VERSION, source]);
  return createHash('sha256').update(`drawing\n${text}`).digest('hex');
}

function storeOf(folder: string): Promise<DurableStore> {
  let opened = stores.get(folder);
  if (opened === undefined) {
    opened = DurableStore.open(folder, storeLimits());
    stores.set(folder, opened);
  }
  return opened;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
