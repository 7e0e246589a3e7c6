/**
 * What happens when a backend ends in the middle of a plan: it is opened again, the handles it had
 * made are forgotten, and only what has no value yet is planned and run again, since finished
 * values stay in the reuse cache. Invariant: a node takes down at most `MAX_LOSSES` backends; after
 * that it is refused, and the last tries run alone, so that no other node is blamed for it. (Poison
 * messages, as message queues call them, are treated the same way.)
 */

import type { Backend } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import { BackendLostError, ExecutionError } from '../errors.js';
import type { Expr } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Outcome } from './execution-context.js';

/** Backends one node may take down. */
export const MAX_LOSSES = 3;

/** Plans and runs these nodes once; one outcome each. */
type Execute = (exprs: readonly Expr[]) => Promise<Outcome[]>;

export class Recovery {
  readonly #cache: ReuseCache;
  readonly #backends: ReadonlyMap<string, Backend>;
  readonly #places: Places;
  readonly #losses = new WeakMap<Expr, number>();
  readonly #refused = new WeakMap<Expr, Error>();

  constructor(cache: ReuseCache, backends: ReadonlyMap<string, Backend>, places: Places) {
    this.#cache = cache;
    this.#backends = backends;
    this.#places = places;
  }

  /** The outcomes of `exprs`; what a lost backend left unfinished runs again on its successor. */
  async settle(exprs: readonly Expr[], execute: Execute): Promise<Outcome[]> {
    const outcomes = await this.#executeAllowed(exprs, execute);
    for (;;) {
      const open = outcomes.flatMap((outcome, i) => (this.#isUnfinished(outcome) ? [i] : []));
      this.#count(open.map((i) => exprs[i]!));
      const again = open.filter((i) => this.#mayRunAgain(exprs[i]!, outcomes, i));
      if (again.length === 0 || !(await this.#reopen(again, outcomes))) return outcomes;
      const isLastTry = again.some((i) => (this.#losses.get(exprs[i]!) ?? 0) === MAX_LOSSES - 1);
      const groups = isLastTry ? again.map((i) => [i]) : [again];
      for (const [at, group] of groups.entries()) {
        // The next one would fail on the same loss and be blamed for it.
        if (at > 0) await this.#reopen(groups[at - 1]!, outcomes);
        const results = await execute(group.map((i) => exprs[i]!));
        group.forEach((i, n) => {
          outcomes[i] = results[n]!;
        });
      }
    }
  }

  /** The first run: all but what has been refused before. */
  async #executeAllowed(exprs: readonly Expr[], execute: Execute): Promise<Outcome[]> {
    const allowed = exprs.filter((expr) => !this.#refused.has(expr));
    const results = allowed.length > 0 ? await execute(allowed) : [];
    let next = 0;
    return exprs.map((expr) => {
      const error = this.#refused.get(expr);
      return error === undefined ? results[next++]! : { ok: false, error };
    });
  }

  /** Lost while it ran, or kept in a backend that has ended since. */
  #isUnfinished(outcome: Outcome): boolean {
    return outcome.ok
      ? this.#places.isGone(outcome.value)
      : outcome.error instanceof BackendLostError;
  }

  /** A loss is one for a node, however many asked for it at once. */
  #count(exprs: readonly Expr[]): void {
    for (const expr of new Set(exprs)) this.#losses.set(expr, (this.#losses.get(expr) ?? 0) + 1);
  }

  #mayRunAgain(expr: Expr, outcomes: Outcome[], i: number): boolean {
    const outcome = outcomes[i]!;
    const losses = this.#losses.get(expr) ?? 0;
    if (losses < MAX_LOSSES) return true;
    const last = outcome.ok ? undefined : (outcome.error as BackendLostError);
    const error = new ExecutionError(
      `${expr.op.name}: expected a backend that lives as long as its value is needed, got ${losses} that ended under it; it is not tried again. The last one: ${last?.message ?? 'it held the value'}`,
      { ...last?.facts, op: expr.op.name, attempts: losses },
      last ? { cause: last } : undefined,
    );
    this.#refused.set(expr, error);
    outcomes[i] = { ok: false, error };
    return false;
  }

  /** Opens what these outcomes lost and forgets what it held. False when that can't be done. */
  async #reopen(indices: readonly number[], outcomes: Outcome[]): Promise<boolean> {
    const names = new Set<string>();
    for (const i of indices) {
      const outcome = outcomes[i]!;
      if (!outcome.ok && outcome.error instanceof BackendLostError) {
        names.add(String(outcome.error.facts.backend));
      }
    }
    for (const name of names) {
      const backend = this.#backends.get(name);
      if (backend?.recover === undefined) return false;
      try {
        await backend.recover();
      } catch (error) {
        for (const i of indices) if (!outcomes[i]!.ok) outcomes[i] = failed(error);
        return false;
      }
    }
    this.#cache.forget((value) => this.#places.isGone(value));
    return true;
  }
}

/**
 * Outcomes with their values on the host; a value that can't be fetched is a failure.
 * @param isLeft by place: it is not fetched
 */
export async function collectOutcomes(
  outcomes: readonly Outcome[],
  collect: (value: Value) => Promise<Value>,
  isLeft: (i: number) => boolean = () => false,
): Promise<Outcome[]> {
  return Promise.all(
    outcomes.map(async (outcome, i): Promise<Outcome> => {
      if (!outcome.ok || outcome.value.kind === 'dense' || isLeft(i)) return outcome;
      return collect(outcome.value).then((value) => ({ ok: true, value }), failed);
    }),
  );
}

function failed(error: unknown): Outcome {
  return { ok: false, error: error instanceof Error ? error : new ExecutionError(String(error)) };
}

/** @throws the first failure */
export function valuesOf(outcomes: readonly Outcome[]): Value[] {
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  });
}
