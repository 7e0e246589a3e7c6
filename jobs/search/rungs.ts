/**
 * Rungs of a search one after the other, each in waves, and each wave kept when it is scored.
 * Invariant: what is tried follows from results that are kept, so a search that is taken up again goes
 * on as it would have.
 */
import type { Run } from '../../driver/index.js';
import { rungFacts } from './budgets.js';
import { type Search, type SearchOptions, strategyOf } from './prepare.js';
import { RungState, type RungsSoFar } from './rung-state.js';
import type { RungDone } from './strategies/strategy.js';

export interface RungsDone extends RungsSoFar {
  /** Trials in all. */
  readonly of: number;
  /** Why there are no more. */
  readonly partial?: string;
  readonly notes: readonly string[];
  /** Rungs whose trials may be the best; absent: the last. */
  readonly finals?: readonly number[];
}

/** Runs every wave that is not kept yet. @throws as `runSearch`, while no wave is done */
export async function runRungs(
  run: Run,
  search: Search,
  options: SearchOptions,
  metric: string,
): Promise<RungsDone> {
  const strategy = strategyOf(search, options);
  const of = strategy.outline.reduce((sum, { candidates }) => sum + candidates, 0);
  const state = new RungState(run, search, options, metric, of);
  const done: RungDone[] = [];
  let partial: string | undefined;
  for (;;) {
    const rung = partial === undefined ? strategy.next(done) : undefined;
    if (rung === undefined) break;
    const first = done.reduce((sum, { candidates }) => sum + candidates.length, 0);
    const trials = rung.candidates.map((candidate, i) => ({ number: first + i, candidate }));
    const facts = rungFacts(strategy, rung.budget);
    partial = await state.runRung(done.length, rung, trials, facts);
    if (partial === undefined) done.push({ ...rung, scores: trials.map(({ number }) => state.score(number)) }); // biome-ignore format: a step
  }
  const notes = partial === undefined ? (strategy.notes?.(done) ?? []) : [];
  const own = done.length > 0 ? strategy.finals?.(done) : undefined;
  // Of a rung that was begun, what is done may be the best as well.
  const finals = own && partial !== undefined ? [...own, done.length] : own;
  return {
    ...state.done(),
    of,
    ...(partial ? { partial } : {}),
    ...(finals ? { finals } : {}),
    notes,
  };
}
