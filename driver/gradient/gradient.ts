/**
 * `gradient`: the derivatives of a loss, as expressions. Reverse mode over the nodes between the
 * loss and what it is derived by, each by the `gradient` rule of its operator. Invariant: a gradient
 * is made of ordinary nodes, so it has lineage, is planned, batched and reused like all else, and
 * has gradients in turn. Source: Griewank and Walther, "Evaluating Derivatives" (2008), 3.2; an
 * expression over the program as in Theano and JAX.
 */
import { InternalError, PlanError, ShapeError } from '../errors.js';
import { dtypeAttr } from '../ir/dtype.js';
import { type Expr, type NodeMaker, shapeText, topological } from '../ir/expr.js';
import { withCallSite } from '../matrix/call-site.js';
import { requireOneSession } from '../matrix/element-wise.js';
import { Matrix, type Scalar } from '../matrix/matrix.js';
import { ops } from '../operators/index.js';
import { boundSum } from '../operators/rbind.js';
import { Site, zerosLike } from './site.js';

/**
 * The derivative of the loss by each cell of each of these matrices, which may be leaves or made
 * from others; zeros where the loss doesn't follow from them.
 * @param loss 1x1
 * @throws ShapeError for a loss that is not 1x1, PlanError for an operator without a gradient on
 *   the way, and for operands of another session
 * @example
 *   const loss = X.matmul(w).sub(y).square().mean();
 *   const [byW] = gradient(loss, [w]);      // 2/n t(X) %*% (X %*% w - y)
 */
export function gradient(loss: Matrix | Scalar, by: readonly Matrix[]): Matrix[] {
  for (const one of by) requireOneSession('gradient', loss.session, one.session);
  if (loss.expr.rows !== 1 || loss.expr.cols !== 1) {
    throw withCallSite(
      new ShapeError(
        `gradient: expected a loss of 1x1, got ${shapeText(loss.expr)}; take its sum or mean`,
        { op: 'gradient', shapes: [shapeText(loss.expr)] },
      ),
    );
  }
  try {
    const exprs = by.map(({ expr }) => expr);
    return gradientExprs(loss.session, loss.expr, exprs).map((expr) =>
      Matrix.of(loss.session, expr),
    );
  } catch (error) {
    throw withCallSite(error);
  }
}

/** The same of nodes. */
export function gradientExprs(maker: NodeMaker, loss: Expr, by: readonly Expr[]): Expr[] {
  const follows = new Set(by);
  const nodes = topological([loss]);
  for (const node of nodes) if (node.inputs.some((one) => follows.has(one))) follows.add(node);
  const sums = new Map<Expr, Expr>();
  if (follows.has(loss)) {
    sums.set(
      loss,
      maker.intern(ops.fill, [], { rows: 1, cols: 1, value: 1, ...dtypeAttr(loss.dtype) }),
    );
  }
  for (let at = nodes.length - 1; at >= 0; at--) {
    const node = nodes[at]!;
    const upstream = sums.get(node);
    if (upstream === undefined) continue;
    const isWanted = node.inputs.map((input) => follows.has(input));
    if (!isWanted.includes(true)) continue;
    const site = new Site(maker, node, upstream, isWanted);
    const parts = node.op.gradient?.(site);
    if (parts === undefined) throw noRule(node, loss, nodes);
    for (const [i, input] of node.inputs.entries()) {
      const part = isWanted[i] ? parts[i] : undefined;
      if (part === undefined) continue;
      checkPart(node, i, part);
      const before = sums.get(input);
      sums.set(input, before === undefined ? part : sumOf(maker, before, part));
    }
  }
  return by.map((expr) => {
    const sum = sums.get(expr);
    return sum === undefined ? zerosLike(maker, expr) : new Site(maker, expr, sum, []).upstream;
  });
}

function sumOf(maker: NodeMaker, a: Expr, b: Expr): Expr {
  return boundSum(maker, a, b) ?? maker.intern(ops.add, [a, b]);
}

function checkPart({ op, inputs }: Expr, at: number, part: Expr): void {
  const input = inputs[at]!;
  const fits = (is: number, wanted: number): boolean => is === wanted || is === 1;
  if (fits(part.rows, input.rows) && fits(part.cols, input.cols) && part.dtype === input.dtype) {
    return;
  }
  throw new InternalError(
    `gradient: expected ${shapeText(input)} ${input.dtype} by operand ${at} of ${op.name}, got ${shapeText(part)} ${part.dtype}`,
  );
}

/** Says the way from the loss to the node. */
function noRule(node: Expr, loss: Expr, nodes: readonly Expr[]): PlanError {
  const leads = new Map<Expr, Expr | undefined>([[node, undefined]]);
  for (const one of nodes) {
    const next = one.inputs.find((input) => leads.has(input));
    if (next !== undefined && !leads.has(one)) leads.set(one, next);
  }
  const path: string[] = [];
  for (let at: Expr | undefined = loss; at !== undefined; at = leads.get(at)) {
    path.push(at.op.name);
  }
  return new PlanError(
    `gradient: expected operators with a gradient, got ${node.op.name} (${path.join(' of ')}); leave it out of the way from the loss to what it is derived by`,
    { op: 'gradient', operator: node.op.name, path },
  );
}
