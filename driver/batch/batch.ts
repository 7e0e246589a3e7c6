/**
 * `batch`: an algorithm written for one model, run for many. Invariant: each model's result is what
 * the function gives for that model alone, up to rounding, and is known by that model's arguments
 * only, so that models that are there are not trained again.
 */

import { register } from '../functions/function-cache.js';
import type { AttrValue } from '../ir/attrs.js';
import type { Evaluator, ReusableFunction } from '../ir/evaluator.js';
import { argumentValues, type BatchArgument, checkArguments } from './arguments.js';
import { Gathering } from './gathering.js';
import { type Matrices, StackRun } from './stack-run.js';

export type BatchFunction<R extends Matrices> = (args: Matrices) => Promise<R>;

export interface BatchOptions {
  /** Unique in the program; part of what a model is known by. */
  readonly name: string;
  /** Change it whenever the function computes something else. */
  readonly version: string;
  /** Plain data the function depends on besides its arguments; part of what a model is known by. */
  readonly params?: AttrValue;
  /** Memory for a stack: more models are trained in several. @units bytes */
  readonly maxBytes?: number;
}

/**
 * Runs `fn`, which is written for one model, for `models` models at once.
 * @param fn takes the arguments of one model under their names; depends on them and on `params` only
 * @returns what `fn` gives, model by model
 * @throws PlanError or ShapeError for arguments that are not of so many models, and what `fn` throws
 */
export async function batch<R extends Matrices>(
  session: Evaluator,
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
  fn: BatchFunction<R>,
  { name, version, params = null }: BatchOptions,
): Promise<R[]> {
  checkArguments(models, args);
  register({ name, version, run: ((own: Matrices) => fn(own)) as ReusableFunction['run'] });
  const values = await argumentValues(session, args);
  const all = Array.from({ length: models }, (_, k) => k);
  const train = (some: readonly number[]): Promise<R[]> => {
    const own = Object.entries(values).map(([key, { like, values: of }]) => {
      const chosen = { of: (places: readonly number[]) => of.of(places.map((k) => some[k]!)) };
      return [key, { like, values: chosen }] as const;
    });
    return new StackRun(session, some.length).run(Object.fromEntries(own), fn);
  };
  const { call } = session;
  if (call === undefined) return train(all);
  const stacks = new Gathering(models, train);
  return Promise.all(
    all.map(async (k) => {
      const own = Object.entries(values).map(([key, { alone }]) => [key, alone(k)] as const);
      const definition: ReusableFunction = { name, version, run: () => stacks.join(k) };
      try {
        return (await call.call(session, definition, [Object.fromEntries(own), params])) as R;
      } finally {
        stacks.settled(k);
      }
    }),
  );
}
