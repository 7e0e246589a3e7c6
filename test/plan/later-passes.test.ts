import assert from 'node:assert/strict';
import type { Plan } from '../../driver/compiler/plan.js';
import { Frame } from '../../driver/frame/frame.js';
import { matrix } from '../../driver/matrix/create.js';
import { Matrix } from '../../driver/matrix/matrix.js';
import { Session } from '../../driver/runtime/session.js';
import { createNullBackend } from '../support/null-backend.js';
import { generated, MIB, machines } from '../support/placement.js';
import { cells } from '../support/plan.js';

const ops = (plan: Plan): string[] => plan.nodes.map((node) => node.expr.op.name);

const kept = (plan: Plan): string[] =>
  plan.nodes.flatMap(({ expr, how, stays }) =>
    how.kind === 'rows' && how.checkpoint !== undefined
      ? [`${expr.op.name} ${how.checkpoint.reason} x${how.checkpoint.reads} ${stays.at}`]
      : [],
  );

describe('pass checkpoints', () => {
  it('keeps the last value that two passes share, not what it is made from', () => {
    const { session } = machines({ placement: 'blocks' });
    const x = generated(session, 16 * MIB);
    const shared = x.exp().add(1);
    const sums = shared.colSums();
    const again = shared.sub(sums).abs().sum();
    assert.deepEqual(kept(session.plan([again.expr])), ['add shared x2 there']);
  });

  it('keeps nothing that one pass reads, however many reductions share it', () => {
    const { session } = machines({ placement: 'blocks' });
    const x = generated(session, 16 * MIB).exp();
    assert.deepEqual(kept(session.plan([x.colSums().expr, x.t().matmul(x).expr])), []);
  });

  it('makes a value again where that is faster than keeping it', () => {
    const { session } = machines({ placement: 'blocks', nanoseconds: { cluster: 0.01 } });
    const x = generated(session, 16 * MIB);
    const again = x.sub(x.colSums()).abs().sum();
    assert.deepEqual(kept(session.plan([again.expr])), []);
  });

  it('keeps streamed data on the host once an earlier plan has read them, and runs no source again', async () => {
    const backend = createNullBackend({ seconds: () => 1 });
    const session = new Session({ local: backend });
    const x = generated(session, 16 * MIB);
    for (const scale of [1, 2, 3, 4]) await x.mul(scale).colSums().value();
    assert.equal(backend.order.filter((expr) => expr === x.expr).length, 2);
  });

  it('keeps data of files for later on the host at once, but does not write them out for it', () => {
    const rows = 50_000;
    const dataIn = (session: Session) => {
      const file = { path: 'a.parquet', digest: 'a', bytes: rows, rows };
      const columns = [{ name: 'x', type: 'number', engineType: 'DOUBLE' }] as const;
      const source = { format: 'parquet', files: [file] } as const;
      const x = new Frame(session, { source, columns, rows }).encode([
        { kind: 'number', name: 'x', sql: 'x', missing: 'error' },
      ]);
      return Matrix.of(session, x);
    };
    const host = new Session({ local: createNullBackend({ seconds: () => 1 }) });
    assert.deepEqual(kept(host.plan([dataIn(host).colSums().expr])), ['encode repeated x2 host']);
    const blocks = createNullBackend({ name: 'cluster', blocks: 'resident', seconds: () => 1 });
    const session = new Session({ local: createNullBackend(), blocks, placement: 'blocks' });
    const x = dataIn(session);
    assert.deepEqual(kept(session.plan([x.colSums().expr])), []);
    const again = x.sub(x.colSums()).abs().sum();
    assert.deepEqual(kept(session.plan([again.expr])), ['encode shared x2 there']);
  });

  it('remembers nothing of plans when reuse is off', async () => {
    const backend = createNullBackend({ seconds: () => 1 });
    const session = new Session({ local: backend, reuse: 'off' });
    const x = generated(session, 16 * MIB);
    for (const scale of [1, 2, 3]) await x.mul(scale).colSums().value();
    assert.equal(backend.order.filter((expr) => expr === x.expr).length, 3);
  });

  it('keeps what saves most for its size when not all of it fits', () => {
    const cheap = (rows: number) => generated(session, 16 * MIB, rows);
    const backend = createNullBackend({ seconds: (expr) => (expr.op.name === 'exp' ? 10 : 1) });
    const session = new Session({ local: backend, materialiseBytes: 17 * MIB });
    const twice = [1, 2, 3].map((seed) => {
      const x = seed === 2 ? cheap(seed).exp() : cheap(seed).abs();
      return x.sub(x.colSums()).sum();
    });
    const plan = session.plan(twice.map(({ expr }) => expr));
    assert.deepEqual(kept(plan).sort(), ['abs shared x2 host', 'exp shared x2 host']);
  });
});

describe('pass asynchrony', () => {
  it('sends what remote programs read whole', () => {
    const { session } = machines({ placement: 'blocks' });
    const x = generated(session, 16 * MIB);
    const weights = matrix(session, cells(64, 64)).exp();
    const plan = session.plan([x.matmul(weights).colSums().expr, x.abs().t().expr]);
    assert.deepEqual(
      [...(plan.broadcast ?? [])].map(({ op }) => op.name),
      ['exp'],
    );
  });

  it('starts to bring a kept value at once when host operators read it', async () => {
    const { session, cluster } = machines({ placement: 'local' });
    const x = generated(session, MIB);
    await session.persist([x.expr]);
    const plan = session.plan([x.colSums().expr]);
    assert.deepEqual(plan.prefetch, [x.expr]);
    await x.colSums().value();
    assert.equal(cluster.collected.length, 1);
  });

  it('marks nothing when everything is here', () => {
    const session = new Session({ local: createNullBackend() });
    const x = matrix(session, cells(64, 64));
    const plan = session.plan([x.exp().sum().expr]);
    assert.equal(plan.prefetch, undefined);
    assert.equal(plan.broadcast, undefined);
  });
});

describe('pass linearise', () => {
  it('starts what the longest remote work waits for before host work written first', () => {
    const { session } = machines({ placement: 'blocks' });
    const host = matrix(session, cells(30, 30)).exp().cholesky();
    const short = generated(session, 8 * MIB, 1).sub(matrix(session, cells(1, 64)).floor());
    const long = generated(session, 32 * MIB, 2).sub(matrix(session, cells(1, 64, 2)).ceil());
    const plan = session.plan([host.expr, short.sum().expr, long.sum().expr]);
    const order = ops(plan);
    assert.ok(order.indexOf('ceil') < order.indexOf('floor'), order.join());
    assert.ok(order.indexOf('floor') < order.indexOf('cholesky'), order.join());
  });

  it('makes the operand that needs most memory on the way first', () => {
    const session = new Session({ local: createNullBackend() });
    const small = matrix(session, cells(4, 4)).exp();
    const large = matrix(session, cells(512, 512)).abs().floor().ceil().sum();
    const plan = session.plan([small.sum().add(large).expr]);
    assert.equal(ops(plan)[0], 'abs');
  });

  it('keeps the order as written where there is nothing to gain', () => {
    const session = new Session({ local: createNullBackend() });
    const a = matrix(session, cells(4, 4)).exp();
    const plan = session.plan([a.add(matrix(session, cells(4, 4, 2)).abs()).expr]);
    assert.deepEqual(ops(plan), ['exp', 'abs', 'add']);
  });
});

describe('explain', () => {
  it('prints the plan after each pass that changed it, in order', () => {
    const { session } = machines({ placement: 'cost' });
    const x = generated(session, 16 * MIB);
    const shared = x.exp().add(1);
    const text = session.explain([shared.sub(shared.colSums()).abs().sum().expr], {
      verbose: true,
    });
    const titles = text.split('\n').filter((line) => line.startsWith('== '));
    assert.deepEqual(titles, ['== as written', '== placement', '== checkpoints']);
    assert.match(
      text,
      /add \(#\d+, #\d+\) 32768x64 {2}\[cluster, wave 0, row blocks, persist, shared x2\]/,
    );
    assert.ok(
      text.endsWith(session.explain([shared.sub(shared.colSums()).abs().sum().expr])),
      'the last text is the plan that runs',
    );
  });
});
