/**
 * The checks operators share when they infer a shape. Invariant: every message reads `<op>:
 * expected <requirement>, got <shapes or value>`; the API adds the call site
 * (`driver/matrix/call-site.ts`).
 */
import { DTypeError, PlanError, ShapeError } from '../errors.js';
import type { Attrs, AttrValue } from '../ir/attrs.js';
import { type Meta, shapeText } from '../ir/expr.js';

/** The error for operands whose shapes do not fit. It names the operator and all the shapes. */
export function shapeError(op: string, requirement: string, inputs: readonly Meta[]): ShapeError {
  const shapes = inputs.map(shapeText);
  return new ShapeError(`${op}: expected ${requirement}, got ${shapes.join(' and ')}`, {
    op,
    shapes,
  });
}

/** @throws ShapeError unless the operand has as many rows as columns */
export function requireSquare(op: string, inputs: readonly Meta[]): void {
  if (inputs[0]!.rows !== inputs[0]!.cols) throw shapeError(op, 'a square matrix', inputs);
}

/** A number attribute. @throws DTypeError */
export function numberAttr(op: string, attrs: Attrs, name: string): number {
  const value = attrs[name];
  if (typeof value !== 'number') throw attrError(op, name, 'a number', value);
  return value;
}

/** A finite number attribute. @throws DTypeError, PlanError */
export function finiteAttr(op: string, attrs: Attrs, name: string): number {
  const value = numberAttr(op, attrs, name);
  if (!Number.isFinite(value)) {
    throw new PlanError(`${op}: expected a finite ${name}, got ${value}`, { op, [name]: value });
  }
  return value;
}

/** A whole-number attribute >= `min`, exactly representable. @throws DTypeError, PlanError */
export function wholeAttr(op: string, attrs: Attrs, name: string, min: number): number {
  const value = numberAttr(op, attrs, name);
  if (!Number.isSafeInteger(value) || value < min) {
    throw new PlanError(
      `${op}: expected ${name} as a whole number of at least ${min}, got ${value}`,
      {
        op,
        [name]: value,
      },
    );
  }
  return value;
}

/** A matrix dimension. @throws DTypeError, ShapeError */
export function sizeAttr(op: string, attrs: Attrs, name: string): number {
  const value = numberAttr(op, attrs, name);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ShapeError(`${op}: expected ${name} as a whole number of at least 1, got ${value}`, {
      op,
      [name]: value,
    });
  }
  return value;
}

/** One of a few words. @throws PlanError */
export function choiceAttr<T extends string>(
  op: string,
  attrs: Attrs,
  name: string,
  choices: readonly T[],
): T {
  const value = attrs[name];
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    throw new PlanError(
      `${op}: expected ${name} as ${choices.join(' or ')}, got ${String(value)}`,
      {
        op,
        [name]: value,
      },
    );
  }
  return found;
}

/** A flag that is false when absent. @throws DTypeError */
export function flagAttr(op: string, attrs: Attrs, name: string): boolean {
  const value = attrs[name] ?? false;
  if (typeof value !== 'boolean') throw attrError(op, name, 'true or false', value);
  return value;
}

function attrError(op: string, name: string, wanted: string, value: AttrValue | undefined): Error {
  return new DTypeError(`${op}: expected ${name} as ${wanted}, got ${JSON.stringify(value)}`, {
    op,
    [name]: value,
  });
}

/** Expected non-zero cells of an operand. */
export function nnzOf(meta: Meta): number {
  return meta.nnz ?? meta.rows * meta.cols;
}

/** Some rows and columns of a matrix, whose zeros are taken to lie evenly. */
export function partOf(whole: Meta, rows: number, cols: number): Meta {
  if (whole.nnz === undefined) return { rows, cols };
  return { rows, cols, nnz: (whole.nnz * rows * cols) / (whole.rows * whole.cols) };
}
