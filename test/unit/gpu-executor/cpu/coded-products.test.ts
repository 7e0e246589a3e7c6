/** Products and column moments of coded rows are those of the encoded rows. */
import assert from 'node:assert/strict';
import type { Attrs } from '../../../../driver/ir/attrs.js';
import {
  cellsOf,
  type DenseMatrix,
  dense,
  type Float64Matrix,
  rowsView,
} from '../../../../driver/ir/value.js';
import { type OpName, ops } from '../../../../driver/operators/index.js';
import { CodedRows, CodedRowsWriter } from '../../../../gpu-executor/cpu/kernels/coded-rows.js';
import { kernelOf } from '../../../../gpu-executor/cpu/kernels/index.js';
import { type Allocate, allocateBy } from '../../../../gpu-executor/cpu/kernels/kernel.js';
import { loadBlas } from '../../../../gpu-executor/cpu/native/load-blas.js';
import { assertClose } from '../../../support/close.js';
import { groupColumn, uniform } from '../../../support/cpu-segments.js';

const ROWS = 400;
const COLS = 60;
const allocate: Allocate = allocateBy((cells, dtype) => cellsOf(dtype, cells));
const blas = loadBlas({ blas: 'none' });

/** Two numbers, and two indicators of which every seventh is none. */
function coded(): CodedRows {
  const numbers = [0, 31].map((column) => ({ column, cells: uniform(ROWS, 1, column + 1).data }));
  const codes = Int32Array.from({ length: 2 * ROWS }, (_, at) => {
    if (at % 7 === 3) return -1;
    return at % 2 === 0 ? 1 + ((at * 13) % 30) : 32 + ((at * 5) % 28);
  });
  return new CodedRows(ROWS, COLS, numbers, codes, 2);
}

const plain = (X: CodedRows): Float64Matrix => dense(ROWS, COLS, X.data.slice());

async function evaluate(
  name: OpName,
  inputs: readonly DenseMatrix[],
  attrs: Attrs,
): Promise<DenseMatrix> {
  const kernel = kernelOf.get(name)!;
  const out = { ...ops[name].infer(inputs, attrs), dtype: 'float64' } as const;
  const context = { blas, allocate };
  if (ops[name].rowRule(inputs, attrs).kind !== 'reduce') {
    return kernel.run!({ inputs, attrs, out }, context);
  }
  const reducer = kernel.reducer!({ inputs, attrs, out, parallel: false }, context);
  await reducer.add(inputs, { rowOffset: 0, rows: ROWS });
  return reducer.result();
}

function broken(value: Float64Matrix, ...places: readonly (readonly [number, number])[]) {
  const data = value.data.slice();
  for (const [at, cell] of places) data[at] = cell;
  return dense(value.rows, value.cols, data);
}

const W = uniform(COLS, 3, 5);
const R = uniform(ROWS, 3, 6);
const groups = groupColumn(ROWS, (i) => (i % 11 === 0 ? -1 : i % 3));
const weights = uniform(ROWS, 1, 7);

interface Case {
  readonly name: string;
  readonly op: OpName;
  readonly inputs: (X: Float64Matrix) => readonly DenseMatrix[];
  readonly attrs?: Attrs;
}

const cases: readonly Case[] = [
  { name: 'X W', op: 'matmul', inputs: (X) => [X, W] },
  {
    name: 'X W where 0 meets NaN and an infinity',
    op: 'matmul',
    inputs: (X) => [X, broken(W, [3 * 4, Number.NaN], [3 * 40 + 2, Number.POSITIVE_INFINITY])],
  },
  { name: 't(X) R', op: 'matmul', inputs: (X) => [X, R], attrs: { transposeA: true } },
  {
    name: 't(X) R where 0 meets NaN and an infinity',
    op: 'matmul',
    inputs: (X) => [X, broken(R, [3 * 4, Number.NaN], [3 * 50 + 2, Number.NEGATIVE_INFINITY])],
    attrs: { transposeA: true },
  },
  { name: 'X W of many columns', op: 'matmul', inputs: (X) => [X, uniform(COLS, 13, 9)] },
  {
    name: 't(X) R of many columns',
    op: 'matmul',
    inputs: (X) => [X, uniform(ROWS, 13, 9)],
    attrs: { transposeA: true },
  },
  { name: 't(X) (X V)', op: 'mmchain', inputs: (X) => [X, W] },
  { name: 't(X) (w * (X V))', op: 'mmchain', inputs: (X) => [X, W, weights] },
  {
    name: 'decision values of held-out rows',
    op: 'heldOut',
    inputs: (X) => [groups, X, uniform(COLS + 1, 6, 8)],
    attrs: { groups: 3 },
  },
  {
    name: 'decision values where 0 meets NaN',
    op: 'heldOut',
    inputs: (X) => [groups, X, broken(uniform(COLS + 1, 6, 8), [6 * 4 + 2, Number.NaN])],
    attrs: { groups: 3 },
  },
  {
    name: 'moments of columns',
    op: 'columnMoments',
    inputs: (X) => [groups, X],
    attrs: { groups: 4 },
  },
  {
    name: 'weighted moments of columns',
    op: 'columnMoments',
    inputs: (X) => [groups, X, weights],
    attrs: { groups: 4, weighted: true },
  },
];

describe('products of coded rows', () => {
  for (const { name, op, inputs, attrs = {} } of cases) {
    it(`${name}: those of the encoded rows`, async () => {
      const X = coded();
      const result = await evaluate(op, inputs(X), attrs);
      assert.equal(X.isDense, false, 'the cells were not made');
      const own = inputs(plain(X)) as Float64Matrix[];
      const expected = ops[op].reference(own, attrs, ops[op].infer(own, attrs));
      assertClose(result, expected, 1e-12, name);
    });
  }

  it('add rows of the same matrix block by block, whichever came between', async () => {
    const X = coded();
    const [ours, other] = [uniform(COLS, 5, 10), uniform(COLS, 5, 11)];
    const expected = await evaluate('matmul', [plain(X), ours], {});
    for (const [from, to] of [
      [0, 10],
      [10, 21],
      [21, 300],
      [300, ROWS],
    ] as const) {
      const inputs = [X.rowsView(from, to), ours] as const;
      const out = { ...ops.matmul.infer(inputs, {}), dtype: 'float64' } as const;
      const run = kernelOf.get('matmul')!.run!;
      const part = run({ inputs, attrs: {}, out }, { blas, allocate });
      assertClose(part, rowsView(expected, from, to), 1e-12, `rows ${from} to ${to}`);
      if (from === 10) await evaluate('matmul', [X, other], {});
    }
  });

  it('are taken from rows of them, which are not copied', () => {
    const X = coded();
    const rows = rowsView(X, 100, 150) as CodedRows;
    assert.deepEqual([rows.rows, rows.cols], [50, COLS]);
    assert.equal(rows.codes.buffer, X.codes.buffer);
    assert.deepEqual(rows.data, X.data.subarray(100 * COLS, 150 * COLS));
  });

  it('are taken from rows written block by block', () => {
    const X = coded();
    const writer = new CodedRowsWriter(ROWS);
    for (const [from, to] of [
      [0, 130],
      [130, 131],
      [131, ROWS],
    ] as const) {
      writer.write(from, X.rowsView(from, to));
    }
    assert.deepEqual(writer.value.data, X.data);
    assert.equal(writer.value.bytes, ROWS * (2 * 8 + 2 * 4));
  });
});
