/**
 * Products with the weighted cells P of a factorisation X ~ U V' (see `weighted.ts` for which cells
 * are asked about). inputs: X (n x m), U (n x r), V (m x r), optionally W (n x m).
 * attrs: cells  'residual': p = w (u v' - x), for ALS and SGD; 'quotient': p = w (x / u v'), PNMF
 *        side   'right': P %*% V (n x r), by row blocks; 'left': t(P) %*% U (m x r), summed
 *        plus, least  of a quotient: max(u v' + plus, least) divides
 */

import { PlanError } from '../errors.js';
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { add } from './cells.js';
import { multiply, sample } from './product.js';
import { choiceAttr } from './shape-check.js';
import {
  askedCells,
  checkFactors,
  factorBlocks,
  forEachAsked,
  guarded,
  guardOf,
  sparseSample,
} from './weighted.js';

export const wdivmm = defineOp({
  name: 'wdivmm',
  arity: { min: 3, max: 4 },
  infer: (inputs, attrs) => {
    checkFactors('wdivmm', inputs);
    const cells = choiceAttr('wdivmm', attrs, 'cells', ['residual', 'quotient']);
    const guard = guardOf('wdivmm', attrs);
    if (cells === 'residual' && (guard.plus !== 0 || guard.least !== Number.NEGATIVE_INFINITY)) {
      throw new PlanError(
        'wdivmm: expected plus and least with cells quotient, got them with cells residual',
        { op: 'wdivmm' },
      );
    }
    const isRight = choiceAttr('wdivmm', attrs, 'side', ['left', 'right']) === 'right';
    return { rows: isRight ? inputs[0]!.rows : inputs[0]!.cols, cols: inputs[1]!.cols };
  },
  rowRule: (inputs, attrs) => ({
    kind: attrs.side === 'right' ? 'map' : 'reduce',
    blocked: factorBlocks(inputs),
  }),
  flops: (inputs) => askedCells(inputs) * (4 * inputs[1]!.cols + 2),
  reference: (inputs, attrs) => {
    const [x, u, v] = inputs;
    const isQuotient = attrs.cells === 'quotient';
    const guard = guardOf('wdivmm', attrs);
    const cells = dense(x!.rows, x!.cols);
    forEachAsked(inputs, (row, col, weight, cell, product) => {
      const p = isQuotient ? cell / guarded(product, guard) : product - cell;
      cells.data[row * x!.cols + col] = weight * p;
    });
    return attrs.side === 'right' ? multiply(cells, v!) : multiply(cells, u!, true);
  },
  merge: add,
  cases: (['left', 'right'] as const).flatMap((side) => [
    {
      name: `quotient, ${side}, guarded`,
      inputs: [sparseSample(9, 7), sample(9, 2, 2), sample(7, 2, 3)],
      attrs: { cells: 'quotient', side, plus: 0.25, least: 0.5 },
    },
    ...(['residual', 'quotient'] as const).flatMap((cells) => [
      {
        name: `${cells}, ${side}`,
        inputs: [sparseSample(9, 7), sample(9, 2, 2), sample(7, 2, 3)],
        attrs: { cells, side },
      },
      {
        name: `${cells}, ${side}, weighted`,
        inputs: [sample(8, 5), sample(8, 3, 2), sample(5, 3, 3), sparseSample(8, 5, 2)],
        attrs: { cells, side },
      },
      {
        name: `${cells}, ${side}, 1x1`,
        inputs: [sample(1, 1), sample(1, 1, 2), sample(1, 1, 3)],
        attrs: { cells, side },
      },
    ]),
  ]),
});
