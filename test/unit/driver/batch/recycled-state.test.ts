/**
 * Memory of a stack's state goes to later states once nobody else holds it. Values that are handed
 * on from one step to the next, under another name or turned, stay what they were.
 */
import assert from 'node:assert/strict';
import {
  batch,
  iterate,
  type LoopState,
  type Matrix,
  matrix,
  Session,
} from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';

const SIDE = 24;
const STEPS = 9;
/** Models end one after the other, so that stacks are copied to smaller ones. */
const ENDS = [4, 9, 5, 6, 8];

type State = Readonly<Record<'a' | 'before' | 'given' | 'turned' | 'twin' | 'left', Matrix>>;

const next = (now: LoopState) => {
  const { a, before, given, left } = now as State;
  const own = a.mul(0.5).add(before.mul(0.25)).add(1);
  const fewer = left.sub(1);
  const state = { a: own, before: a, given, turned: a.t(), twin: own, left: fewer };
  return { state, done: fewer.le(0) };
};

describe('memory of state in stacks', () => {
  it('is used again, and values are those of loops one by one', async () => {
    const local = await createCpuBackend();
    let recycled = 0;
    const recycle = local.recycle.bind(local);
    local.recycle = (value) => {
      if (value.rows === SIDE && value.cols > SIDE) recycled++;
      recycle(value);
    };
    const session = new Session({ local });
    try {
      const starts = ENDS.map((_, k) => {
        const cells = Float64Array.from({ length: SIDE * SIDE }, (_, i) => Math.sin(i + 7 * k));
        return matrix(session, SIDE, SIDE, cells);
      });
      const program = async ({ start, steps }: Readonly<Record<string, Matrix>>) => {
        const begun = { a: start!, before: start!, given: start!, turned: start!, twin: start! };
        const {
          iterations: _,
          finished: __,
          ...end
        } = await iterate({ ...begun, left: steps! }, next, { maxIterations: STEPS });
        return end;
      };
      const counts = ENDS.map((count) => matrix(session, [[count]]));
      const options = { name: 'recycled', version: '1' };
      const together = await batch(session, ENDS.length, { start: starts, steps: counts }, program, options); // biome-ignore format: a call
      assert.ok(recycled >= STEPS, `${recycled} values of stacks`);
      for (const [k, found] of together.entries()) {
        const alone = await program({ start: starts[k]!, steps: counts[k]! });
        for (const name of ['a', 'before', 'given', 'turned', 'twin', 'left'] as const) {
          const [own, expected] = [await found[name].value(), await alone[name].value()];
          assert.deepEqual(own.data, expected.data, `${name} of model ${k}`);
        }
        assert.deepEqual((await found.given.value()).data, (await starts[k]!.value()).data);
      }
    } finally {
      await session.close();
    }
  });
});
