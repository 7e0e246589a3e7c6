/** The `reuse` setting in a session: what each value finds again, by what ran, with equal values. */
import assert from 'node:assert/strict';
import type { CacheTier } from '../../../../driver/backend/cache-tier.js';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import {
  ConfigError,
  type Matrix,
  matrix,
  REUSE_WORDS,
  type ReuseSetting,
  reusable,
  reusePolicy,
  Session,
  type SessionOptions,
} from '../../../../driver/index.js';
import { rand } from '../../../../driver/matrix/create.js';
import { createNullBackend } from '../../../support/null-backend.js';
import { generated, MIB } from '../../../support/placement.js';

const SETTINGS = REUSE_WORDS;

function open(reuse: ReuseSetting, options: Partial<SessionOptions> = {}): Session {
  return new Session({ local: createReferenceBackend(), reuse, ...options });
}

const data = (session: Session, rows = 40): Matrix =>
  matrix(
    session,
    Array.from({ length: rows }, (_, i) => [Math.sin(i), Math.cos(3 * i), i % 7]),
  );

/** Kernels that answering takes. */
async function kernelsOf(session: Session, work: () => Promise<unknown>): Promise<number> {
  const before = session.statistics.kernels;
  await work();
  return session.statistics.kernels - before;
}

const solve = reusable('settings solve', '1', async (x: Matrix, lambda: number) => ({
  w: x.tsmm().addDiag(lambda).solve(x.colSums().t(), { assume: 'spd' }),
}));

describe('the setting reuse', () => {
  for (const reuse of SETTINGS) {
    it(`${reuse}: finds operators again where it allows them, with equal values`, async () => {
      const session = open(reuse);
      const gram = data(session).tsmm();
      const first = await gram.value();
      const again = await kernelsOf(session, () => gram.addDiag(1).value());
      const finds = reuse === 'operators' || reuse === 'full';
      assert.equal(again, finds ? 1 : 2);
      assert.deepEqual(await gram.value(), first);
      const counted = session.statistics.counters();
      assert.equal(counted.hits > 0, finds, 'what is computed again is no hit');
    });

    it(`${reuse}: answers calls from earlier ones where it allows them`, async () => {
      const session = open(reuse);
      const x = data(session);
      const { w } = await solve(x, 0.5);
      const before = await w.value();
      assert.equal(await kernelsOf(session, () => w.value()), 0, 'a variable is there');
      const again = await solve(x, 0.5);
      assert.deepEqual(await again.w.value(), before);
      assert.equal(again.w.expr, w.expr, 'one lineage');
      const { runs } = session.functions.countsOf('settings solve', '1');
      assert.equal(runs, ['functions', 'steps', 'full'].includes(reuse) ? 1 : 2);
    });

    it(`${reuse}: keeps roots of the roles it names`, async () => {
      const session = open(reuse);
      const x = data(session);
      const { results } = reusePolicy(reuse);
      const roles = ['model', 'score', 'data', 'layer', 'prediction'] as const;
      for (const [i, role] of roles.entries()) {
        const root = x.mul(i + 2).tsmm();
        await session.evaluate([root.expr], role);
        const isKept = typeof results === 'string' || results.includes(role);
        const again = await kernelsOf(session, () => session.evaluate([root.expr]));
        assert.equal(again === 0, isKept, role);
      }
    });

    it(`${reuse}: holds what a trial persists until it ends`, async () => {
      const session = open(reuse);
      const kept = data(session).exp();
      const outside = data(session, 9).exp();
      await session.persist([outside.expr]);
      await session.trial(async () => {
        await session.persist([kept.expr]);
        assert.equal(await kernelsOf(session, () => kept.value()), 0);
      });
      const stays = reuse === 'operators' || reuse === 'full';
      assert.equal(await kernelsOf(session, () => kept.value()), stays ? 0 : 1);
      assert.equal(await kernelsOf(session, () => outside.value()), 0, "the program's own");
    });

    it(`${reuse}: learns of data once where it allows that`, async () => {
      const session = open(reuse);
      let computed = 0;
      const compute = async (): Promise<number> => ++computed;
      for (let i = 0; i < 2; i++) await session.memo('profile', compute);
      const learns = ['input', 'steps', 'full'].includes(reuse);
      assert.equal(computed, learns ? 1 : 2);
      assert.equal(await session.memoOf('profile'), learns ? 1 : undefined);
    });
  }

  it('answers from parts under operators and full alone', async () => {
    const partial = async (reuse: ReuseSetting): Promise<{ partial: number; cells: unknown }> => {
      const session = open(reuse);
      const x = rand(session, 4000, 20, { seed: 1 });
      const more = rand(session, 10, 20, { seed: 2 });
      await session.persist([x.expr, more.expr]);
      await x.tsmm().value();
      const cells = (await x.rbind(more).tsmm().value()).data;
      return { partial: session.statistics.partial, cells: [...cells].map((c) => c.toFixed(8)) };
    };
    const cold = await partial('off');
    assert.equal(cold.partial, 0);
    for (const reuse of SETTINGS) {
      const { partial: answered, cells } = await partial(reuse);
      assert.equal(answered > 0, reuse === 'operators' || reuse === 'full', reuse);
      assert.deepEqual(cells, cold.cells, reuse);
    }
  });

  it('keeps nothing of a cluster under operators, and what this machine makes of it', async () => {
    const ran = async (reuse: ReuseSetting): Promise<number[]> => {
      const blocks = createNullBackend({ name: 'cluster', blocks: 'resident', seconds: () => 1 });
      const local = createNullBackend({ name: 'host' });
      const session = new Session({ local, blocks, placement: 'blocks', reuse });
      const gram = generated(session, 16 * MIB).tsmm();
      const passes: number[] = [];
      for (const penalty of [1, 2, 2]) {
        const before = session.statistics.passes;
        await gram.addDiag(penalty).cholesky().value();
        passes.push(session.statistics.passes - before);
      }
      return passes;
    };
    assert.deepEqual(await ran('off'), [1, 1, 1]);
    assert.deepEqual(await ran('operators'), [1, 1, 0]);
    assert.deepEqual(await ran('full'), [1, 0, 0]);
  });

  it('pins what a program persists while a plan reads it, and lets no tier keep more', async () => {
    for (const reuse of ['off', 'full'] as const) {
      const pinned: number[] = [];
      let asked = 0;
      const tier: CacheTier = {
        name: 'cluster',
        pin: (handles) => {
          pinned.push(handles.length);
          return () => undefined;
        },
        choose: () => {
          asked++;
          return [];
        },
        put: () => undefined,
        drop: () => undefined,
        usage: () => ({ bytes: 0, budgetBytes: null, entries: 0 }),
      };
      const cluster = createNullBackend({ name: 'cluster', blocks: 'resident', seconds: () => 1 });
      const blocks = Object.assign(cluster, { tier });
      const local = createNullBackend({ name: 'host' });
      const session = new Session({ local, blocks, placement: 'blocks', reuse });
      const x = generated(session, 16 * MIB);
      await session.persist([x.expr]);
      await x.exp().tsmm().value();
      assert.deepEqual(pinned, [0, 1], reuse);
      assert.equal(asked > 0, reuse === 'full');
    }
  });

  it('refuses a setting that is none', () => {
    assert.throws(
      () => open('lima' as ReuseSetting),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(
          error.message,
          'reuse: expected one of off, operators, steps, input, predictions, layers, functions, full, got `lima`; leave it out for `full`',
        );
        return true;
      },
    );
  });
});
