/**
 * How far loops of a stack go, and where they are kept on their way, for a process that is ended
 * before they are done. Invariant: what is kept is where a loop stood after whole iterations.
 */
import type { Evaluator } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { LoopEnd, LoopIdentity } from '../ir/loop-end.js';
import { loopForm } from './loop-form.js';
import type { StackRun } from './stack-run.js';

const MOST_WAIT_MS = 30 * 60 * 1000;

/** When a loop is to be kept next: at times that lie the further apart, the longer it takes. */
export class Checkpoints {
  readonly #begun = performance.now();
  readonly #every: number;
  #next: number;

  constructor(every = 30_000) {
    this.#every = every;
    this.#next = this.#begun + every;
  }

  get isDue(): boolean {
    return performance.now() >= this.#next;
  }

  /** Seconds since the loop began; the next is due half as many on. */
  taken(): number {
    const now = performance.now();
    const wait = Math.min(Math.max(this.#every, (now - this.#begun) / 2), MOST_WAIT_MS);
    this.#next = now + (this.#every === 0 ? 0 : wait);
    return (now - this.#begun) / 1000;
  }

  /** Keeps where models stand that go on. */
  keep(
    session: Evaluator,
    loops: readonly LoopIdentity[],
    state: readonly { readonly endOf: (place: number) => LoopEnd['state'][number] }[],
    at: {
      /** Models by place in the state. */
      readonly placed: readonly number[];
      readonly going: readonly number[];
      readonly iterations: ArrayLike<number>;
    },
  ): void {
    const { placed, going, iterations } = at;
    const seconds = this.taken();
    for (const model of going) {
      const place = placed.indexOf(model);
      const own = state.map((values) => values.endOf(place));
      const end = { iterations: iterations[model]!, isFinished: false, state: own };
      session.keepLoopEnd?.(loops[model]!, end, seconds / going.length, seconds);
    }
  }
}

/** Most iterations of each model of a stack. @param most of each, [1, 1]; absent: all alike */
export async function limitsOf(
  run: StackRun,
  maxIterations: number,
  most: Expr | undefined,
): Promise<Float64Array> {
  const own = most && (await run.onHost([most], run.models))[0]!.value.data;
  return Float64Array.from(run.models, (_, k) => Math.min(maxIterations, own?.[k] ?? Infinity));
}

/** What the loop of each model is known by; undefined where nothing is kept. */
export function identitiesOf(
  run: StackRun,
  names: readonly string[],
  slots: readonly Expr[],
  roots: readonly Expr[],
): LoopIdentity[] | undefined {
  if (run.session.loopEnd === undefined) return undefined;
  const isLeaf = (expr: Expr): boolean => run.valuesOf(expr) !== undefined;
  const { text: form, leaves } = loopForm(names, slots, roots, isLeaf);
  return run.models.map((k) => {
    return { form, inputs: leaves.map((leaf) => run.valuesOf(leaf)!.of([k]).expr) };
  });
}

/** Where the loops stood that were asked for before. @param like the state's shapes */
export function knownEnds(
  { session, isFresh }: StackRun,
  loops: readonly LoopIdentity[] = [],
  like: readonly Expr[],
  limits: ArrayLike<number>,
): Promise<(LoopEnd | undefined)[]> {
  return Promise.all(
    loops.map((loop, k) => session.loopEnd!(loop, like, { most: limits[k]!, isFresh })),
  );
}
