/**
 * Fits of estimators that read rows: candidates that differ in numbers only train together on all
 * splits, one stack of models a call of `batch`. Invariant: what a model is known by are its own
 * numbers and its own training rows, so that a further candidate or split trains by itself.
 */
import { register } from '../../driver/functions/function-cache.js';
import {
  type BatchArgument,
  type BatchFunction,
  batch,
  callTogether,
  type Evaluator,
  type Matrix,
  matrix,
  planBatch,
  type Run,
} from '../../driver/index.js';
import { type ReusableFunction, sessionOf } from '../../driver/ir/evaluator.js';
import type {
  Estimator,
  Fit,
  LinearOutputs,
  Params,
  RowData,
  RowEstimator,
} from '../estimators/estimator.js';
import type { TrainingRows } from '../estimators/linear-design.js';
import { wideRows } from '../estimators/solvers/row-fit.js';
import { type FitMatrices, type RowsOfFit, rowData, sharedArguments } from './row-arguments.js';
import { ownRows } from './row-design.js';
import { beginsOf, type Followed, type Hints, hintsOf, pathOf, singleOf } from './row-paths.js';

/** One model to fit. */
export interface RowModel {
  readonly rows: RowsOfFit;
  readonly params: Params;
  readonly rung?: RungTraining;
}

/** What training of a rung knows of the others. */
export interface RungTraining {
  /**
   * Iterations are the resource, so that loops go on: by one solver, chosen for so many models, as
   * the largest rung has. No fit is at its end before the last rung.
   */
  readonly goesOn?: { readonly models: number };
  /** The same fit to fewer rows. */
  readonly before?: Fit;
}

/**
 * Fits, in the order of the models.
 * @param isFresh all are trained, together, whatever the durable store has of them
 */
export async function rowFits(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
  isFresh: boolean,
): Promise<Fit[]> {
  if (estimator.together !== undefined) return fitTogether(session, estimator, models, isFresh);
  const fits = new Array<Fit>(models.length);
  for (const places of stacksOf(estimator, models)) {
    const stack = places.map((place) => models[place]!);
    const fitted = await fitPath(session, estimator, stack, isFresh);
    for (const [i, place] of places.entries()) fits[place] = fitted[i]!;
  }
  return fits;
}

/** Fits of an estimator that stacks models itself, known by their rows and all parameters. */
async function fitTogether(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
  isFresh: boolean,
): Promise<Fit[]> {
  define(estimator);
  const loops = { isFresh, keepsEnds: models[0]!.rung?.goesOn !== undefined };
  const passing = session.passing?.() ?? session;
  const known = new Map<string, { readonly given: FitMatrices; readonly rows: RowData }>();
  const asked = models.map(({ rows: asked, params }) => {
    const { X, training, classes, groupOf } = asked;
    const key = JSON.stringify([X.expr.id, groupOf.expr.id, training.train ?? null]);
    let own = known.get(key);
    if (own === undefined) {
      const given = { ...sharedArguments(asked), ...ownRows(training) };
      const there = Object.entries(given).map(
        ([name, value]) => [name, value.in(passing)] as const,
      );
      const rows = rowData(Object.fromEntries(there), { classes, models: models.length });
      own = { given, rows: wideRows(rows) };
      known.set(key, own);
    }
    return { ...own, params };
  });
  const calls = asked.map(({ given, rows: { classes }, params }) => [
    given,
    { ...params, classes },
  ]);
  const fits = await callTogether(session, { ...callOf(estimator), isFresh }, calls, async (some) =>
    (
      await estimator.together!(
        some.map((k) => asked[k]!),
        loops,
      )
    ).map(outputsOf),
  );
  return fits.map((fit) => {
    if (fit.status === 'rejected') throw fit.reason;
    return fitFrom(fit.value);
  });
}

function outputsOf({ weights, outputs, ending }: Fit): FitMatrices {
  return { weights, ...outputs, ...(ending ? { ending } : {}) };
}

function fitFrom({ weights, ending, ...outputs }: FitMatrices): Fit {
  const own = { weights: weights!, outputs: outputs as unknown as Fit['outputs'] };
  return ending ? { ...own, ending } : own;
}

/** Places of the models of each stack: all that differ between them are `stacked` numbers. */
function stacksOf(estimator: RowEstimator, models: readonly RowModel[]): number[][] {
  const { stacked } = estimator;
  const stacks = new Map<string, number[]>();
  for (const [place, { params, rows }] of models.entries()) {
    const same = Object.entries(params).filter(([name]) => !stacked.includes(name));
    const read = [rows.X.expr.id, rows.groupOf.expr.id];
    const key = JSON.stringify([same, widthOf(estimator, params), read]);
    const stack = stacks.get(key);
    if (stack === undefined) stacks.set(key, [place]);
    else stack.push(place);
  }
  return [...stacks.values()];
}

/** A stack at once, or step by step where that is less work. */
async function fitPath(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
  isFresh: boolean,
): Promise<Fit[]> {
  const { rung } = models[0]!;
  const begin = beginsOf(session, estimator, models);
  // Of fits that are not at their end, where each began would show.
  const path = begin || rung?.goesOn !== undefined ? undefined : pathOf(session, estimator, models);
  if (path === undefined) return fitStack(session, estimator, models, isFresh, begin);
  const fits = new Array<Fit>(models.length);
  const before = new Map<TrainingRows, readonly Followed[]>();
  for (const places of path.steps) {
    const step = places.map((place) => models[place]!);
    const hints = hintsOf(path.following, step, before);
    const fitted = await fitStack(session, estimator, step, isFresh, hints);
    for (const [i, place] of places.entries()) {
      fits[place] = fitted[i]!;
      const { rows, params } = step[i]!;
      const value = params[path.following.number] as number;
      const [last] = before.get(rows.training) ?? [];
      const { weights } = fitted[i]!;
      before.set(rows.training, last ? [{ weights, value }, last] : [{ weights, value }]);
    }
  }
  return fits;
}

async function fitStack(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
  isFresh: boolean,
  hints: Hints = {},
): Promise<Fit[]> {
  const { args, program, fixed } = stackOf(session, estimator, models);
  const keepsEnds = models[0]!.rung?.goesOn !== undefined;
  const all = { ...singleOf(session, estimator, models, hints), ...hints };
  const options = { ...callOf(estimator), params: fixed, isFresh, keepsEnds, hints: all };
  const fitted = await batch(session, models.length, args, program, options);
  return fitted.map((own, i) => {
    const fit = cut(fitFrom(own), estimator, models[i]!.params);
    return fit.ending ? { ...fit, ...estimator.ends?.(models[i]!.params) } : fit;
  });
}

/** What a stack of models is trained by. */
function stackOf(
  session: Evaluator,
  estimator: RowEstimator,
  models: readonly RowModel[],
): {
  readonly args: Readonly<Record<string, BatchArgument>>;
  readonly program: BatchFunction<Readonly<Record<string, Matrix>>>;
  readonly fixed: Params;
} {
  const { stacked } = estimator;
  const [first] = models;
  const { rows, params, rung } = first!;
  const splits = new Map<TrainingRows, FitMatrices>();
  const own = models.map(({ rows: { training } }) => {
    const known = splits.get(training) ?? ownRows(training);
    splits.set(training, known);
    return known;
  });
  const args: Record<string, BatchArgument> = {
    ...Object.fromEntries(
      Object.entries(sharedArguments(rows)).map(([key, shared]) => [key, { shared }]),
    ),
    ...Object.fromEntries(Object.keys(own[0]!).map((key) => [key, own.map((all) => all[key]!)])),
    ...Object.fromEntries(
      stacked.map((key) => {
        const cells = Float64Array.from(models, (model) => model.params[key] as number);
        return [`number ${key}`, { columns: matrix(session, 1, cells.length, cells), cols: 1 }];
      }),
    ),
  };
  const fixed: Params = Object.fromEntries(
    Object.entries(params).filter(([key]) => !stacked.includes(key)),
  );
  const { classes } = rows;
  return {
    args,
    program: programOf(estimator, rung?.goesOn?.models ?? models.length),
    fixed: { ...fixed, ...widthOf(estimator, params), classes },
  };
}

/** Ends a fit that is only asked about. */
class OnlyAsked extends Error {}

/**
 * Which fits the durable store has. Nothing is trained; what the models differ in is computed, which
 * takes a pass over the data unless their moments are there.
 */
export async function keptFits(
  session: Run,
  estimator: RowEstimator,
  models: readonly RowModel[],
): Promise<boolean[]> {
  const kept: boolean[] = models.map(() => false);
  const places = estimator.together ? [[...models.keys()]] : stacksOf(estimator, models);
  for (const own of places) {
    let asked = 0;
    const asking: Evaluator = {
      session: sessionOf(session),
      intern: (...given) => session.intern(...given),
      evaluate: (exprs) => session.evaluate(exprs),
      explain: (exprs) => session.explain(exprs),
      call: async (fn, args) => {
        kept[own[asked++]!] = session.isStored(fn, args);
        throw new OnlyAsked();
      },
    };
    const stack = own.map((place) => models[place]!);
    await rowFits(asking, estimator, stack, false).catch((error: unknown) => {
      if (!(error instanceof OnlyAsked)) throw error;
    });
  }
  return kept;
}

/** What training fits would take. */
export interface TrainingPlan {
  readonly fits: number;
  /** More than the fits where a fit is the best of several starts. */
  readonly models: number;
  /** Models that train together, and how often that many. */
  readonly atOnce: number;
  readonly stacks: number;
  /** Passes over the data an iteration takes for all of a stack; of several loops one after another. */
  readonly iterations: readonly number[];
  readonly passes: number;
  /** Of a stack; null where it is not known before. @units bytes */
  readonly stackBytes: number | null;
  readonly maxIterations: number | null;
}

/** Nothing runs. */
export async function planFits(
  session: Run,
  estimator: RowEstimator,
  models: readonly RowModel[],
): Promise<TrainingPlan[]> {
  const { starts = () => 1 } = estimator;
  if (estimator.together !== undefined) {
    const all = models.reduce((sum, { params }) => sum + starts(params), 0);
    const known = { iterations: [1], passes: 0, stacks: 1, stackBytes: null };
    const maxIterations = maxIterationsOf(models[0]!.params);
    return [{ fits: models.length, models: all, atOnce: all, maxIterations, ...known }];
  }
  const stacks = stacksOf(estimator, models);
  return Promise.all(
    stacks.map(async (places): Promise<TrainingPlan> => {
      const own = places.map((place) => models[place]!);
      const steps = pathOf(session, estimator, own)?.steps ?? [[...own.keys()]];
      const step = steps[0]!.map((place) => own[place]!);
      const { args, program, fixed } = stackOf(session, estimator, step);
      const plan = await planBatch(session, step.length, args, program, fixed);
      const { bytesPerModel, ...rest } = plan;
      return {
        fits: own.length,
        models: own.length,
        ...rest,
        stacks: rest.stacks * steps.length,
        stackBytes: bytesPerModel * plan.atOnce,
        maxIterations: maxIterationsOf(own[0]!.params),
      };
    }),
  );
}

function maxIterationsOf({ max_iter: most }: Params): number | null {
  return typeof most === 'number' ? most : null;
}

/** How wide models of a padded estimator train: alike for numbers of outputs that are near. */
function widthOf({ padded }: RowEstimator, params: Params): { readonly width?: number } {
  if (padded === undefined) return {};
  return { width: Math.max(4, 2 ** Math.ceil(Math.log2(params[padded] as number))) };
}

/** A padded fit without the outputs that are not its own. */
function cut(fit: Fit, { padded }: RowEstimator, params: Params): Fit {
  if (padded === undefined) return fit;
  const own = (one: Matrix): Matrix => one.slice(null, [0, params[padded] as number]);
  const { coefficients, intercept, ...rest } = fit.outputs as LinearOutputs;
  const outputs = { ...rest, coefficients: own(coefficients), intercept: own(intercept) };
  return { ...fit, weights: own(fit.weights), outputs };
}

/** What a fit is known by in lineages. */
function callOf({ name, version }: RowEstimator): { readonly name: string; version: string } {
  return { name: `fit ${name}`, version: String(version) };
}

/**
 * The training of one model, whose parameters but those of `stacked` are given, since values of an
 * earlier search or run may be computed again by it. @param models that train together
 */
function programOf(estimator: RowEstimator, models: number): BatchFunction<FitMatrices> {
  const { stacked } = estimator;
  return async (given, params) => {
    const numbers = Object.fromEntries(stacked.map((key) => [key, given[`number ${key}`]!]));
    const { classes, ...fixed } = params as Params & { readonly classes: number };
    return outputsOf(await estimator.train(rowData(given, { classes, models }), numbers, fixed));
  };
}

/** Makes fits in lineages of other processes known to this one. */
export function defineFits(estimators: readonly Estimator[]): void {
  for (const estimator of estimators) {
    const own = estimator.reads === 'moments' ? estimator.byRows : estimator;
    if (own?.reads === 'rows') define(own);
  }
}

function define(estimator: RowEstimator): void {
  register({ ...callOf(estimator), run: programOf(estimator, 1) as ReusableFunction['run'] });
}
