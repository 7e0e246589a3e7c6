/**
 * The loop of solvers of convex problems whose gradient costs a pass over the data: a pass at a
 * trial point, then the next direction from what is known of the curvature. Invariant: a step is
 * taken when the slope along it has not turned up by more than it went down, which for a convex
 * function means that it went down; else it is cut, for each column by its own slope. The value of
 * the function is not needed, so it is not computed, and its rounding does not end the descent early.
 *
 * Source: the test of steps by slopes is the approximate Wolfe condition of Hager and Zhang (SIAM J.
 * Optim. 2005).
 */
import { iterate, type LoopState, type Matrix, zeros } from '../../../driver/index.js';

/** What a pass gives at a point. */
export interface Seen {
  /** The gradient of what is smooth: [p, c]. A cell that is no number refuses the step. */
  readonly slope: Matrix;
  /** The Hessian, of solvers that ask for it: [p, p]. */
  readonly form?: Matrix;
  /** Its diagonal alone: [p, c]. */
  readonly diagonal?: Matrix;
}

/** A trial and what became of it. */
export interface Trial {
  /** Whether the step is taken: [1, 1] or [1, c]. */
  readonly taken: Matrix;
  /** Where the descent now stands, and the gradient there. */
  readonly point: Matrix;
  readonly slope: Matrix;
  /** The step that was tried, and what was seen at its end. */
  readonly move: Matrix;
  readonly seen: Seen;
  /** The gradient before the step. */
  readonly before: Matrix;
  readonly memory: LoopState;
}

/** Where to go from a point. */
export interface Ahead {
  readonly direction: Matrix;
  /** Size of that step relative to the point, as the curvature has it: [1, 1] or [1, c]. */
  readonly ending: Matrix;
  readonly memory: LoopState;
}

export interface DescentProblem {
  /** [p, c] */
  readonly start: Matrix;
  /** 1 throughout, in the shape of a step size: [1, 1], or [1, c] where columns are apart. */
  readonly one: Matrix;
  readonly pass: (point: Matrix) => Seen;
  /** The slope along a direction just after the point (side 1) or just before it (-1). */
  readonly along: (slope: Matrix, point: Matrix, direction: Matrix, side: 1 | -1) => Matrix;
  /** What is known of the curvature before the first pass, and the direction by it. */
  readonly memory: LoopState;
  readonly ahead: (trial: Trial) => Ahead;
  /** Size of the step that is still to take, relative to the point. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

export interface Minimum {
  /** [p, c] */
  readonly point: Matrix;
  /** Relative size of what is left, of the worst column: [1, 1]. */
  readonly ending: Matrix;
}

/** Share of the slope that a step may end with, turned upwards. */
const TURN = 0.9;

export async function descend(descent: DescentProblem): Promise<Minimum> {
  const { start, one, pass, along, tolerance, maxIterations } = descent;
  const none = zeros(start.session, start.rows, start.cols);
  const state: LoopState = {
    ...{ point: start, slope: none, direction: none, step: one, ending: one },
    ...descent.memory,
  };
  const next = ({
    point: at,
    slope: known,
    direction: way,
    step: size,
    ending,
    ...memory
  }: LoopState) => {
    const [from, before, direction, step] = [at!, known!, way!, size!];
    const move = direction.mul(step);
    const trial = from.add(move);
    const seen = pass(trial);
    const down = along(before, from, direction, 1);
    const up = along(seen.slope, trial, direction, -1);
    const taken = up.le(down.abs().mul(TURN));
    const reached = taken.ifelse(trial, from);
    const slope = taken.ifelse(seen.slope, before);
    const ahead = descent.ahead({ taken, point: reached, slope, move, seen, before, memory });
    const newDirection = taken.ifelse(ahead.direction, direction);
    const cut = down.div(down.sub(up)).maximum(0.1).minimum(0.5);
    const shorter = step.mul(cut.isNaN().ifelse(0.1, cut));
    const isClose = taken.and(ahead.ending.le(tolerance));
    const isStuck = taken.not().and(shorter.lt(1e-12));
    const done = isClose.or(isStuck).min().asMatrix();
    return {
      state: {
        // The last step is known and small: taking it costs no gradient. A column whose step is
        // small before those of others are goes on from where its gradient is known.
        point: isClose.and(done).ifelse(reached.add(newDirection), reached),
        slope,
        direction: newDirection,
        step: taken.ifelse(1, shorter),
        ending: taken.ifelse(ahead.ending, ending!),
        ...ahead.memory,
      },
      done,
    };
  };
  const { point, ending } = await iterate(state, next, { maxIterations });
  return { point: point!, ending: ending!.max().asMatrix() };
}
