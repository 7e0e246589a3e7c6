/** What every device driver is held to: memory, copies, kernels, events, and what is refused. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, ExecutionError, InternalError, ResourceError } from '../../driver/errors.js';
import type {
  Device,
  DeviceDriver,
  FoundDriver,
  Pointer,
} from '../../gpu-executor/device/driver.js';
import { itCopiesAcross, scale } from './device-peers.js';
import { asynchronous } from './devices.js';

/** Adds what the group before it in memory has: wrong unless each launch sees the one before. */
const next = `
KERNEL void next(GLOBAL double *cells, int n) {
  int i = (int)GLOBAL_ID(0);
  if (i < n) cells[i] = cells[i] * 1.5 + i;
}
`;
const N = 1000;
const cells = Float64Array.from({ length: N }, (_, i) => i / 3);

export interface DriverUnderTest {
  /** The driver, or a suite that is skipped. */
  readonly driver: (suite: Mocha.Context) => DeviceDriver;
  /** A driver of that kind that keeps compiled kernels in a folder. */
  readonly keeping: (binaries: string) => FoundDriver;
  /** What `DeviceProperties.version` looks like. */
  readonly version: RegExp;
}

export function itKeepsTheSeam({ driver: driverOf, keeping, version }: DriverUnderTest): void {
  let driver: DeviceDriver;
  let device: Device;

  before(function () {
    driver = driverOf(this);
  });
  beforeEach(() => {
    device = driver.open(asynchronous(driver));
  });
  afterEach(() => {
    device?.close();
  });

  const filled = (data: ArrayBufferView): Pointer => {
    const pointer = device.allocate(data.byteLength);
    device.write(pointer, data);
    return pointer;
  };
  const read = async (pointer: Pointer, count = N): Promise<Float64Array> => {
    const got = new Float64Array(count);
    await device.wait(device.read(pointer, got));
    return got;
  };
  const launch = (pointer: Pointer, by: number, to = pointer) =>
    device.launch({
      kernel: device.compile(scale, 'scale'),
      arguments: [pointer, to, { float64: by }, { int64: N }],
      global: [1024],
      local: [64],
    });

  it('says what each device is', () => {
    const all = driver.devices();
    assert.ok(all.length > 0);
    all.forEach((properties, index) => {
      assert.equal(properties.index, index);
      assert.match(properties.name, /\S/);
      assert.match(properties.version, version);
      assert.ok(properties.memoryBytes >= properties.largestAllocationBytes);
      assert.ok(properties.largestAllocationBytes >= 2 ** 27);
      assert.ok(properties.localBytes >= 16384 && properties.largestWorkGroup >= 64);
      assert.ok(properties.computeUnits >= 1);
    });
  });

  it('copies both ways, at an offset and within the device', async () => {
    const pointer = filled(cells);
    device.write(pointer, Float64Array.of(-1, -2), { offsetBytes: 80 });
    const copied = device.allocate(cells.byteLength);
    device.copy(pointer, copied, 88);
    const expected = cells.slice();
    expected.set([-1, -2], 10);
    assert.deepEqual(await read(pointer), expected);
    assert.deepEqual(await read(copied, 11), expected.slice(0, 11));
    const tail = new Float64Array(1);
    await device.wait(device.read(pointer, tail, { offsetBytes: 88 }));
    assert.deepEqual(tail, Float64Array.of(-2));
  });

  it('compiles on another thread while the event loop goes on', async () => {
    // A text that no cache of the vendor's has.
    const source = scale.replace('* by', `* by * ${1 + 1 / Date.now()}`);
    assert.equal(device.isCompiled(source), false);
    // Immediates count turns of the loop, however quickly a compiler is done.
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const broken = 'KERNEL void broken(GLOBAL double *a) { a[0] = undeclared_name; }';
    await Promise.all([source, source, broken].map((one) => device.prepare(one)));
    isOver = true;
    assert.ok(turns >= 1, `${turns} turns`);
    assert.equal(device.isCompiled(source), true);
    assert.throws(() => device.compile(broken, 'broken'), /undeclared_name/);
    const start = performance.now();
    const kernel = device.compile(source, 'scale');
    assert.ok(performance.now() - start < 100, 'it was there');
    const pointer = filled(cells);
    const numbers = [{ float64: 2 }, { int64: N }];
    const launch = { kernel, arguments: [pointer, pointer, ...numbers] };
    device.launch({ ...launch, global: [1024], local: [64] });
    assert.ok(Math.abs((await read(pointer))[3]! - 2) < 1e-9);
  });

  it('is closed while another thread compiles', async () => {
    const compiling = device.prepare(scale.replace('* by', `* by * ${1 - 1 / Date.now()}`));
    assert.equal(device.close(), 0);
    await compiling;
  });

  it('runs kernels in order, each over what the one before left', async () => {
    const pointer = filled(cells);
    const kernel = device.compile(next, 'next');
    const expected = cells.slice();
    for (let step = 0; step < 200; step++) {
      device.launch({
        kernel,
        arguments: [pointer, { int32: N }],
        global: [1024],
        local: [64],
      });
      for (let i = 0; i < N; i++) expected[i] = expected[i]! * 1.5 + i;
    }
    assert.deepEqual(await read(pointer), expected);
    assert.equal(device.counts.launches, 200);
    assert.ok(device.counts.waits <= 1);
  });

  it('makes one queue wait for the other where it is told to', async () => {
    const pointer = device.allocate(cells.byteLength);
    const result = device.allocate(cells.byteLength);
    for (let round = 0; round < 20; round++) {
      const data = cells.map((cell) => cell + round);
      const copied = device.write(pointer, data, { queue: 'copy' });
      const done = device.launch(
        {
          kernel: device.compile(scale, 'scale'),
          arguments: [pointer, result, { float64: 2 }, { int64: N }],
          global: [1024],
          local: [64],
        },
        { after: [copied] },
      );
      const got = new Float64Array(N);
      const back = device.read(result, got, { queue: 'copy', after: [done] });
      await device.wait(back);
      assert.ok(device.isDone(copied) && device.isDone(done));
      assert.deepEqual(
        got,
        data.map((cell) => cell * 2),
      );
    }
  });

  it('lets many wait for many events, and the event loop go on', async () => {
    const pointer = filled(cells);
    const events = Array.from({ length: 100 }, () => launch(pointer, 1));
    let turns = 0;
    const ticking = setInterval(() => turns++, 0);
    const order: number[] = [];
    await Promise.all(
      events.map(async (event, i) => {
        await device.wait(event);
        order.push(i);
      }),
    );
    clearInterval(ticking);
    assert.equal(order.length, 100);
    assert.deepEqual(await read(pointer), cells);
    assert.ok(events.every((event) => device.isDone(event)));
  });

  it('frees behind the work that still uses the memory', async () => {
    const from = filled(cells);
    const to = device.allocate(cells.byteLength);
    for (let i = 0; i < 50; i++) launch(from, 3, to);
    device.free(from);
    assert.deepEqual(
      await read(to),
      cells.map((cell) => cell * 3),
    );
  });

  it('refuses a terabyte as out of memory, and goes on', async () => {
    assert.throws(
      () => device.allocate(2 ** 40),
      (error) => {
        assert.ok(error instanceof ResourceError);
        assert.match(error.message, /device \d+: allocate: expected 1099511627776 bytes/);
        assert.equal(error.facts.requestedBytes, 2 ** 40);
        return true;
      },
    );
    assert.deepEqual(await read(filled(cells)), cells);
  });

  it("refuses a kernel that does not compile with the compiler's words, and goes on", async () => {
    const broken = 'KERNEL void broken(GLOBAL double *a) { a[0] = undeclared_name; }';
    assert.throws(
      () => device.compile(broken, 'broken'),
      (error) => {
        assert.ok(error instanceof ExecutionError);
        assert.match(error.message, /kernel broken to compile.*undeclared_name/s);
        return true;
      },
    );
    const pointer = filled(cells);
    launch(pointer, 2);
    assert.deepEqual(
      await read(pointer),
      cells.map((cell) => cell * 2),
    );
  });

  it("refuses what does not fit: arguments, sizes, bytes, what is freed or another's", () => {
    const pointer = filled(cells);
    const kernel = device.compile(scale, 'scale');
    const sizes = { global: [1024], local: [64] };
    assert.throws(
      () => device.launch({ kernel, arguments: [pointer], ...sizes }),
      (error) => error instanceof ExecutionError && /scale: expected/.test(error.message),
    );
    const wrong = [pointer, pointer, { int32: 1 }, { int64: N }];
    assert.throws(
      () => device.launch({ kernel, arguments: wrong, ...sizes }),
      (error) =>
        error instanceof ExecutionError && /scale: (argument 3: )?expected/.test(error.message),
    );
    const good = [pointer, pointer, { float64: 1 }, { int64: N }];
    assert.throws(
      () => device.launch({ kernel, arguments: good, global: [1000], local: [64, 2] }),
      ExecutionError,
    );
    assert.throws(() => device.write(pointer, cells, { offsetBytes: 8 }), ExecutionError);
    assert.throws(() => device.read(pointer, new Float64Array(N + 1)), ExecutionError);
    assert.throws(() => device.copy(pointer, pointer, N * 8 + 1), ExecutionError);
    device.free(pointer);
    assert.throws(() => device.free(pointer), InternalError);
    assert.throws(() => device.write(pointer, cells), InternalError);
    const other = driver.open(0);
    assert.throws(() => device.free(other.allocate(8)), InternalError);
    const launchOf = { kernel: other.compile(scale, 'scale'), arguments: good, ...sizes };
    assert.throws(
      () => device.launch(launchOf),
      (error) => error instanceof InternalError && /kernel of this device/.test(error.message),
    );
    assert.equal(other.close(), 1);
    assert.throws(() => driver.open(99), ConfigError);
  });

  it('takes nothing as something: 0 bytes are allocated, copied and freed', async () => {
    const pointer = device.allocate(0);
    device.write(pointer, new Float64Array(0));
    await device.wait(device.read(pointer, new Float64Array(0)));
    device.free(pointer);
    assert.equal(device.close(), 0);
  });

  it('runs two devices side by side, each with memory of its own', async function () {
    if (driver.devices().length < 2) {
      console.warn(`SKIPPED two devices: ${driver.kind} finds one`);
      this.skip();
    }
    const other = driver.open(1 - Math.min(1, asynchronous(driver)));
    const theirs = other.allocate(cells.byteLength);
    other.write(theirs, cells);
    const ours = filled(cells);
    launch(ours, 2);
    other.launch({
      kernel: other.compile(scale, 'scale'),
      arguments: [theirs, theirs, { float64: 5 }, { int64: N }],
      global: [1024],
      local: [64],
    });
    const got = new Float64Array(N);
    await other.wait(other.read(theirs, got));
    assert.deepEqual(
      got,
      cells.map((cell) => cell * 5),
    );
    assert.deepEqual(
      await read(ours),
      cells.map((cell) => cell * 2),
    );
    other.close();
  });

  itCopiesAcross(() => driver);

  it('counts what it did, and at the end what was left', async () => {
    const [a, b] = [filled(cells), device.allocate(16)];
    launch(a, 2);
    launch(a, 2);
    await read(a);
    device.free(b);
    assert.equal(device.heldBytes, cells.byteLength);
    const { waits, ...counts } = device.counts;
    assert.ok(waits <= 1);
    assert.deepEqual(counts, {
      allocations: 2,
      frees: 1,
      copiesIn: 1,
      copiesOut: 1,
      bytesIn: cells.byteLength,
      bytesOut: cells.byteLength,
      copiesAcross: 0,
      bytesAcross: 0,
      launches: 2,
      compiles: 1,
    });
    assert.equal(device.close(), 1);
    assert.equal(device.close(), 0);
    assert.equal(device.heldBytes, 0);
    assert.throws(() => device.allocate(8), InternalError);
  });

  it('settles who waits when it is closed', async () => {
    const pointer = filled(cells);
    const waiting = Array.from({ length: 10 }, () => device.wait(launch(pointer, 1)));
    device.close();
    await Promise.all(waiting);
  });

  it('keeps binaries on disk, and compiles again what is damaged there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reprise-kernels-'));
    const once = async (): Promise<Float64Array> => {
      const found = keeping(folder);
      assert.ok('driver' in found);
      device.close();
      device = found.driver.open(asynchronous(found.driver));
      const pointer = filled(cells);
      launch(pointer, 2);
      return read(pointer);
    };
    const expected = cells.map((cell) => cell * 2);
    try {
      assert.deepEqual(await once(), expected);
      const kept = (): readonly string[] =>
        existsSync(folder) ? readdirSync(folder).filter((name) => /^[0-9a-f]{64}$/.test(name)) : [];
      while (kept().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(await once(), expected);
      for (const name of kept()) writeFileSync(join(folder, name), 'damaged');
      assert.deepEqual(await once(), expected);
    } finally {
      // Binaries are written beside what waits for kernels.
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    }
  });
}
