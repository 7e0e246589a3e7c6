/**
 * `batch`: an algorithm written for one model, run for many. Invariant: each model's result is what
 * the function gives for that model alone, up to rounding, and is known by that model's arguments
 * only, so that models that are there are not trained again.
 */

import { register } from '../functions/function-cache.js';
import type { AttrValue } from '../ir/attrs.js';
import type { Evaluator, ReusableFunction } from '../ir/evaluator.js';
import { argumentValues, type BatchArgument, checkArguments } from './arguments.js';
import { dryRun, planText } from './dry-run.js';
import { Gathering } from './gathering.js';
import type { Matrices, Program, StackOptions } from './stack-run.js';
import { Trainer } from './trainer.js';

/** @param params those of the batch: what the function reads of them it must not read elsewhere */
export type BatchFunction<R extends Matrices> = (args: Matrices, params?: AttrValue) => Promise<R>;

export interface BatchOptions extends StackOptions {
  /** Unique in the program; part of what a model is known by. */
  readonly name: string;
  /** Change it whenever the function computes something else. */
  readonly version: string;
  /** Plain data the function is given besides its arguments; part of what a model is known by. */
  readonly params?: AttrValue;
  /** Models in the durable store are trained all the same, together. Default false. */
  readonly isFresh?: boolean;
  /**
   * Further arguments that a model is not known by, since they change what it takes to find its
   * result, not the result. A model that the stack loses is trained without them. Shared ones are
   * kept one after the other, each made of those before.
   */
  readonly hints?: Readonly<Record<string, BatchArgument>>;
  /** For a stack: more models are trained in several. @units bytes, default one data matrix's */
  readonly maxBytes?: number;
}

/**
 * Runs `fn`, which is written for one model, for `models` models at once. Models this session or the
 * durable store has already, by name, version, `params` and their own arguments, are not trained.
 * @param fn takes the arguments of one model under their names, depends on them and on `params`
 *   only, and gives matrices; it may be called several times
 * @returns what `fn` gives, model by model
 * @throws PlanError or ShapeError for arguments that are not of so many models, PlanError where `fn`
 *   asks for values, and what `fn` throws for any model
 * @example
 *   const models = await batch(session, 3, { X: { shared: X }, y: { shared: y },
 *     penalty: { columns: penalties, cols: 1 } }, async ({ X, y, penalty }) => {
 *       const w = X.tsmm().addDiag(penalty).solve(X.t().matmul(y), { assume: 'spd' });
 *       return { w };
 *     }, { name: 'ridge', version: '1' });
 */
export async function batch<R extends Matrices>(
  session: Evaluator,
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
  fn: BatchFunction<R>,
  options: BatchOptions,
): Promise<R[]> {
  const results = await batchSettled(session, models, args, fn, options);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** As `batch`, but a model that fails (a singular system) fails alone. */
export async function batchSettled<R extends Matrices>(
  session: Evaluator,
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
  fn: BatchFunction<R>,
  { name, version, params = null, hints = {}, maxBytes, isFresh = false, ...rest }: BatchOptions,
): Promise<PromiseSettledResult<R>[]> {
  checkArguments(models, { ...args, ...hints });
  // Values that are dropped are computed again by the last definition of the name, which may be
  // another batch's: so what differs between batches is an argument.
  register({ name, version, run: fn as ReusableFunction['run'] });
  const own: Program<R> = (given) => fn(given, params);
  const values = await argumentValues(session, args);
  const alone = (k: number): Matrices =>
    Object.fromEntries(Object.entries(values).map(([key, of]) => [key, of.alone(k)]));
  const all = { ...values, ...(await argumentValues(session, hints)) };
  const later = Object.values(hints).flatMap((hint) =>
    'shared' in hint ? [hint.shared.expr] : [],
  );
  const trainer = new Trainer(session, all, own, alone, maxBytes, later, {
    isFresh,
    ...rest,
  });
  const calls = Array.from({ length: models }, (_, k) => [alone(k), params]);
  return callTogether(session, { name, version, isFresh }, calls, (some) => trainer.train(some));
}

/**
 * Calls of one function, a model each; those that are not there, in the session or in the durable
 * store, are trained together.
 * @param calls the arguments that each model is known by
 * @param train results of these models, by number
 */
export function callTogether<R>(
  session: Evaluator,
  { name, version, isFresh = false }: Pick<BatchOptions, 'name' | 'version' | 'isFresh'>,
  calls: readonly (readonly unknown[])[],
  train: (models: readonly number[]) => Promise<readonly (R | Promise<R>)[]>,
): Promise<PromiseSettledResult<R>[]> {
  const gathering = new Gathering(calls.length, train);
  const one = async (args: readonly unknown[], k: number): Promise<R> => {
    try {
      if (session.call === undefined) return await gathering.join(k);
      const together = (): number => gathering.together(k);
      const definition = { name, version, run: () => gathering.join(k), together, isFresh };
      return (await session.call(definition, args)) as R;
    } finally {
      gathering.settled(k);
    }
  };
  return Promise.allSettled(calls.map(one));
}

/**
 * The plans of a batch as text: what runs before, in each iteration of and after its loops, and what
 * has to be made model by model, for want of a rule. Nothing runs but small arguments.
 */
export async function explainBatch<R extends Matrices>(
  session: Evaluator,
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
  fn: BatchFunction<R>,
  params: AttrValue = null,
): Promise<string> {
  checkArguments(models, args);
  return planText(
    session,
    models,
    await dryRun(await argumentValues(session, args), (given) => fn(given, params)),
  );
}
