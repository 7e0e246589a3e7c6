/**
 * `reusable`: a whole algorithm as one step that is never computed twice for the same arguments, in
 * this process or another. Invariant: a call gives what the function would give; the function must
 * depend on its arguments only, which no program can check for it. Source: function-level reuse of
 * LIMA (SIGMOD 2021) and MEMPHIS (EDBT 2025).
 */
import { PlanError } from '../errors.js';
import type { Evaluator, ReusableFunction } from '../ir/evaluator.js';
import { takeApart } from './call-values.js';
import { register } from './function-cache.js';

/** A function made reusable. */
export interface Reusable<Args extends readonly unknown[], Result> {
  /** The result for these arguments, in the session or run of the first matrix among them. */
  (...args: Args): Promise<Result>;
  /** The same in a session or run that is said, as calls without matrices need. */
  in(session: Evaluator, ...args: Args): Promise<Result>;
  readonly functionName: string;
  readonly version: string;
}

/**
 * Makes calls of `fn` reusable: equal arguments (matrices by lineage, scalars by lineage, the rest
 * by content) call it once. Its outputs are evaluated before the call resolves, and kept all or not
 * at all; what they cost is the time of the call. With a durable store, other processes reuse calls
 * that took 20 ms or more. Calls that throw, and calls with outputs that are not the same each
 * time, are not kept.
 * @param name unique in the program, part of the lineage of what it computes
 * @param version change it whenever `fn` computes something else; older results then miss
 * @param fn depends on its arguments only; takes and gives matrices, scalars and plain data, nested
 *   as you like
 * @throws PlanError for an empty name or version
 * @example
 *   const solve = reusable('ridge', '1', (x: Matrix, y: Matrix, lambda: number) =>
 *     x.tsmm().addDiag(lambda).solve(x.t().matmul(y), { assume: 'spd' }));
 *   const w = await solve(x, y, 0.1); // computed
 *   const again = await solve(x, y, 0.1); // the same matrix; nothing runs
 */
export function reusable<Args extends readonly unknown[], Result>(
  name: string,
  version: string,
  fn: (...args: Args) => Result | Promise<Result>,
): Reusable<Args, Result> {
  if (name === '' || version === '') {
    const got = name === '' ? 'an empty name' : 'an empty version';
    throw new PlanError(`reusable: expected a name and a version, got ${got}`, { op: 'reusable' });
  }
  const definition: ReusableFunction = { name, version, run: fn as ReusableFunction['run'] };
  register(definition);
  const callIn = async (session: Evaluator, ...args: Args): Promise<Result> => {
    if (session.call === undefined) return fn(...args);
    return (await session.call(definition, args)) as Result;
  };
  const call = async (...args: Args): Promise<Result> => {
    const [first] = takeApart(args, `${name}: arguments`).parts;
    if (first === undefined) {
      throw new PlanError(
        `${name}: expected a matrix or scalar among the arguments, got none; say the session: \`.in(session, ..)\``,
        { op: 'reusable' },
      );
    }
    return callIn(first.session, ...args);
  };
  return Object.assign(call, { in: callIn, functionName: name, version });
}
