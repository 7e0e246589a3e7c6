/**
 * `iterate`: the loop of an algorithm. It evaluates one step at a time, the state and whether it is
 * done in one plan, so that an iteration is one pass over the data. Invariant: between iterations
 * small state is cells on the host, so that expressions do not grow with the iterations; large state
 * stays where it was made. A loop that took all iterations it might goes on there when it is asked
 * for more, and one that was ended from outside where it was last kept.
 */
import { PlanError, ShapeError } from '../errors.js';
import type { Evaluator } from '../ir/evaluator.js';
import { denseBytes, type Expr, shapeText, topological } from '../ir/expr.js';
import type { LoopEnd, LoopIdentity } from '../ir/loop-end.js';
import type { DenseMatrix } from '../ir/value.js';
import { fill, matrix } from '../matrix/create.js';
import { Matrix } from '../matrix/matrix.js';
import { Checkpoints } from './checkpoints.js';
import { loopForm } from './loop-form.js';
import { slotLeaf, Trace } from './trace.js';

/** What an algorithm carries from one iteration to the next. */
export type LoopState = Readonly<Record<string, Matrix>>;

export interface LoopStep<S extends LoopState> {
  /** As many matrices as before, of the same names and shapes. */
  readonly state: S;
  /** [1, 1]; not 0: this state is the last. */
  readonly done: Matrix;
}

export interface IterateOptions {
  /** At least 1. */
  readonly maxIterations: number;
  /** Iterations of this model, where these are fewer; may be each model's own, [1, 1]. */
  readonly most?: Matrix;
  /**
   * Time after which a loop keeps where it stands, then half as long again each time.
   * @units ms, default 30 s; 0: after each iteration
   */
  readonly checkpointMs?: number;
  /** Larger state is not brought to the host between iterations. @units bytes, default 32 MiB */
  readonly hostBytes?: number;
}

/** The last state, and how the loop ended. */
export type LoopResult<S extends LoopState> = S & {
  /** Steps taken, [1, 1]. */
  readonly iterations: Matrix;
  /** 1 when the loop was done, 0 when it took all iterations allowed, [1, 1]. */
  readonly finished: Matrix;
};

export const HOST_BYTES = 32 * 1024 * 1024;

/**
 * Repeats a step until it says it is done, at most `maxIterations` times. Inside `batch` all models
 * take a step in one plan, and each ends when it is done.
 * @param state at least one matrix; `iterations` and `finished` are names of the result
 * @param step depends on the state, and on matrices from outside, only; may be called once only
 * @throws PlanError for no state, a name of the result or no iterations, ShapeError for a step that
 *   changes the shape of the state, and what evaluating a step throws
 * @example
 *   const { w } = await iterate({ w: zeros(session, d, 1) }, ({ w }) => {
 *     const step = X.t().matmul(X.matmul(w).sub(y)).mul(rate);
 *     return { state: { w: w.sub(step) }, done: step.abs().max().lt(1e-9).asMatrix() };
 *   }, { maxIterations: 500 });
 */
export async function iterate<S extends LoopState>(
  state: S,
  step: (state: S) => LoopStep<S>,
  options: IterateOptions,
): Promise<LoopResult<S>> {
  const { hostBytes = HOST_BYTES, most } = options;
  const session = checkedState(state, options.maxIterations);
  if (session instanceof Trace) return session.loop(state, step, { ...options, hostBytes });
  const own = most ? await most.asScalar().value() : options.maxIterations;
  const maxIterations = Math.min(own, options.maxIterations);
  const checkpoints = new Checkpoints(options.checkpointMs);
  const begun = performance.now();
  const loop = session.loopEnd && identityOf(session, state, step);
  const like = Object.values(state).map(({ expr }) => expr);
  const limit = { most: maxIterations, isFresh: false };
  const known = loop && (await session.loopEnd!(loop, like, limit));
  let end: LoopEnd = known ?? { iterations: 0, isFinished: false, state: [] };
  let current = known ? standing(session, state, end) : state;
  while (!end.isFinished && end.iterations < maxIterations) {
    const next = step(current);
    checkStep(current, next);
    const exprs = Object.keys(current).map((name) => next.state[name]!.expr);
    const isLarge = exprs.map((expr) => denseBytes(expr) > hostBytes);
    const small = [next.done.expr, ...exprs.filter((_, i) => !isLarge[i])];
    const [values] = await Promise.all([
      session.evaluate(small) as Promise<DenseMatrix[]>,
      persist(
        session,
        exprs.filter((_, i) => isLarge[i]),
      ),
    ]);
    const [done, ...cells] = values;
    end = {
      iterations: end.iterations + 1,
      isFinished: done!.data[0] !== 0,
      state: exprs.map((expr, i) => (isLarge[i] ? { expr, of: expr } : cells.shift()!)),
    };
    current = standing(session, state, end);
    if (loop && checkpoints.isDue && !end.isFinished && end.iterations < maxIterations) {
      const seconds = checkpoints.taken();
      session.keepLoopEnd?.(loop, end, seconds, seconds);
    }
  }
  const seconds = (performance.now() - begun) / 1000;
  const isFurther = end.iterations > (known?.iterations ?? 0);
  if (loop && isFurther && !end.isFinished) session.keepLoopEnd?.(loop, end, seconds, seconds);
  const ending = {
    iterations: fill(session, 1, 1, end.iterations),
    finished: fill(session, 1, 1, end.isFinished ? 1 : 0),
  };
  return { ...current, ...ending };
}

/** The state as matrices. @param like for its names */
function standing<S extends LoopState>(session: Evaluator, like: S, end: LoopEnd): S {
  const entries = Object.keys(like).map((name, i) => {
    const one = end.state[i]!;
    const made = 'of' in one ? Matrix.of(session, one.expr) : matrix(session, one, { copy: false });
    return [name, made] as const;
  });
  return Object.fromEntries(entries) as S;
}

/** What the loop is known by: its step over slots, and what it reads besides. */
function identityOf<S extends LoopState>(
  session: Evaluator,
  state: S,
  step: (state: S) => LoopStep<S>,
): LoopIdentity {
  const names = Object.keys(state);
  const start = names.map((name) => state[name]!.expr);
  const slots = start.map((expr) => slotLeaf(session, expr));
  const placed = names.map((name, i) => [name, Matrix.of(session, slots[i]!)] as const);
  const next = step(Object.fromEntries(placed) as unknown as S);
  checkStep(state, next);
  const made = [...names.map((name) => next.state[name]!.expr), next.done.expr];
  const follows = new Set(slots);
  for (const expr of topological(made)) {
    if (expr.inputs.some((input) => follows.has(input))) follows.add(expr);
  }
  const { text, leaves } = loopForm(names, slots, [...start, ...made], (e) => !follows.has(e));
  return { form: text, inputs: leaves };
}

/** Keeps large values where their row blocks are. */
async function persist(session: Evaluator, exprs: readonly Expr[]): Promise<void> {
  if (exprs.length === 0) return;
  if (session.persist === undefined) await session.evaluate(exprs);
  else await session.persist(exprs);
}

function checkedState(state: LoopState, maxIterations: number): Evaluator {
  const [first] = Object.values(state);
  if (first === undefined) {
    throw new PlanError('iterate: expected at least one matrix in the state, got none', {
      op: 'iterate',
    });
  }
  for (const name of ['iterations', 'finished']) {
    if (!(name in state)) continue;
    throw new PlanError(
      `iterate: expected other names than \`iterations\` and \`finished\`, got ${name}; rename it`,
      { op: 'iterate', name },
    );
  }
  if (!(Number.isSafeInteger(maxIterations) && maxIterations >= 1)) {
    throw new PlanError(
      `iterate: expected maxIterations as a whole number of at least 1, got ${maxIterations}`,
      { op: 'iterate', maxIterations },
    );
  }
  return first.session;
}

/** @throws PlanError or ShapeError for a step that gives another state */
export function checkStep(before: LoopState, { state, done }: LoopStep<LoopState>): void {
  const names = Object.keys(before);
  const isSame = Object.keys(state).length === names.length && names.every((n) => n in state);
  if (!isSame) {
    throw new PlanError(
      `iterate: expected the state ${names.join(', ')} of a step, got ${Object.keys(state).join(', ')}`,
      { op: 'iterate' },
    );
  }
  for (const name of names) {
    const [was, is] = [before[name]!, state[name]!];
    if (was.rows === is.rows && was.cols === is.cols && was.dtype === is.dtype) continue;
    throw new ShapeError(
      `iterate: expected ${name} ${shapeText(was)} ${was.dtype} after a step as before, got ${shapeText(is)} ${is.dtype}`,
      { op: 'iterate', shapes: [shapeText(was), shapeText(is)] },
    );
  }
  if (done.rows === 1 && done.cols === 1) return;
  throw new ShapeError(`iterate: expected done 1x1, got ${shapeText(done)}`, {
    op: 'iterate',
    shapes: [shapeText(done)],
  });
}
