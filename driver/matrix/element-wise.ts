/**
 * What matrices and scalars share: a node, the session or run that evaluates it, and the
 * element-wise operators. Invariant: objects are frozen and building one computes nothing; equal
 * expressions are one node, and in a session one object, so they are `===` there. What a method
 * makes is evaluated where its receiver is; `in` says otherwise.
 */
import { DTypeError, PlanError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import type { DType } from '../ir/dtype.js';
import { type Evaluator, sessionOf } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import { ops } from '../operators/index.js';
import { scalarAttrs } from '../operators/scalar.js';
import { withCallSite } from './call-site.js';
import type { Matrix, Scalar } from './matrix.js';

/** What an element-wise method takes. Numbers become scalars; shapes broadcast as in NumPy. */
export type Operand = number | Scalar | Matrix;

/** A scalar met by a matrix becomes a matrix; otherwise the receiver's kind stays. */
export type ResultKind<Self, O> = O extends Matrix ? Matrix : Self;

/** Numbers seen lately, so that `x.mul(2)` in a loop does not format and hash the 2 each time. */
const scalarCaches = {
  float64: new WeakMap<Evaluator, Map<number, Expr>>(),
  float32: new WeakMap<Evaluator, Map<number, Expr>>(),
};
const MAX_CACHED_SCALARS = 1024;

/** The node of a number. */
export function scalarExpr(session: Evaluator, value: number, dtype: DType = 'float64'): Expr {
  const caches = scalarCaches[dtype];
  let cache = caches.get(sessionOf(session));
  if (cache === undefined) {
    cache = new Map();
    caches.set(sessionOf(session), cache);
  }
  let expr = cache.get(value);
  if (expr === undefined) {
    expr = session.intern(ops.scalar, [], scalarAttrs(value, dtype));
    if (cache.size >= MAX_CACHED_SCALARS) cache.clear();
    cache.set(value, expr);
  }
  return expr;
}

/**
 * Operands of a cell-wise operator. A number has no dtype of its own: beside float32 it is float32,
 * rounded, as in NumPy 2. What was computed keeps its dtype.
 */
export function adapted(session: Evaluator, inputs: readonly Expr[]): readonly Expr[] {
  const { dtype } = inputs[0]!;
  if (inputs.every((expr) => expr.dtype === dtype)) return inputs;
  return inputs.map((expr) =>
    expr.op.source === 'number' ? scalarExpr(session, expr.attrs.value as number, 'float32') : expr,
  );
}

/** Makes a node; errors name the caller's line. @throws ShapeError, DTypeError, PlanError */
export function makeExpr(
  session: Evaluator,
  op: OpDef,
  inputs: readonly Expr[],
  attrs?: Attrs,
): Expr {
  try {
    return session.intern(op, inputs, attrs);
  } catch (error) {
    throw withCallSite(error);
  }
}

/** @throws PlanError unless both are one session, or runs of it */
export function requireOneSession(op: string, one: Evaluator, other: Evaluator): void {
  if (sessionOf(one) === sessionOf(other)) return;
  throw withCallSite(
    new PlanError(`${op}: expected operands of one session, got two sessions`, { op }),
  );
}

export abstract class ElementWise<Self> {
  /** What evaluates it: a session, or a run of one. */
  readonly session: Evaluator;
  readonly expr: Expr;

  /** Of the cells: `float64` or `float32`. */
  get dtype(): DType {
    return this.expr.dtype;
  }

  protected constructor(session: Evaluator, expr: Expr) {
    this.session = session;
    this.expr = expr;
  }

  /** Wraps the result: a scalar only when every operand is a scalar or number. */
  protected abstract wrap(expr: Expr, isMatrix: boolean): Self | Matrix;

  /** a + b. */
  add<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.add, other);
  }
  /** a - b. */
  sub<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.sub, other);
  }
  /** a * b cell by cell; `matmul` is the product of matrices. */
  mul<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.mul, other);
  }
  /** a / b. */
  div<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.div, other);
  }
  /** a to the power b. */
  pow<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.pow, other);
  }
  /** Remainder with the sign of the divisor, as in R and Python. */
  mod<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.mod, other);
  }
  /** The lesser of two cells. */
  minimum<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.minimum, other);
  }
  /** The greater of two cells. */
  maximum<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.maximum, other);
  }
  /** 1 where a = b, else 0. To compare expressions, compare nodes: `a.expr === b.expr`. */
  eq<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.eq, other);
  }
  /** 1 where a differs from b, else 0. */
  ne<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.ne, other);
  }
  /** 1 where a < b, else 0. */
  lt<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.lt, other);
  }
  /** 1 where a <= b, else 0. */
  le<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.le, other);
  }
  /** 1 where a > b, else 0. */
  gt<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.gt, other);
  }
  /** 1 where a >= b, else 0. */
  ge<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.ge, other);
  }
  /** 1 where both cells are non-zero, else 0. */
  and<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.and, other);
  }
  /** 1 where either cell is non-zero, else 0. */
  or<O extends Operand>(other: O): ResultKind<Self, O> {
    return this.#binary(ops.or, other);
  }
  /** `then` where this cell is non-zero, else `otherwise`. */
  ifelse<T extends Operand, O extends Operand>(then: T, otherwise: O): ResultKind<Self, T | O> {
    const inputs = [
      this.expr,
      this.operand('ifelse', then, 'then'),
      this.operand('ifelse', otherwise, 'otherwise'),
    ];
    const isMatrix = isMatrixOperand(then) || isMatrixOperand(otherwise);
    const expr = makeExpr(this.session, ops.ifelse, adapted(this.session, inputs));
    return this.wrap(expr, isMatrix) as ResultKind<Self, T | O>;
  }
  /** -a. */
  neg(): Self {
    return this.#unary(ops.neg);
  }
  /** |a|. */
  abs(): Self {
    return this.#unary(ops.abs);
  }
  /** e to the power a. */
  exp(): Self {
    return this.#unary(ops.exp);
  }
  /** Natural logarithm. */
  log(): Self {
    return this.#unary(ops.log);
  }
  /** e to the power a, less 1. */
  expm1(): Self {
    return this.#unary(ops.expm1);
  }
  /** Natural logarithm of 1 + a. */
  log1p(): Self {
    return this.#unary(ops.log1p);
  }
  /** Square root. */
  sqrt(): Self {
    return this.#unary(ops.sqrt);
  }
  /** a * a. */
  square(): Self {
    return this.#unary(ops.square);
  }
  /** -1, 0 or 1. */
  sign(): Self {
    return this.#unary(ops.sign);
  }
  /** Nearest whole number, ties to even. */
  round(): Self {
    return this.#unary(ops.round);
  }
  /** Largest whole number not above a. */
  floor(): Self {
    return this.#unary(ops.floor);
  }
  /** Least whole number not below a. */
  ceil(): Self {
    return this.#unary(ops.ceil);
  }
  /** 1 / (1 + e^-a). */
  sigmoid(): Self {
    return this.#unary(ops.sigmoid);
  }
  /** Hyperbolic tangent. */
  tanh(): Self {
    return this.#unary(ops.tanh);
  }
  /** The error function. */
  erf(): Self {
    return this.#unary(ops.erf);
  }
  /** log(1 + e^a). */
  softplus(): Self {
    return this.#unary(ops.softplus);
  }
  /** 1 where the cell is 0, else 0. */
  not(): Self {
    return this.#unary(ops.not);
  }
  /** 1 where the cell is NaN, else 0. */
  isNaN(): Self {
    return this.#unary(ops.isNaN);
  }
  /** 1 / a. */
  recip(): Self {
    return this.#unary(ops.recip);
  }

  /** The node of an operand. @throws DTypeError, PlanError */
  protected operand(op: string, value: Operand, name = 'operand'): Expr {
    if (typeof value === 'number') return scalarExpr(this.session, value);
    if (!(value instanceof ElementWise)) {
      throw withCallSite(
        new DTypeError(
          `${op}: expected ${name} as a number, scalar or matrix, got ${describe(value)}`,
          { op },
        ),
      );
    }
    if (value.session !== this.session) requireOneSession(op, value.session, this.session);
    return value.expr;
  }

  /** Arithmetic signs can't build expressions; saying so beats a silent NaN. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString();
    throw withCallSite(
      new DTypeError(
        `${this.expr.op.name}: expected a method such as .add() or the number of await x.value(), got an arithmetic sign on a lazy value`,
        { op: this.expr.op.name },
      ),
    );
  }

  /** Operator and shape; the value is not computed. */
  toString(): string {
    return `${this.expr.op.name} ${this.expr.rows}x${this.expr.cols}`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /** The same cells rounded to another dtype; itself where they have it. */
  cast(dtype: DType): Self {
    if (dtype === this.dtype) return this as unknown as Self;
    return this.wrap(makeExpr(this.session, ops.cast, [this.expr], { dtype }), false) as Self;
  }

  #unary(op: OpDef): Self {
    return this.wrap(makeExpr(this.session, op, [this.expr]), false) as Self;
  }

  #binary<O extends Operand>(op: OpDef, other: O): ResultKind<Self, O> {
    const right = this.operand(op.name, other);
    const expr = makeExpr(this.session, op, adapted(this.session, [this.expr, right]));
    return this.wrap(expr, isMatrixOperand(other)) as ResultKind<Self, O>;
  }
}

/** Tells matrices from scalars by what only they have; importing the class would close a cycle. */
function isMatrixOperand(value: Operand): boolean {
  return typeof value === 'object' && 'matmul' in value;
}

export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
}
