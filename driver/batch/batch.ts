/**
 * `batch`: an algorithm written for one model, run for many. Invariant: each model's result is what
 * the function gives for that model alone, up to rounding, and is known by that model's arguments
 * only, so that models that are there are not trained again.
 */
import { PlanError, ShapeError } from '../errors.js';
import type { AttrValue } from '../ir/attrs.js';
import type { Evaluator, ReusableFunction } from '../ir/evaluator.js';
import { shapeText } from '../ir/expr.js';
import type { Matrix } from '../matrix/matrix.js';

/**
 * An argument of the models of a stack: the same for all; beside one another, `cols` columns each;
 * one under the other, `rows` rows each; or one matrix each.
 */
export type BatchArgument =
  | { readonly shared: Matrix }
  | { readonly columns: Matrix; readonly cols: number }
  | { readonly stack: Matrix; readonly rows: number }
  | readonly Matrix[];

export type BatchFunction<R extends Readonly<Record<string, Matrix>>> = (
  args: Readonly<Record<string, Matrix>>,
) => Promise<R>;

export interface BatchOptions {
  /** Unique in the program; part of what a model is known by. */
  readonly name: string;
  /** Change it whenever the function computes something else. */
  readonly version: string;
  /** Plain data the function depends on besides its arguments; part of what a model is known by. */
  readonly params?: AttrValue;
  /** Memory for a stack: more models are trained in several. @units bytes */
  readonly maxBytes?: number;
}

/**
 * Runs `fn`, which is written for one model, for `models` models at once.
 * @param fn takes the arguments of one model under their names; depends on them and on `params` only
 * @returns what `fn` gives, model by model
 * @throws PlanError or ShapeError for arguments that are not of so many models, and what `fn` throws
 */
export async function batch<R extends Readonly<Record<string, Matrix>>>(
  session: Evaluator,
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
  fn: BatchFunction<R>,
  { name, version, params = null }: BatchOptions,
): Promise<R[]> {
  checkArguments(models, args);
  const run = (own: Readonly<Record<string, Matrix>>): Promise<R> => fn(own);
  const definition: ReusableFunction = { name, version, run: run as ReusableFunction['run'] };
  const one = async (at: number): Promise<R> => {
    const own = argumentsOf(at, args);
    if (session.call === undefined) return fn(own);
    return (await session.call(definition, [own, params])) as R;
  };
  return Promise.all(Array.from({ length: models }, (_, at) => one(at)));
}

/** The arguments of one model. */
function argumentsOf(
  at: number,
  args: Readonly<Record<string, BatchArgument>>,
): Readonly<Record<string, Matrix>> {
  const own = Object.entries(args).map(([name, argument]) => {
    if ('shared' in argument) return [name, argument.shared] as const;
    if ('columns' in argument) {
      const { columns, cols } = argument;
      return [name, columns.slice(null, [at * cols, (at + 1) * cols])] as const;
    }
    if ('stack' in argument) {
      const { stack, rows } = argument;
      return [name, stack.slice([at * rows, (at + 1) * rows])] as const;
    }
    return [name, argument[at]!] as const;
  });
  return Object.fromEntries(own);
}

function checkArguments(models: number, args: Readonly<Record<string, BatchArgument>>): void {
  if (!(Number.isSafeInteger(models) && models >= 1)) {
    throw new PlanError(`batch: expected models as a whole number of at least 1, got ${models}`, {
      op: 'batch',
      models,
    });
  }
  for (const [name, argument] of Object.entries(args)) {
    if ('shared' in argument) continue;
    if ('columns' in argument) {
      const { columns, cols } = argument;
      if (columns.cols === models * cols) continue;
      throw wrongSize(name, `${models} x ${cols} columns`, shapeText(columns));
    }
    if ('stack' in argument) {
      const { stack, rows } = argument;
      if (stack.rows === models * rows) continue;
      throw wrongSize(name, `${models} x ${rows} rows`, shapeText(stack));
    }
    const [first] = argument;
    const isSame = (one: Matrix): boolean =>
      one.rows === first!.rows && one.cols === first!.cols && one.dtype === first!.dtype;
    if (argument.length === models && argument.every(isSame)) continue;
    const got = argument.length === models ? 'several shapes or dtypes' : `${argument.length}`;
    throw wrongSize(name, `${models} matrices of one shape`, got);
  }
}

function wrongSize(name: string, expected: string, got: string): ShapeError {
  return new ShapeError(`batch: expected ${name} of ${expected}, got ${got}`, { op: 'batch' });
}
