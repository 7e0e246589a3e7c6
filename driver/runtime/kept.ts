/**
 * Nodes that the cache is to keep beside what the setting of `reuse` keeps of any plan: those that a
 * program persists, roots of a role that the setting keeps, and what the trial under way holds as a
 * program holds its variables.
 */
import { heldBytes } from '../backend/backend.js';
import { DATA_BYTES } from '../compiler/row-blocks.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import { isLeafValue } from '../ir/leaf-value.js';
import { keepsRole, type ResultRole, type ReusePolicy } from '../reuse/setting.js';
import type { SessionParts } from './session-parts.js';

export interface Kept {
  /** With their row blocks. */
  readonly persisted: ReadonlySet<Expr>;
  readonly byRole: ReadonlySet<Expr>;
  /** Until the trial ends. */
  readonly held: ReadonlySet<Expr>;
  /** Nowhere: left where they are made, for who asked. */
  readonly resident: ReadonlySet<Expr>;
}

/** Roots as they were asked for. */
export interface AskedRoots {
  readonly persisted: ReadonlySet<Expr>;
  readonly byRole: ReadonlySet<Expr>;
  /** Of any role. */
  readonly roles: ReadonlySet<Expr>;
  readonly resident: ReadonlySet<Expr>;
}

interface Asked {
  readonly exprs: readonly Expr[];
  readonly persist: boolean;
  readonly role: ResultRole | undefined;
}

const none: ReadonlySet<Expr> = new Set();
export const NOTHING_ASKED: AskedRoots = {
  persisted: none,
  byRole: none,
  roles: none,
  resident: none,
};

export function askedRoots(requests: readonly Asked[], policy: ReusePolicy): AskedRoots {
  const some = (which: (request: Asked) => boolean): Set<Expr> =>
    new Set(requests.filter(which).flatMap(({ exprs }) => exprs));
  return {
    persisted: some(({ persist }) => persist),
    byRole: some(({ role }) => keepsRole(policy, role)),
    roles: some(({ persist, role }) => persist || role !== undefined),
    resident: none,
  };
}

/**
 * What is kept of a plan.
 * @param roots planned for these, in their order
 * @param trial what the trial under way holds, to which its own roots come
 */
export function keptOf(
  { persisted, byRole, roles, resident }: AskedRoots,
  exprs: readonly Expr[],
  roots: readonly Expr[],
  trial: Set<Expr> | undefined,
): Kept {
  const rootsOf = (some: ReadonlySet<Expr>): Set<Expr> =>
    new Set(roots.filter((_, i) => some.has(exprs[i]!)));
  const kept = {
    persisted: rootsOf(persisted),
    byRole: rootsOf(byRole),
    resident: rootsOf(resident),
  };
  if (trial !== undefined) {
    for (const root of rootsOf(roles)) if (!kept.byRole.has(root)) trial.add(root);
  }
  return { ...kept, held: trial ?? none };
}

export function isKept({ persisted, byRole, held }: Kept, expr: Expr): boolean {
  return persisted.has(expr) || byRole.has(expr) || held.has(expr);
}

/** Data worth keeping for many requests: with their row blocks, or here where they fit. */
export function dataToKeep(
  exprs: readonly Expr[],
  { backends, local, planner }: Pick<SessionParts, 'backends' | 'local' | 'planner'>,
): readonly Expr[] {
  const isResident = [...backends.values()].some(
    ({ capabilities }) => capabilities.blocks === 'resident',
  );
  return exprs.filter(
    (expr) =>
      !isLeafValue(expr) &&
      denseBytes(expr) >= DATA_BYTES &&
      (isResident || heldBytes(local, expr) <= planner.materialiseBytes),
  );
}

/** Ends what a trial held, but for what the setting keeps of the backend that made it. */
export function discardHeld(
  exprs: Iterable<Expr>,
  { backends, cache, planner }: Pick<SessionParts, 'backends' | 'cache' | 'planner'>,
): void {
  for (const expr of exprs) {
    const backend = backends.get(cache.probe(expr)?.backend ?? '');
    if (backend === undefined || !planner.keepsIn(backend)) cache.discard(expr);
  }
}
