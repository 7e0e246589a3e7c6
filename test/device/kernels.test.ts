/**
 * Kernels on a real device where the cases of operators are too small for them: several groups,
 * parts that are joined, ends of tiles; chains, and folds of chains. Small cases are in the
 * conformance suite.
 */
import assert from 'node:assert/strict';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import { DataError } from '../../driver/errors.js';
import { type Attrs, noAttrs } from '../../driver/ir/attrs.js';
import { DTYPES, type DType, dtypeAttr } from '../../driver/ir/dtype.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import type { OpDef } from '../../driver/ir/op-def.js';
import { converted, type DenseMatrix, dense } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { sampleSpd } from '../../driver/operators/linear-systems.js';
import { sample } from '../../driver/operators/product.js';
import { scalarAttrs } from '../../driver/operators/scalar.js';
import type { Device } from '../../gpu-executor/device/driver.js';
import {
  lowerConv2d,
  lowerConv2dFilterGradient,
  lowerConv2dInputGradient,
} from '../../gpu-executor/device/kernels/images.js';
import { lower, lowerChain } from '../../gpu-executor/device/kernels/lower.js';
import { assertClose } from '../support/close.js';
import { asynchronous, needsDevices } from '../support/devices.js';
import { runLowered } from '../support/lowered-run.js';

const maker = new Interner();
const values = new Map<Expr, DenseMatrix>();
/** Of sums over thousands of cells. */
const TOLERANCES = { float64: 1e-12, float32: 1e-5 };

function leaf(value: DenseMatrix, dtype: DType): Expr {
  const { rows, cols } = value;
  const attrs = { rows, cols, key: `kernel:${values.size}`, ...dtypeAttr(dtype) };
  const cells = converted(value, dtype);
  const expr = maker.intern(ops.literal, [], attrs, cells);
  values.set(expr, cells);
  return expr;
}

type Case = readonly [what: string, op: OpDef, inputs: readonly DenseMatrix[], attrs?: Attrs];

function whole(rows: number, of: (i: number) => number): DenseMatrix {
  return dense(
    rows,
    1,
    Float64Array.from({ length: rows }, (_, i) => of(i)),
  );
}

const transposeA = true;
const transposeB = true;
const tall = sample(3000, 37);
const cases: readonly Case[] = [
  ...[ops.sum, ops.rowSums, ops.colSumSqs, ops.colMins, ops.max].map(
    (op): Case => ['of a tall matrix', op, [tall]],
  ),
  ...[ops.rowSums, ops.colSums, ops.rowMaxs].map(
    (op): Case => ['of long rows', op, [sample(3, 20_000)]],
  ),
  ['and a vector', ops.matmul, [tall, sample(37, 1, 2)]],
  ['transposed and a vector', ops.matmul, [tall, sample(3000, 1, 2)], { transposeA }],
  ['and a row, transposed', ops.matmul, [tall, sample(1, 37, 2)], { transposeB }],
  ['of a row', ops.matmul, [sample(1, 3000), tall]],
  ['of a row and a column', ops.matmul, [sample(1, 20_000), sample(20_000, 1, 2)]],
  ['cut to whole tiles', ops.matmul, [sample(128, 32), sample(32, 64, 2)]],
  ['with ends of tiles', ops.matmul, [sample(130, 70), sample(70, 90, 2)]],
  ['both transposed', ops.matmul, [sample(33, 65), sample(66, 33, 2)], { transposeA, transposeB }],
  ['long, few cells', ops.matmul, [sample(5000, 5), sample(5000, 3, 2)], { transposeA }],
  ['long, many cells', ops.matmul, [sample(2000, 60), sample(2000, 50, 2)], { transposeA }],
  ['with tiles that are copied', ops.tsmm, [sample(700, 100)]],
  ['of long rows', ops.rowIndexMin, [sample(3, 20_000)]],
  ['of long runs', ops.softmax, [sample(30, 1000)], { width: 500 }],
  ['of many rows', ops.solve, [sampleSpd(200), sample(200, 7, 2)], { assume: 'spd' }],
  ['of many rows', ops.stackSolve, [sample(180, 90, 7), sample(90, 60, 2)], { models: 2 }],
  ['of the most rows', ops.cholesky, [sampleSpd(256)]],
  ['of many runs', ops.selectRows, [tall, whole(3000, (i) => i % 3 && 1)], { rows: 2000 }],
  [
    'of many rows, some in no group',
    ops.groupGram,
    [whole(20_000, (i) => ((i * 7) % 6) - 1), sample(20_000, 4), sample(20_000, 1, 5)],
    { groups: 5, center: true },
  ],
  ...[ops.groupSums, ops.columnMoments].map(
    (op): Case => [
      'of many rows and columns',
      op,
      [whole(5000, (i) => ((i * 7) % 6) - 1), sample(5000, 40)],
      { groups: 5 },
    ],
  ),
  [
    'with copied tiles',
    ops.groupGram,
    [whole(700, (i) => i % 2), sample(700, 99), whole(700, (i) => i % 5)],
    { groups: 2, center: true, weighted: true },
  ],
  ['with ends of tiles', ops.transpose, [sample(300, 77)]],
  [
    'of many rows and models',
    ops.bestColumns,
    [sample(3000, 20), sample(21, 33, 2)],
    { widths: [8, 8, 3, 3, 3, 8] },
  ],
  ['in parts', ops.weightedGram, [sample(1500, 20), sample(1500, 3, 2)]],
  ['of many rows', ops.topK, [sample(700, 2)], { k: 90, by: 1, descending: true }],
];

const image = { image: [5, 4, 4], window: [3, 3], padding: [1, 1, 1, 1], groups: 2 };
const [images, filters, outputs] = [sample(7, 80), sample(18, 16, 2), sample(7, 320, 3)];
const convolutions = [
  [ops.conv2d, lowerConv2d, [images, filters, sample(1, 16, 4)]],
  [ops.conv2dInputGradient, lowerConv2dInputGradient, [outputs, filters]],
  [ops.conv2dFilterGradient, lowerConv2dFilterGradient, [images, outputs]],
] as const;

describe('kernels on a device', () => {
  let device: Device;
  before(function () {
    const driver = needsDevices(this, 'kernels');
    device = driver.open(asynchronous(driver));
  });
  after(() => {
    if (device !== undefined) assert.equal(device.close(), 0, 'no pointer is left');
  });

  it('a mask that selects another number of rows than was said is an error', async () => {
    const inputs = [
      leaf(sample(900, 2), 'float64'),
      leaf(
        whole(900, (i) => i % 2),
        'float64',
      ),
    ];
    const expr = maker.intern(ops.selectRows, inputs, { rows: 449 });
    const run = runLowered(device, lower(expr, device.properties)!, values);
    await assert.rejects(
      run,
      (error) => error instanceof DataError && /got 450/.test(error.message),
    );
  });

  it('convolutions of more images than are copied at a time, the last ones fewer', async () => {
    for (const [op, lowering, operands] of convolutions) {
      const inputs = operands.map((operand) => leaf(operand, 'float64'));
      const expr = maker.intern(op, inputs, image);
      const whole = lowering(expr, device.properties);
      const cut = lowering(expr, device.properties, 3 * 20 * 36);
      assert.ok(cut.steps.length >= whole.steps.length + 2, op.name);
      const expected = evaluateByReference(expr, operands);
      for (const lowered of [whole, cut]) {
        const [got] = await runLowered(device, lowered, values);
        assertClose(got!, expected, TOLERANCES.float64, op.name);
      }
    }
  });

  for (const dtype of DTYPES) {
    for (const [what, op, operands, attrs] of cases) {
      it(`${op.name} ${what}, ${dtype}`, async () => {
        const inputs = operands.map((operand) => leaf(operand, dtype));
        const expr = maker.intern(op, inputs, attrs ?? noAttrs);
        const lowered = lower(expr, device.properties)!;
        const [got] = await runLowered(device, lowered, values);
        const expected = evaluateByReference(
          expr,
          inputs.map((input) => values.get(input)!),
        );
        assertClose(got!, expected, TOLERANCES[expr.dtype], op.name);
        const [again] = await runLowered(device, lowered, values);
        assertSameBits(again!, got!, 'a second run');
        // Products of processors have a kernel of their own; this one is that of GPUs.
        const onGpu = lower(expr, { ...device.properties, isProcessor: false })!;
        if (!onGpu.steps.some(({ code }) => /^product\d$/.test(code.name))) return;
        const [tiled] = await runLowered(device, onGpu, values);
        assertClose(tiled!, expected, TOLERANCES[expr.dtype], `${op.name} by tiles`);
      });
    }

    it(`a chain that stretches operands every way has the bits of the host, ${dtype}`, async () => {
      const x = leaf(sample(70, 30), dtype);
      const row = leaf(sample(1, 30, 2), dtype);
      const column = leaf(sample(70, 1, 3), dtype);
      const cell = leaf(sample(1, 1, 4), dtype);
      const half = maker.intern(ops.scalar, [], scalarAttrs(0.3, dtype));
      const nodes: Expr[] = [];
      const node = (op: OpDef, ...inputs: readonly Expr[]): Expr => {
        nodes.push(maker.intern(op, inputs));
        return nodes.at(-1)!;
      };
      const scaled = node(ops.div, node(ops.sub, x, row), node(ops.add, x, cell));
      const wide = node(ops.mul, node(ops.maximum, scaled, column), half);
      const inside = [ops.exp, ops.round, ops.log1p].map((op) => node(op, wide));
      const total = inside.reduce((sum, one) => node(ops.ifelse, one, sum, wide));
      const [got, gotTotal] = await runLowered(
        device,
        lowerChain(nodes, [wide, total], device.properties)!,
        values,
      );
      const held = new Map(values);
      held.set(half, leafValue(half));
      for (const expr of nodes) {
        held.set(
          expr,
          evaluateByReference(
            expr,
            expr.inputs.map((one) => held.get(one)!),
          ),
        );
      }
      assertSameBits(got!, held.get(wide)!, 'a node inside');
      assertSameBits(gotTotal!, held.get(total)!, 'the last node');
      for (const op of Object.values(ops).filter((one) => one.elementwise && one.arity.max === 1)) {
        const one = maker.intern(op, [wide]);
        const [value] = await runLowered(device, lower(one, device.properties)!, held);
        assertSameBits(value!, evaluateByReference(one, [held.get(wide)!]), op.name);
      }
      const folded = maker.intern(ops.colSums, [wide]);
      const chain = [...nodes.slice(0, nodes.indexOf(wide) + 1), folded];
      const [sums] = await runLowered(
        device,
        lowerChain(chain, [folded], device.properties)!,
        values,
      );
      const expected = evaluateByReference(folded, [held.get(wide)!]);
      assertClose(sums!, expected, TOLERANCES[dtype], 'sums of a chain');
    });
  }
});

function leafValue(expr: Expr): DenseMatrix {
  return evaluateByReference(expr, []);
}

/** A NaN is a NaN. */
function assertSameBits(got: DenseMatrix, expected: DenseMatrix, what: string): void {
  const at = got.data.findIndex((cell, i) => !Object.is(cell, expected.data[i]));
  assert.equal(at, -1, `${what}: expected ${expected.data[at]} at ${at}, got ${got.data[at]}`);
}
