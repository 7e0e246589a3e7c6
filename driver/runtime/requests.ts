/**
 * What a run is asked for in one turn of the event loop, and what of it needs no plan: values that
 * are in host memory already are answered and counted here, as a plan that only reads them would
 * count them. Invariant: a request that persists, brings data closer or may fail is planned.
 */
import { isHostData } from '../compiler/row-blocks.js';
import type { Expr } from '../ir/expr.js';
import type { CacheEntry, ReuseCache } from '../reuse/reuse-cache.js';
import type { ResultRole } from '../reuse/setting.js';
import type { Outcome } from './execution-context.js';
import type { Statistics } from './statistics.js';

export interface Request {
  readonly exprs: readonly Expr[];
  readonly persist: boolean;
  readonly role: ResultRole | undefined;
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Calls `answer` for each request with what is its own of the outcomes of all. */
export function answerEach(
  requests: readonly Request[],
  outcomes: readonly Outcome[],
  answer: (request: Request, own: Outcome[]) => void,
): void {
  let from = 0;
  for (const request of requests) {
    answer(request, outcomes.slice(from, from + request.exprs.length));
    from += request.exprs.length;
  }
}

/** Outcomes of nodes whose values are all kept on the host, counted; undefined where one is not. */
export function outcomesAtHand(
  exprs: readonly Expr[],
  cache: ReuseCache,
  statistics: Statistics,
): Outcome[] | undefined {
  const entries: CacheEntry[] = [];
  for (const { simplified } of exprs) {
    const entry = simplified && cache.probe(simplified);
    // Data that are read again count for where later plans run.
    if (entry?.value?.kind !== 'dense' || isHostData(simplified!, entry.value)) return undefined;
    entries.push(entry);
  }
  const counted = new Set<Expr>();
  return exprs.map(({ simplified }, i) => {
    const entry = entries[i]!;
    if (!counted.has(simplified!)) {
      counted.add(simplified!);
      cache.hit(entry);
      statistics.record(simplified!, entry.backend, entry.seconds, 'reused');
      statistics.hit(simplified!);
    }
    return { ok: true, value: entry.value! };
  });
}
