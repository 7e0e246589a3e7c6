/**
 * Data larger than a device's memory: row blocks go through it. The values of the processor, what
 * is taken, copied and waited for, and what a failure on the way leaves behind.
 */

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeviceWork } from '../../driver/backend/backend.js';
import {
  createReferenceBackend,
  evaluateByReference,
} from '../../driver/backend/reference-backend.js';
import { SingularError } from '../../driver/errors.js';
import { DTYPES, dtypeAttr } from '../../driver/ir/dtype.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import { converted, type DenseMatrix, dense, type Value } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { Session } from '../../driver/runtime/session.js';
import { type DeviceBackend, openDeviceBackend } from '../../gpu-executor/device/backend.js';
import type { DeviceBackendOptions } from '../../gpu-executor/device/backend-options.js';
import type {
  Device,
  DeviceDriver,
  DeviceEvent,
  DeviceQueueOptions,
} from '../../gpu-executor/device/driver.js';
import { assertClose } from '../support/close.js';
import { slowHost } from '../support/device-suite.js';
import { asynchronous, needsDevices } from '../support/devices.js';
import { type Faults, faultyDevice, lost, noMemory } from '../support/faulty-device.js';
import { cells } from '../support/plan.js';

const TOLERANCES = { float64: 1e-10, float32: 2e-5 };
const maker = new Interner();

const ROWS = 16_384;
const COLS = 32;
const data = cells(ROWS, COLS);
const target = cells(ROWS, 1, 2);
/** Of the data. @units bytes */
const BYTES = ROWS * COLS * 8;

/** A turn of logistic regression for four models: products, cells over rows, sums of both. */
const turn = (x: Matrix, y: Matrix, w: Matrix): Matrix => {
  const errors = x.matmul(w).sigmoid().sub(y);
  return w.sub(x.t().matmul(errors).mul(1e-4)).add(errors.colSums().mul(1e-5));
};

describe('data that stream through a device', () => {
  let driver: DeviceDriver;
  let gpu: DeviceBackend;
  let session: Session;

  before(function () {
    driver = needsDevices(this, 'data that stream through a device');
  });
  afterEach(async () => {
    await session?.close();
    await gpu?.close();
    assert.equal(gpu?.leaked ?? 0, 0, 'pointers were left');
  });
  const open = async (
    options: Partial<DeviceBackendOptions> = {},
    seam: (device: Device) => Device = (device) => device,
  ): Promise<void> => {
    const index = asynchronous(driver);
    gpu = await openDeviceBackend({ open: () => seam(driver.open(index)), ...options });
    session = new Session({ local: slowHost, devices: [gpu], spill: false, reuse: 'off' });
  };

  it('give every operator the value it has over all rows', async () => {
    await open({ rowsPerBlock: 3 });
    const streamed = new Set<string>();
    for (const dtype of DTYPES) {
      for (const op of Object.values(ops)) {
        for (const { name, inputs, attrs, tolerance } of op.cases) {
          const operands = inputs.map((input) => converted(input, dtype));
          const rule = op.rowRule(operands, attrs ?? {});
          if (!rule.blocked.includes(true)) continue;
          const leaves = operands.map(literal);
          let expr: Expr;
          try {
            expr = maker.intern(op, leaves, attrs);
          } catch {
            continue;
          }
          if (!gpu.capabilities.ops.has(op.name) || !gpu.takes(expr)) continue;
          const what = `${op.name}, ${name}, ${dtype}`;
          const { values, passes } = await run(
            [expr],
            new Map(leaves.map((e, i) => [e, operands[i]!])),
          );
          if (passes > 0) streamed.add(op.name);
          const within = Math.max(tolerance ?? 0, TOLERANCES[dtype]);
          assertClose(
            values.get(expr) as DenseMatrix,
            evaluateByReference(expr, operands),
            within,
            what,
          );
        }
      }
    }
    for (const { name } of [ops.tsmm, ops.matmul, ops.groupGram, ops.columnMoments, ops.exp]) {
      assert.ok(streamed.has(name), `${name} was not streamed`);
    }
  });

  /** Turns over the data, and what each did. */
  const train = async (turns: number, of = data) => {
    const [x, y] = [matrix(session, of), matrix(session, target)];
    let weights: DenseMatrix = cells(COLS, 4, 3);
    const did: DeviceWork[] = [];
    for (let i = 0; i < turns; i++) {
      const before = gpu.work();
      weights = await turn(x, y, matrix(session, weights)).value();
      const now = Object.entries(gpu.work()) as [keyof DeviceWork, number][];
      const counts = now.map(([name, count]) => [name, count - before[name]] as const);
      did.push(Object.fromEntries(counts) as unknown as DeviceWork);
    }
    return { weights, did };
  };
  const onHost = async (turns: number): Promise<DenseMatrix> => {
    const host = new Session({ local: createReferenceBackend(), reuse: 'off', spill: false });
    const [x, y] = [matrix(host, data), matrix(host, target)];
    let weights = matrix(host, cells(COLS, 4, 3));
    for (let i = 0; i < turns; i++) weights = turn(x, y, weights);
    return weights.value();
  };

  it('train as on the processor, with the same bits again, and take nothing once they run', async () => {
    const runs: DenseMatrix[] = [];
    for (let i = 0; i < 2; i++) {
      await open({ memoryBytes: BYTES / 4 });
      const { weights, did } = await train(4);
      runs.push(weights);
      assertClose(weights, await onHost(4), 1e-12, 'weights');
      const { copiesIn, bytesIn, launches } = did[0]!;
      assert.ok(bytesIn >= BYTES && bytesIn < 1.1 * BYTES, `${bytesIn} bytes in`);
      // Of the data and of the target each one copy a block.
      const blocks = Math.floor(copiesIn / 2);
      assert.ok(blocks >= 8 && launches >= 4 * blocks, `${blocks} blocks, ${launches} launches`);
      for (const { allocations, frees, waits, ...copied } of did.slice(1)) {
        assert.deepEqual({ allocations, frees }, { allocations: 0, frees: 0 });
        assert.ok(copied.bytesIn > BYTES / 2, `${copied.bytesIn} bytes in`);
        assert.ok(waits <= blocks + 3, `${waits} waits for ${blocks} blocks`);
      }
      assert.ok(gpu.work().peakBytes <= BYTES / 4);
      await session.close();
    }
    assert.deepEqual(runs[1]!.data, runs[0]!.data);
  });

  it('give the systems of a ridge search, sums that the host joins among them', async () => {
    await open({ memoryBytes: BYTES / 4 });
    const folds = dense(
      ROWS,
      1,
      Float64Array.from({ length: ROWS }, (_, i) => i % 3),
    );
    const build = (x: Matrix, y: Matrix, fold: Matrix): readonly Matrix[] => {
      const [gram, cross] = [x.t().matmul(x), x.t().matmul(y)];
      const fits = [0.1, 10].map((penalty) => gram.addDiag(penalty).solve(cross));
      const attrs = { groups: 3, center: true };
      const byFold = x.session.intern(ops.groupGram, [fold.expr, x.expr, y.expr], attrs);
      return [...fits, Matrix.of(x.session, byFold)];
    };
    const operands = [data, target, folds] as const;
    const on = async (place: Session): Promise<readonly DenseMatrix[]> => {
      const [x, y, fold] = operands.map((one) => matrix(place, one)) as [Matrix, Matrix, Matrix];
      return Promise.all(build(x, y, fold).map((one) => one.value()));
    };
    const host = new Session({ local: createReferenceBackend(), reuse: 'off', spill: false });
    const [there, here] = [await on(session), await on(host)];
    for (const [i, value] of there.entries()) assertClose(value, here[i]!, 1e-10, `result ${i}`);
    const { bytesIn, peakBytes } = gpu.work();
    assert.ok(bytesIn >= BYTES && peakBytes <= BYTES / 4, `${bytesIn} in, ${peakBytes} held`);
  });

  it('stay in part where there is room for a part', async () => {
    await open({ memoryBytes: Math.round(BYTES / 1.3) });
    // Other data take the place of those before.
    for (const of of [data, cells(ROWS, COLS, 4), data]) {
      const { weights, did } = await train(3, of);
      if (of === data) assertClose(weights, await onHost(3), 1e-12, 'weights');
      for (const { bytesIn, allocations } of did.slice(1)) {
        assert.ok(bytesIn > 0 && bytesIn < BYTES / 2, `${bytesIn} of ${BYTES} bytes were copied`);
        assert.equal(allocations, 0);
      }
    }
  });

  it('are copied again where an array holds other cells each time', async () => {
    await open({ rowsPerBlock: 64 });
    const value = cells(256, 8, 5);
    const slot = maker.intern(ops.slot, [], { rows: 256, cols: 8, key: 'state' });
    const sums = maker.intern(ops.colSums, [slot]);
    const expected = evaluateByReference(sums, [value]);
    for (const times of [1, 2]) {
      const { values, ended } = await run([sums], new Map([[slot, value]]));
      // What is measured while kernels are made teaches nothing.
      assert.equal((await ended)!.isFirst, times === 1);
      const scaled = dense(
        1,
        8,
        expected.data.map((cell) => cell * times),
      );
      assertClose(values.get(sums) as DenseMatrix, scaled, 1e-12, `${times} times`);
      for (const [i, cell] of value.data.entries()) value.data[i] = 2 * cell;
    }
  });

  it('are copied beside the kernels of the blocks before', async () => {
    const log: Logged[] = [];
    await open({ memoryBytes: BYTES / 4 }, (device) => logged(device, log));
    await train(1);
    const largest = Math.max(...log.map(({ bytes }) => bytes));
    const copies = log.filter(({ bytes }) => bytes === largest);
    assert.ok(copies.length >= 8, `${copies.length} copies`);
    for (const [n, copy] of copies.slice(0, -1).entries()) {
      const between = log.slice(log.indexOf(copy) + 1, log.indexOf(copies[n + 1]!));
      const kernels = between.filter(({ bytes }) => bytes === 0);
      // Those of the block before; the first copy has none before it.
      assert.ok(kernels.length >= 3 || n === 0, `${kernels.length} kernels behind copy ${n}`);
      for (const { after } of kernels) {
        assert.ok(!after.includes(copy.event), `a kernel of block ${n - 1} waits for copy ${n}`);
      }
    }
  });

  it('give rows that do not fit to the host, block by block', async () => {
    await open({ memoryBytes: BYTES / 4 });
    const build = (x: Matrix): Matrix => x.mul(2).add(1).sqrt();
    const host = new Session({ local: createReferenceBackend(), reuse: 'off', spill: false });
    const value = await build(matrix(session, data)).value();
    assertClose(value, await build(matrix(host, data)).value(), 1e-14, 'rows');
    assert.ok(gpu.work().bytesOut >= BYTES);
  });

  it('fall back to the host without memory, and begin again after a loss, leaving nothing', async () => {
    for (const failing of [noMemory, lost]) {
      for (const at of [30, 60]) {
        let calls = 0;
        const faults: Faults = {
          before: (method) => {
            if (!/^(launch|allocate|write)$/.test(method)) return;
            const isHit = failing === lost ? ++calls === at : ++calls >= at;
            if (isHit) throw failing(1000);
          },
        };
        await open({ memoryBytes: BYTES / 4 }, (device) => faultyDevice(device, faults));
        const { weights } = await train(2);
        assert.ok(calls >= at);
        assertClose(weights, await onHost(2), 1e-12, `${failing.name} at ${at}`);
        await session.close();
        assert.equal(gpu.leaked, 0);
      }
    }
  });

  it('leave nothing where rows can not be read on the way', async () => {
    for (const at of [1, 5]) {
      let calls = 0;
      const faults: Faults = {};
      await open({ memoryBytes: BYTES / 4 }, (device) => faultyDevice(device, faults));
      faults.before = (method) => {
        if (method === 'read' && ++calls === at) throw lost();
      };
      const value = await matrix(session, data).mul(2).add(1).value();
      assert.ok(calls >= at);
      assert.equal(value.data[ROWS], data.data[ROWS]! * 2 + 1);
      await session.close();
      assert.equal(gpu.leaked, 0, 'pointers were left');
    }
  });

  it('have no value where an operand has none, whoever reads it and however soon', async () => {
    const ones = dense(COLS, COLS, new Float64Array(COLS * COLS).fill(1));
    const rows = (): Matrix =>
      matrix(session, data).matmul(
        matrix(session, ones)
          .mul(1)
          .solve(matrix(session, cells(COLS, 1))),
      );
    const readers: Readonly<Record<string, (m: Matrix) => Matrix>> = {
      nobody: (m) => m,
      'the host': (m) => m.abs().add(1),
      'the device, whole': (m) => m.t().mul(2),
    };
    const isSingular = (error: unknown): boolean =>
      error instanceof SingularError && error.facts.row === 1;
    await open({ memoryBytes: BYTES / 4 }, late);
    const here = new Set([...gpu.capabilities.ops].filter((name) => name !== 'abs'));
    Object.assign(gpu, { capabilities: { ops: here, blocks: 'stream' } });
    for (const [name, read] of Object.entries(readers)) {
      await assert.rejects(async () => read(rows()).value(), isSingular, name);
    }
    // A sum of other data in the same plan has one.
    const both = [matrix(session, data).colSums(), rows().abs()].map((m) => m.value());
    const [sums, none] = await Promise.allSettled(both);
    assert.deepEqual([sums!.status, none!.status], ['fulfilled', 'rejected']);
  });

  const run = (outputs: readonly Expr[], inputs: ReadonlyMap<Expr, Value>) => {
    const nodes = outputs;
    return gpu.run({ nodes, inputs, outputs, persist: [], blocked: new Set() }, {});
  };
});

let made = 0;
function literal({ rows, cols, dtype }: DenseMatrix): Expr {
  return maker.intern(ops.literal, [], {
    rows,
    cols,
    key: `stream:${made++}`,
    ...dtypeAttr(dtype),
  });
}

/** The same device, of which one who waits for the end of a segment hears late. */
function late(device: Device): Device {
  return new Proxy(device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (name !== 'settled') return member.bind(target) as unknown;
      return async (event: DeviceEvent): Promise<void> => {
        await target.settled(event);
        await sleep(30);
      };
    },
  });
}

interface Logged {
  /** Copied to the device; 0 for kernels. */
  readonly bytes: number;
  readonly event: DeviceEvent;
  readonly after: readonly DeviceEvent[];
}

/** The same device, with the kernels that are queued and the copies beside them. */
function logged(device: Device, log: Logged[]): Device {
  return new Proxy(device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        const answer: unknown = Reflect.apply(member, target, args);
        const options = args.at(-1) as DeviceQueueOptions;
        const bytes = name === 'write' ? (args[1] as ArrayBufferView).byteLength : 0;
        if (name === 'launch' || (name === 'write' && options.queue === 'copy')) {
          log.push({ bytes, event: answer as DeviceEvent, after: options.after ?? [] });
        }
        return answer;
      };
    },
  });
}
