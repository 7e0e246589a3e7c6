/**
 * Places of the greatest decision are those of float64 although the products are float32: for means
 * far above the spread, for cells float32 can't hold, for columns that tie.
 */
import assert from 'node:assert/strict';
import { dense, type Float64Matrix } from '../../../../driver/ir/value.js';
import { ops } from '../../../../driver/operators/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { evaluated, leaf, node, referenceOf, uniform } from '../../../support/cpu-segments.js';

const ROWS = 2100;
const COLUMNS = 20;
const WIDTHS = [1, 2, 16, 5, 3];

/** Weights of the nearest of some rows as centres about another row, the last two of them equal. */
function centres(x: Float64Matrix, count: number): Float64Matrix {
  const d = x.cols;
  const data = new Float64Array((d + 1) * count);
  for (let k = 0; k < count; k++) {
    const row = 17 * Math.min(k, count - 2);
    for (let j = 0; j < d; j++) {
      const origin = x.data[5 * d + j]!;
      const cell = x.data[row * d + j]! - origin;
      data[j * count + k] = 2 * cell;
      data[d * count + k]! -= cell * cell + 2 * cell * origin;
    }
  }
  return dense(d + 1, count, data);
}

describe('bestColumns', () => {
  const data: readonly (readonly [string, (cell: number) => number])[] = [
    ['cells around 0', (cell) => cell],
    ['means a million times the spread', (cell) => 1e6 + cell],
    ['cells below the range of float32', (cell) => 1e-60 * cell],
    ['cells above the range of float32', (cell) => 1e60 * cell],
    ['a few whole numbers, so that rows tie', (cell) => Math.round(3 * cell)],
  ];
  for (const [what, of] of data) {
    for (const blas of ['native', 'none'] as const) {
      it(`has the places of float64, ${blas === 'none' ? 'by script' : 'by BLAS'}: ${what}`, async () => {
        const backend = await createCpuBackend(blas === 'none' ? { blas } : {});
        const cells = uniform(ROWS, COLUMNS, 1).data.map(of);
        const x = dense(ROWS, COLUMNS, cells);
        const inputs = [leaf(x), leaf(centres(x, 27))];
        const expr = node(ops.bestColumns, inputs, { widths: WIDTHS });
        const got = await evaluated(backend, expr);
        assert.deepEqual([...got.data], [...referenceOf(expr).data]);
        await backend.close();
      });
    }
  }

  it('takes the same weights as other models in another node', async () => {
    const backend = await createCpuBackend();
    const x = uniform(50, 3, 1);
    const w = leaf(uniform(4, 6, 2));
    for (const widths of [[6], [2, 4], [1, 1, 4]]) {
      const expr = node(ops.bestColumns, [leaf(x), w], { widths });
      const got = await evaluated(backend, expr);
      assert.deepEqual([...got.data], [...referenceOf(expr).data], widths.join());
    }
    await backend.close();
  });
});
