/** Null backends that end under work: what runs again, what does not, and when they give up. */
import assert from 'node:assert/strict';
import type { Backend, Segment } from '../../../../driver/backend/backend.js';
import { BackendLostError, ConfigError, ExecutionError } from '../../../../driver/errors.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { rand } from '../../../../driver/matrix/create.js';
import { ops } from '../../../../driver/operators/index.js';
import { MAX_LOSSES } from '../../../../driver/runtime/recovery.js';
import { Session } from '../../../../driver/runtime/session.js';
import { createNullBackend, type NullBackend } from '../../../support/null-backend.js';

/** A resident backend whose life ends when `dies` says so; each life has its own handles. */
class Mortal {
  readonly inner: NullBackend = createNullBackend({ name: 'cluster', blocks: 'resident' });
  /** Segments begun, in order. */
  readonly begun: Segment[] = [];
  life = 0;
  isDead = false;
  collects = 0;
  dies: (segment: Segment) => boolean = () => false;
  refusal: Error | undefined;

  get backend(): Backend {
    const lost = (): BackendLostError =>
      new BackendLostError('cluster: expected it to run, got its end', { backend: 'cluster' });
    const mark = (id: string): string => `${this.life}:${id}`;
    return {
      ...this.inner,
      runSync: () => undefined,
      run: async (segment, context) => {
        this.begun.push(segment);
        if (this.dies(segment)) this.isDead = true;
        if (this.isDead) throw lost();
        const result = await this.inner.run(segment, context);
        const values = [...result.values].map(
          ([expr, value]) =>
            [expr, value.kind === 'handle' ? { ...value, id: mark(value.id) } : value] as const,
        );
        return { ...result, values: new Map(values) };
      },
      collect: async (handle, context) => {
        this.collects++;
        if (this.isDead) throw lost();
        return this.inner.collect!(handle, context);
      },
      holds: (handle) => handle.id.startsWith(`${this.life}:`),
      recover: async () => {
        if (this.refusal !== undefined) throw this.refusal;
        if (this.isDead) this.life++;
        this.isDead = false;
      },
    };
  }
}

const large = (session: Session, seed: number): Expr => rand(session, 200_000, 10, { seed }).expr;
const sum = (session: Session, x: Expr): Expr => session.intern(ops.sum, [x]);

/** Work over many rows costs more here than anywhere, so it goes to the cluster. */
const local = (): NullBackend =>
  createNullBackend({
    seconds: ({ rows, inputs }) => (rows > 1000 || inputs.some((it) => it.rows > 1000) ? 1e6 : 0),
  });

describe('recovery of a lost backend', () => {
  const open = () => {
    const mortal = new Mortal();
    const session = new Session({ local: local(), blocks: mortal.backend });
    return { mortal, session };
  };
  const dieOnce = (mortal: Mortal): void => {
    let done = false;
    mortal.dies = () => {
      const first = !done;
      done = true;
      return first;
    };
  };

  it('counts a loss once for a node, however many asked for it at once', async () => {
    const { mortal, session } = open();
    dieOnce(mortal);
    const root = sum(session, large(session, 1));
    const outcomes = await session.evaluateSettled(Array.from({ length: MAX_LOSSES }, () => root));
    assert.deepEqual(
      outcomes.map(({ ok }) => ok),
      Array.from({ length: MAX_LOSSES }, () => true),
    );
    await session.close();
  });

  it('opens it again and computes what was under way, once more', async () => {
    const { mortal, session } = open();
    dieOnce(mortal);
    const [value] = await session.evaluate([sum(session, large(session, 1))]);
    assert.equal(value?.kind, 'dense');
    assert.equal(mortal.life, 1);
    assert.equal(mortal.begun.length, 2);
  });

  it('does not compute again what has its value on the driver', async () => {
    const { mortal, session } = open();
    const done = sum(session, large(session, 1));
    await session.evaluate([done]);
    dieOnce(mortal);
    const open_ = sum(session, large(session, 2));
    await session.evaluate([done, open_, session.intern(ops.add, [done, open_])]);
    const ran = mortal.inner.order.filter((expr) => expr === done);
    assert.equal(ran.length, 1);
    assert.equal(mortal.begun.length, 3, 'the first, the lost one, and that again');
  });

  it('forgets the handles of the lost life and makes them again from their lineage', async () => {
    const { mortal, session } = open();
    const x = session.intern(ops.exp, [large(session, 1)]);
    await session.persist([x]);
    assert.equal(session.cache.probe(x)?.value?.kind, 'handle');
    dieOnce(mortal);
    await session.evaluate([sum(session, x)]);
    assert.equal(mortal.life, 1);
    const again = mortal.begun.at(-1);
    assert.ok(again?.nodes.includes(x), 'the row blocks are computed anew, from what made them');
    assert.deepEqual(mortal.inner.released, ['0:cluster-1'], 'the old handle is let go once');
  });

  it('recomputes a value that was lost between its pass and its collection', async () => {
    const { mortal, session } = open();
    const x = session.intern(ops.exp, [large(session, 1)]);
    await session.persist([x]);
    mortal.isDead = true;
    const [value] = await session.evaluate([x]);
    assert.equal(value?.kind, 'dense');
    assert.equal(mortal.collects, 1);
    assert.equal(mortal.life, 1);
  });

  it('opens it once, however many requests were under way', async () => {
    const { mortal, session } = open();
    dieOnce(mortal);
    const first = session.evaluate([sum(session, large(session, 1))]);
    await new Promise((resolve) => setImmediate(resolve));
    const second = session.evaluate([sum(session, large(session, 2))]);
    await Promise.all([first, second]);
    assert.equal(mortal.life, 1);
  });

  it('refuses a node that ended three backends, and blames no other', async () => {
    const { mortal, session } = open();
    const poison = sum(session, large(session, 13));
    const innocent = sum(session, large(session, 1));
    mortal.dies = (segment) => segment.nodes.includes(poison);
    const [bad, good] = await session.evaluateSettled([poison, innocent]);
    assert.ok(good?.ok, 'the other node of the same segment has its value');
    assert.ok(bad?.ok === false);
    assert.ok(bad.error instanceof ExecutionError && !(bad.error instanceof BackendLostError));
    assert.match(bad.error.message, /sum: expected a backend that lives.*not tried again/);
    assert.equal(bad.error.facts.attempts, MAX_LOSSES);
    const kills = (): number =>
      mortal.begun.filter((segment) => segment.nodes.includes(poison)).length;
    assert.equal(kills(), MAX_LOSSES);
    await assert.rejects(session.evaluate([poison]), /not tried again/);
    assert.equal(kills(), MAX_LOSSES, 'it is refused before it runs');
  });

  it('says why it could not be opened again', async () => {
    const { mortal, session } = open();
    dieOnce(mortal);
    mortal.refusal = new ConfigError('livy: expected room in the queue, got none');
    await assert.rejects(
      session.evaluate([sum(session, large(session, 1))]),
      /expected room in the queue/,
    );
    mortal.refusal = undefined;
    await session.evaluate([sum(session, large(session, 1))]);
    assert.equal(mortal.life, 1);
  });

  it('leaves a loss alone when the backend can not be opened again', async () => {
    const { mortal } = open();
    dieOnce(mortal);
    const { recover: _, ...final } = mortal.backend;
    const session = new Session({ local: local(), blocks: final });
    await assert.rejects(
      session.evaluate([sum(session, large(session, 1))]),
      (error) => error instanceof BackendLostError,
    );
    assert.equal(mortal.begun.length, 1);
  });

  it('does not open anything for a run that was cancelled', async () => {
    const { mortal, session } = open();
    const controller = new AbortController();
    const run = session.run({ signal: controller.signal });
    mortal.dies = () => {
      controller.abort();
      return true;
    };
    await assert.rejects(run.evaluate([sum(session, large(session, 1))]), {
      name: 'AbortError',
    });
    assert.equal(mortal.life, 0);
  });
});
