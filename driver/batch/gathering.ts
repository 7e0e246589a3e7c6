/**
 * Brings together models that have to be trained, as the calls of each find that it is not there.
 * Invariant: nobody waits for a call that waits for another process: once no further call has asked
 * for a while, those that have are trained, and later ones in another stack.
 */

/**
 * Until models that asked are trained without those that did not yet. Long beside a pause of this
 * process: what trains together must not depend on how busy the machine is, or results do.
 */
const WAIT_MS = 1000;

interface Waiting<R> {
  readonly model: number;
  readonly resolve: (result: R | Promise<R>) => void;
  readonly reject: (error: unknown) => void;
}

export class Gathering<R> {
  readonly #train: (models: readonly number[]) => Promise<readonly (R | Promise<R>)[]>;
  /** Models whose calls have neither asked nor ended. */
  readonly #open: Set<number>;
  #waiting: Waiting<R>[] = [];
  /** Models trained with each. */
  readonly #together = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    models: number,
    train: (models: readonly number[]) => Promise<readonly (R | Promise<R>)[]>,
  ) {
    this.#train = train;
    this.#open = new Set(Array.from({ length: models }, (_, k) => k));
  }

  /** The result of a model that is not there, once its stack is trained. */
  join(model: number): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ model, resolve, reject });
      this.settled(model);
    });
  }

  /** Models that were trained with this one, itself among them. */
  together(model: number): number {
    return this.#together.get(model) ?? 1;
  }

  /** A model's call asked, or ended. */
  settled(model: number): void {
    if (!this.#open.delete(model)) return;
    clearTimeout(this.#timer);
    if (this.#waiting.length === 0) return;
    if (this.#open.size === 0) this.#go();
    else this.#timer = setTimeout(() => this.#go(), WAIT_MS);
  }

  #go(): void {
    const waiting = this.#waiting.sort((a, b) => a.model - b.model);
    this.#waiting = [];
    for (const { model } of waiting) this.#together.set(model, waiting.length);
    this.#train(waiting.map(({ model }) => model)).then(
      (results) => {
        for (const [i, { resolve }] of waiting.entries()) resolve(results[i]!);
      },
      (error) => {
        for (const { reject } of waiting) reject(error);
      },
    );
  }
}
