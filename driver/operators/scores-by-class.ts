/**
 * Scores sorted by group and class: what ranking measures are computed from. A column of scores is
 * for one class: of `width` columns a model, column k for class k; of one column a model, class 1.
 */
import type { Attrs } from '../ir/attrs.js';
import type { Meta } from '../ir/expr.js';
import type { Float64Matrix } from '../ir/value.js';
import { shapeError, sizeAttr } from './shape-check.js';

/** The class that a column's scores are for. */
export function classOfColumn(column: number, width: number): number {
  return width === 1 ? 1 : column % width;
}

/** Checks g (n x 1), y (n x 1, class numbers from 0) and scores (n x models*width). */
export function checkScores(op: string, inputs: readonly Meta[], attrs: Attrs): void {
  const [g, y, scores] = inputs;
  const width = sizeAttr(op, attrs, 'width');
  const fits =
    g!.cols === 1 &&
    y!.cols === 1 &&
    y!.rows === g!.rows &&
    scores!.rows === g!.rows &&
    scores!.cols % width === 0;
  if (!fits) throw shapeError(op, `g n x 1, y n x 1 and n x (models * ${width}) scores`, inputs);
}

/**
 * Calls `visit` for each group and column with the ascending scores of each class; rows outside
 * the groups or classes are left out. The arrays are used again.
 */
export function visitScores(
  [g, y, scores]: readonly [Float64Matrix, Float64Matrix, Float64Matrix],
  groups: number,
  classes: number,
  visit: (group: number, column: number, byClass: readonly Float64Array[]) => void,
): void {
  const cells: number[][] = Array.from({ length: groups * classes }, () => []);
  for (let i = 0; i < g.rows; i++) {
    const [group, own] = [g.data[i]!, y.data[i]!];
    if (!(group >= 0 && group < groups && own >= 0 && own < classes)) continue;
    cells[group * classes + own]!.push(i);
  }
  for (let group = 0; group < groups; group++) {
    const rows = cells.slice(group * classes, (group + 1) * classes);
    const sorted = rows.map(({ length }) => new Float64Array(length));
    for (let column = 0; column < scores.cols; column++) {
      for (const [c, own] of rows.entries()) {
        const target = sorted[c]!;
        for (let k = 0; k < own.length; k++) {
          target[k] = scores.data[own[k]! * scores.cols + column]!;
        }
        target.sort();
      }
      visit(group, column, sorted);
    }
  }
}

/** Whether a score is NaN, which sorts last: nothing can be said of such a group. */
export function hasNaN(byClass: readonly Float64Array[]): boolean {
  return byClass.some((scores) => Number.isNaN(scores.at(-1) ?? 0));
}
