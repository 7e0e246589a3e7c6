/**
 * Sessions on a real device: the values of the processor, what is waited for and copied, what stays,
 * and what a failure or full memory does.
 */
import assert from 'node:assert/strict';
import { ExecutionError } from '../../driver/errors.js';
import { csrOf, csrTransposed } from '../../driver/ir/csr.js';
import type { Expr } from '../../driver/ir/expr.js';
import { Interner } from '../../driver/ir/intern.js';
import { type DenseMatrix, dense, type Value } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { ops } from '../../driver/operators/index.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import { type DeviceBackend, openDeviceBackend } from '../../gpu-executor/device/backend.js';
import type { Device, DeviceDriver, KernelLaunch } from '../../gpu-executor/device/driver.js';
import { assertClose } from '../support/close.js';
import {
  chain,
  data,
  deviceSuite,
  onHost,
  scaled,
  slowHost,
  VALUE,
} from '../support/device-suite.js';
import { asynchronous, needsDevices } from '../support/devices.js';
import { type Faults, faultyDevice, lost, noMemory } from '../support/faulty-device.js';
import { cells } from '../support/plan.js';

/** Both are at most some units in the last place of the exact value. */
const TOLERANCE = 1e-14;

async function assertSame(value: DenseMatrix, build: (x: Matrix) => Matrix): Promise<void> {
  assertClose(value, await onHost(build), TOLERANCE, 'on the device');
}

describe('sessions on a device', () => {
  let driver: DeviceDriver;
  let device: Device;
  let gpu: DeviceBackend;
  let session: Session;

  before(function () {
    driver = needsDevices(this, 'sessions on a device');
  });
  const open = async (
    options: Partial<Parameters<typeof openDeviceBackend>[0]> = {},
    rest: Partial<SessionOptions> = {},
    faults?: Faults,
    onOpen?: () => void,
  ): Promise<void> => {
    gpu = await openDeviceBackend({
      open: () => {
        onOpen?.();
        device = driver.open(asynchronous(driver));
        return faults === undefined ? device : faultyDevice(device, faults);
      },
      ...options,
    });
    session = new Session({ local: slowHost, devices: [gpu], spill: false, ...rest });
  };
  describe('as any device', () => {
    deviceSuite(async ({ memoryBytes, ...rest } = {}) => {
      await open(memoryBytes === undefined ? {} : { memoryBytes }, rest);
      return {
        session,
        waits: () => gpu.work().waits,
        brought: () => gpu.work().copiesOut,
        peakBytes: () => gpu.work().peakBytes,
        close: async () => {
          await session.close();
          return gpu.leaked;
        },
      };
    }, TOLERANCE);
  });

  /** Nothing is left in the device, and nothing was leaked. */
  afterEach(async () => {
    await session?.close();
    assert.equal(gpu?.leaked ?? 0, 0);
  });

  it('run a chain as one kernel, upload its operand once and bring its value once', async () => {
    await open({ compileSeconds: 0 });
    const before = gpu.work();
    const x = matrix(session, data);
    await assertSame(await chain(x).value(), chain);
    const after = gpu.work();
    assert.equal(after.launches - before.launches, 1);
    assert.equal(after.copiesIn - before.copiesIn, 1);
    assert.equal(after.copiesOut - before.copiesOut, 1);
    const again = (m: Matrix): Matrix => m.mul(3).exp();
    await assertSame(await again(x).value(), again);
    assert.equal(gpu.work().copiesIn, after.copiesIn, 'the operand is there');
  });

  it('copy from the host beside the kernels that are queued, into memory they have used', async () => {
    for (const memoryBytes of [5, 12].map((values) => values * VALUE)) {
      await open({ memoryBytes });
      const batch = (i: number): DenseMatrix =>
        dense(
          1024,
          64,
          data.data.map((cell) => cell + i),
        );
      const build = (x: Matrix): Matrix => x.mul(2).add(1).mul(x).colSums();
      for (let round = 0; round < 3; round++) {
        const batches = Array.from({ length: 5 }, (_, i) => batch(5 * round + i));
        const sums = await Promise.all(batches.map((x) => build(matrix(session, x)).value()));
        for (const [i, sum] of sums.entries()) {
          assertClose(sum, await onHost(build, batches[i]!), 1e-12, `batch ${i} of ${round}`);
        }
      }
      assert.ok(gpu.work().recycled > 10, `${gpu.work().recycled} blocks given again`);
      await session.close();
    }
  });

  it('read compressed rows as they are, copied once, and their cells where they have to', async () => {
    await open({}, { reuse: 'off' });
    const full = cells(2000, 300).data.map((cell, i) => (i % 53 === 5 ? cell : 0));
    const [x, w] = [csrOf(dense(2000, 300, full)), cells(300, 4)];
    const operands = [matrix(session, x), matrix(session, w)] as const;
    const build = (m: Matrix, v: Matrix): Matrix => m.t().matmul(m.matmul(v).sub(1).exp());
    const more = (m: Matrix, v: Matrix): Matrix => build(m, v).add(m.add(1).colSums().t());
    for (const [plan, copied] of [
      [build, [0, x.bytes + csrTransposed(x).bytes + w.data.byteLength]],
      [more, [0, 0]],
    ] as const) {
      for (const bytes of copied.toReversed()) {
        const before = gpu.work();
        const value = await plan(...operands).value();
        assertClose(value, await onHost(plan, x, w), 1e-12, 'compressed');
        const { launches, bytesIn } = gpu.work();
        assert.ok(launches - before.launches >= 4);
        const sent = bytesIn - before.bytesIn;
        // The weights may have given their memory to a result of their size.
        assert.ok(
          sent >= bytes && sent <= bytes + w.data.byteLength + 4096,
          `${sent} bytes, not ${bytes}`,
        );
      }
    }
  });

  for (const reuse of ['off', 'full'] as const) {
    it(`allocate, free and copy nothing in a loop over batches once warm, reuse ${reuse}`, async () => {
      // With reuse, products are worth memory of their own until there is none left.
      await open({ memoryBytes: 3 * VALUE }, { reuse, migration: false });
      const x = matrix(session, data);
      const [rows, batches] = [64, 16];
      const others = [cells(64, 32, 2), cells(1, 32, 3)];
      const there = others.map((one) => matrix(session, one));
      const batch =
        (i: number, scale: number) =>
        (m: Matrix, ...[weights, bias]: Matrix[]) => {
          const part = m.slice([i * rows, (i + 1) * rows]).mul(scale);
          return part.matmul(weights!).add(bias!).maximum(0).colSums();
        };
      const epoch = async (scale: number): Promise<DenseMatrix[]> => {
        const values: DenseMatrix[] = [];
        for (let i = 0; i < batches; i++) values.push(await batch(i, scale)(x, ...there).value());
        return values;
      };
      for (const scale of [1, 2, 3, 4, 5, 6, 7]) await epoch(scale);
      const before = gpu.work();
      const values = await epoch(8);
      const after = gpu.work();
      const { allocations, frees, copiesIn } = before;
      const now = [after.allocations, after.frees, after.copiesIn];
      assert.deepEqual(now, [allocations, frees, copiesIn]);
      assert.equal(after.copiesOut - before.copiesOut, batches, 'one value a batch is brought');
      assert.ok(after.waits - before.waits <= 2 * batches, 'and waited for');
      assert.ok(after.recycled - before.recycled >= 3 * batches);
      for (const [i, value] of values.entries()) {
        assertClose(value, await onHost(batch(i, 8), data, ...others), 1e-12, `batch ${i}`);
      }
    });
  }

  it("are given a hundred segments, each over the last one's value, before any has ended", async () => {
    await open();
    const maker = new Interner();
    let expr = maker.intern(ops.literal, [], { rows: 1024, cols: 64, key: 'start' });
    let value: Value = data;
    const step = maker.intern(ops.scalar, [], { value: 0.5 });
    const ends: (Promise<unknown> | undefined)[] = [];
    let warm = gpu.work();
    for (let i = 0; i < 100; i++) {
      const node = maker.intern(i % 2 ? ops.sub : ops.mul, [expr, step]);
      const inputs = new Map<Expr, Value>([[expr, value]]);
      const segment = { nodes: [step, node], inputs, outputs: [], persist: [node] };
      const result = await gpu.run({ ...segment, blocked: new Set() }, {});
      if (value.kind === 'handle') gpu.release(value);
      [expr, value] = [node, result.values.get(node)!];
      ends.push(result.ended);
      if (i === 3) warm = gpu.work();
    }
    const { waits, allocations, frees, copiesIn } = gpu.work();
    const { waits: before, ...same } = warm;
    assert.equal(waits, before);
    assert.deepEqual([allocations, frees, copiesIn], [same.allocations, same.frees, same.copiesIn]);
    assert.ok(value.kind === 'handle');
    await gpu.arrived(value);
    const last = await gpu.collect(value);
    let expected = data.data;
    for (let i = 0; i < 100; i++)
      expected = expected.map((cell) => (i % 2 ? cell - 0.5 : cell * 0.5));
    assert.deepEqual(last.data, expected);
    gpu.release(value);
    await Promise.all(ends);
  });

  it('answer from memory what was computed before, as a cold run has it', async () => {
    await open();
    const x = matrix(session, data);
    const cold = await chain(x).value();
    const { launches, copiesOut } = gpu.work();
    const run = session.run();
    const warm = await chain(x).in(run).value();
    assert.deepEqual(warm.data, cold.data);
    const more = (m: Matrix): Matrix => chain(m).mul(5);
    await assertSame(await more(x).in(run).value(), more);
    assert.equal(gpu.work().launches - launches, 1, 'one kernel for what is new');
    assert.ok(gpu.work().copiesOut - copiesOut <= 2);
  });

  it('go on on the host when the device has less memory than it says', async () => {
    const faults: Faults = {};
    await open({}, {}, faults);
    let refused = 0;
    const x = matrix(session, data);
    await assertSame(await chain(x).value(), chain);
    faults.before = (method, [bytes]) => {
      if (method !== 'allocate') return;
      refused++;
      throw noMemory(bytes as number);
    };
    const others = [3, 4, 5].map((by) => (m: Matrix) => chain(m.mul(by)).mul(chain(m)));
    for (const build of others) await assertSame(await build(x).value(), build);
    assert.ok(refused > 0);
  });

  it('go on on the host when memory is refused where a kernel is queued', async () => {
    const faults: Faults = {};
    await open({}, {}, faults);
    const x = matrix(session, data);
    let refused = 0;
    faults.before = (method) => {
      if (method !== 'launch' || ++refused % 2 === 0) return;
      throw noMemory(VALUE);
    };
    await assertSame(await chain(x).value(), chain);
    const next = (m: Matrix): Matrix => chain(m).mul(7).log();
    await assertSame(await next(x).value(), next);
    assert.ok(refused > 1);
  });

  it('go on on a device that is opened again when it was lost, wherever that shows', async () => {
    const methods = ['allocate', 'write', 'launch', 'read', 'wait', 'settled'] as const;
    // Later waits are for values that the plan alone reads, brought when it has ended.
    for (const [method, nth] of [
      ...methods.map((one) => [one, 1] as const),
      ['wait', 2] as const,
    ]) {
      const faults: Faults = {};
      await open({}, {}, faults);
      const x = matrix(session, data);
      const warm = (m: Matrix): Matrix => scaled(m, 2);
      await assertSame(await warm(x).value(), warm);
      const [first, { launches }] = [device, gpu.work()];
      let calls = 0;
      faults.before = (called) => {
        if (device !== first || (called === method && ++calls < nth)) return;
        if (called === method || (called === 'flush' && calls >= nth)) throw lost();
      };
      const base = (m: Matrix): Matrix => scaled(m, 2).add(1);
      const build = (m: Matrix): Matrix => base(m).mul(scaled(m, 3)).sqrt();
      const [early, late] = await Promise.all([base(x).value(), build(x).value()]);
      await assertSame(early, base);
      await assertSame(late, build);
      assert.notEqual(device, first, `${method} ${nth}: opened again`);
      assert.ok(gpu.work().launches > launches, 'what was done before still counts');
      await session.close();
    }
  });

  it('go on on the host when the device is lost for good', async () => {
    const faults: Faults = {};
    let opened = 0;
    await open({}, {}, faults, () => {
      if (++opened > 1) throw new Error('no such device any more');
    });
    const x = matrix(session, data);
    await assertSame(await scaled(x, 2).sqrt().value(), (m) => scaled(m, 2).sqrt());
    faults.before = (method) => {
      if (method !== 'close') throw lost();
    };
    const { launches } = gpu.work();
    for (const by of [2, 3]) {
      const build = (m: Matrix): Matrix => scaled(m, by).add(1).sqrt();
      await assertSame(await build(x).value(), build);
    }
    // Others that met the loss find it dealt with.
    for (let i = 0; i < 2; i++) await gpu.recover();
    assert.equal(gpu.work().losses, 1);
    assert.equal(gpu.work().launches, launches);
    assert.equal(opened, 2);
  });

  it('leave to the host what needs a kernel that the device refuses, and say so once', async () => {
    for (const method of ['compile', 'launch'] as const) {
      const faults: Faults = {};
      const warnings: string[] = [];
      await open({ onWarning: (message) => void warnings.push(message) }, {}, faults);
      const isRefused = ([given]: readonly unknown[]): boolean =>
        typeof given === 'string'
          ? /fold_/.test(given)
          : /fold/.test((given as KernelLaunch).kernel.name);
      faults.before = (called, args) => {
        if (called === method && isRefused(args)) throw new ExecutionError('no fold for you');
      };
      const sums = (m: Matrix): Matrix => chain(m).colSums();
      const x = matrix(session, data);
      await assertSame(await sums(x).value(), sums);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /^(opencl|cuda):\d: expected to run kernel fold.*no fold for you/);
      // What else there is still runs there, and the fold is not tried again.
      const { launches } = gpu.work();
      const more = (m: Matrix): Matrix => m.mul(3).exp().colSums();
      await assertSame(await more(x).value(), more);
      assert.equal(warnings.length, 1);
      assert.ok(gpu.work().launches > launches);
      await session.close();
    }
  });

  it('count for a run what the device did meanwhile', async () => {
    await open();
    const x = matrix(session, data);
    // A cheap step stays the second time it is made.
    for (const by of [4, 6]) await chain(x).mul(by).value();
    const run = session.run();
    await chain(x).mul(5).in(run).value();
    const work = run.statistics.devices().get(gpu.name);
    assert.ok(work !== undefined);
    assert.equal(work.launches, 1);
    assert.equal(work.copiesIn, 0);
    assert.equal(work.copiesOut, 1);
    assert.equal(work.bytesOut, VALUE);
    assert.ok(work.reused >= 1 && work.peakBytes >= 3 * VALUE);
    const all = session.statistics.devices().get(gpu.name);
    assert.equal(all?.copiesIn, 2);
  });
});
