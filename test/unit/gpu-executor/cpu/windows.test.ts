/**
 * Loops that are written for one window: geometries that the operators' cases are too small for, and
 * where the values of a network lie while it runs.
 */
import assert from 'node:assert/strict';
import { matrix, Session } from '../../../../driver/index.js';
import type { Attrs } from '../../../../driver/ir/attrs.js';
import type { DType } from '../../../../driver/ir/dtype.js';
import { cellsOf, converted, type DenseMatrix } from '../../../../driver/ir/value.js';
import { convolutionOf, filterRows } from '../../../../driver/operators/conv2d.js';
import { pixelsOf, placesOf } from '../../../../driver/operators/image-window.js';
import { ops } from '../../../../driver/operators/index.js';
import { sample } from '../../../../driver/operators/product.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { kernelOf } from '../../../../gpu-executor/cpu/kernels/index.js';
import { allocateBy } from '../../../../gpu-executor/cpu/kernels/kernel.js';
import { loadBlas } from '../../../../gpu-executor/cpu/native/load-blas.js';
import { laneLayout } from '../../../../gpu-executor/cpu/rows/lane-layout.js';
import { type Form, planRows } from '../../../../gpu-executor/cpu/rows/row-program.js';
import { assertClose } from '../../../support/close.js';

const ROWS = 2;

/** Filters, then what is moved how. */
const GEOMETRIES: readonly (readonly [string, number, Attrs])[] = [
  [
    'a row of many taps',
    5,
    { image: [3, 14, 5], window: [2, 11], padding: [1, 0, 6, 2], groups: 5 },
  ],
  ['many channels', 39, { image: [3, 6, 39], window: [3, 3], padding: [1, 1, 1, 1], groups: 39 }],
  [
    'steps and gaps',
    6,
    { image: [9, 8, 6], window: [3, 2], stride: [2, 3], dilation: [3, 2], groups: 6 },
  ],
  ['beyond the border', 3, { image: [2, 3, 3], window: [2, 2], padding: [3, 4, 3, 3], groups: 3 }],
  ['wide pixels', 4, { image: [4, 5, 40], window: [3, 3], padding: [1, 1, 1, 1] }],
  [
    'wide pixels of groups',
    4,
    { image: [4, 5, 70], window: [3, 2], padding: [0, 1, 1, 0], groups: 2 },
  ],
];

const blas = loadBlas({ threads: 1 });

describe('windows on lanes', () => {
  const context = { blas, allocate: allocateBy((count, type) => cellsOf(type, count)) };
  const close = (dtype: DType, actual: DenseMatrix, expected: DenseMatrix, what: string): void =>
    assertClose(actual, expected, dtype === 'float32' ? 1e-5 : 1e-12, `${what} in ${dtype}`);

  for (const [name, filters, attrs] of GEOMETRIES) {
    it(`convolves as the reference does, and back: ${name}`, () => {
      const convolution = convolutionOf('conv2d', attrs, filters);
      const x = sample(ROWS, pixelsOf(convolution) * convolution.channels);
      const f = sample(filterRows(convolution), filters, 3);
      const y = sample(ROWS, placesOf(convolution) * filters, 5);
      const calls = [
        [ops.conv2d, [x, f, sample(1, filters, 7)], y],
        [ops.conv2dInputGradient, [y, f], x],
        [ops.conv2dFilterGradient, [x, y], f],
      ] as const;
      for (const [op, inputs, { rows, cols }] of calls) {
        const expected = op.reference(inputs, attrs, { rows, cols });
        for (const dtype of ['float64', 'float32'] as const) {
          const own = inputs.map((input) => converted(input, dtype));
          const call = { inputs: own, attrs, out: { rows, cols, dtype }, parallel: false };
          const kernel = kernelOf.get(op.name)!;
          const reducer = kernel.run ? undefined : kernel.reducer!(call, context);
          void reducer?.add(own, { rowOffset: 0, rows: ROWS });
          const actual = reducer?.result() ?? kernel.run!(call, context);
          close(dtype, actual as DenseMatrix, expected, op.name);
        }
      }
    });
  }
});

describe('pools on lanes', () => {
  it('leads gradients to the first of equal cells, and to NaN, of long windows too', () => {
    const window = { image: [3, 13, 17], window: [2, 11], stride: [1, 2], padding: [1, 0, 0, 0] };
    const x = sample(ROWS, 3 * 13 * 17);
    for (let i = 0; i < x.data.length; i++) x.data[i] = i % 97 === 0 ? NaN : Math.round(x.data[i]!);
    const y = sample(ROWS, 3 * 2 * 17, 3);
    const expected = ops.maxPool2dGradient.reference([x, y], window, x);
    for (const dtype of ['float64', 'float32'] as const) {
      const inputs = [x, y].map((one) => converted(one, dtype));
      const context = { blas, allocate: allocateBy((count, type) => cellsOf(type, count)) };
      const out = { rows: ROWS, cols: x.cols, dtype };
      const actual = kernelOf.get('maxPool2dGradient')!.run!(
        { inputs, attrs: window, out },
        context,
      );
      assertClose(actual, expected, dtype === 'float32' ? 1e-6 : 1e-15, dtype);
    }
  });
});

describe('the layout of a block in lane memory', () => {
  it('gives no two values that are read later the same place, and dead ones to the next', () => {
    const form: Form = { rows: 8, cols: 4, dtype: 'float32' };
    const kernel = (...inputs: number[]) => {
      return { kind: 'kernel', op: 'softmax', attrs: {}, inputs, out: form } as const;
    };
    const module = {} as never;
    const outs = [{ form, over: 2 }];
    const steps = [
      ...[kernel(0), kernel(1), { kind: 'cells', module, inputs: [2, 0], outs } as const],
      ...[kernel(3), kernel(4)],
    ];
    const program = { steps, sinks: [], kept: [3] };
    const layout = laneLayout(
      program,
      [form],
      () => 8,
      (bytes) => bytes,
    );
    // Value 3 is written over value 2 and kept; 4 and 5 go where 1 was, and beside it.
    assert.deepEqual(layout.addresses, [undefined, 0, 128, 128, 0, 256]);
    assert.deepEqual([layout.bytes, layout.copied], [384, 128]);
  });
});

describe('plans of passes', () => {
  it('are the same for equal forms, whatever the values, and others for other attributes', async () => {
    const local = await createCpuBackend({ threads: 1 });
    const planOf = (start: number, width: number) => {
      const cells = sample(4, 6, start);
      const x = matrix(new Session({ local }), 4, 6, cells.data);
      const { expr } = x.softmax(width);
      const values = new Map([[x.expr, cells]]);
      const pass = { rows: 4, nodes: [expr], sinks: [], kept: [expr], values, parts: new Map() };
      return { x: x.expr, plan: planRows(pass)! };
    };
    const [one, same, other] = [planOf(1, 6), planOf(2, 6), planOf(1, 3)];
    assert.equal(one.plan.program, same.plan.program);
    assert.deepEqual(same.plan.operands, [same.x]);
    assert.notEqual(other.plan.program, one.plan.program);
    await local.close();
  });
});
