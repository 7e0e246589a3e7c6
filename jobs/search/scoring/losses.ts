/**
 * Losses of every fit on its own held-out rows. Squared ones are forms of the Gram matrices that
 * the fits are made of, so they take no pass over the data. They are used when the bound on their
 * rounding error is far below what scores are read to; else, and for absolute losses, one pass sums
 * all losses row by row.
 */
import {
  type DenseMatrix,
  type Expr,
  type Loss,
  Matrix,
  ops,
  type Run,
} from '../../../driver/index.js';
import { type Partition, splitOf, testGram } from '../splits/partition.js';
import type { ScoreOutput } from './tallies.js';
import type { Measure } from './tally.js';

/** What the losses of one partition are computed from. */
export interface LossInputs {
  readonly partition: Partition;
  /** By group. */
  readonly gram: Matrix;
  readonly centered: boolean;
  readonly X: Matrix;
  readonly y: Matrix;
  readonly losses: readonly Loss[];
  readonly candidates: number;
  /** By split, then candidate: [columns + 1, splits * candidates] */
  readonly weights: Matrix;
}

/** Largest bound on the relative error of a loss from Gram matrices: 1/100 of scores' tolerance. */
const LOSS_TOLERANCE = 1e-10;

/** The node of the losses, if its bounds hold. */
export function lossNode(search: LossInputs): Matrix {
  if (needsRows(search)) return rowLosses(search);
  const { partition, gram, centered, weights } = search;
  const { session } = weights;
  const inputs = [testGram(partition, gram, centered).expr, weights.expr];
  const attrs = { groups: partition.splits.length, center: centered };
  return Matrix.of(session, session.intern(ops.gramLoss, inputs, attrs));
}

/** Squared losses follow from the Gram matrices; others don't. */
function needsRows({ losses }: LossInputs): boolean {
  return losses.length > 1 || losses[0] !== 'squared';
}

/** The measures as losses; undefined when they are more than that. */
export function asLosses(measures: readonly Measure[]): readonly Loss[] | undefined {
  const losses = (['squared', 'absolute'] as const).filter((loss) => measures.includes(loss));
  return losses.length === measures.length ? losses : undefined;
}

/** Losses summed over the rows, in one pass: [losses, splits * candidates]. */
function rowLosses({ partition, X, y, weights, losses }: LossInputs): Matrix {
  const { session } = weights;
  const inputs = [splitOf(partition), X, y, weights].map((operand) => operand.expr);
  const attrs = { groups: partition.splits.length, losses };
  return Matrix.of(session, session.intern(ops.groupLoss, inputs, attrs));
}

/**
 * Evaluates the losses of all partitions together.
 * @param onNode told the node that a partition's are read from
 * @returns losses by candidate and number of the split among all
 */
export async function heldOutLosses(
  run: Run,
  parts: readonly LossInputs[],
  onNode: (part: number, node: Expr) => void,
): Promise<(fold: number, trial: number) => (loss: Loss) => number> {
  const nodes = parts.map(lossNode);
  const evaluate = async (some: readonly Matrix[]): Promise<DenseMatrix[]> =>
    (await run.evaluate(
      some.map(({ expr }) => expr),
      'score',
    )) as DenseMatrix[];
  const values = await evaluate(nodes);
  const uncertain = parts.flatMap((part, p) =>
    needsRows(part) || isCertain(values[p]!) ? [] : [p],
  );
  if (uncertain.length > 0) {
    for (const p of uncertain) nodes[p] = rowLosses(parts[p]!);
    const summed = await evaluate(uncertain.map((p) => nodes[p]!));
    for (const [i, p] of uncertain.entries()) values[p] = summed[i]!;
  }
  const readers = parts.flatMap(({ partition, candidates }, p) => {
    const { expr } = nodes[p]!;
    onNode(p, expr);
    const { cols, data } = values[p]!;
    const rows = lossRows(expr);
    return partition.splits.map((_, split) => (loss: Loss, trial: number) => {
      const row = rows.indexOf(loss);
      return row < 0 ? Number.NaN : data[row * cols + split * candidates + trial]!;
    });
  });
  return (fold, trial) => (loss) => readers[fold]!(loss, trial);
}

/** Which loss each row of a node of losses holds. */
export function lossRows(node: Expr): readonly Loss[] {
  // In a stored lineage they may be a sum of nodes that all hold the same.
  let part = node;
  while (part.op.elementwise) part = part.inputs[0]!;
  return (part.attrs.losses as readonly Loss[] | undefined) ?? ['squared'];
}

/** How losses of candidates are read from a node. */
export function lossOutput(
  output: string,
  node: Expr,
  partition: number,
  candidates: readonly number[],
): ScoreOutput {
  const shape = { models: candidates.length, classes: 0, scoreWidth: 0, probabilityWidth: 0 };
  const sums = lossRows(node);
  return { output, partition, candidates, measure: 'losses', shape: { ...shape, sums } };
}

/** Whether every bound (second row) is small beside its loss (first row). */
function isCertain({ cols, data }: DenseMatrix): boolean {
  for (let at = 0; at < cols; at++) {
    if (!(data[cols + at]! <= LOSS_TOLERANCE * data[at]!)) return false;
  }
  return true;
}
