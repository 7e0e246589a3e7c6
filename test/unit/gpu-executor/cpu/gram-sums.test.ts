/** Moments are summed block by block whichever way rows come in, and columns as they were read count alike. */
import assert from 'node:assert/strict';
import { DataError } from '../../../../driver/errors.js';
import { cellsOf, dense, type Float64Matrix } from '../../../../driver/ir/value.js';
import { type EncodedFeature, encodeBlock } from '../../../../driver/operators/encode-block.js';
import { ops } from '../../../../driver/operators/index.js';
import { codeRows } from '../../../../gpu-executor/cpu/kernels/coded-rows.js';
import { kernelOf } from '../../../../gpu-executor/cpu/kernels/index.js';
import { allocateBy } from '../../../../gpu-executor/cpu/kernels/kernel.js';
import { loadBlas } from '../../../../gpu-executor/cpu/native/load-blas.js';
import { assertClose } from '../../../support/close.js';
import { groupColumn, uniform } from '../../../support/cpu-segments.js';

const allocate = allocateBy((cells, dtype) => cellsOf(dtype, cells));
const blases = { native: loadBlas(), javascript: loadBlas({ blas: 'none' }) };

function reducerOf(inputs: readonly Float64Matrix[], attrs: object, blas = blases.native) {
  const parallel = blas === blases.native;
  const out = { ...ops.groupGram.infer(inputs, { ...attrs }), dtype: 'float64' } as const;
  const call = { inputs, attrs: { ...attrs }, out, parallel };
  return kernelOf.get('groupGram')!.reducer!(call, { blas, allocate });
}

function numbers(count: number): EncodedFeature[] {
  return Array.from({ length: count }, (_, j) => {
    return { kind: 'number', name: `x${j}`, sql: `x${j}`, missing: 'error' };
  });
}

/** Rows of features whose raw columns lie side by side, as a scan leaves them. */
function read(
  rows: number,
  features: readonly EncodedFeature[],
  cell: (i: number, j: number) => number,
) {
  const all = new Float64Array(rows * features.length);
  const columns = features.map((_, j) => all.subarray(j * rows, (j + 1) * rows));
  for (const [j, column] of columns.entries())
    for (let i = 0; i < rows; i++) column[i] = cell(i, j);
  return codeRows(features, { rows, columns }, allocate, () => new DataError('missing', {}));
}

describe('moments by blocks of rows', () => {
  const BLOCK = 1 << 16;
  const BLOCKS = 24;
  // One chain of additions of it loses its last digit from 2^19 on, half a million times.
  const CELL = 1 + 2 ** -34;
  const one = groupColumn(BLOCK, () => 0);
  const scattered = groupColumn(BLOCK, (i) => (i % 3 === 0 ? 1 : 0));
  const matrixOf = (cols: number, cell: (i: number, j: number) => number): Float64Matrix =>
    dense(
      BLOCK,
      cols,
      Float64Array.from({ length: BLOCK * cols }, (_, at) =>
        cell(Math.floor(at / cols), at % cols),
      ),
    );
  const x = (_i: number, j: number): number => (j === 0 ? CELL : j === 1 ? 1 : 0);
  const onehot: EncodedFeature = {
    kind: 'onehot',
    name: 'c',
    sql: 'c',
    categories: Array.from({ length: 30 }, (_, c) => `c${c}`),
    other: false,
    missing: false,
  };
  const ways: Record<string, readonly Float64Matrix[]> = {
    'rows in place': [one, matrixOf(2, x)],
    'rows gathered': [scattered, matrixOf(2, x)],
    'columns in place': [one, read(BLOCK, numbers(2), x)],
    'columns gathered': [scattered, read(BLOCK, numbers(2), x)],
    'rows that are mostly zero': [scattered, matrixOf(40, x)],
    'coded rows': [one, read(BLOCK, [...numbers(2), onehot], (i, j) => (j < 2 ? x(i, j) : i % 30))],
  };
  for (const [way, inputs] of Object.entries(ways)) {
    for (const [kind, blas] of Object.entries(blases)) {
      it(`${way}, ${kind}`, async () => {
        const reducer = reducerOf(inputs, { groups: 2, center: false }, blas);
        for (let b = 0; b < BLOCKS; b++) {
          await reducer.add(inputs, { rowOffset: b * BLOCK, rows: BLOCK });
        }
        const { data, cols } = await reducer.result();
        const products = data[cols + 2]! + data[cols * cols + cols + 2]!;
        const expected = BLOCKS * BLOCK * CELL;
        assert.ok(Math.abs(products / expected - 1) < 1e-14, `${products}, not ${expected}`);
      });
    }
  }
});

describe('moments of columns as they were read', () => {
  const ROWS = 9000;
  const features: EncodedFeature[] = [
    ...numbers(2),
    { kind: 'number', name: 'z', sql: 'z', missing: 'zero' },
    { kind: 'missing', name: 'z', sql: 'z' },
  ];
  const order = {
    'long runs': (i: number) => Math.floor(i / 2500),
    scattered: (i: number) => (i * 7) % 5,
  };
  for (const offset of [0, 1e6]) {
    for (const [how, groupOf] of Object.entries(order)) {
      for (const weighted of [false, true]) {
        it(`${how}, means of ${offset}${weighted ? ', weighted' : ''}`, async () => {
          const cell = (i: number, j: number): number =>
            j === 2 && i % 11 === 0 ? Number.NaN : Math.sin(i * (j + 1)) + offset;
          // `z` and whether it is missing come from one raw column.
          const own = (i: number, j: number): number => cell(i, Math.min(j, 2));
          const rows = read(ROWS, features, own);
          const columns = features.map((_, j) =>
            Float64Array.from({ length: ROWS }, (_, i) => own(i, j)),
          );
          const cells = new Float64Array(ROWS * 4);
          assert.equal(encodeBlock(features, { rows: ROWS, columns }, cells, 4, 0), undefined);
          const y = uniform(ROWS, 1, 1);
          const rest = weighted ? [y, uniform(ROWS, 1, 2)] : [y];
          const attrs = { groups: 4, center: true, ...(weighted && { weighted }) };
          const inputs = [groupColumn(ROWS, groupOf), dense(ROWS, 4, cells), ...rest];
          const shape = ops.groupGram.infer(inputs, attrs);
          const expected = ops.groupGram.reference(inputs, attrs, shape);
          for (const blas of Object.values(blases)) {
            const reducer = reducerOf(inputs, attrs, blas);
            await reducer.add([inputs[0]!, rows, ...rest], { rowOffset: 0, rows: ROWS });
            assertClose(await reducer.result(), expected, 1e-9, 'groupGram');
            assert.equal(rows.isDense, false, 'the cells were not made');
          }
        });
      }
    }
  }

  it('are read where they lie, and together with a target read beside them', async () => {
    const both = read(ROWS, numbers(3), (i, j) => Math.sin(i * (j + 1)));
    const cells = both.numbers.map((number) => number.cells);
    const part = (from: number, to: number) => {
      const some = cells.slice(from, to);
      const fail = () => new DataError('missing', {});
      return codeRows(numbers(to - from), { rows: ROWS, columns: some }, allocate, fail);
    };
    const g = groupColumn(ROWS, order['long runs']);
    const attrs = { groups: 4, center: true };
    const whole = reducerOf([g, both], attrs);
    await whole.add([g, both], { rowOffset: 0, rows: ROWS });
    const inputs = [g, part(0, 2), part(2, 3)];
    const beside = reducerOf(inputs, attrs);
    await beside.add(inputs, { rowOffset: 0, rows: ROWS });
    assert.deepEqual(await beside.result(), await whole.result());
  });
});

describe('sums of products of float32 rows', () => {
  it('are float64 beyond a piece, however few rows a block has', async () => {
    const [blockRows, blocks, cell] = [500, 60, 1001];
    const block = (value: number) => dense(blockRows, 1, new Float32Array(blockRows).fill(value));
    const inputs = [block(1), block(cell)];
    for (const parallel of [false, true]) {
      const out = { rows: 1, cols: 1, dtype: 'float32' } as const;
      const call = { inputs, attrs: { transposeA: true }, out, parallel };
      const reducer = kernelOf.get('matmul')!.reducer!(call, { blas: blases.native, allocate });
      for (let i = 0; i < blocks; i++) {
        await reducer.add(inputs, { rowOffset: i * blockRows, rows: blockRows });
      }
      // In float32 odd multiples of the cell are rounded from 2^24 on.
      assert.equal((await reducer.result()).data[0], blockRows * blocks * cell);
    }
  });
});
