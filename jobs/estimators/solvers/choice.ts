/**
 * Which solver a stack of smooth models is trained by: the cheapest by work. Newton's method takes
 * few passes, each of which makes a Gram matrix a model. Quasi-Newton steps take more passes, of
 * products only; eigenvectors of the Gram matrix of all rows save most of them, but cost a
 * factorisation and products with as many columns. All end at the same point within the tolerance, so
 * the choice stands in no key of a model.
 */

/** What the cost of a stack depends on. */
export interface FitSize {
  readonly rows: number;
  /** Of the design, without the intercept. */
  readonly columns: number;
  readonly outputs: number;
  /** Of the stack. */
  readonly models: number;
}

export type SmoothSolver = 'newton' | 'gram' | 'columns';

export interface SolverChoice {
  readonly solver: SmoothSolver;
  /** What each would cost, the cheapest first. */
  readonly costs: readonly SolverCost[];
}

export interface SolverCost {
  readonly solver: SmoothSolver;
  readonly passes: number;
  readonly seconds: number;
}

export const SOLVER_NAMES: Readonly<Record<SmoothSolver, string>> = {
  newton: 'Newton on weighted Gram matrices',
  gram: 'L-BFGS in eigenvectors of the Gram matrix',
  columns: 'L-BFGS in columns by their size',
};

/** Passes until a step is a millionth of the point, of models that are neither easy nor hard. */
const PASSES: Readonly<Record<SmoothSolver, number>> = { newton: 6, gram: 12, columns: 40 };
/** Operations of products, and of weighted Gram matrices and factors, a second: two slow cores. */
const PRODUCT_RATE = 2e10;
const GRAM_RATE = 1e10;
/** Of products in float32. */
const FLOAT32_RATE = 3e10;
/** To turn and solve the system of a model: a cell of it. @units seconds */
const SYSTEM_SECONDS = 5e-8;
/** A loss and its derivatives, of a row of a model. @units seconds */
const LOSS_SECONDS = 1e-8;
/** To plan and start a pass. @units seconds */
const START_SECONDS: Readonly<Record<SmoothSolver, number>> = {
  newton: 0.01,
  gram: 0.015,
  columns: 0.015,
};

/** @param bends whether the loss has a second derivative of each output alone, and one output */
export function chooseSolver(size: FitSize, bends: boolean): SolverChoice {
  const { rows, columns: d, models } = size;
  const width = size.outputs * models;
  const gradient = passSeconds(rows, d, width);
  const more: Readonly<Record<SmoothSolver, readonly [once: number, pass: number]>> = {
    newton: [0, (rows * d ** 2 * models) / GRAM_RATE + d ** 2 * models * SYSTEM_SECONDS],
    gram: [(9 * d ** 3) / GRAM_RATE, (6 * d ** 2 * width) / PRODUCT_RATE],
    columns: [0, 0],
  };
  const solvers: SmoothSolver[] = bends ? ['newton', 'gram', 'columns'] : ['gram', 'columns'];
  const costs = solvers.map((solver) => {
    const [once, pass] = more[solver];
    const passes = PASSES[solver];
    return { solver, passes, seconds: once + passes * (START_SECONDS[solver] + gradient + pass) };
  });
  costs.sort((a, b) => a.seconds - b.seconds);
  return { solver: costs[0]!.solver, costs };
}

/** Of so many coordinates, those in which curvature is made by output, as a block. */
export function leadingOf(coordinates: number): number {
  return Math.min(coordinates, Math.max(MOST_WHOLE, Math.ceil(coordinates / 4)));
}

const MOST_WHOLE = 128;
/** Rows a leading coordinate that curvature is made of, of each output. */
export const ROWS_A_COLUMN = 12;

/** How fits are solved that follow others. */
export const FOLLOWING_SOLVER =
  'L-BFGS from where the last fits lead, with the curvature by output there';
/** Beside the solver, where passes of float32 lead. */
export const SINGLE_LEADS = 'passes over float32 rows lead, exact ones end it';
/** Passes of a fit that begins where the one with the nearest penalty ended. */
const FOLLOWING_PASSES = 6;
/** Passes of several outputs at once, to those of one: digits took twice as many. */
const CLASSES_SHARE = 2;

/**
 * Whether fits one penalty after the other take less time than all at once: fewer passes a model, but
 * passes of fewer models, and at each step a weighted Gram matrix of some rows in leading coordinates
 * and an inverse for each output. The first step has that too where fits to fewer rows are known.
 */
export function followsCheaper(size: FitSize, steps: number, isBegun: boolean): boolean {
  const { rows, columns: d, outputs, models } = size;
  const step = { ...size, models: Math.ceil(models / steps) };
  // Measured: fits of two classes that begin at weights took a third less time without.
  if (isBegun && outputs === 1) return false;
  const atOnce = chooseSolver(size, outputs === 1).costs[0]!.seconds;
  const first = isBegun ? 0 : chooseSolver(step, outputs === 1).costs[0]!.seconds;
  const width = outputs * step.models;
  const leading = leadingOf(d);
  const turned = (6 * d ** 2 + 4 * leading ** 2) * width;
  const pass = START_SECONDS.gram + passSeconds(rows, d, width) + turned / PRODUCT_RATE;
  const summed = Math.min(rows, ROWS_A_COLUMN * leading) + 2.5 * leading;
  const curvature = (outputs * leading ** 2 * summed) / FLOAT32_RATE;
  const after = (steps - (isBegun ? 0 : 1)) * (FOLLOWING_PASSES * pass + curvature);
  // The coordinates, and the rows in them, which all curvature is made of.
  const once = (9 * d ** 3) / GRAM_RATE + (2 * rows * d ** 2) / PRODUCT_RATE;
  return first + once + after < atOnce * (outputs > 1 ? CLASSES_SHARE : 1);
}

/** Of a pass, what float32 has to spare for a few more plan nodes and the cast. @units seconds */
const LEAST_SPARED = 0.005;

/**
 * Whether a stack is trained with less work by passes over float32 rows, and by exact ones where
 * these have led. @param isBegun whether it takes over curvature, and makes no Hessians
 */
export function singlePays(size: FitSize, bends: boolean, isBegun: boolean): boolean {
  const { rows, columns, outputs, models } = size;
  const isNewton = chooseSolver(size, bends && outputs === 1).solver === 'newton';
  if (isNewton && !isBegun) return false;
  const flops = 4 * rows * columns * outputs * models;
  return flops / PRODUCT_RATE - flops / FLOAT32_RATE > LEAST_SPARED;
}

/** A gradient of so many columns. @units seconds */
function passSeconds(rows: number, d: number, width: number): number {
  return (4 * rows * d * width) / PRODUCT_RATE + rows * width * LOSS_SECONDS;
}

/** Of estimators that are solved by the cheapest of them, for the page of estimators. */
export const SMOOTH_SOLVERS = 'Newton or L-BFGS, by cost';
export const GRADIENT_SOLVERS = 'L-BFGS';

/** Which solver trains a stack and why, in a line. */
export function solves(size: FitSize, bends: boolean): string {
  const { costs } = chooseSolver(size, bends && size.outputs === 1);
  const shown = (seconds: number): string => `${Number(seconds.toPrecision(2))} s`;
  const [best, ...others] = costs;
  const rest = others.map(({ solver, seconds }) => `${SOLVER_NAMES[solver]} ${shown(seconds)}`);
  const own = `about ${best!.passes} passes, ${shown(best!.seconds)}`;
  return `${SOLVER_NAMES[best!.solver]}: ${own}; ${rest.join(', ')}`;
}
