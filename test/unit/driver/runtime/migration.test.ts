import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { DenseMatrix } from '../../../../driver/ir/value.js';
import type { Matrix } from '../../../../driver/matrix/matrix.js';
import type { Session } from '../../../../driver/runtime/session.js';
import { assertClose } from '../../../support/close.js';
import { generated, MIB, machines } from '../../../support/placement.js';

/** Host operators over a value that lies in the cluster, one plan each. */
async function readOften(x: Matrix, times: number): Promise<DenseMatrix[]> {
  const values: DenseMatrix[] = [];
  for (let i = 1; i <= times; i++) values.push(await x.mul(i).t().matmul(x).value());
  return values;
}

async function cold(times: number): Promise<DenseMatrix[]> {
  const { session } = machines({ placement: 'local', reuse: 'off' });
  return readOften(generated(session, MIB / 4), times);
}

function assertEqual(values: readonly DenseMatrix[], expected: readonly DenseMatrix[]): void {
  for (const [i, value] of values.entries()) {
    assertClose(value, expected[i]!, 1e-12, `plan ${i}`);
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

describe('migration', () => {
  it('brings a value that many plans read here once, where every plan brought it before', async () => {
    const expected = await cold(5);
    for (const [migration, collects] of [
      [true, 1],
      [false, 5],
    ] as const) {
      const { session, cluster } = machines({ placement: 'local', migration });
      const x = generated(session, MIB / 4);
      await session.persist([x.expr]);
      const run = session.run();
      const { statistics } = run;
      const values = await readOften(x.in(run), 5);
      assertEqual(values, expected);
      assert.equal(cluster.collected.length, collects);
      // And the run's timeline says so.
      const brought = statistics
        .timeline()
        .filter(({ name }) => name === `bring ${x.rows}x${x.cols}`);
      assert.equal(brought.length, collects);
      await session.close();
    }
  });

  it('leaves the cluster for good once a loop reads the value again and again', async () => {
    // A job there takes 20 ms and the work here 12: the first plan stays there, later ones expect
    // more of their kind.
    const run = async (migration: boolean): Promise<{ jobs: number; values: DenseMatrix[] }> => {
      const { session, cluster } = machines({ placement: 'cost', migration });
      const x = generated(session, MIB / 4);
      await session.persist([x.expr]);
      const values = await readOften(x, 12);
      return { jobs: cluster.segments.length + cluster.collected.length, values };
    };
    const [moving, staying] = [await run(true), await run(false)];
    assertEqual(moving.values, staying.values);
    assert.ok(moving.jobs < staying.jobs / 2, `${moving.jobs} jobs against ${staying.jobs}`);
  });

  const persisted = async (
    seconds: number,
    migration = true,
  ): Promise<{ session: Session; x: Matrix; collected: readonly string[] }> => {
    const { session, cluster } = machines({ placement: 'local', migration });
    const x = generated(session, MIB / 4);
    await session.persist([x.expr]);
    const entry = session.cache.probe(x.expr)!;
    entry.seconds = seconds;
    entry.hits = 3;
    return { session, x, collected: cluster.collected };
  };

  it('keeps on the host what leaves the cluster when computing it again costs more than bringing it', async () => {
    const { session, x, collected } = await persisted(10);
    const before = session.cache.probe(x.expr)!.value;
    session.cache.evict(x.expr);
    await turns(10);
    assert.equal(collected.length, 1);
    const after = session.cache.probe(x.expr)?.value;
    assert.equal(before?.kind, 'handle');
    assert.equal(after?.kind, 'dense');
    const run = session.run();
    const value = await x.in(run).value();
    assert.equal(run.statistics.counters().kernels, 0);
    assertClose(
      value,
      await generated(machines({ placement: 'local' }).session, MIB / 4).value(),
      0,
      'x',
    );
  });

  it('lets go what is faster made again, and everything when it is switched off', async () => {
    for (const [seconds, migration] of [
      [1e-3, true],
      [10, false],
    ] as const) {
      const { session, x, collected } = await persisted(seconds, migration);
      session.cache.evict(x.expr);
      await turns(10);
      assert.deepEqual(collected, []);
      assert.equal(session.cache.probe(x.expr), undefined);
    }
  });

  it('costs nothing where a copy is here already', async () => {
    const { session, x, collected } = await persisted(0.03);
    await x.t().value();
    assert.equal(collected.length, 1);
    session.cache.evict(x.expr);
    await turns(10);
    assert.equal(collected.length, 1);
    assert.equal(session.cache.probe(x.expr)?.value?.kind, 'dense');
  });

  it('moves nothing after the session has ended', async () => {
    const { session, x } = await persisted(10);
    await session.close();
    assert.equal(session.cache.evict(x.expr), false);
    assert.equal(session.cache.size, 0);
  });
});
