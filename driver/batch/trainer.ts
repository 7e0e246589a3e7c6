/**
 * Trains models in stacks that fit in memory, one stack after the other. A model that the stack
 * loses, and every model of a stack that a singular system ends, is trained alone, which gives its
 * result or its own error.
 */
import { SingularError } from '../errors.js';
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { ArgumentValues } from './arguments.js';
import { dryRun, stackCount } from './dry-run.js';
import { type Matrices, type Program, type StackArguments, StackRun } from './stack-run.js';

export class Trainer<R extends Matrices> {
  readonly #session: Evaluator;
  readonly #values: Readonly<Record<string, ArgumentValues>>;
  readonly #program: Program<R>;
  readonly #alone: (model: number) => Matrices;
  readonly #maxBytes: number | undefined;
  /** What all models share that is kept after the rest, one by one: made of what is kept by then. */
  readonly #later: readonly Expr[];

  constructor(
    session: Evaluator,
    values: Readonly<Record<string, ArgumentValues>>,
    program: Program<R>,
    alone: (model: number) => Matrices,
    maxBytes?: number,
    later: readonly Expr[] = [],
  ) {
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
    const stacks = stackCount(models.length, run, this.#maxBytes);
    const shared = [...run.shared.values()];
    await this.#session.keep?.(shared.filter((expr) => !this.#later.includes(expr)));
    for (const expr of this.#later) await this.#session.keep?.([expr]);
    const results: (R | Promise<R>)[] = [];
    for (let at = 0; at < stacks; at++) {
      const from = Math.round((at * models.length) / stacks);
      const to = Math.round(((at + 1) * models.length) / stacks);
      results.push(...(await this.#stack(models.slice(from, to))));
    }
    return results;
  }

  async #stack(models: readonly number[]): Promise<readonly (R | Promise<R>)[]> {
    let results: readonly (R | undefined)[] = models.map(() => undefined);
    try {
      results = await new StackRun(this.#session, models.length).run(
        this.#argumentsOf(models),
        this.#program,
      );
    } catch (error) {
      if (!(error instanceof SingularError)) throw error;
    }
    return models.map((model, i) => results[i] ?? this.#trainAlone(model));
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
      const of = (places: readonly number[]) => values.of(places.map((place) => models[place]!));
      return [name, { like, values: { of } }] as const;
    });
    return Object.fromEntries(entries);
  }
}
