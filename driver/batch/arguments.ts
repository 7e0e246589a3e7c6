/**
 * Arguments of a batch: checked, and as values of each model. Small ones are cells on the host, so
 * that models may leave a stack, and are known by their cells, whatever they were given beside.
 */
import { PlanError, ShapeError } from '../errors.js';
import type { Typed } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, type Meta, shapeText } from '../ir/expr.js';
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
  readonly like: Meta & Typed;
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
    const { expr } = argument.shared;
    return { like: expr, values: sharedValue(expr), alone: () => of(expr) };
  }
  const own = ownOf(argument);
  const { like, layout, nodes, size } = own;
  const values =
    like.rows * like.cols <= SMALL_CELLS
      ? await onHost(session, own)
      : new NodeValues(session, layout, nodes, size);
  return { like, values, alone: (k) => of(values.of([k]).expr) };
}

/** An argument that models differ in: a node of all of them, or one each. */
interface OwnArgument {
  readonly layout: 'columns' | 'stack';
  readonly nodes: Expr | readonly Expr[];
  /** Columns, or rows of a stack, of one model. */
  readonly size: number;
  readonly like: ArgumentValues['like'];
}

function ownOf(argument: Exclude<BatchArgument, { readonly shared: Matrix }>): OwnArgument {
  if ('columns' in argument) {
    const { columns, cols } = argument;
    const { expr, rows, dtype } = columns;
    return { layout: 'columns', nodes: expr, size: cols, like: { rows, cols, dtype } };
  }
  if ('stack' in argument) {
    const { stack, rows } = argument;
    const { expr, cols, dtype } = stack;
    return { layout: 'stack', nodes: expr, size: rows, like: { rows, cols, dtype } };
  }
  const like = argument[0]!;
  return { layout: 'columns', nodes: argument.map(({ expr }) => expr), size: like.cols, like };
}

/** The shape of one model's. */
export function likeOf(argument: BatchArgument): ArgumentValues['like'] {
  return 'shared' in argument ? argument.shared.expr : ownOf(argument).like;
}

async function onHost(
  session: Evaluator,
  { layout, nodes, size }: OwnArgument,
): Promise<HostColumns> {
  const values = (await session.evaluate([nodes].flat())) as DenseMatrix[];
  if (!('op' in nodes)) return HostColumns.beside(session, values);
  const [{ rows, cols, data }] = values as [DenseMatrix];
  if (layout === 'columns') return new HostColumns(session, values[0]!, size);
  const cells = size * cols;
  const parts = Array.from({ length: rows / size }, (_, k) =>
    dense(size, cols, data.subarray(k * cells, (k + 1) * cells)),
  );
  return HostColumns.beside(session, parts);
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
