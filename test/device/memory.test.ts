/**
 * A device's memory under real sessions: how much a loop takes, and what goes where when there is too
 * little.
 */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import type { DeviceBackend } from '../../gpu-executor/device/backend.js';
import { assertClose } from '../support/close.js';
import { slowHost } from '../support/device-suite.js';
import { needsDevices, openTestDevice } from '../support/devices.js';
import { cells } from '../support/plan.js';

const ROWS = 4096;
/** Bytes of every large value here. */
const VALUE = ROWS * 64 * 8;
const data = cells(ROWS, 64);

describe('the memory of a device under sessions', () => {
  let gpu: DeviceBackend;
  let session: Session;

  before(function () {
    needsDevices(this, 'the memory of a device under sessions');
  });
  const open = async (memoryBytes: number, rest: Partial<SessionOptions> = {}): Promise<void> => {
    gpu = (await openTestDevice({ memoryBytes })) as DeviceBackend;
    session = new Session({ local: slowHost, devices: [gpu], spill: false, ...rest });
  };
  afterEach(async () => {
    await session?.close();
    assert.equal(gpu?.leaked ?? 0, 0);
  });

  it('moves what is read later to the host while a segment needs the room', async () => {
    // Three segments: the host alone factorises between them, and `other` is read by the last.
    const host = (m: Matrix): Matrix => m.pow(2).colMeans().t().diag().cholesky().colSums();
    const build = (x: Matrix): Matrix => {
      const [one, other] = [x.mul(3), x.mul(4)];
      const first = one.mul(host(one).add(host(other)));
      const wide = first.add(host(first)).mul(first.sub(first.colMeans()));
      return other.mul(host(wide));
    };
    await open(3 * VALUE + 500_000);
    const takes = gpu.takes.bind(gpu);
    gpu.takes = (expr) => expr.op.name !== 'cholesky' && takes(expr);
    const value = await build(matrix(session, data)).value();
    assertClose(value, await cold(build), 1e-12, 'moved out and back');
    const { movedOut, movedBack, peakBytes, budgetBytes } = gpu.tier.counts;
    assert.ok(movedOut > 0 && movedBack > 0, `${movedOut} out, ${movedBack} back`);
    assert.ok(peakBytes <= budgetBytes);
  });

  it('takes as little memory for a loop of any length in one plan, and waits for its end alone', async () => {
    await open(64 * VALUE, { reuse: 'off' });
    const heldBytes: number[] = [];
    for (const turns of [12, 12, 36]) {
      let weights = matrix(session, cells(1, 64));
      for (let i = 0; i < turns; i++) weights = layer(matrix(session, batchOf(i)), weights);
      const before = gpu.work();
      assertClose(await weights.value(), await coldLoop(turns), 1e-12, `${turns} turns`);
      assert.ok(gpu.work().waits - before.waits <= 2);
      heldBytes.push(gpu.tier.counts.heldBytes);
    }
    const [, short, long] = heldBytes;
    assert.ok(long! - short! < BATCH * 64 * 8, `${short} and ${long} bytes`);
    assert.equal(gpu.tier.counts.frees, 0);
  });
});

const BATCH = 256;
const batchOf = (i: number): DenseMatrix => {
  return dense(
    BATCH,
    64,
    cells(BATCH, 64).data.map((cell) => cell + i),
  );
};
/** What a step costs and how large it is matters here, not what it learns. */
const layer = (batch: Matrix, weights: Matrix): Matrix =>
  weights.sub(batch.mul(weights).maximum(0).add(1).colMeans().mul(1e-3));

async function cold(build: (x: Matrix) => Matrix): Promise<DenseMatrix> {
  const session = new Session({ local: createReferenceBackend(), reuse: 'off', spill: false });
  return build(matrix(session, data)).value();
}

async function coldLoop(turns: number): Promise<DenseMatrix> {
  const host = new Session({ local: createReferenceBackend(), reuse: 'off', spill: false });
  let weights = matrix(host, cells(1, 64));
  for (let i = 0; i < turns; i++) weights = layer(matrix(host, batchOf(i)), weights);
  return weights.value();
}
