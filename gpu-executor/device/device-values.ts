/**
 * The values of a device that have names, and what may be wrong with them: a kernel that found no
 * value (a singular matrix) says so in memory, which is looked at once its event is complete.
 * Invariant: a value that was computed from one that failed fails for the same reason.
 */
import type { Segment } from '../../driver/backend/backend.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { Handle } from '../../driver/ir/value.js';
import type { DeviceEvent } from './driver.js';

/** Words that a kernel left, and what they say. */
export interface KernelCheck {
  readonly of: Expr;
  readonly words: Float64Array;
  readonly error: (words: Float64Array) => Error | undefined;
}

/** What is known of a value before it is there. */
export interface PendingValue {
  /** Complete when it is there, and the words of its checks with it. */
  readonly event: DeviceEvent;
  /** Of the kernels that it was computed by, the earliest first. */
  readonly checks: readonly KernelCheck[];
}

/** Why there is no value, of one whose event is complete. */
export function failureOfChecks(checks: readonly KernelCheck[]): Error | undefined {
  for (const { words, error } of checks) {
    const found = error(words);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Nodes of a segment that has ended without values, and why. @param own of its kernels */
export function segmentFailures(
  { inputs, nodes }: Segment,
  own: readonly KernelCheck[],
  pendingOf: (handle: Handle) => PendingValue | undefined,
): Map<Expr, Error> {
  const failures = new Map<Expr, Error>();
  for (const check of own) {
    const failure = failureOfChecks([check]);
    if (failure !== undefined) failures.set(check.of, failure);
  }
  for (const [input, value] of inputs) {
    const pending = value.kind === 'handle' ? pendingOf(value) : undefined;
    const failure = failureOfChecks(pending?.checks ?? []);
    if (failure !== undefined) failures.set(input, failure);
  }
  failReaders(nodes, failures);
  for (const input of inputs.keys()) failures.delete(input);
  return failures;
}

/** Nodes, inputs before consumers, fail with what they read. */
export function failReaders(nodes: readonly Expr[], failures: Map<Expr, Error>): void {
  for (const node of nodes) {
    const failed = node.inputs.find((input) => failures.has(input));
    if (failed !== undefined) failures.set(node, failures.get(failed)!);
  }
}
