/**
 * Every kernel that operators have on devices, by cases: the operators' own of both dtypes, and
 * chains. For suites that go over kernels: compilers, and tools that watch memory.
 */
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import { noAttrs } from '../../driver/ir/attrs.js';
import { csrOf } from '../../driver/ir/csr.js';
import { DTYPES, type DType, dtypeAttr } from '../../driver/ir/dtype.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import type { ConformanceCase, OpDef } from '../../driver/ir/op-def.js';
import { converted, type DenseMatrix, dense } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { sample } from '../../driver/operators/product.js';
import { compressedIn, metaOf } from '../../gpu-executor/device/compressed.js';
import type { DeviceProperties } from '../../gpu-executor/device/driver.js';
import { lowerCompressed, lowerExpanded } from '../../gpu-executor/device/kernels/csr.js';
import { deviceOps, lower, lowerChain } from '../../gpu-executor/device/kernels/lower.js';
import type { KernelCode, Lowered } from '../../gpu-executor/device/kernels/lowered.js';
import { anyDevice } from './any-device.js';

export interface KernelCase {
  readonly name: string;
  readonly lowered: Lowered;
  /** Of the operands. */
  readonly values: ReadonlyMap<Expr, DenseMatrix>;
  /** Of the only output. */
  readonly expr: Expr;
  readonly expected: DenseMatrix;
}

const maker = new Interner();
let made = 0;

function leaf(value: DenseMatrix): Expr {
  const { rows, cols, dtype } = value;
  const attrs = { rows, cols, key: `kernel-case:${made++}`, ...dtypeAttr(dtype) };
  return maker.intern(ops.literal, [], attrs, value);
}

/** Cases of all operators with kernels, of compressed operands, and of chains; operators that fail on purpose are not. */
export function* kernelCases(properties = anyDevice): Iterable<KernelCase> {
  for (const dtype of DTYPES) {
    for (const op of Object.values(ops).filter(({ name }) => deviceOps.has(name))) {
      for (const testCase of op.cases) yield* caseOf(op, testCase, dtype, properties);
    }
    yield* compressedCases(dtype);
    yield* chainsOf(dtype, properties);
  }
}

function* caseOf(
  op: OpDef,
  { name, inputs, attrs = noAttrs }: ConformanceCase,
  dtype: DType,
  properties: DeviceProperties,
): Iterable<KernelCase> {
  const operands = inputs.map((input) => converted(input, dtype));
  const leaves = operands.map(leaf);
  const own = leaves.length > 0 ? attrs : { ...attrs, ...dtypeAttr(dtype) };
  const expr = maker.intern(op, leaves, own);
  const lowered = lower(expr, properties);
  if (lowered === undefined) return;
  const values = new Map(leaves.map((one, i) => [one, operands[i]!]));
  const expected = evaluateByReference(expr, operands);
  yield { name: `${op.name}: ${name}, ${dtype}`, lowered, values, expr, expected };
}

/** Each operand compressed, one at a time; and the cells of one. */
function* compressedCases(dtype: DType): Iterable<KernelCase> {
  for (const op of [ops.matmul, ops.mmchain, ops.tsmm]) {
    for (const { name, inputs, attrs = noAttrs } of op.cases) {
      for (const at of inputs.keys()) {
        const operands = inputs.map((input, i) => {
          const value = converted(input, dtype);
          return i === at ? csrOf(value) : value;
        });
        const leaves = operands.map(leaf);
        const expr = maker.intern(op, leaves, attrs);
        const values = new Map(leaves.map((one, i) => [one, operands[i]!]));
        const lowered = lowerCompressed(expr, compressedIn({ inputs: values }));
        if (lowered === undefined) continue;
        const expected = evaluateByReference(expr, operands);
        const told = `${op.name}: ${name}, operand ${at} compressed, ${dtype}`;
        yield { name: told, lowered, values, expr, expected };
      }
    }
  }
  const csr = csrOf(converted(mostlyZero(9, 7), dtype));
  const expr = leaf(csr);
  const values = new Map([[expr, csr]]);
  const lowered = lowerExpanded(expr, metaOf(csr)!);
  yield { name: `cells of compressed rows, ${dtype}`, lowered, values, expr, expected: csr };
  const gram = maker.intern(ops.tsmm, [expr]);
  const known = lowerCompressed(gram, compressedIn({ inputs: values }))!;
  const expected = evaluateByReference(gram, [csr]);
  yield { name: `tsmm of sparse rows, ${dtype}`, lowered: known, values, expr: gram, expected };
}

/** Some rows and columns hold nothing. */
function mostlyZero(rows: number, cols: number): DenseMatrix {
  const cells = sample(rows, cols).data.map((cell, i) => (i % 23 === 5 ? cell : 0));
  return dense(rows, cols, cells);
}

/** Cells that stretch every way, written, and folded by rows, columns and all. */
function* chainsOf(dtype: DType, properties: DeviceProperties): Iterable<KernelCase> {
  const values = new Map<Expr, DenseMatrix>();
  const [x, row, column] = [sample(7, 5), sample(1, 5, 2), sample(7, 1, 3)].map((cells) => {
    const value = converted(cells, dtype);
    const expr = leaf(value);
    values.set(expr, value);
    return expr;
  }) as [Expr, Expr, Expr];
  const scaled = maker.intern(ops.div, [maker.intern(ops.sub, [x, row]), column]);
  const chain = [...scaled.inputs.slice(0, 1), scaled, maker.intern(ops.exp, [scaled])];
  const held = new Map(values);
  const put = (expr: Expr): DenseMatrix => {
    const value = evaluateByReference(
      expr,
      expr.inputs.map((input) => held.get(input)!),
    );
    held.set(expr, value);
    return value;
  };
  for (const node of chain) put(node);
  const last = chain.at(-1)!;
  const ends = [ops.sum, ops.rowSums, ops.colMaxs].map((op) => maker.intern(op, [last]));
  for (const end of [last, ...ends]) {
    const nodes = end === last ? chain : [...chain, end];
    const lowered = lowerChain(nodes, [end], properties);
    if (lowered === undefined) continue;
    const expected = held.get(end) ?? put(end);
    yield { name: `chain to ${end.op.name}, ${dtype}`, lowered, values, expr: end, expected };
  }
}

/** Each kernel once. */
export function kernelCodes(cases: Iterable<KernelCase>): KernelCode[] {
  const codes = new Map<string, KernelCode>();
  for (const { lowered } of cases) {
    for (const { code } of lowered.steps) codes.set(`${code.name}\n${code.source}`, code);
  }
  return [...codes.values()];
}

/** For each kernel the cases with most and with fewest cells: they have ends of everything. */
export function casesOfKernels(properties = anyDevice): KernelCase[] {
  const bySize = [...kernelCases(properties)].sort((a, b) => cellsOf(a) - cellsOf(b));
  const taken = new Set<KernelCase>();
  for (const order of [bySize, bySize.toReversed()]) {
    const seen = new Set<string>();
    for (const it of order) {
      const kernels = it.lowered.steps.map(({ code }) => `${code.name}\n${code.source}`);
      if (kernels.some((kernel) => !seen.has(kernel))) taken.add(it);
      for (const kernel of kernels) seen.add(kernel);
    }
  }
  return [...taken];
}

function cellsOf({ values }: KernelCase): number {
  return [...values.values()].reduce((sum, { data }) => sum + data.length, 0);
}
