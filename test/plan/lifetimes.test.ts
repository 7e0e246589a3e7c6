import assert from 'node:assert/strict';
import type { Backend } from '../../driver/backend/backend.js';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import type { Plan } from '../../driver/compiler/plan.js';
import { verifyPlan } from '../../driver/compiler/verify-plan.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { createNullBackend } from '../support/null-backend.js';
import { generated, MIB, machines } from '../support/placement.js';
import { cells } from '../support/plan.js';

const readsOf = (plan: Plan): string[] =>
  plan.nodes.map(({ expr, reads }) => `${expr.op.name} ${reads}`);

describe('pass lifetimes', () => {
  it('counts the reads of operators, and one of whoever asked', () => {
    const session = new Session({ local: createNullBackend() });
    const x = matrix(session, cells(8, 8)).exp();
    const plan = session.plan([x.matmul(x).expr, x.abs().expr]);
    assert.deepEqual(readsOf(plan), ['exp 3', 'matmul 1', 'abs 1']);
  });

  it('counts one read for each pass, and what its row blocks read on the way', () => {
    const { session } = machines({ placement: 'blocks' });
    const x = generated(session, 16 * MIB);
    const weights = matrix(session, cells(64, 64)).exp();
    const shared = x.matmul(weights).add(1);
    const plan = session.plan([shared.sub(shared.colSums()).abs().sum().expr]);
    const [first, second] = plan.targets.filter(({ node }) => node.how.kind === 'reduce');
    assert.deepEqual([first?.kept.length, second?.kept.length], [1, 1]);
    assert.deepEqual([first?.wave, second?.wave], [1, 2]);
    const reads = new Map(plan.nodes.map(({ expr, reads }) => [expr.op.name, reads]));
    // By the passes of both reductions, and of the kept value between them.
    assert.equal(reads.get('exp'), 3);
    assert.equal(reads.get('colSums'), 1);
  });

  it('finds a plan that reads once too often or too seldom', () => {
    const session = new Session({ local: createNullBackend() });
    const x = matrix(session, cells(8, 8)).exp();
    for (const by of [1, -1]) {
      const plan = session.plan([x.matmul(x).expr, x.abs().expr]);
      verifyPlan('lifetimes', plan);
      plan.nodes[0]!.reads += by;
      assert.throws(() => verifyPlan('lifetimes', plan), /expected a(n end| read before)/);
    }
  });

  it('lets go of values as soon as they are read, in a loop without reuse', async () => {
    const reference = createReferenceBackend();
    let live = 0;
    let most = 0;
    const local: Backend = {
      ...reference,
      runSync: (expr, inputs) => {
        most = Math.max(most, ++live);
        return reference.runSync!(expr, inputs);
      },
      recycle: () => {
        live--;
      },
    };
    const session = new Session({ local, reuse: 'off' });
    const x = matrix(session, cells(8, 8));
    let v = x;
    for (let turn = 0; turn < 50; turn++) v = x.matmul(v).div(8);
    const value = await v.value();
    assert.ok(most <= 3, `${most} values at once`);
    assert.equal(live, 1);
    const kept = new Session({ local: reference });
    let w: Matrix = matrix(kept, cells(8, 8));
    for (let turn = 0; turn < 50; turn++) w = matrix(kept, cells(8, 8)).matmul(w).div(8);
    assert.deepEqual(value.data, (await w.value()).data);
  });

  it('releases what a backend holds for one plan after its last pass, not after the plan', async () => {
    const cluster = createNullBackend({ name: 'cluster', blocks: 'resident', seconds: () => 1 });
    const released: number[] = [];
    const local = createNullBackend({
      name: 'host',
      onNode: ({ op }) => {
        if (op.name === 'cholesky') released.push(cluster.released.length);
      },
    });
    const session = new Session({ local, blocks: cluster, placement: 'blocks', reuse: 'off' });
    const x = generated(session, 16 * MIB).exp();
    const gram = x.sub(x.colSums()).tsmm();
    await gram.cholesky().value();
    assert.deepEqual(released, [1]);
    assert.equal(cluster.released.length, 1);
  });

  it('brings a result that a device holds before it is released', async () => {
    const { session, gpu } = machines({ placement: 'cost', withGpu: true, reuse: 'off' });
    const x = matrix(session, cells(4096, 64)).mul(2).exp();
    const build = (value: Matrix): Matrix => value.add(1).sqrt();
    const [first, second] = await session.evaluate([x.expr, build(x).expr]);
    const here = machines({ placement: 'local' }).session;
    const y = matrix(here, cells(4096, 64)).mul(2).exp();
    assert.deepEqual((first as DenseMatrix).data, (await y.value()).data);
    assert.deepEqual((second as DenseMatrix).data, (await build(y).value()).data);
    assert.equal(gpu.held.size, 0);
  });
});
