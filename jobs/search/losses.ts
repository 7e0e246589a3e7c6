/**
 * Losses of every fit on its own held-out rows. Squared ones are forms of the Gram matrices that
 * the fits are made of, so they take no pass over the data. They are used when the bound on their
 * rounding error is far below what scores are read to; else, and for absolute losses, one pass sums
 * all losses row by row.
 */
import { type DenseMatrix, type Expr, type Loss, Matrix, ops } from '../../driver/index.js';
import { type FoldLosses, lossesOf, type Metric } from './scoring.js';

/** What losses are computed from. */
export interface LossInputs {
  readonly gram: Matrix;
  readonly groupOf: Matrix;
  readonly X: Matrix;
  readonly y: Matrix;
  readonly folds: number;
  readonly candidates: readonly unknown[];
  readonly scoring: readonly Metric[];
  readonly training: { readonly centered: boolean };
}

/** Largest bound on the relative error of a loss from Gram matrices: 1/100 of scores' tolerance. */
const LOSS_TOLERANCE = 1e-10;

/** The node of the losses, if its bounds hold. @shape weights: [columns + 1, folds * candidates] */
export function lossNode(search: LossInputs, weights: Matrix): Matrix {
  if (needsRows(search)) return rowLosses(search, weights);
  const { session } = weights;
  const attrs = { groups: search.folds, center: search.training.centered };
  return Matrix.of(session, session.intern(ops.gramLoss, [search.gram.expr, weights.expr], attrs));
}

/** Squared losses follow from the Gram matrices; others don't. */
function needsRows({ scoring }: LossInputs): boolean {
  const wanted = lossesOf(scoring);
  return wanted.length > 1 || wanted[0] !== 'squared';
}

/** Losses summed over the rows, in one pass: [losses, folds * candidates]. */
function rowLosses(search: LossInputs, weights: Matrix): Matrix {
  const { session } = weights;
  const inputs = [search.groupOf, search.X, search.y, weights].map((operand) => operand.expr);
  const attrs = { groups: search.folds, losses: lossesOf(search.scoring) };
  return Matrix.of(session, session.intern(ops.groupLoss, inputs, attrs));
}

/** Evaluates the losses. @param onNode told the node they are read from */
export async function heldOutLosses(
  search: LossInputs,
  weights: Matrix,
  onNode: (node: Expr) => void,
): Promise<(trial: number, fold: number) => Pick<FoldLosses, 'squared' | 'absolute'>> {
  let node = lossNode(search, weights);
  let value = await node.value();
  if (!needsRows(search) && !isCertain(value)) {
    node = rowLosses(search, weights);
    value = await node.value();
  }
  onNode(node.expr);
  const rows = lossRows(node.expr);
  const read = (name: Loss, at: number): number => {
    const row = rows.indexOf(name);
    return row < 0 ? Number.NaN : value.data[row * value.cols + at]!;
  };
  return (trial, fold) => {
    const at = fold * search.candidates.length + trial;
    return { squared: read('squared', at), absolute: read('absolute', at) };
  };
}

/** Which loss each row of a node of losses holds. */
export function lossRows(node: Expr): readonly string[] {
  // In a stored lineage they may be a sum of nodes that all hold the same.
  let part = node;
  while (part.op.elementwise) part = part.inputs[0]!;
  return (part.attrs.losses as readonly string[] | undefined) ?? ['squared'];
}

/** Whether every bound (second row) is small beside its loss (first row). */
function isCertain({ cols, data }: DenseMatrix): boolean {
  for (let at = 0; at < cols; at++) {
    if (!(data[cols + at]! <= LOSS_TOLERANCE * data[at]!)) return false;
  }
  return true;
}
