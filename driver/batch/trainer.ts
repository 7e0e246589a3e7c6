/**
 * Trains models in stacks that fit in memory, one stack after the other, on each of several devices
 * its own. A model that the stack loses, and every model of a stack that a singular system ends, is
 * trained alone, which gives its result or its own error.
 */
import { SingularError } from '../errors.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import { Matrix } from '../matrix/matrix.js';
import type { ArgumentValues } from './arguments.js';
import { dryRun, stacksOn } from './dry-run.js';
import type { ModelValues } from './model-values.js';
import {
  type Matrices,
  type Program,
  type StackArguments,
  type StackOptions,
  StackRun,
} from './stack-run.js';

export class Trainer<R extends Matrices> {
  readonly #session: Evaluator;
  readonly #values: Readonly<Record<string, ArgumentValues>>;
  readonly #program: Program<R>;
  readonly #alone: (model: number) => Matrices;
  readonly #maxBytes: number | undefined;
  /** What all models share that is kept after the rest, one by one: made of what is kept by then. */
  readonly #later: readonly Expr[];
  readonly #options: StackOptions;

  constructor(
    session: Evaluator,
    values: Readonly<Record<string, ArgumentValues>>,
    program: Program<R>,
    alone: (model: number) => Matrices,
    maxBytes?: number,
    later: readonly Expr[] = [],
    options: StackOptions = {},
  ) {
    this.#options = options;
    this.#session = session;
    this.#values = values;
    this.#program = program;
    this.#alone = alone;
    this.#maxBytes = maxBytes;
    this.#later = later;
  }

  /** Results of these models, in their order; those of failed ones reject. */
  async train(models: readonly number[]): Promise<readonly (R | Promise<R>)[]> {
    const run = await dryRun(this.#values, this.#program);
    const shared = [...run.shared.values()];
    await this.#session.keep?.(shared.filter((expr) => !this.#later.includes(expr)));
    for (const expr of this.#later) await this.#session.keep?.([expr]);
    const { lanes, stacks } = stacksOn(this.#session, models.length, run, this.#maxBytes);
    const results: (readonly (R | Promise<R>)[])[] = [];
    const train = async (lane: Evaluator, first: number, step: number): Promise<void> => {
      for (let at = first; at < stacks; at += step) {
        const from = Math.round((at * models.length) / stacks);
        const to = Math.round(((at + 1) * models.length) / stacks);
        results[at] = await this.#stack(lane, models.slice(from, to));
      }
    };
    if (lanes.length === 0) await train(this.#session, 0, 1);
    else await allEnded(lanes.map((lane, k) => train(lane, k, lanes.length)));
    return results.flat();
  }

  async #stack(
    session: Evaluator,
    models: readonly number[],
  ): Promise<readonly (R | Promise<R>)[]> {
    let results: readonly (R | undefined)[] = models.map(() => undefined);
    try {
      results = await new StackRun(session, models.length, this.#options).run(
        this.#argumentsOf(models),
        this.#program,
      );
    } catch (error) {
      if (!(error instanceof SingularError)) throw error;
    }
    return models.map((model, i) => {
      const result = results[i];
      return result === undefined ? this.#trainAlone(model) : this.#brought(result);
    });
  }

  /** From a lane: later work on it may run anywhere. */
  #brought(result: R): R {
    const matrices = Object.entries(result).map(
      ([name, { expr }]) => [name, Matrix.of(this.#session, expr)] as const,
    );
    return Object.fromEntries(matrices) as R;
  }

  #trainAlone(model: number): Promise<R> {
    const result = this.#program(this.#alone(model));
    // Whoever asked for it hears of a failure, in a later turn.
    result.catch(() => undefined);
    return result;
  }

  /** Values of these models, which are numbered from 0 in their stack. */
  #argumentsOf(models: readonly number[]): StackArguments {
    const entries = Object.entries(this.#values).map(([name, { like, values }]) => {
      const at = (places: readonly number[]) => places.map((place) => models[place]!);
      const own: ModelValues = {
        of: (places) => values.of(at(places)),
        alike: (places) => values.alike?.(at(places)),
      };
      return [name, { like, values: own }] as const;
    });
    return Object.fromEntries(entries);
  }
}

/** Ends when all have ended. @throws the first failure */
async function allEnded(work: readonly Promise<void>[]): Promise<void> {
  const ends = await Promise.allSettled(work);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
