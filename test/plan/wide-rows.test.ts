/** Layers over wide rows: one pass through all of them, the values of whole layers. */
import assert from 'node:assert/strict';
import type { Backend } from '../../driver/backend/backend.js';
import { gradient, Images, type Matrix, rand, Session } from '../../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';

const IMAGE = { height: 20, width: 18, channels: 16 };
const ROWS = 30;

/** The same without blocks: every layer whole. */
function wholeOnly(cpu: CpuBackend): Backend {
  return {
    name: 'cpu',
    capabilities: { ops: cpu.capabilities.ops, blocks: 'none' },
    estimate: (expr) => cpu.estimate(expr),
    runSync: (expr, inputs) => cpu.runSync(expr, inputs),
    run: (segment, context) => cpu.run(segment, context),
    close: async () => undefined,
  };
}

describe('layers over wide rows', () => {
  let cpu: CpuBackend;
  before(async () => {
    cpu = await createCpuBackend({ helperFlops: 0 });
  });
  after(() => cpu.close());

  function layers(session: Session) {
    const images = new Images(rand(session, ROWS, 20 * 18 * 16, { seed: 1 }), IMAGE);
    const filters = rand(session, 9 * 16, 16, { seed: 2, min: -0.1, max: 0.1 });
    const deep = rand(session, 9, 16, { seed: 3, min: -1 });
    const options = { window: 3, padding: 'same' } as const;
    const early = images.conv2d(filters, options).map((x) => x.maximum(0));
    const gate = early.globalAvgPool2d().matrix.sigmoid();
    const next = early
      .map((x) => x.mul(early.byChannel(gate)))
      .conv2d(deep, { ...options, stride: 2, groups: 16 });
    const late = next.bindChannels(next).globalAvgPool2d().matrix.softmax();
    return { early, late, filters, deep };
  }

  const how = (session: Session, ...roots: readonly Matrix[]): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const { expr, how: way, stays } of session.plan(roots.map(({ expr: e }) => e)).nodes) {
      if (expr.rows !== ROWS) continue;
      const key = `${way.kind} ${stays.at}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  };

  async function compare(make: (session: Session) => readonly Matrix[]): Promise<void> {
    const session = new Session({ local: cpu });
    const whole = new Session({ local: wholeOnly(cpu), reuse: 'off' });
    const got = await session.evaluate(make(session).map(({ expr }) => expr));
    const expected = await whole.evaluate(make(whole).map(({ expr }) => expr));
    for (const [i, value] of got.entries()) {
      assert.ok(value.kind === 'dense' && expected[i]!.kind === 'dense');
      assertClose(value, expected[i]!, 1e-12, `value ${i}`);
    }
  }

  it('goes through all of them in one pass and writes what is asked for', async () => {
    const session = new Session({ local: cpu });
    const { early, late } = layers(session);
    const ways = how(session, late);
    assert.equal(ways.get('rows host'), 1);
    assert.ok(ways.get('rows nowhere')! > 8, String([...ways]));
    assert.equal(how(session, late, early.matrix).get('rows host'), 2);
    await late.value();
    assert.equal(session.statistics.passes, 1);
    await compare((own) => [layers(own).late, layers(own).early.matrix]);
  });

  it('makes a layer whole once it was asked for again, with the same values', async () => {
    const session = new Session({ local: cpu });
    const { early, late } = layers(session);
    const first = await late.value();
    const again = await early.matrix.value();
    const kernels = session.statistics.kernels;
    assertClose(await early.matrix.value(), again, 0, 'kept');
    assertClose(await late.value(), first, 0, 'kept');
    assert.equal(session.statistics.kernels, kernels);
    const other = early.conv2d(rand(session, 16, 2, { seed: 9 }), { window: 1 });
    await other.matrix.value();
    const below = session.plan([early.matrix.expr]).nodes;
    assert.equal(below.length, 0, 'what is there is not made again');
  });

  it('takes maps apart where sums over all rows come between', async () => {
    const losses = (session: Session): readonly Matrix[] => {
      const { early, filters } = layers(session);
      const loss = early.batchNorm().conv2d(filters, { window: 3 }).matrix.square().mean();
      return [loss.asMatrix(), ...gradient(loss, [filters])];
    };
    await compare(losses);
  });

  it('sums gradients of filters in the pass that makes their rows, which are written nowhere', async () => {
    const gradients = (session: Session): readonly Matrix[] => {
      const { early, late, filters, deep } = layers(session);
      return [early.matrix, ...gradient(late.square().mean(), [filters, deep])];
    };
    const session = new Session({ local: cpu });
    const roots = gradients(session).map(({ expr }) => expr);
    const { nodes } = session.plan(roots);
    const reduced = nodes.filter(({ how: { kind } }) => kind === 'reduce');
    assert.deepEqual(
      reduced.map(({ expr }) => expr.op.name),
      ['conv2dFilterGradient', 'conv2dFilterGradient'],
    );
    const written = nodes.filter(
      ({ how: { kind }, stays }) => kind === 'rows' && stays.at === 'host',
    );
    assert.deepEqual(
      written.map(({ expr }) => expr),
      roots.slice(0, 1),
    );
    await session.evaluate(roots);
    assert.equal(session.statistics.passes, 1);
    await compare(gradients);
  });

  it('leaves alone what is small', () => {
    const session = new Session({ local: cpu });
    const images = new Images(rand(session, ROWS, 64, { seed: 1 }), {
      ...{ height: 4, width: 4, channels: 4 },
    });
    const filters = rand(session, 16, 4, { seed: 2 });
    const twice = images.conv2d(filters, { window: 2 }).conv2d(filters, { window: 2 });
    assert.deepEqual([...how(session, twice.matrix).keys()], ['whole host']);
  });
});
