/**
 * Arguments of a batch: checked, and as values of each model. Small ones are cells on the host, so
 * that models may leave a stack, and are known by their cells, whatever they were given beside.
 */
import { PlanError, ShapeError } from '../errors.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, shapeText } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';
import { dense } from '../ir/value.js';
import { Matrix } from '../matrix/matrix.js';
import { HostColumns, type ModelValues, NodeValues, sharedValue } from './model-values.js';

/**
 * An argument of the models of a stack: the same for all; beside one another, `cols` columns each;
 * one under the other, `rows` rows each; or one matrix each.
 */
export type BatchArgument =
  | { readonly shared: Matrix }
  | { readonly columns: Matrix; readonly cols: number }
  | { readonly stack: Matrix; readonly rows: number }
  | readonly Matrix[];

/** An argument as each model has it. */
export interface ArgumentValues {
  /** Of the shape of one model's. */
  readonly like: Pick<Matrix, 'rows' | 'cols' | 'dtype'>;
  readonly values: ModelValues;
  /** One model's matrix, by which the model is known. */
  readonly alone: (model: number) => Matrix;
}

/** Arguments of one model of at most so many cells are brought to the host. */
const SMALL_CELLS = 4096;

/** Every argument as values by model; evaluates small ones that are not cells yet. */
export async function argumentValues(
  session: Evaluator,
  args: Readonly<Record<string, BatchArgument>>,
): Promise<Readonly<Record<string, ArgumentValues>>> {
  const entries = Object.entries(args).map(
    async ([name, argument]) => [name, await argumentOf(session, argument)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

async function argumentOf(session: Evaluator, argument: BatchArgument): Promise<ArgumentValues> {
  const of = (expr: Expr): Matrix => Matrix.of(session, expr);
  if ('shared' in argument) {
    const like = argument.shared;
    return { like, values: sharedValue(like.expr), alone: () => of(like.expr) };
  }
  const like = oneOf(argument);
  if (like.rows * like.cols <= SMALL_CELLS) {
    const values = await onHost(session, argument, like);
    return { like, values, alone: (k) => of(values.of([k]).expr) };
  }
  const values = nodesOf(session, argument);
  return { like, values, alone: (k) => of(values.of([k]).expr) };
}

type OwnArgument = Exclude<BatchArgument, { readonly shared: Matrix }>;

/** The shape of one model's. */
export function likeOf(argument: BatchArgument): Pick<Matrix, 'rows' | 'cols' | 'dtype'> {
  return 'shared' in argument ? argument.shared : oneOf(argument);
}

function oneOf(argument: OwnArgument): Pick<Matrix, 'rows' | 'cols' | 'dtype'> {
  if ('columns' in argument) {
    const { rows, dtype } = argument.columns;
    return { rows, cols: argument.cols, dtype };
  }
  if ('stack' in argument) {
    const { cols, dtype } = argument.stack;
    return { rows: argument.rows, cols, dtype };
  }
  return argument[0]!;
}

async function onHost(
  session: Evaluator,
  argument: OwnArgument,
  { rows, cols }: { readonly rows: number; readonly cols: number },
): Promise<HostColumns> {
  if ('columns' in argument) {
    const [value] = (await session.evaluate([argument.columns.expr])) as DenseMatrix[];
    return new HostColumns(session, value!, cols);
  }
  const parts =
    'stack' in argument
      ? await stackParts(session, argument.stack, rows)
      : ((await session.evaluate(argument.map(({ expr }) => expr))) as DenseMatrix[]);
  return HostColumns.beside(session, parts);
}

async function stackParts(
  session: Evaluator,
  stack: Matrix,
  rows: number,
): Promise<readonly DenseMatrix[]> {
  const [value] = (await session.evaluate([stack.expr])) as DenseMatrix[];
  const size = rows * stack.cols;
  return Array.from({ length: stack.rows / rows }, (_, k) =>
    dense(rows, stack.cols, value!.data.subarray(k * size, (k + 1) * size)),
  );
}

function nodesOf(session: Evaluator, argument: OwnArgument): NodeValues {
  if ('columns' in argument) {
    return new NodeValues(session, 'columns', argument.columns.expr, argument.cols);
  }
  if ('stack' in argument) {
    return new NodeValues(session, 'stack', argument.stack.expr, argument.rows);
  }
  const parts = argument.map(({ expr }) => expr);
  return new NodeValues(session, 'columns', parts, argument[0]!.cols);
}

/** @throws PlanError or ShapeError for arguments that are not of so many models */
export function checkArguments(
  models: number,
  args: Readonly<Record<string, BatchArgument>>,
): void {
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
