/**
 * The loop of solvers of convex problems whose gradient costs a pass over the data: a pass at a
 * trial point, then the next direction from what is known of the curvature. Invariant: a step is
 * taken when the slope along it has not turned up by more than it went down, which for a convex
 * function means that it went down; else it is cut, for each column by its own slope. The value of
 * the function is not needed, so it is not computed, and its rounding does not end the descent early.
 * Passes of fewer digits may lead; they end a descent only where their rounding is known to be far
 * below the tolerance. Else exact ones do, whatever led there.
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
  readonly tolerance: number | Matrix;
  readonly maxIterations: number;
  /** A cheaper pass of fewer digits, which leads as far as it can. */
  readonly rough?: (point: Matrix) => Seen;
  /** Whether its rounding is far below the tolerance about a point: [1, 1] or [1, c]. */
  readonly isSureAt?: (point: Matrix) => Matrix;
}

export interface Minimum {
  /** [p, c] */
  readonly point: Matrix;
  /** Relative size of what is left, of the worst column: [1, 1]. */
  readonly ending: Matrix;
}

/** Share of the slope that a step may end with, turned upwards. */
const TURN = 0.9;

/** Of a number, or of one that models differ in: [1, 1]. */
export function squared(size: number | Matrix): number | Matrix {
  return typeof size === 'number' ? size ** 2 : size.square();
}

/** Of float32: rough passes lead until steps are so small; smaller ones are its rounding. */
const LEAST_ROUGH = 1e-5;
/** So many rough passes in a row that bring steps no nearer are a sign of rounding. */
const PATIENCE = 8;
const NEARER = 0.9;

export async function descend(descent: DescentProblem): Promise<Minimum> {
  const { start, one, rough, maxIterations } = descent;
  const none = zeros(start.session, start.rows, start.cols);
  const state: LoopState = {
    ...{ point: start, slope: none, direction: none, step: one, ending: one },
    ...descent.memory,
  };
  const isRough = rough !== undefined && maxIterations > 1;
  const { from, most } = isRough ? await roughly(descent, rough, state) : { from: state };
  const next = ({ isFirst, ...at }: LoopState) => {
    const { state: own, isEnd, last } = stepFrom(descent, descent.pass, at, isFirst);
    // The last step is known and small: taking it costs no gradient. A column whose step is
    // small before those of others are goes on from where its gradient is known.
    const point = isEnd.and(last.isClose).ifelse(own.point!.add(own.direction!), own.point!);
    const after = isFirst ? { isFirst: isFirst.mul(0) } : {};
    return { state: { ...own, point, ...after }, done: isEnd };
  };
  const { point, ending } = await iterate(from, next, { maxIterations, ...(most && { most }) });
  return { point: point!, ending: ending!.max().asMatrix() };
}

/** Where rough passes lead, and how many exact ones may follow: none where they are sure. */
async function roughly(
  descent: DescentProblem,
  pass: (point: Matrix) => Seen,
  start: LoopState,
): Promise<{ readonly from: LoopState; readonly most: Matrix }> {
  const { one, tolerance, maxIterations, isSureAt } = descent;
  const wanted = one.mul(tolerance).maximum(LEAST_ROUGH);
  const begin = { ...start, best: one.div(0), idle: one.mul(0) };
  const next = ({ best, idle, ...at }: LoopState) => {
    const { state: own, last } = stepFrom({ ...descent, tolerance: wanted }, pass, at);
    const isNearer = last.taken.and(own.ending!.lt(best!.mul(NEARER)));
    const waited = isNearer.ifelse(0, idle!.add(1));
    const isEnd = last.isClose.or(last.isStuck).or(waited.ge(PATIENCE));
    const nearest = best!.minimum(own.ending!);
    return { state: { ...own, best: nearest, idle: waited }, done: isEnd.min().asMatrix() };
  };
  const limit = { maxIterations: maxIterations - 1 };
  const {
    best: _,
    idle: __,
    finished: ___,
    iterations,
    ...own
  } = await iterate(begin, next, limit);
  const { point, direction, step, ending, ...memory } = own as LoopState;
  // Its last step is small where it is close; another may be so wrong that it leads up.
  const isClose = step!.ge(1).and(ending!.le(wanted));
  const last = isClose.ifelse(direction!, 0);
  const left = iterations.neg().add(maxIterations);
  const sure = isSureAt && isClose.and(isSureAt(point!)).min().asMatrix();
  const state = { ...memory, direction: last, step: one, isFirst: one };
  if (sure === undefined) return { from: { ...state, point: point!, ending: one }, most: left };
  const reached = sure.ifelse(point!.add(last), point!);
  const from = { ...state, point: reached, ending: sure.ifelse(ending!, one) };
  return { from, most: sure.ifelse(0, left) };
}

/**
 * A pass at the end of the step, and where to go from there.
 * @param isForced 1 where the step is taken whatever is seen, as one that rough passes led to
 */
function stepFrom(
  descent: DescentProblem,
  pass: (point: Matrix) => Seen,
  { point: at, slope: known, direction: way, step: size, ending, ...memory }: LoopState,
  isForced?: Matrix,
) {
  const { along, tolerance } = descent;
  const [from, before, direction, step] = [at!, known!, way!, size!];
  const move = direction.mul(step);
  const trial = from.add(move);
  const seen = pass(trial);
  const down = along(before, from, direction, 1);
  const up = along(seen.slope, trial, direction, -1);
  const isDown = up.le(down.abs().mul(TURN));
  const taken = isForced ? isDown.or(isForced.and(up.isNaN().not())) : isDown;
  const reached = taken.ifelse(trial, from);
  const slope = taken.ifelse(seen.slope, before);
  const ahead = descent.ahead({ taken, point: reached, slope, move, seen, before, memory });
  const newDirection = taken.ifelse(ahead.direction, direction);
  const cut = down.div(down.sub(up)).maximum(0.1).minimum(0.5);
  const shorter = step.mul(cut.isNaN().ifelse(0.1, cut));
  const isClose = taken.and(ahead.ending.le(tolerance));
  const isStuck = taken.not().and(shorter.lt(1e-12));
  return {
    isEnd: isClose.or(isStuck).min().asMatrix(),
    last: { taken, isClose, isStuck },
    state: {
      point: reached,
      slope,
      direction: newDirection,
      step: taken.ifelse(1, shorter),
      ending: taken.ifelse(ahead.ending, ending!),
      ...ahead.memory,
    } as LoopState,
  };
}
