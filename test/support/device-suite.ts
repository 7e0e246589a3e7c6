/**
 * What any device is held to, simulated or real: right values, few waits and copies, memory given
 * back behind its last reader, and the host where it does not fit. Callers add what only their
 * device can show.
 */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { assertClose } from './close.js';
import { cells } from './plan.js';

const ROWS = 1024;
/** Bytes of every value here. */
export const VALUE = ROWS * 64 * 8;
export const data = cells(ROWS, 64);

/** So slow that whatever a device has a kernel for runs there. */
export const slowHost = {
  ...createReferenceBackend(),
  name: 'host',
  estimate: () => ({ seconds: 10 }),
};

/** One device in a session of its own. */
export interface DeviceUnderTest {
  readonly session: Session;
  /** So far: times the host waited, values brought, kernels or steps that ran. */
  readonly waits: () => number;
  readonly brought: () => number;
  readonly peakBytes: () => number;
  /** Closes the session, after which nothing is left. @returns pointers that were */
  readonly close: () => Promise<number>;
}

export type OpenDevice = (options?: {
  readonly memoryBytes?: number;
  readonly migration?: boolean;
}) => Promise<DeviceUnderTest>;

/** The same on the host, without reuse. */
export async function onHost(
  build: (x: Matrix, ...others: Matrix[]) => Matrix,
  ...operands: readonly DenseMatrix[]
): Promise<DenseMatrix> {
  const session = new Session({ local: createReferenceBackend(), reuse: 'off', spill: false });
  const [x = matrix(session, data), ...others] = operands.map((one) => matrix(session, one));
  return build(x, ...others).value();
}

export const chain = (x: Matrix): Matrix => x.mul(2).exp().add(1).sqrt();
/** The host alone factorises, beside the first. */
const around = (x: Matrix): Matrix =>
  x.mul(3).add(x.t().matmul(x).cholesky().rowSums().sum()).exp();
/** Cheap to make but for its number. */
export const scaled = (x: Matrix, by: number): Matrix => x.mul(by).exp();
const long = (m: Matrix): Matrix =>
  Array.from({ length: 10 }).reduce<Matrix>((x, _, i) => x.mul(1 / (i + 2)).exp(), m);
const wide = (x: Matrix): Matrix =>
  [2, 3, 4, 5].map((by) => scaled(x, by)).reduce((sum, one) => sum.mul(one), x);

/** @param tolerance of cells, by the largest: exponentials of a device differ in their last bits */
export function deviceSuite(open: OpenDevice, tolerance: number): void {
  const assertSame = async (value: DenseMatrix, build: (x: Matrix) => Matrix): Promise<void> => {
    assertClose(value, await onHost(build), tolerance, 'on the device');
  };
  const settled = async ({ close }: DeviceUnderTest): Promise<void> => {
    assert.equal(await close(), 0, 'pointers were left');
  };

  it('run a chain without a wait between its kernels, and bring its end once', async () => {
    const device = await open();
    const [waits, brought] = [device.waits(), device.brought()];
    await assertSame(await chain(matrix(device.session, data)).value(), chain);
    assert.ok(device.waits() - waits <= 2, `${device.waits() - waits} waits`);
    assert.equal(device.brought() - brought, 1);
    await settled(device);
  });

  it('bring a value once for all of the host that reads it', async () => {
    const device = await open();
    const x = chain(matrix(device.session, data));
    const more = (m: Matrix): Matrix => chain(m).mul(5);
    const [whole, next] = await Promise.all([x.value(), x.mul(5).value()]);
    await assertSame(whole, chain);
    await assertSame(next, more);
    const brought = device.brought();
    const run = device.session.run();
    const warm = await x.mul(5).in(run).value();
    assert.deepEqual(warm.data, next.data, 'the cold run has the same bits');
    assert.equal(run.statistics.counters().kernels, 0);
    assert.ok(device.brought() - brought <= 1);
    await settled(device);
  });

  it('answer a float32 chain in float32', async () => {
    const device = await open();
    const build = (m: Matrix): Matrix => chain(m.cast('float32'));
    const value = await build(matrix(device.session, data)).value();
    assert.equal(value.dtype, 'float32');
    assertClose(value, await onHost(build), 1e-6, 'float32');
    await settled(device);
  });

  it('free within a segment behind the last reader', async () => {
    const device = await open({ memoryBytes: 3 * VALUE });
    await assertSame(await long(matrix(device.session, data)).value(), long);
    assert.ok(device.peakBytes() <= 3 * VALUE, `${device.peakBytes()} bytes`);
    await settled(device);
  });

  it('evict what is worth least when memory is full, and end with right values', async () => {
    const device = await open({ memoryBytes: 6 * VALUE, migration: false });
    const x = matrix(device.session, data);
    for (const by of [2, 3, 4, 5, 6, 7, 8]) {
      const build = (m: Matrix): Matrix => scaled(m, by).sqrt();
      await assertSame(await build(x).value(), build);
    }
    // Again, in the order that suits memory least.
    for (const by of [2, 4, 6, 8, 3, 5, 7]) {
      const build = (m: Matrix): Matrix => scaled(m, by).sqrt().add(by);
      await assertSame(await build(x).value(), build);
    }
    assert.ok(device.peakBytes() <= 6 * VALUE, `${device.peakBytes()} bytes`);
    await settled(device);
  });

  it('leave to the host what does not fit with nothing else there', async () => {
    for (const values of [1, 3]) {
      const device = await open({ memoryBytes: values * VALUE });
      await assertSame(await wide(matrix(device.session, data)).value(), wide);
      assert.ok(device.peakBytes() <= values * VALUE, `${device.peakBytes()} bytes`);
      await settled(device);
    }
  });

  it('work around what the host alone can do', async () => {
    const device = await open();
    const value = await around(matrix(device.session, data)).value();
    assertClose(value, await onHost(around), 1e-10, 'around the host');
    await settled(device);
  });

  it('run plans side by side', async () => {
    const device = await open({ memoryBytes: 8 * VALUE });
    const x = matrix(device.session, data);
    const builds = [2, 3, 4, 5, 6].map((by) => (m: Matrix) => scaled(m, by).add(1).sqrt());
    const values = await Promise.all(
      builds.map((build) => build(x).in(device.session.run()).value()),
    );
    for (const [i, value] of values.entries()) await assertSame(value, builds[i]!);
    assert.ok(device.peakBytes() <= 8 * VALUE, `${device.peakBytes()} bytes`);
    await settled(device);
  });

  it('leave nothing of a run that is cancelled, before it begins or on its way', async () => {
    const device = await open({ memoryBytes: 8 * VALUE });
    const x = matrix(device.session, data);
    const stopped = device.session.run({ signal: AbortSignal.abort() });
    await assert.rejects(chain(x).in(stopped).value(), { name: 'AbortError' });
    for (const turns of [0, 1, 2, 3, 5, 8]) {
      const abort = new AbortController();
      const run = device.session.run({ signal: abort.signal });
      const asked = [2, 3, 4].map((by) =>
        scaled(x, by + turns)
          .sqrt()
          .in(run)
          .value(),
      );
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
      for (const outcome of await Promise.allSettled(asked)) {
        if (outcome.status === 'rejected') assert.equal(outcome.reason.name, 'AbortError');
      }
    }
    await assertSame(await chain(x).value(), chain);
    await settled(device);
  });
}
