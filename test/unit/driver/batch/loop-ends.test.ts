/** Loops asked for more iterations go on where they stood: the values of a cold run, to the bit. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BatchFunction,
  batch,
  createReferenceBackend,
  DurableStore,
  iterate,
  type Matrix,
  matrix,
  rand,
  Session,
  type SessionOptions,
  zeros,
} from '../../../../driver/index.js';

const open = (options: Partial<SessionOptions> = {}): Session =>
  new Session({ local: createReferenceBackend(), ...options });

const cellsOf = async (...all: readonly Matrix[]) =>
  (await Promise.all(all.map((one) => one.value()))).map(({ data }) => [...data]);

/** Poisson factorisation; `done` never, or when W stands still. */
function factorise(s: Session, seed: number, maxIterations: number, hostBytes?: number) {
  const X = rand(s, 30, 8, { seed });
  const start = { W: rand(s, 30, 3, { seed: 7 }), H: rand(s, 3, 8, { seed: 8 }) };
  return iterate(
    start,
    ({ W, H }) => {
      const nextH = H.mul(W.t().matmul(X.div(W.matmul(H)))).div(W.colSums().t());
      const nextW = W.mul(X.div(W.matmul(nextH)).matmul(nextH.t())).div(nextH.rowSums().t());
      return { state: { W: nextW, H: nextH }, done: nextW.sub(W).abs().max().lt(0).asMatrix() };
    },
    { maxIterations, ...(hostBytes ? { hostBytes } : {}) },
  );
}

type Result = Readonly<Record<'w' | 'iterations' | 'finished', Matrix>>;

/** Ridge regression by gradients with momentum: state of three matrices. */
const descent = (async ({ X, y, penalty, most }, params) => {
  const { limit, every } = params as { limit: number; every?: number };
  const none = zeros(X!.session, X!.cols, 1);
  const { w, iterations, finished } = await iterate(
    { w: none, v: none, size: zeros(X!.session, 1, 1) },
    ({ w, v }) => {
      const gradient = X!.t().matmul(X!.matmul(w).sub(y!)).add(w.mul(penalty!));
      const move = v.mul(0.5).sub(gradient.mul(0.01));
      const size = move.abs().max().asMatrix();
      return { state: { w: w.add(move), v: move, size }, done: size.lt(1e-4) };
    },
    {
      maxIterations: limit,
      ...(most ? { most } : {}),
      ...(every === undefined ? {} : { checkpointMs: every }),
    },
  );
  return { w, iterations, finished };
}) as BatchFunction<Result>;

async function train(
  s: Session,
  penalties: readonly number[],
  limit: number,
  {
    every,
    most,
    ...options
  }: {
    readonly keepsEnds?: boolean;
    readonly isFresh?: boolean;
    /** Time between checkpoints. */
    readonly every?: number;
    /** Iterations of each model. */
    readonly most?: readonly number[];
  } = {},
): Promise<{ cells: number[][]; iterations: number[]; kernels: number }> {
  const X = rand(s, 50, 4, { seed: 1, distribution: 'normal' });
  const y = rand(s, 50, 1, { seed: 2 });
  const penalty = { columns: matrix(s, [penalties]), cols: 1 };
  const limits = most && { most: { columns: matrix(s, [most]), cols: 1 } };
  const args = { X: { shared: X }, y: { shared: y }, penalty, ...limits };
  const before = s.statistics.kernels;
  const named = {
    name: 'momentum',
    version: '1',
    params: { limit, ...(every === undefined ? {} : { every }) },
    ...options,
  };
  const models = await batch(s, penalties.length, args, descent, named);
  const { kernels } = s.statistics;
  const iterations = await cellsOf(...models.map((model) => model.iterations));
  return {
    cells: await cellsOf(...models.map(({ w }) => w)),
    iterations: iterations.flat(),
    kernels: kernels - before,
  };
}

describe('loops that go on', () => {
  it('a factorisation of 20 iterations takes 5 after one of 15', async () => {
    const s = open();
    const work: number[] = [];
    for (const limit of [5, 10, 15, 20]) {
      const before = s.statistics.kernels;
      const warm = await factorise(s, 1, limit);
      work.push(s.statistics.kernels - before);
      const cold = await factorise(open(), 1, limit);
      assert.deepEqual(await cellsOf(warm.W, warm.H), await cellsOf(cold.W, cold.H), `${limit}`);
      assert.deepEqual(await warm.iterations.toArray(), [[limit]]);
    }
    assert.ok(Math.max(...work.slice(1)) <= work[0]!, `${work} kernels of 5 iterations each`);
    assert.deepEqual([s.loops.found, s.loops.iterations], [3, 30]);
  });

  it('other data, or fewer iterations, begin at the start', async () => {
    const s = open({ cacheBytes: 1 });
    await factorise(s, 1, 10);
    const other = await factorise(s, 2, 12);
    const cold = await factorise(open(), 2, 12);
    assert.deepEqual(await cellsOf(other.W), await cellsOf(cold.W));
    const t = open();
    await factorise(t, 1, 10);
    const fewer = await factorise(t, 1, 6);
    assert.deepEqual(await cellsOf(fewer.W), await cellsOf((await factorise(open(), 1, 6)).W));
    assert.deepEqual([s.loops.found, t.loops.found], [0, 0]);
  });

  it('state that stays where it was made is gone on from while it is there', async () => {
    const s = open();
    await factorise(s, 1, 4, 300);
    const { W, H } = await factorise(s, 1, 9, 300);
    const cold = await factorise(open(), 1, 9, 300);
    assert.deepEqual(await cellsOf(W, H), await cellsOf(cold.W, cold.H));
    assert.deepEqual([s.loops.found, s.loops.iterations], [1, 4]);
    s.cache.clear();
    const { W: again } = await factorise(s, 1, 11, 300);
    assert.deepEqual(await cellsOf(again), await cellsOf((await factorise(open(), 1, 11, 300)).W));
    assert.equal(s.loops.found, 1, 'what is gone is made again from the start');
  });

  it('models of a stack go on, each from its own end, and new ones join', async () => {
    const s = open();
    await train(s, [1, 2, 4], 5);
    const { cells, iterations } = await train(s, [0.5, 4, 2], 12);
    const cold = await train(open(), [0.5, 4, 2], 12);
    assert.deepEqual(cells, cold.cells);
    assert.deepEqual(iterations, [12, 12, 12]);
    assert.deepEqual([s.loops.found, s.loops.iterations], [2, 10]);
  });

  it('three models of 12 iterations take the kernels of 7 after 5', async () => {
    const s = open();
    const five = await train(s, [1, 2, 4], 5);
    const more = await train(s, [1, 2, 4], 12);
    const cold = await train(open(), [1, 2, 4], 12);
    const perIteration = (cold.kernels - five.kernels) / 7;
    assert.ok(perIteration >= 4, `${perIteration} kernels an iteration`);
    assert.ok(more.kernels <= 8 * perIteration, `${more.kernels}, cold ${cold.kernels}`);
  });

  it('ends of loops that were done are kept where they are asked for', async () => {
    for (const keepsEnds of [true, false]) {
      const s = open();
      const first = await train(s, [1, 30], 200, { keepsEnds });
      assert.ok(Math.max(...first.iterations) < 200, 'all are done');
      const { cells, iterations, kernels } = await train(s, [1, 30], 300, { keepsEnds });
      assert.deepEqual([cells, iterations], [first.cells, first.iterations]);
      assert.equal(s.loops.found, keepsEnds ? 2 : 0);
      if (keepsEnds) assert.ok(kernels <= 4, `${kernels} kernels, none of an iteration`);
    }
  });

  it('are kept on their way, for those that are ended before they are done', async () => {
    const s = open();
    const six = await train(s, [1, 2, 4], 6, { every: 0 });
    assert.equal(s.loops.found, 0);
    const four = await train(s, [1, 2, 4], 4, { every: 0 });
    assert.deepEqual(four.cells, (await train(open(), [1, 2, 4], 4)).cells);
    assert.deepEqual([s.loops.found, s.loops.iterations], [3, 12], 'all stand at 4');
    assert.ok(four.kernels * 4 < six.kernels, `${four.kernels} of ${six.kernels} kernels`);
  });

  it('models of a stack take as many iterations as each is given, and go on by more', async () => {
    const s = open();
    const first = await train(s, [1, 2], 9, { most: [3, 6] });
    assert.deepEqual(first.iterations, [3, 6]);
    const more = await train(s, [1, 2], 9, { most: [5, 7] });
    assert.deepEqual(more.iterations, [5, 7]);
    const cold = await Promise.all([5, 7].map((limit, k) => train(open(), [k + 1], limit)));
    assert.deepEqual(more.cells, cold.flatMap(({ cells }) => cells)); // biome-ignore format: a claim
    assert.deepEqual([s.loops.found, s.loops.iterations], [2, 9]);
  });

  it('a session without reuse keeps nothing', async () => {
    const s = open({ reuse: 'off' });
    await train(s, [1, 2], 5);
    await train(s, [1, 2], 9);
    assert.equal(s.loops.found, 0);
  });

  it('a session without reuse asks for no step but those it takes', async () => {
    const stepsIn = async (reuse: 'off' | 'full'): Promise<number> => {
      const s = open({ reuse });
      let steps = 0;
      const step = ({ w }: { w: Matrix }) => {
        steps++;
        return { state: { w: w.add(1) }, done: zeros(s, 1, 1) };
      };
      await iterate({ w: zeros(s, 2, 1) }, step, { maxIterations: 3 });
      return steps;
    };
    assert.deepEqual([await stepsIn('off'), await stepsIn('full')], [3, 4]);
  });

  describe('with a durable store', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'reprise-test-'));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it('another process goes on, and makes again what is to be fresh', async () => {
      const store = () => DurableStore.open(folder);
      const slow = open({ store: await store() });
      // Large enough data that two loops together are worth a file, however warm the process is.
      const args = (s: Session) => {
        const X = rand(s, 40_000, 20, { seed: 1, distribution: 'normal' });
        return {
          X: { shared: X },
          y: { shared: rand(s, 40_000, 1, { seed: 2 }) },
          penalty: { columns: matrix(s, [[1, 2]]), cols: 1 },
        };
      };
      const go = async (s: Session, limit: number, isFresh = false) => {
        const named = { name: 'stored', version: '1', params: { limit }, isFresh };
        const models = await batch(s, 2, args(s), descent, named);
        return cellsOf(...models.flatMap(({ w, iterations }) => [w, iterations]));
      };
      await go(slow, 3);
      await slow.close();
      const cold = await go(open(), 5);
      const warm = open({ store: await store() });
      assert.deepEqual(await go(warm, 5), cold);
      assert.deepEqual([warm.loops.found, warm.loops.iterations], [2, 6]);
      await warm.close();
      const fresh = open({ store: await store() });
      assert.deepEqual(await go(fresh, 5, true), cold);
      assert.deepEqual([fresh.loops.found, fresh.loops.iterations], [2, 6], 'from 3, not from 5');
      await fresh.close();
    });
  });
});
