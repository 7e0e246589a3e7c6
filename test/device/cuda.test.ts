/**
 * The CUDA driver over an emulation of libcuda and NVRTC (`test/support/cuda`): its sequence of
 * calls, what it does when they fail, and that nothing is left. No GPU takes part.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import {
  BackendLostError,
  ExecutionError,
  ResourceError,
  SingularError,
} from '../../driver/errors.js';
import { type Attrs, noAttrs } from '../../driver/ir/attrs.js';
import { DTYPES, type DType, dtypeAttr } from '../../driver/ir/dtype.js';
import { Interner } from '../../driver/ir/intern.js';
import type { OpDef } from '../../driver/ir/op-def.js';
import { converted, dense, type Float64Matrix } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { sampleSpd } from '../../driver/operators/linear-systems.js';
import { sample } from '../../driver/operators/product.js';
import { findCuda } from '../../gpu-executor/device/cuda/cuda-driver.js';
import type { Device, DeviceDriver, KernelLaunch } from '../../gpu-executor/device/driver.js';
import { lower } from '../../gpu-executor/device/kernels/lower.js';
import type { DeviceStep } from '../../gpu-executor/device/kernels/lowered.js';
import { loadKoffi } from '../../gpu-executor/koffi.js';
import { assertClose } from '../support/close.js';
import { buildCudaEmulation, type EmulatedCuda } from '../support/cuda/build-emulation.js';
import { itKeepsTheSeam } from '../support/device-seam.js';
import { faultyDevice } from '../support/faulty-device.js';
import { casesOfKernels, kernelCases } from '../support/kernel-cases.js';
import { runLowered } from '../support/lowered-run.js';

const MEMORY_BYTES = 2 ** 28;
const ILLEGAL_ADDRESS = 700;
const OUT_OF_MEMORY = 2;
/** Of cuBLAS. */
const NOT_INITIALIZED = 1;

interface Emulation {
  fail(call: string, status: number): void;
  reset(memoryBytes: number): void;
  held(): number;
}

const maker = new Interner();
let made = 0;

/** @param refusedRow it has no value */
function nodeOf(
  op: OpDef,
  operands: readonly Float64Matrix[],
  attrs: Attrs,
  dtype: DType,
  refusedRow?: number,
) {
  const inputs = operands.map((operand) => converted(operand, dtype));
  const leaves = inputs.map(({ rows, cols }) =>
    maker.intern(ops.literal, [], { rows, cols, key: `cuda:${made++}`, ...dtypeAttr(dtype) }),
  );
  const expr = maker.intern(op, leaves, attrs);
  const expected = refusedRow === undefined ? evaluateByReference(expr, inputs) : undefined;
  return { expr, expected, values: new Map(leaves.map((leaf, i) => [leaf, inputs[i]!])) };
}

describe('CUDA, emulated', () => {
  let emulated: EmulatedCuda | undefined;
  let emulation: Emulation;
  let driver: DeviceDriver;

  before(async function () {
    this.timeout(60_000);
    const built = await buildCudaEmulation();
    if (typeof built === 'string') {
      console.warn(`SKIPPED the CUDA driver: ${built}`);
      return this.skip();
    }
    emulated = built;
    const library = loadKoffi().load(join(built.folder, 'libcuda.so.1'));
    emulation = {
      fail: library.func('void emulatedFault(const char *, int)'),
      reset: library.func('void emulatedReset(size_t)'),
      held: library.func('int emulatedHeld(void)'),
    };
    const found = keeping(join(built.folder, 'kernels'));
    assert.ok('driver' in found, JSON.stringify(found));
    driver = found.driver;
  });
  after(() => emulated?.remove());
  const keeping = (binaries: string) => findCuda({ folder: emulated!.folder, binaries });

  itKeepsTheSeam({ driver: () => driver, keeping, version: /^CUDA 12\.4, NVRTC 12\.4, sm_90$/ });

  // After the devices are closed.
  afterEach(() => {
    if (emulated === undefined) return;
    emulation.reset(MEMORY_BYTES);
    assert.equal(emulation.held(), 0, 'a closed device holds nothing');
  });

  describe('on its own', () => {
    let device: Device;
    beforeEach(() => {
      device = driver.open(1);
    });
    afterEach(() => {
      device.close();
    });

    it('frees what ended before it says that memory is short', async () => {
      const half = MEMORY_BYTES / 2;
      const [first, second] = [device.allocate(half), device.allocate(half)];
      device.write(first, Float64Array.of(1));
      device.free(first);
      const third = device.allocate(half);
      assert.throws(
        () => device.allocate(1),
        (error) => {
          assert.ok(error instanceof ResourceError);
          assert.deepEqual(error.facts, {
            resource: 'cuda memory',
            requestedBytes: 1,
            availableBytes: 0,
          });
          return true;
        },
      );
      device.free(second);
      device.free(third);
      assert.equal(device.heldBytes, 0);
      assert.equal(device.counts.allocations, 3);
    });

    it('copies without page-locked memory where the host has none', async () => {
      emulation.fail('cuMemHostAlloc', OUT_OF_MEMORY);
      const pointer = device.allocate(24);
      device.write(pointer, Float64Array.of(1, 2, 3));
      emulation.fail('cuMemHostAlloc', OUT_OF_MEMORY);
      const got = new Float64Array(3);
      await device.wait(device.read(pointer, got));
      assert.deepEqual(got, Float64Array.of(1, 2, 3));
    });

    it('is lost when work failed on it: who waits hears so, and it closes', async () => {
      const pointer = device.allocate(8);
      const written = device.write(pointer, Float64Array.of(1));
      await device.wait(written);
      const read = device.read(pointer, new Float64Array(1));
      emulation.fail('cuEventQuery', ILLEGAL_ADDRESS);
      const isLost = (error: unknown): boolean =>
        error instanceof BackendLostError && /status 700/.test(error.message);
      await assert.rejects(device.wait(read), isLost);
      assert.throws(() => device.allocate(8), isLost);
      assert.throws(() => device.write(pointer, Float64Array.of(1)), isLost);
      assert.equal(device.isDone(read), true);
      // Only for the emulation, which keeps what a context that is gone would not.
      emulation.reset(MEMORY_BYTES);
      assert.equal(device.close(), 1);
    });

    it('is missing, and says why, where its compiler does not even say its version', () => {
      emulation.fail('nvrtcVersion', 11);
      const found = keeping(join(emulated!.folder, 'kernels'));
      assert.ok('missing' in found);
      assert.match(found.missing, /libnvrtc\.so\.13 does not say what it is: .*nvrtcVersion/);
    });

    it('gives its context back when it can not be opened', () => {
      device.close();
      const held = emulation.held();
      for (const call of ['cuCtxSetCurrent', 'cuStreamCreate']) {
        emulation.fail(call, 2);
        assert.throws(() => driver.open(0), ResourceError);
        assert.equal(emulation.held(), held, call);
      }
    });

    it('says which call was refused and why', () => {
      emulation.fail('cuModuleGetFunction', 500);
      assert.throws(
        () => device.compile('KERNEL void some(GLOBAL float *a) { a[0] = 1; }', 'some'),
        (error) =>
          error instanceof ExecutionError &&
          error.message ===
            'cuModuleGetFunction: expected CUDA to succeed, got status 500 (no such function)',
      );
    });

    it('runs every kernel, arguments, groups and barriers as CUDA has them', async () => {
      emulation.fail('cublasCreate_v2', NOT_INITIALIZED);
      emulation.fail('cusolverDnCreate', NOT_INITIALIZED);
      const cases = casesOfKernels(device.properties);
      assert.ok(cases.length >= 20);
      for (const { name, lowered, values, expr, expected } of cases) {
        const [got] = await runLowered(device, lowered, values);
        assertClose(got!, expected, expr.dtype === 'float32' ? 1e-5 : 1e-10, name);
      }
    }).timeout(60_000);

    it('solves positive definite systems of any size by cuSOLVER, as the kernel does', async () => {
      assert.equal(device.properties.hasSolver, true);
      const spoilt = sampleSpd(300).data.slice();
      spoilt[299 * 300 + 299] = -1;
      const late = dense(300, 300, spoilt);
      const dependent = dense(70, 70, new Float64Array(70 * 70).fill(1));
      const all: readonly [OpDef, readonly Float64Matrix[], Attrs, refusedRow?: number][] = [
        [ops.solve, [sampleSpd(70), sample(70, 3, 2)], { assume: 'spd' }],
        [ops.solve, [sampleSpd(300), sample(300, 2, 2), sample(300, 1, 3)], { assume: 'spd' }],
        [ops.solve, [sampleSpd(64), sample(64, 1, 2), sample(1, 1)], { assume: 'spd' }],
        [ops.cholesky, [sampleSpd(300)], noAttrs],
        [ops.cholesky, [late], noAttrs, 299],
        // By cuSOLVER's measure it may pass: the second pivot is rounding.
        [ops.solve, [dependent, sample(70, 1)], { assume: 'spd' }, 1],
      ];
      for (const dtype of DTYPES) {
        for (const [op, operands, attrs, refusedRow] of all) {
          const { expr, values, expected } = nodeOf(op, operands, attrs, dtype, refusedRow);
          const lowered = lower(expr, device.properties)!;
          const { launches } = device.counts;
          const run = runLowered(device, lowered, values);
          if (refusedRow === undefined) {
            assertClose((await run)[0]!, expected!, dtype === 'float32' ? 1e-5 : 1e-10, op.name);
          } else {
            const isRefused = (error: unknown): boolean =>
              error instanceof SingularError && error.facts.row === refusedRow;
            await assert.rejects(run, isRefused);
          }
          assert.equal(device.counts.launches - launches, op === ops.solve ? 5 : 4);
        }
      }
    });

    it('leaves systems to the kernel, or to the host, where cuSOLVER does not start', async () => {
      emulation.fail('cusolverDnCreate', NOT_INITIALIZED);
      assert.equal(device.properties.hasSolver, false);
      const large = nodeOf(ops.cholesky, [sampleSpd(300)], noAttrs, 'float64');
      assert.equal(lower(large.expr, device.properties), undefined);
      const { expr, values, expected } = nodeOf(ops.cholesky, [sampleSpd(70)], noAttrs, 'float64');
      const [got] = await runLowered(device, lower(expr, device.properties)!, values);
      assertClose(got!, expected!, 1e-10, 'cholesky');
      assert.equal(device.counts.launches, 1);
    });

    it('multiplies by cuBLAS where there is one, rows, columns and models as they lie', async () => {
      const kernels: string[] = [];
      const watched = faultyDevice(device, {
        before: (method, [launch]) => {
          if (method === 'launch') kernels.push((launch as KernelLaunch).kernel.name);
        },
      });
      const cases = [...kernelCases(device.properties)].filter(({ lowered }) =>
        lowered.steps.some(({ product }) => product?.out.col === 1),
      );
      assert.ok(cases.length >= 20, `${cases.length} cases`);
      for (const { name, lowered, values, expr, expected } of cases) {
        const { launches } = device.counts;
        const [got] = await runLowered(watched, lowered, values);
        assertClose(got!, expected, expr.dtype === 'float32' ? 1e-5 : 1e-10, name);
        const [{ product }] = lowered.steps as [DeviceStep];
        // The other triangle is a copy, so that symmetric ones are so to the bit.
        const isAlone = product?.covers === lowered.steps.length;
        const count = product?.isSymmetric === true ? 2 : 1;
        if (isAlone) assert.equal(device.counts.launches - launches, count, name);
      }
      const own = kernels.filter((name) => name.startsWith('product'));
      assert.deepEqual(own, [], 'none by kernels of ours');
    });
  });

  it('says why there is none', () => {
    assert.match(JSON.stringify(findCuda({ folder: 'none' })), /no CUDA driver/);
    emulation.fail('cuInit', 100);
    assert.match(
      JSON.stringify(findCuda({ folder: emulated!.folder })),
      /status 100 \(no device\)/,
    );
  });
});
