/**
 * `iterate`: the loop of an algorithm. It evaluates one step at a time, the state and whether it is
 * done in one plan, so that an iteration is one pass over the data. Invariant: between iterations
 * small state is cells on the host, so that expressions do not grow with the iterations; large state
 * stays where it was made.
 */
import { PlanError, ShapeError } from '../errors.js';
import type { Evaluator } from '../ir/evaluator.js';
import { denseBytes, type Expr, shapeText } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';
import { fill, matrix } from '../matrix/create.js';
import { Matrix } from '../matrix/matrix.js';
import { Trace } from './trace.js';

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
  { maxIterations, hostBytes = HOST_BYTES }: IterateOptions,
): Promise<LoopResult<S>> {
  const session = checkedState(state, maxIterations);
  if (session instanceof Trace) return session.loop(state, step, { maxIterations, hostBytes });
  let current = state;
  let iterations = 0;
  let isDone = false;
  while (!isDone && iterations < maxIterations) {
    const next = step(current);
    checkStep(current, next);
    const names = Object.keys(current);
    const exprs = names.map((name) => next.state[name]!.expr);
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
    const entries = names.map((name, i) => {
      const made = isLarge[i]
        ? Matrix.of(session, exprs[i]!)
        : matrix(session, cells.shift()!, { copy: false });
      return [name, made] as const;
    });
    current = Object.fromEntries(entries) as S;
    isDone = done!.data[0] !== 0;
    iterations++;
  }
  const ending = {
    iterations: fill(session, 1, 1, iterations),
    finished: fill(session, 1, 1, isDone ? 1 : 0),
  };
  return { ...current, ...ending };
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
