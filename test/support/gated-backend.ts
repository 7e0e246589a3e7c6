/** A backend that a test holds in the middle of one node. */
import type { Backend } from '../../driver/backend/backend.js';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import type { Expr } from '../../driver/ir/expr.js';

type Outcome = 'value' | Error;

/** The reference backend, whose first run of `watched` awaits `end`, then succeeds or fails. */
export class GatedBackend {
  runs = 0;
  watched: Expr | undefined;
  #end!: (outcome: Outcome) => void;
  readonly #outcome = new Promise<Outcome>((resolve) => {
    this.#end = resolve;
  });
  readonly #inner = createReferenceBackend();

  end(outcome: Outcome): void {
    this.#end(outcome);
  }

  get backend(): Backend {
    return {
      ...this.#inner,
      runSync: (expr, inputs) =>
        expr === this.watched ? undefined : this.#inner.runSync!(expr, inputs),
      run: async (segment, context) => {
        if (segment.nodes.includes(this.watched!) && ++this.runs === 1) {
          const outcome = await this.#outcome;
          if (outcome !== 'value') throw outcome;
        }
        return this.#inner.run(segment, context);
      },
      recover: async () => {},
    };
  }
}

/** Lets what is due run. */
export const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
