/** When a value is kept, by the plans that compute it: real plans, and a backend without work. */
import assert from 'node:assert/strict';
import type { Backend } from '../../../driver/backend/backend.js';
import type { CacheTier } from '../../../driver/backend/cache-tier.js';
import { createReferenceBackend } from '../../../driver/backend/reference-backend.js';
import { askTier } from '../../../driver/compiler/begin-plan.js';
import type { PlanNode } from '../../../driver/compiler/plan.js';
import { type Matrix, rand, seq } from '../../../driver/index.js';
import { Session } from '../../../driver/runtime/session.js';
import { DelayedCaching, type RddReuse } from '../../../spark-bridge/rdd/delayed-caching.js';
import { createNullBackend } from '../../support/null-backend.js';

const ROWS = 80_000;

/** Plans, and what a policy marks in them. */
function planner(policy: RddReuse): {
  session: Session;
  caching: DelayedCaching;
  kept: (matrix: Matrix) => string[];
} {
  const nothing = createNullBackend();
  const blocks: Backend = {
    name: 'cluster',
    capabilities: { ops: nothing.capabilities.ops, blocks: 'resident' },
    estimate: (expr) => nothing.estimate(expr),
    run: (segment, context) => nothing.run(segment, context),
    close: () => nothing.close(),
  };
  const local = createReferenceBackend();
  const session = new Session({ local, blocks, placement: 'blocks' });
  const caching = new DelayedCaching(policy);
  const kept = (matrix: Matrix): string[] => {
    const plan = session.plan([matrix.expr]);
    const choose: CacheTier['choose'] = (rows, isComputed) =>
      caching.choose(rows, isComputed, () => true);
    askTier(plan, { name: 'cluster', choose });
    const isKept = ({ how, stays }: PlanNode): boolean =>
      how.kind === 'rows' && stays.at === 'there';
    return plan.nodes.filter(isKept).map(({ expr }) => expr.op.name);
  };
  return { session, caching, kept };
}

const heavy = (session: Session, seed: number): Matrix =>
  rand(session, ROWS, 16, { seed, distribution: 'normal' });

describe('delayed caching', () => {
  it('keeps a value the second time it is computed, and only the last of a chain', () => {
    const { session, kept } = planner('delayed');
    const prepared = (): Matrix => heavy(session, 1).exp().add(1).sqrt();
    assert.deepEqual(kept(prepared().mul(2).colSums()), []);
    assert.deepEqual(kept(prepared().mul(3).colSums()), ['sqrt']);
  });

  it('does not keep what is made as fast as it is read', () => {
    const { session, kept } = planner('delayed');
    const cheap = (): Matrix => seq(session, 1, 1_200_000).add(1);
    for (let factor = 2; factor < 6; factor++) {
      assert.deepEqual(kept(cheap().mul(factor).colSums()), []);
    }
    // The same operators over numbers that are dear to make.
    const dear = (): Matrix => heavy(session, 2).add(1);
    assert.deepEqual(kept(dear().mul(2).colSums()), []);
    assert.deepEqual(kept(dear().mul(3).colSums()), ['add']);
  });

  it('keeps at once where nearly all values of a kind come again', () => {
    const { session, caching, kept } = planner('delayed');
    const prepared = (seed: number): Matrix => heavy(session, seed).exp();
    for (let seed = 0; seed < 3; seed++) {
      for (let factor = 1; factor <= 8; factor++) kept(prepared(seed).mul(factor).colSums());
    }
    assert.equal(caching.delay(prepared(99).expr), 1);
    assert.deepEqual(kept(prepared(99).mul(1.5).colSums()), ['exp']);
  });

  it('waits longer where hardly any value of a kind comes again', () => {
    const { session, caching, kept } = planner('delayed');
    for (let seed = 0; seed < 20; seed++) kept(heavy(session, seed).exp().colSums());
    assert.equal(caching.delay(heavy(session, 77).exp().expr), 4);
    assert.deepEqual(kept(heavy(session, 5).exp().mul(2).colSums()), []);
    assert.deepEqual(kept(heavy(session, 5).exp().mul(3).colSums()), []);
    assert.deepEqual(kept(heavy(session, 5).exp().mul(4).colSums()), ['exp']);
  });

  it('keeps all at once when eager, and nothing when off', () => {
    const eager = planner('eager');
    assert.deepEqual(eager.kept(heavy(eager.session, 1).exp().mul(2).colSums()).sort(), [
      'exp',
      'mul',
      'rand',
    ]);
    const off = planner('off');
    for (let factor = 2; factor < 6; factor++) {
      assert.deepEqual(off.kept(heavy(off.session, 1).exp().mul(factor).colSums()), []);
    }
  });
});
