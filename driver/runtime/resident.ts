/**
 * Values that a caller has left on a device from one plan to the next: the state of a loop. They are
 * the caller's, not the cache's, and nobody else can make them again.
 */
import type { Places } from '../backend/places.js';
import { BackendLostError } from '../errors.js';
import { shapeText } from '../ir/expr.js';
import type { Value } from '../ir/value.js';
import type { Outcome } from './execution-context.js';
import type { Given } from './planner.js';
import { valuesOf } from './recovery.js';

/** @throws BackendLostError for a value that went with its device: who gave it makes it again */
export function checkGiven(given: Given | undefined, places: Pick<Places, 'isGone'>): void {
  for (const [slot, value] of given ?? []) {
    if (value.kind !== 'handle' || !places.isGone(value)) continue;
    const { backend } = value;
    throw new BackendLostError(
      `${backend}: expected the ${shapeText(slot)} value that was left there, got a device that was lost since; evaluate it again`,
      { backend },
    );
  }
}

/** The caller's from now on. @throws the first failure; then none of them is left */
export function residentValues(
  outcomes: readonly Outcome[],
  given: Given,
  places: Pick<Places, 'release'>,
): Value[] {
  if (!outcomes.every(({ ok }) => ok)) {
    const kept = new Set(given.values());
    for (const outcome of outcomes) {
      if (!outcome.ok || outcome.value.kind !== 'handle' || kept.has(outcome.value)) continue;
      places.release(outcome.value);
    }
  }
  return valuesOf(outcomes);
}
