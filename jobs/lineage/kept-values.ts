/**
 * What the durable store still holds of a run's steps, to compare values computed again with.
 * Invariants: nothing is made or stored here, a store that is gone holds nothing, and the store is
 * the configured one: a run folder may be somebody else's, and the folder it names is not opened.
 */
import { stat } from 'node:fs/promises';
import { type DenseMatrix, DurableStore, type Expr, lineageKey } from '../../driver/index.js';
import { relativeDistance, type StoredComparison } from './stored-answer.js';

/** Stored values by the same names; only those that are there. */
export async function keptValues(
  store: string | undefined,
  wanted: ReadonlyMap<string, Expr>,
): Promise<Map<string, DenseMatrix>> {
  const kept = new Map<string, DenseMatrix>();
  if (store === undefined || (await stat(store).catch(() => undefined)) === undefined) return kept;
  const open = await DurableStore.open(store);
  await open.refresh();
  for (const [name, expr] of wanted) {
    if (!expr.isDeterministic || !open.has(lineageKey(expr))) continue;
    const value = (await open.get(lineageKey(expr)))?.value;
    if (value?.kind !== 'dense') continue;
    if (value.rows === expr.rows && value.cols === expr.cols) kept.set(name, value);
  }
  return kept;
}

/** Differences relative to the largest cell: where sums cancel, cells have no more digits. */
export function compareKept(
  kept: ReadonlyMap<string, DenseMatrix>,
  values: ReadonlyMap<string, DenseMatrix>,
  tolerance: number,
): StoredComparison[] {
  return [...kept].flatMap(([name, { cols, data }]) => {
    const now = values.get(name);
    if (now === undefined) return [];
    let scale = 1;
    for (const cell of data) scale = Math.max(scale, Math.abs(cell));
    let difference = 0;
    let at = 0;
    data.forEach((cell, i) => {
      const distance = relativeDistance(cell / scale, now.data[i]! / scale);
      if (!(distance > difference)) return;
      difference = distance;
      at = i;
    });
    const where = `row ${Math.floor(at / cols)}, column ${at % cols}`;
    const agrees = difference <= tolerance;
    return [{ what: `${name} in the store`, count: data.length, difference, where, agrees }];
  });
}
