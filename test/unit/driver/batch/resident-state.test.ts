/**
 * State of a stack that a device makes stays there from step to step: it comes to the host when a
 * model is done, and models that are done leave the others right.
 */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { batch, iterate, type Matrix, matrix, Session } from '../../../../driver/index.js';
import { simulatedDevice } from '../../../support/simulated-device.js';

const ENDS = [3, 7, 7, 7, 7, 7, 7, 7, 7, 4];
const costs = { exchangeSeconds: 0, uploadBytesPerSecond: 1e9, downloadBytesPerSecond: 1e9 };

const program = async ({ start, same, steps }: Readonly<Record<string, Matrix>>) => {
  const { a, b } = await iterate(
    { a: start!, b: start!, same: same!, left: steps! },
    ({ a, b, same, left }) => {
      const fewer = left.sub(1);
      const state = { a: a.mul(0.5).add(b).sub(same), b: a, same, left: fewer };
      return { state, done: fewer.le(0) };
    },
    { maxIterations: 9 },
  );
  return { a, b };
};

describe('state of stacks on a device', () => {
  it('stays there until a model is done, and is what the host makes', async () => {
    const gpu = simulatedDevice({ name: 'gpu', costs, seconds: () => 0 });
    const settings = { local: createReferenceBackend(), reuse: 'off', spill: false } as const;
    const host = new Session(settings);
    const session = new Session({ ...settings, devices: [gpu], placement: 'devices' });
    let brought = 0;
    const run = async (on: Session) => {
      const start = ENDS.map((_, k) => matrix(on, [[k, 1], [2, k / 3]])); // biome-ignore format: a matrix
      const steps = ENDS.map((count) => matrix(on, [[count]]));
      const args = { start, steps, same: { shared: matrix(on, [[1, 2], [3, 4]]) } }; // biome-ignore format: a matrix
      const options = { name: 'left', version: '1' };
      const found = await batch(on, ENDS.length, args, program, options);
      brought ||= gpu.collected.length;
      return Promise.all(found.flatMap(({ a, b }) => [a.value(), b.value()]));
    };
    const [got, expected] = [await run(session), await run(host)];
    assert.deepEqual(
      got.map(({ data }) => data),
      expected.map(({ data }) => data),
    );
    // Of each of the two stacks: what a step says, and the state that changes where a model is done,
    // where the others become a smaller stack, and at the end.
    const steps = Math.max(...ENDS);
    assert.ok(brought <= 2 * (1 + steps + 3 * 3), `${brought} brought`);
    assert.ok(gpu.log.filter((entry) => entry.startsWith('kernel')).length >= 4 * steps);
    assert.equal(gpu.held.size, 0, 'nothing is left there');
    await Promise.all([session.close(), host.close()]);
  });
});
