/**
 * The elastic net on the rows of some groups. Numbers: alpha, ratio. Attributes besides:
 * maxSweeps, tolerance. See `fold-system.ts` and `coordinate-descent.ts`.
 */
import {
  descentEnd,
  type PenalisedSystem,
  penaltiesOn,
  textbookDescent,
} from './coordinate-descent.js';
import { defineFoldFit, type FoldCall, type FoldSystem } from './fold-system.js';

export const foldElasticNet = defineFoldFit({
  name: 'foldElasticNet',
  work: 'cells',
  numbers: [0.1, 0.5],
  attrs: { maxSweeps: 10_000, tolerance: 1e-14 },
  flops: (n) => 20 * n * n,
  solve: (system, call) => {
    const { w, gap } = textbookDescent(penalisedFold(system, call), descentEnd(call.attrs));
    system.right.set(w);
    return gap;
  },
});

/** @param system with both triangles */
export function penalisedFold(
  { n, matrix, right, moments }: FoldSystem,
  { inputs }: FoldCall,
): PenalisedSystem {
  const [alpha, ratio] = [inputs[1]!.data[0]!, inputs[2]!.data[0]!];
  const sums = { gram: matrix.subarray(0, n * n), right, target: moments.squares };
  return { ...sums, ...penaltiesOn(moments.count, alpha, ratio) };
}
