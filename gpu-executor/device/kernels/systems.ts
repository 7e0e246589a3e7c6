/**
 * Small systems and their factors, one or those of many models; larger ones, if one is positive
 * definite, by the device's library where it has one, else on the host.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import type { ModelView } from '../../../driver/operators/model-stack.js';
import { notPositiveError, singularError } from '../../../driver/operators/pivot.js';
import { stackedSystems } from '../../../driver/operators/stack-systems.js';
import type { DeviceProperties } from '../driver.js';
import { type Lowered, loweredNode, type PlacedOperand, Scratch } from './lowered.js';
import { MAX_SYSTEM, type Systems, type SystemView, systemsStep } from './systems-code.js';

const OUTPUT: PlacedOperand = { output: 0 };

/** Right-hand sides at most: their cells are counted in 32 bits. */
const MAX_SIDES = 2 ** 22;
/** Of a matrix, and of right-hand sides. */
const MAX_CELLS = 2 ** 31 - 1;

/** Whether a group of items solves it. */
export function isSmallSystem({ inputs: [a], cols }: Expr): boolean {
  return a!.cols <= MAX_SYSTEM && cols <= MAX_SIDES;
}

/** Whether that, or the device's library, computes a factor. */
export function canFactor(expr: Expr, { hasSolver }: DeviceProperties): boolean {
  const n = expr.inputs[0]!.cols;
  return isSmallSystem(expr) || (hasSolver && n * Math.max(n, expr.cols) <= MAX_CELLS);
}

export function canSolve(expr: Expr, properties: DeviceProperties): boolean {
  return expr.attrs.assume === 'spd' ? canFactor(expr, properties) : isSmallSystem(expr);
}

/** @param singular what a refused system is to the caller; absent: its part of the result is NaN */
function lowered(
  expr: Expr,
  systems: Omit<Systems, 'dtype'>,
  singular?: (row: number, pivot: number) => Error,
): Lowered {
  const scratch = new Scratch();
  const { step, status } = systemsStep({ ...systems, dtype: expr.dtype }, scratch);
  const node = loweredNode(expr, [step], scratch.bytes);
  if (singular === undefined) return node;
  const error = ([refused, pivot]: Float64Array): Error | undefined =>
    refused === 0 ? undefined : singular(refused! - 1, pivot!);
  return { ...node, status: { scratch: status, error } };
}

export function lowerCholesky(expr: Expr): Lowered {
  return lowered(expr, factors(expr), (row, pivot) => notPositiveError('cholesky', row, pivot));
}

export function lowerStackCholesky(expr: Expr): Lowered {
  return lowered(expr, factors(expr));
}

function factors({ rows, cols: n }: Expr): Omit<Systems, 'dtype'> {
  const view = { stride: n, step: n * n };
  const a = { operand: { input: 0 }, ...view };
  const out = { operand: OUTPUT, ...view };
  return { kind: 'cholesky', models: rows / n, n, cols: n, a, out };
}

export function lowerSolve(expr: Expr): Lowered {
  const [a, b, d] = expr.inputs as [Expr, Expr, Expr?];
  const isSpd = expr.attrs.assume === 'spd';
  const side = { stride: b.cols, step: 0 };
  const systems = {
    kind: isSpd ? 'spd' : 'general',
    ...{ models: 1, n: a.cols, cols: b.cols },
    a: { operand: { input: 0 }, stride: a.cols, step: 0 },
    b: { operand: { input: 1 }, ...side },
    d: d && { operand: { input: 2 }, stride: d.rows === 1 ? 0 : 1, step: 0 },
    out: { operand: OUTPUT, ...side },
  } as const;
  const singular = isSpd ? notPositiveError : singularError;
  return lowered(expr, systems, (row, pivot) => singular('solve', row, pivot));
}

export function lowerStackSolve(expr: Expr): Lowered {
  const models = expr.attrs.models as number;
  const { a, b, diagonal } = stackedSystems(expr.inputs, models);
  return lowered(expr, {
    kind: expr.attrs.assume === 'spd' ? 'spd' : 'general',
    ...{ models, n: a.cols, cols: b.cols },
    a: viewOf(0, a),
    b: viewOf(1, b),
    d: diagonal && {
      ...viewOf(2, diagonal),
      ...(diagonal.rows === 1 && { stride: 0 }),
    },
    out: { ...viewOf(1, b), operand: OUTPUT },
  });
}

function viewOf(input: number, { stride, step }: ModelView): SystemView {
  return { operand: { input }, stride, step };
}
