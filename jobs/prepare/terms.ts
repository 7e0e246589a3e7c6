/**
 * Products of columns. Each factor of all products is a pick of the columns, so products of rows are
 * cell-wise products of matrices, on any engine.
 */
import { type Matrix, matrix } from '../../driver/index.js';

/** @param terms numbers of the factors of each product; none for ones. [n, d] -> [n, terms] */
export function termCells(cells: Matrix, terms: readonly (readonly number[])[]): Matrix {
  const degree = Math.max(1, ...terms.map(({ length }) => length));
  const all = cells.cbind(cells.col(0).mul(0).add(1));
  const factors = Array.from({ length: degree }, (_, f) => all.matmul(picks(cells, terms, f)));
  return factors.reduce((product, factor) => product.mul(factor));
}

/** Which column the f-th factor of each product is; the last, of ones, where there is none. */
function picks(
  { session, cols }: Matrix,
  terms: readonly (readonly number[])[],
  f: number,
): Matrix {
  const cells = new Float64Array((cols + 1) * terms.length);
  for (const [t, term] of terms.entries()) cells[(term[f] ?? cols) * terms.length + t] = 1;
  return matrix(session, cols + 1, terms.length, cells);
}
