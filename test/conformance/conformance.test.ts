/**
 * Every case of every operator on every backend, whole and by row blocks, against the reference.
 * Gaps are declared in `test/support/backends.ts`; a declared gap that works fails here.
 */
import assert from 'node:assert/strict';
import type { Backend, Segment } from '../../driver/backend/backend.js';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import { SingularError } from '../../driver/errors.js';
import { noAttrs } from '../../driver/ir/attrs.js';
import { DTYPES, type DType, dtypeAttr } from '../../driver/ir/dtype.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import type { ConformanceCase, OpDef } from '../../driver/ir/op-def.js';
import {
  cellsOf,
  converted,
  type DenseMatrix,
  dense,
  type Float64Matrix,
  type Value,
} from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { type BackendRow, backends, type Gap } from '../support/backends.js';
import { blockedRows, evaluateInBlocks } from '../support/blocks.js';
import { assertClose } from '../support/close.js';

/**
 * Relative to the largest cell. A float32 result is rounded once (6e-8); library routines round
 * each partial sum, and solving loses what the condition of the cases takes.
 */
const TOLERANCES = { float64: 1e-10, float32: 1e-5 };
const interner = new Interner();
let nextKey = 0;

function leaf(value: DenseMatrix): Expr {
  const { rows, cols, dtype } = value;
  const attrs = { rows, cols, key: `case:${nextKey++}`, ...dtypeAttr(dtype) };
  return interner.intern(ops.literal, [], attrs, value);
}

interface Node {
  readonly expr: Expr;
  readonly inputs: readonly DenseMatrix[];
  readonly values: ReadonlyMap<Expr, Value>;
}

function nodeOf(op: OpDef, testCase: ConformanceCase, dtype: DType): Node {
  const inputs = testCase.inputs.map((input) => converted(input, dtype));
  const leaves = inputs.map(leaf);
  const attrs = leaves.length > 0 ? testCase.attrs : { ...testCase.attrs, ...dtypeAttr(dtype) };
  return {
    expr: interner.intern(op, leaves, attrs ?? noAttrs),
    inputs,
    values: new Map(leaves.map((expr, i) => [expr, inputs[i]!])),
  };
}

function expectedOf(op: OpDef, testCase: ConformanceCase): Float64Matrix {
  const attrs = testCase.attrs ?? noAttrs;
  return op.reference(testCase.inputs, attrs, op.infer(testCase.inputs, attrs));
}

async function runSegment(backend: Backend, node: Node, byBlocks: boolean): Promise<DenseMatrix> {
  const segment: Segment = {
    nodes: [node.expr],
    inputs: node.values,
    outputs: [node.expr],
    persist: [],
    blocked: new Set(byBlocks ? [node.expr] : []),
  };
  const result = await backend.run(segment, {});
  assert.equal(result.kernels, 1, 'a node is one kernel, however many blocks it takes');
  return dense1(result.values.get(node.expr));
}

function dense1(value: Value | undefined): DenseMatrix {
  assert.equal(value?.kind, 'dense', 'an output is wanted on the host');
  return value as DenseMatrix;
}

/** Cuts that leave a first block of one row, a middle and a short end. */
function cutsOf(rows: number): number[] {
  return [...new Set([1, Math.ceil(rows / 2), rows - 1, rows])].filter((cut) => cut > 0);
}

describe('operators by row blocks equal the whole', () => {
  for (const op of Object.values(ops)) {
    for (const testCase of op.cases) {
      const rows = blockedRows(op, testCase.inputs, testCase.attrs ?? noAttrs);
      if (rows === undefined || rows < 2) continue;
      it(`${op.name}: ${testCase.name}`, () => {
        const parts = evaluateInBlocks(
          op,
          testCase.inputs,
          testCase.attrs ?? noAttrs,
          cutsOf(rows),
        );
        const tolerance = testCase.tolerance ?? TOLERANCES.float64;
        assertClose(parts, expectedOf(op, testCase), tolerance, op.name);
      });
    }
  }
});

const row2 = (...cells: number[]): Float64Matrix =>
  dense(Math.sqrt(cells.length), Math.sqrt(cells.length), Float64Array.from(cells));
const singular: readonly (readonly [string, OpDef, ConformanceCase])[] = [
  ['a zero row', ops.solve, { name: '', inputs: [row2(1, 2, 0, 0), column(1, 2)] }],
  ['dependent columns', ops.solve, { name: '', inputs: [row2(0.1, 0.3, 0.2, 0.6), column(1, 2)] }],
  ['a NaN', ops.solve, { name: '', inputs: [row2(NaN, 1, 1, 2), column(1, 2)] }],
  [
    'a semi-definite matrix',
    ops.solve,
    { name: '', inputs: [row2(4, 2, 2, 1), column(1, 2)], attrs: { assume: 'spd' } },
  ],
  [
    'semi-definite up to rounding',
    ops.solve,
    { name: '', inputs: [row2(0.01, 0.03, 0.03, 0.09), column(1, 2)], attrs: { assume: 'spd' } },
  ],
  ['an indefinite matrix', ops.cholesky, { name: '', inputs: [row2(1, 2, 2, 1)] }],
  ['a zero 1x1', ops.cholesky, { name: '', inputs: [row2(0)] }],
];

function column(...cells: number[]): Float64Matrix {
  return dense(cells.length, 1, Float64Array.from(cells));
}

for (const row of backends) describe(`backend ${row.name}`, () => conformanceOf(row));

function conformanceOf(row: BackendRow): void {
  let backend: Backend;
  before(async function () {
    const made = await row.make();
    if (typeof made === 'string') {
      console.warn(`SKIPPED conformance of ${row.name}: ${made}`);
      this.skip();
    } else backend = made;
  });
  after(async () => {
    await backend?.close();
  });
  for (const [name, op] of Object.entries(ops)) {
    const gap = (row.gaps as Readonly<Record<string, Gap | undefined>>)[name];
    if (gap !== undefined) {
      it(`${name}: ${gap.kind} (${gap.why})`, () => {
        const has = backend.capabilities.ops.has(name);
        assert.equal(has, false, `${name} is declared a gap of ${row.name} but has a kernel`);
      });
      continue;
    }
    if (row.only !== undefined && !(row.only as readonly string[]).includes(name)) continue;
    for (const testCase of op.cases) {
      for (const dtype of DTYPES) caseOf(op, testCase, dtype, () => backend);
    }
  }
  for (const dtype of DTYPES)
    for (const [what, op, testCase] of singular) {
      const name = `${op.name}${testCase.attrs ? ' spd' : ''}`;
      it(`${name} in ${dtype}: refuses ${what} as singular`, async function () {
        if (!backend.capabilities.ops.has(op.name)) this.skip();
        const node = nodeOf(op, testCase, dtype);
        const isSingular = (error: unknown): boolean => {
          assert.ok(error instanceof SingularError, `expected SingularError, got ${String(error)}`);
          assert.match(error.message, /pivot/);
          return true;
        };
        await assert.rejects(runSegment(backend, node, false), isSingular);
        if (backend.runSync) {
          assert.throws(
            () => backend.runSync?.(node.expr, node.inputs) ?? fallThrough(),
            isSingular,
          );
        }
      });
    }
}

/** A node that the backend prefers to run asynchronously has just been tested that way. */
function fallThrough(): never {
  throw new SingularError('not run: no pivot');
}

/** Memory of the size a result needs, so that a kernel that counts on zeroes gives NaN. */
function giveBack(backend: Backend, { rows, cols, dtype }: DenseMatrix): void {
  backend.recycle?.(dense(rows, cols, cellsOf(dtype, rows * cols).fill(NaN)));
}

function assertOwnMemory(results: readonly DenseMatrix[], inputs: readonly DenseMatrix[]): void {
  const held = new Set(inputs.map((input) => input.data.buffer));
  for (const result of results) {
    assert.ok(!held.has(result.data.buffer), 'a result has memory of its own');
    held.add(result.data.buffer);
  }
}

function caseOf(op: OpDef, testCase: ConformanceCase, dtype: DType, backendOf: () => Backend) {
  it(`${op.name}${dtype === 'float64' ? '' : ` in ${dtype}`}: ${testCase.name}`, async () => {
    const backend = backendOf();
    assert.ok(
      backend.capabilities.ops.has(op.name),
      `${op.name} has no kernel on ${backend.name}; write it or declare the gap`,
    );
    const node = nodeOf(op, testCase, dtype);
    const { expr, inputs } = node;
    const expected = evaluateByReference(expr, inputs);
    const own = testCase.tolerance ?? TOLERANCES.float64;
    const tolerance = expr.dtype === 'float64' ? own : Math.max(own, TOLERANCES.float32);
    const check = (got: DenseMatrix, what: string): void => {
      assert.equal(got.dtype, expr.dtype, `${what}: dtype`);
      assertClose(got, expected, tolerance, what);
    };
    const before = inputs.map((input) => input.data.slice());
    giveBack(backend, expected);
    const whole = await runSegment(backend, node, false);
    check(whole, 'run, whole');
    giveBack(backend, expected);
    const sync = backend.runSync?.(expr, inputs);
    if (sync) check(dense1(sync), 'runSync');
    if (backend.recycle && op.elementwise)
      assertOwnMemory([whole, ...(sync ? [dense1(sync)] : [])], inputs);
    if (backend.capabilities.blocks !== 'none') {
      const rows = blockedRows(op, inputs, testCase.attrs ?? noAttrs);
      const isMoved =
        backend.capabilities.blocks === 'resident' &&
        op.moveRule?.(inputs, testCase.attrs ?? noAttrs) !== undefined;
      if (rows !== undefined || isMoved) {
        check(await runSegment(backend, node, true), 'run, by blocks');
      }
    }
    for (const [i, cells] of before.entries()) {
      assert.deepEqual(inputs[i]!.data, cells, `operand ${i} was changed`);
    }
  });
}
