/** Coded rows are the encoded rows, and moments of either are the same. */
import assert from 'node:assert/strict';
import { DataError } from '../../../../driver/errors.js';
import { cellsOf, dense, type Float64Matrix } from '../../../../driver/ir/value.js';
import {
  type EncodedFeature,
  encodeBlock,
  encodedWidth,
} from '../../../../driver/operators/encode-block.js';
import { ops } from '../../../../driver/operators/index.js';
import { besideKernels } from '../../../../gpu-executor/cpu/kernels/beside.js';
import { type CodedRows, codeRows } from '../../../../gpu-executor/cpu/kernels/coded-rows.js';
import { kernelOf } from '../../../../gpu-executor/cpu/kernels/index.js';
import { type Allocate, allocateBy } from '../../../../gpu-executor/cpu/kernels/kernel.js';
import { loadBlas } from '../../../../gpu-executor/cpu/native/load-blas.js';
import { ReducerThread } from '../../../../gpu-executor/cpu/rows/reducer-thread.js';
import { assertClose } from '../../../support/close.js';
import { groupColumn, uniform } from '../../../support/cpu-segments.js';

const ROWS = 500;
const categories = Array.from({ length: 12 }, (_, c) => `c${c}`);
const features: readonly EncodedFeature[] = [
  { kind: 'number', name: 'a', sql: 'a', missing: 'zero' },
  { kind: 'missing', name: 'a', sql: 'a' },
  { kind: 'onehot', name: 'b', sql: 'b', categories, other: true, missing: true },
  { kind: 'onehot', name: 'c', sql: 'c', categories, other: false, missing: false },
  { kind: 'bin', name: 'd', sql: 'd', edges: [0, 0.2, 0.5, 0.9], missing: true },
  {
    kind: 'map',
    name: 'e',
    sql: 'e',
    categories,
    values: categories.map((_, i) => i / 3),
    fallback: -1,
  },
];
const code = (step: number) => (i: number) => ((i * step) % 15) - 3;
const number = (scale: number) => (i: number) =>
  i % 7 === 0 ? Number.NaN : scale * Math.abs(Math.sin(i));
const columns = [number(1e3), number(1e3), code(7), code(11), number(0.9), code(4)].map((of) =>
  Float64Array.from({ length: ROWS }, (_, i) => of(i)),
);
const chunk = { rows: ROWS, columns };
const library = loadBlas({ threads: 2 });
/** Rows are handed to another thread by its FFI. */
const isNative = library.kind === 'native';
const thread = new ReducerThread(library, 0);
const allocate: Allocate = allocateBy((cells, dtype) => cellsOf(dtype, cells));

function coded(): CodedRows {
  return codeRows(features, chunk, allocate, (f) => new DataError(`missing in ${f}`, {}));
}

function encoded(): Float64Matrix {
  const width = encodedWidth(features);
  const out = new Float64Array(ROWS * width);
  assert.equal(encodeBlock(features, chunk, out, width, 0), undefined);
  return dense(ROWS, width, out);
}

describe('coded rows', () => {
  after(() => thread.close());

  it('are the encoded rows when their cells are asked for', () => {
    const rows = coded();
    assert.deepEqual([rows.rows, rows.cols], [ROWS, encodedWidth(features)]);
    assert.deepEqual(rows.data, encoded().data);
  });

  it('refuse a missing number as encoded rows do', () => {
    const strict = [{ ...features[0]!, missing: 'error' } as EncodedFeature];
    assert.throws(
      () => codeRows(strict, chunk, allocate, (f) => new DataError(`missing in ${f}`, {})),
      /missing in 0/,
    );
  });

  for (const weighted of [false, true]) {
    for (const center of [false, true]) {
      it(`have the moments of the encoded rows${weighted ? ', weighted' : ''}${center ? ', centred' : ''}`, async () => {
        const g = groupColumn(ROWS, (i) => (i % 13 === 0 ? -1 : (i * 31) % 3));
        const others = [uniform(ROWS, 2, 1), ...(weighted ? [uniform(ROWS, 1, 2)] : [])];
        const attrs = { groups: 4, center, ...(weighted && { weighted }) };
        const inputs = [g, encoded(), ...others];
        const shape = ops.groupGram.infer(inputs, attrs);
        const expected = ops.groupGram.reference(inputs, attrs, shape);
        const call = {
          inputs,
          attrs,
          out: { ...shape, dtype: 'float64' },
          parallel: false,
        } as const;
        const kernel = kernelOf.get('groupGram')!;
        const blas = loadBlas({ blas: 'none' });
        const reducer = kernel.reducer!(call, { blas, allocate });
        const rows = coded();
        await reducer.add([g, rows, ...others], { rowOffset: 0, rows: ROWS });
        assertClose(await reducer.result(), expected, 1e-12, 'groupGram');
        assert.equal(rows.isDense, false, 'the cells were not made');
        const make = () => kernel.reducer!(call, { blas, allocate });
        const there = thread.reducer({ op: 'groupGram', attrs, out: shape }, 1, make);
        const here = make();
        const took = thread.taken;
        for (const reducer of [there, here]) {
          for (const rowOffset of [0, ROWS]) {
            await reducer.add([g, rows, ...others], { rowOffset, rows: ROWS });
          }
        }
        assert.deepEqual(await there.result(), await here.result());
        assert.equal(thread.taken, took + (isNative ? 2 : 0));
      });
    }
  }

  it('go to the thread only with kernels for them, and their sums end with it', async function () {
    if (!isNative) this.skip();
    const long = [...kernelOf.values()].filter(({ coded: reader }) => reader?.isLong);
    assert.deepEqual(
      long.map(({ op }) => op.name),
      [...besideKernels.keys()],
    );
    const g = groupColumn(ROWS, () => 0);
    const attrs = { groups: 1, center: false };
    const shape = ops.groupGram.infer([g, encoded()], attrs);
    const kernel = kernelOf.get('groupGram')!;
    const call = { inputs: [g, encoded()], attrs, out: { ...shape, dtype: 'float64' } } as const;
    const make = () =>
      kernel.reducer!({ ...call, parallel: false }, { blas: loadBlas({ blas: 'none' }), allocate });
    const own = new ReducerThread(library, 0);
    const made = { op: 'groupGram', attrs, out: shape };
    const block = { rowOffset: 0, rows: ROWS };
    const [dense, sums] = [own.reducer(made, 1, make), own.reducer(made, 1, make)];
    await dense.add([g, encoded()], block);
    assert.equal(own.taken, 0);
    await sums.add([g, coded()], block);
    assert.equal(own.taken, 1);
    own.close();
    await assert.rejects(async () => sums.result(), /expected its thread to go on/);
    const late = own.reducer(made, 1, make);
    await late.add([g, coded()], block);
    const here = make();
    await here.add([g, coded()], block);
    assert.deepEqual(await late.result(), await here.result());
  });
});
