/** Lanes against the scripts: the same bits for every operator, stretch, dtype and row length. */
import assert from 'node:assert/strict';
import type { DType } from '../../../../../driver/ir/dtype.js';
import type { OpDef } from '../../../../../driver/ir/op-def.js';
import { type Cells, cellsOf } from '../../../../../driver/ir/value.js';
import { add, exp, mul, sigmoid, sub } from '../../../../../driver/operators/cells.js';
import { ops } from '../../../../../driver/operators/index.js';
import { cellForm } from '../../../../../gpu-executor/cell-forms.js';
import { scriptFolds } from '../../../../../gpu-executor/cpu/kernels/aggregates.js';
import type { Stretch } from '../../../../../gpu-executor/cpu/simd/chain-code.js';
import { fitsFolds, foldColumns } from '../../../../../gpu-executor/cpu/simd/column-folds.js';
import { tiledLoop } from '../../../../../gpu-executor/cpu/simd/tiles.js';

const SPECIAL = [0, -0, 1, -1, 0.5, 2.5, -2.5, NaN, Infinity, -Infinity, 1e-310, 700, -700, 1e300];

function operand(dtype: DType, count: number, step: number): Cells {
  const cells = cellsOf(dtype, count);
  for (let i = 0; i < count; i++) {
    cells[i] = i % 3 === 0 ? SPECIAL[(i * step) % SPECIAL.length]! : Math.sin(i * step) * 9;
  }
  return cells;
}

function assertBits(got: Cells, expected: (i: number) => number, what: string): void {
  for (let i = 0; i < got.length; i++) {
    if (!Object.is(got[i], expected(i))) {
      assert.fail(`${what}: expected ${expected(i)} at cell ${i}, got ${got[i]}`);
    }
  }
}

const laneOps = Object.values(ops).filter((op) => op.elementwise && cellForm(op) !== undefined);
const rounded = (dtype: DType, value: number): number =>
  dtype === 'float32' ? Math.fround(value) : value;

describe('lanes', () => {
  it('has a form for every operator that is a program', () => {
    for (const op of Object.values(ops)) {
      if (op.program !== undefined) assert.ok(laneOps.includes(op), op.name);
    }
  });

  for (const dtype of ['float64', 'float32'] as const) {
    it(`sums columns in the order of the scripts in ${dtype}`, () => {
      for (const [rows, cols] of [
        [256, 8],
        [203, 11],
        [2, 1029],
        // Several tiles.
        [701, 100],
      ] as const) {
        const all = operand(dtype, rows * cols, 1);
        assert.ok(fitsFolds(rows, cols));
        for (const fold of ['sums', 'squares'] as const) {
          const finite = all.map((cell) => (Math.abs(cell) < 10 ? cell : 0));
          for (const cells of [all, finite]) {
            const [got, expected] = [new Float64Array(cols).fill(7), new Float64Array(cols)];
            foldColumns(fold, got, cells);
            scriptFolds[fold](expected, cells, rows, cols);
            assertBits(got, (i) => expected[i]!, `${fold} of ${rows}x${cols}`);
          }
        }
      }
    });

    it(`has the bits of the scripts in ${dtype}`, () => {
      for (const op of laneOps) {
        const count = 2053;
        const operands = Array.from({ length: op.arity.max }, (_, i) =>
          operand(dtype, count, i + 1),
        );
        const inputs = operands.map((_, i) => i);
        const loop = tiledLoop({
          dtype,
          operands: operands.map(() => 'full'),
          steps: [{ form: cellForm(op)!, inputs }],
          outputs: [0],
        });
        const out = cellsOf(dtype, count);
        loop(out, 1, count, operands);
        const [a, b = a, c = a] = operands as [Cells, Cells?, Cells?];
        const expected = (i: number): number => rounded(dtype, op.cell!(a[i]!, b![i]!, c![i]!));
        assertBits(out, expected, op.name);
      }
    });

    it(`stretches operands in ${dtype}, rows of any length`, () => {
      for (const [rows, cols] of [
        [3, 1],
        [5, 7],
        [40, 129],
        [2, 5000],
      ] as const) {
        const form = (op: OpDef) => cellForm(op)!;
        const operands: Record<Exclude<Stretch, 'taken'>, Cells> = {
          full: operand(dtype, rows * cols, 1),
          row: operand(dtype, cols, 2),
          column: operand(dtype, rows, 3),
          scalar: operand(dtype, 1, 4),
        };
        // sigmoid(full) * row - (exp(column) + scalar)
        const loop = tiledLoop({
          dtype,
          operands: ['full', 'row', 'column', 'scalar'],
          steps: [
            { form: form(sigmoid), inputs: [0] },
            { form: form(mul), inputs: [4, 1] },
            { form: form(exp), inputs: [2] },
            { form: form(add), inputs: [6, 3] },
            { form: form(sub), inputs: [5, 7] },
          ],
          outputs: [4],
        });
        const out = cellsOf(dtype, rows * cols);
        loop(out, rows, cols, Object.values(operands));
        const round = (value: number): number => rounded(dtype, value);
        const cell = (op: OpDef, a: number, b = a): number => round(op.cell!(a, b, b));
        const expected = (i: number): number => {
          const grown = cell(exp, operands.column[Math.floor(i / cols)]!);
          const product = cell(mul, cell(sigmoid, operands.full[i]!), operands.row[i % cols]!);
          return cell(sub, product, cell(add, grown, operands.scalar[0]!));
        };
        assertBits(out, expected, `${rows}x${cols}`);
      }
    });
  }
});
