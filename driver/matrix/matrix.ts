/**
 * The lazy matrix and scalar users hold. Every method makes one node (or finds the equal one) and
 * computes nothing; `value()` runs what is needed, with everything else asked for in the same turn
 * of the event loop.
 */

import { InternalError, PlanError, ShapeError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { type Evaluator, sessionOf } from '../ir/evaluator.js';
import { type Expr, shapeText, topological } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import { printExprs } from '../ir/print.js';
import type { DenseMatrix } from '../ir/value.js';
import { ops } from '../operators/index.js';
import { withCallSite } from './call-site.js';
import { adapted, ElementWise, makeExpr, requireOneSession } from './element-wise.js';

export interface ExplainOptions {
  /** Also the plan after each rule that changed it. */
  readonly verbose?: boolean;
}

/** `[from, to)`, zero-based; a missing `to` is the end. One number is one row or column. */
export type SliceRange = number | readonly [from: number, to?: number];

export interface RankOptions {
  /** Zero-based column to order by. Default 0. */
  readonly by?: number;
  /** Greatest first. Default false. */
  readonly descending?: boolean;
}

export interface SolveOptions {
  /** `spd`: symmetric positive definite, solved by Cholesky. Default `general`, solved by LU. */
  readonly assume?: 'general' | 'spd';
}

/** A 1x1 value. */
export class Scalar extends ElementWise<Scalar> {
  private constructor(session: Evaluator, expr: Expr) {
    super(session, expr);
    Object.freeze(this);
  }

  /** The scalar of a 1x1 node: one object in a session, a new one in a run. @throws ShapeError */
  static of(session: Evaluator, expr: Expr): Scalar {
    const { facade } = expr;
    if (facade instanceof Scalar && facade.session === session) return facade;
    if (expr.rows !== 1 || expr.cols !== 1) {
      throw withCallSite(
        new ShapeError(`asScalar: expected 1x1, got ${shapeText(expr)}`, {
          op: 'asScalar',
          shapes: [shapeText(expr)],
        }),
      );
    }
    return facadeOf(session, expr, () => new Scalar(session, expr), scalarTwins);
  }

  /** As `Matrix.in`. @throws PlanError */
  in(session: Evaluator): Scalar {
    requireOneSession('in', this.session, session);
    return Scalar.of(session, this.expr);
  }

  /** The number; runs what is not there yet. */
  async value(): Promise<number> {
    return (await evaluateDense(this.session, this.expr)).data[0]!;
  }

  /** The same value as a 1x1 matrix. */
  asMatrix(): Matrix {
    return Matrix.of(this.session, this.expr);
  }

  /** The plan that computes this, as text. */
  explain(options: ExplainOptions = {}): string {
    return this.session.explain([this.expr], options);
  }

  /** What this is computed from: one line a node, inputs first. */
  lineage(): string {
    return printExprs(topological([this.expr]));
  }

  protected override wrap(expr: Expr, isMatrix: boolean): Scalar | Matrix {
    return isMatrix ? Matrix.of(this.session, expr) : Scalar.of(this.session, expr);
  }
}

export class Matrix extends ElementWise<Matrix> {
  private constructor(session: Evaluator, expr: Expr) {
    super(session, expr);
    Object.freeze(this);
  }

  /** The matrix of a node: one object in a session, a new one in a run. */
  static of(session: Evaluator, expr: Expr): Matrix {
    const { facade } = expr;
    if (facade instanceof Matrix && facade.session === session) return facade;
    return facadeOf(session, expr, () => new Matrix(session, expr), matrixTwins);
  }

  get rows(): number {
    return this.expr.rows;
  }
  get cols(): number {
    return this.expr.cols;
  }

  /**
   * The same matrix in a run of its session, or in the session: what is made from it there is
   * counted and cancelled there.
   * @throws PlanError for another session
   */
  in(session: Evaluator): Matrix {
    requireOneSession('in', this.session, session);
    return Matrix.of(session, this.expr);
  }

  /** The cells; runs what is not there yet. Do not change them: the cache may share them. */
  value(): Promise<DenseMatrix> {
    return evaluateDense(this.session, this.expr);
  }
  /** The cells as nested arrays, row by row; a copy. */
  async toArray(): Promise<number[][]> {
    const { rows, cols, data } = await this.value();
    return Array.from({ length: rows }, (_, i) => [...data.subarray(i * cols, (i + 1) * cols)]);
  }
  /** The plan that computes this, as text. */
  explain(options: ExplainOptions = {}): string {
    return this.session.explain([this.expr], options);
  }
  /** What this is computed from: one line a node, inputs first. */
  lineage(): string {
    return printExprs(topological([this.expr]));
  }
  /** The same value as a scalar. @throws ShapeError unless 1x1 */
  asScalar(): Scalar {
    return Scalar.of(this.session, this.expr);
  }

  /** Matrix product. `a.t().matmul(b)` does not build the transpose. */
  matmul(other: Matrix): Matrix {
    return this.#with(ops.matmul, [other]);
  }
  /** Transpose. */
  t(): Matrix {
    return this.#with(ops.transpose);
  }
  /** t(X) %*% X. */
  tsmm(): Matrix {
    return this.#with(ops.tsmm);
  }
  /** t(X) %*% (w * (X %*% v)), in one pass over X; without weights t(X) %*% (X %*% v). */
  mmchain(v: Matrix, w?: Matrix): Matrix {
    return this.#with(ops.mmchain, w === undefined ? [v] : [v, w]);
  }
  /** The X with this %*% X = b. Running it throws SingularError when there is none or many. */
  solve(b: Matrix, options: SolveOptions = {}): Matrix {
    const assume = options.assume ?? 'general';
    return this.#with(ops.solve, [b], assume === 'general' ? undefined : { assume });
  }
  /** The lower triangular L, L %*% t(L) = this. Throws SingularError unless positive definite. */
  cholesky(): Matrix {
    return this.#with(ops.cholesky);
  }
  /**
   * Of a symmetric matrix, of which the lower triangle is read: row j begins with the j-th greatest
   * eigenvalue, column j + 1 is its vector, of length 1, its largest component positive; n x (n+1).
   */
  eigen(): Matrix {
    return this.#with(ops.eigen);
  }
  /** t(X) %*% diag(w) %*% X for each column w of the weights, one under the other, in one pass. */
  weightedGram(weights: Matrix): Matrix {
    return this.#with(ops.weightedGram, [weights]);
  }
  /** Column j of Q times block j mod C of these C square blocks, one under the other. */
  blockProducts(Q: Matrix): Matrix {
    return this.#with(ops.blockProducts, [Q]);
  }
  /** exp(z) / sum exp(z) over each run of `width` columns of a row; default over the row. */
  softmax(width = this.cols): Matrix {
    return this.#with(ops.softmax, [], { width });
  }

  /** Rows and columns of a part; leave one out (or null) for all of them. */
  slice(rows: SliceRange | null, cols: SliceRange | null = null): Matrix {
    const attrs = { rows: rangeAttr(rows, this.rows), cols: rangeAttr(cols, this.cols) };
    if (attrs.rows === null && attrs.cols === null) return this;
    return this.#with(ops.slice, [], attrs);
  }
  /** Row i as 1 x cols. */
  row(i: number): Matrix {
    return this.slice(i);
  }
  /** Column j as rows x 1. */
  col(j: number): Matrix {
    return this.slice(null, j);
  }
  /** Cell (i, j). */
  at(i: number, j: number): Scalar {
    return this.slice(i, j).asScalar();
  }
  /** The others under this. */
  rbind(...others: readonly Matrix[]): Matrix {
    return others.length === 0 ? this : this.#with(ops.rbind, others);
  }
  /** The others beside this. */
  cbind(...others: readonly Matrix[]): Matrix {
    return others.length === 0 ? this : this.#with(ops.cbind, others);
  }
  /** The same cells, row by row, in another shape. */
  reshape(rows: number, cols: number): Matrix {
    return rows === this.rows && cols === this.cols
      ? this
      : this.#with(ops.reshape, [], { rows, cols });
  }
  /** A column as a diagonal matrix, or the diagonal of a square matrix as a column. */
  diag(): Matrix {
    return this.#with(ops.diag);
  }
  /** this + diag(d), or this + d * I for a number or scalar. */
  addDiag(d: number | Scalar | Matrix): Matrix {
    const inputs = adapted(this.session, [this.expr, this.operand('addDiag', d)]);
    return Matrix.of(this.session, makeExpr(this.session, ops.addDiag, inputs));
  }

  /** Sum of all cells. */
  sum(): Scalar {
    return this.#scalar(ops.sum);
  }
  /** Mean of all cells. */
  mean(): Scalar {
    return this.sum().div(this.rows * this.cols);
  }
  /** Least cell. */
  min(): Scalar {
    return this.#scalar(ops.min);
  }
  /** Greatest cell. */
  max(): Scalar {
    return this.#scalar(ops.max);
  }
  /** Sum of squared cells. */
  sumSq(): Scalar {
    return this.#scalar(ops.sumSq);
  }
  /** Mean squared deviation from the mean, over cells - ddof. */
  variance(ddof = 1): Scalar {
    const cells = this.rows * this.cols;
    return this.sub(this.mean())
      .sumSq()
      .div(degreesOfFreedom('variance', cells, ddof));
  }
  rowSums(): Matrix {
    return this.#with(ops.rowSums);
  }
  rowMeans(): Matrix {
    return this.rowSums().div(this.cols);
  }
  rowMins(): Matrix {
    return this.#with(ops.rowMins);
  }
  rowMaxs(): Matrix {
    return this.#with(ops.rowMaxs);
  }
  rowSumSqs(): Matrix {
    return this.#with(ops.rowSumSqs);
  }
  /** Zero-based column of the first greatest cell of each row. */
  rowIndexMax(): Matrix {
    return this.#with(ops.rowIndexMax);
  }
  /** Zero-based column of the first least cell of each row. */
  rowIndexMin(): Matrix {
    return this.#with(ops.rowIndexMin);
  }
  /**
   * The first k rows ordered by a column: each row's zero-based number, then its cells, min(k,
   * rows) x (1 + cols). Ties keep the order of the rows; NaN comes last. A smaller k, and rows
   * added at the end, reuse what was ranked before.
   * @throws PlanError unless k is at least 1, ShapeError for a column that is not there
   */
  topK(k: number, { by = 0, descending = false }: RankOptions = {}): Matrix {
    const most = Number.isSafeInteger(k) ? Math.min(k, this.rows) : k;
    return this.#with(ops.topK, [], { k: most, by, descending });
  }
  /** Zero-based numbers of all rows, ordered by a column, rows x 1; as `topK` orders them. */
  order(options: RankOptions = {}): Matrix {
    return this.topK(this.rows, options).slice(null, 0);
  }
  colSums(): Matrix {
    return this.#with(ops.colSums);
  }
  colMeans(): Matrix {
    return this.colSums().div(this.rows);
  }
  colMins(): Matrix {
    return this.#with(ops.colMins);
  }
  colMaxs(): Matrix {
    return this.#with(ops.colMaxs);
  }
  colSumSqs(): Matrix {
    return this.#with(ops.colSumSqs);
  }
  /** Variance of each column about its own mean, over rows - ddof. */
  colVariances(ddof = 1): Matrix {
    return this.sub(this.colMeans())
      .colSumSqs()
      .div(degreesOfFreedom('colVariances', this.rows, ddof));
  }

  protected override wrap(expr: Expr): Matrix {
    return Matrix.of(this.session, expr);
  }

  #with(op: OpDef, others: readonly Matrix[] = [], attrs?: Attrs): Matrix {
    const inputs = [this.expr];
    for (const other of others) inputs.push(this.operand(op.name, other));
    return Matrix.of(this.session, makeExpr(this.session, op, inputs, attrs));
  }

  #scalar(op: OpDef): Scalar {
    return Scalar.of(this.session, makeExpr(this.session, op, [this.expr]));
  }
}

/** Objects of 1x1 nodes held both as a scalar and as a matrix; the node's slot has the first. */
const scalarTwins = new WeakMap<Expr, Scalar>();
const matrixTwins = new WeakMap<Expr, Matrix>();

function facadeOf<T extends object>(
  session: Evaluator,
  expr: Expr,
  make: () => T,
  twins: WeakMap<Expr, T>,
): T {
  // A cached node would keep the run alive; a table of a run's own costs more than the node.
  if (sessionOf(session) !== session) return make();
  if (expr.facade === undefined) {
    const made = make();
    expr.facade = made;
    return made;
  }
  let twin = twins.get(expr);
  if (twin === undefined) {
    twin = make();
    twins.set(expr, twin);
  }
  return twin;
}

async function evaluateDense(session: Evaluator, expr: Expr): Promise<DenseMatrix> {
  const [value] = await session.evaluate([expr]);
  if (value?.kind === 'dense') return value;
  throw new InternalError(`${expr.op.name}: expected a value on the host, got ${value?.kind}`);
}

/** The canonical range: null for all, so that equal slices are equal expressions. */
function rangeAttr(range: SliceRange | null, size: number): readonly [number, number] | null {
  if (range === null) return null;
  const [from, to = size] = typeof range === 'number' ? [range, range + 1] : range;
  return from === 0 && to === size ? null : [from, to];
}

function degreesOfFreedom(op: string, count: number, ddof: number): number {
  if (count > ddof) return count - ddof;
  throw withCallSite(
    new PlanError(`${op}: expected more than ${ddof} values for ddof ${ddof}, got ${count}`, {
      op,
      ddof,
    }),
  );
}
