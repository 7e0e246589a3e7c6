/** The null backend keeps a backend's contract, computes nothing, and remembers every call. */
import assert from 'node:assert/strict';
import type { Segment } from '../../driver/backend/backend.js';
import { Interner } from '../../driver/ir/intern.js';
import { ops } from '../../driver/operators/index.js';
import { createNullBackend } from '../support/null-backend.js';

describe('the null backend', () => {
  const interner = new Interner();
  const x = interner.intern(ops.fill, [], { rows: 1000, cols: 20, value: 1 });
  const gram = interner.intern(ops.tsmm, [x]);
  const segment: Segment = {
    nodes: [x, gram],
    inputs: new Map(),
    outputs: [gram],
    persist: [x],
    blocked: new Set([x]),
  };

  it('records order and segments, and returns shells and handles of the right shape', async () => {
    const backend = createNullBackend({ blocks: 'resident', seconds: () => 2 });
    const { values, kernels, passes } = await backend.run(segment, {});
    assert.deepEqual(backend.order, [x, gram]);
    assert.deepEqual(backend.segments, [segment]);
    assert.equal(kernels, 2);
    assert.equal(passes, 1);
    const shell = values.get(gram);
    assert.ok(shell?.kind === 'dense' && shell.data.length === 400);
    const handle = values.get(x);
    assert.ok(handle?.kind === 'handle' && handle.bytes === 160_000);
    const back = await backend.collect!(handle, {});
    assert.equal(back.rows, 1000);
    backend.release!(handle);
    assert.deepEqual(backend.released, [handle.id]);
    assert.equal(backend.estimate(gram).seconds, 2);
    assert.equal(backend.isClosed(), false);
    await backend.close();
    assert.equal(backend.isClosed(), true);
  });

  it('runs single nodes at once unless told not to, and fails when told to', async () => {
    const backend = createNullBackend();
    assert.equal(backend.runSync?.(gram, [])?.rows, 20);
    assert.deepEqual(backend.order, [gram]);
    assert.equal(createNullBackend({ sync: false }).runSync, undefined);
    const failing = createNullBackend({
      onNode: (expr) => {
        if (expr === gram) throw new Error('asked to fail');
      },
    });
    await assert.rejects(failing.run(segment, {}), /asked to fail/);
    const stopped = AbortSignal.abort(new Error('stopped'));
    await assert.rejects(createNullBackend().run(segment, { signal: stopped }), /stopped/);
  });
});
