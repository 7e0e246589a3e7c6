/** `batch`: models equal those trained alone, in as many kernels and passes as one, and once. */
import assert from 'node:assert/strict';
import {
  type BatchFunction,
  batch,
  batchSettled,
  createReferenceBackend,
  explainBatch,
  iterate,
  type Matrix,
  matrix,
  PlanError,
  rand,
  Session,
  ShapeError,
  SingularError,
  zeros,
} from '../../../../driver/index.js';
import { assertClose } from '../../../support/close.js';

const open = (): Session => new Session({ local: createReferenceBackend() });

type Arguments = Readonly<Record<'X' | 'y' | 'penalty', Matrix>>;
type Result = Readonly<Record<'w' | 'iterations', Matrix>>;

/** Ridge regression by gradient descent, for one model. */
const descent = (async ({ X, y, penalty }: Arguments) => {
  const { w, iterations } = await iterate(
    { w: zeros(X.session, X.cols, 1) },
    ({ w }) => {
      const gradient = X.t().matmul(X.matmul(w).sub(y)).add(w.mul(penalty));
      const next = w.sub(gradient.mul(0.02));
      return { state: { w: next }, done: gradient.abs().max().lt(1e-5).asMatrix() };
    },
    { maxIterations: 1000 },
  );
  return { w, iterations };
}) as BatchFunction<Result>;

/** Logistic regression by Newton's method, for one model. */
const newton = (async ({ X, y, penalty }: Arguments) => {
  const { w, iterations } = await iterate(
    { w: zeros(X.session, X.cols, 1) },
    ({ w }) => {
      const p = X.matmul(w).sigmoid();
      const gradient = X.t().matmul(p.sub(y)).add(w.mul(penalty));
      const weights = p.mul(p.mul(-1).add(1));
      const hessian = X.t().matmul(X.mul(weights)).addDiag(penalty.asScalar());
      const step = hessian.solve(gradient, { assume: 'spd' });
      return { state: { w: w.sub(step) }, done: step.abs().max().lt(1e-10).asMatrix() };
    },
    { maxIterations: 50 },
  );
  return { w, iterations };
}) as BatchFunction<Result>;

const problem = (s: Session, rows = 50) => {
  const X = rand(s, rows, 4, { seed: 1, distribution: 'normal' });
  return {
    X,
    y: X.rowSums()
      .add(rand(s, rows, 1, { seed: 2 }))
      .gt(0.5),
  };
};
const shared = ({ X, y }: { X: Matrix; y: Matrix }) => ({ X: { shared: X }, y: { shared: y } });
const each = (s: Session, numbers: readonly number[]) => numbers.map((n) => matrix(s, [[n]]));

const PENALTIES = [0.1, 1, 10];
let version = 0;
const named = (name: string) => ({ name, version: `${version++}` });

describe('batch', () => {
  for (const [name, program] of [
    ['gradient descent', descent],
    ['Newton', newton],
  ] as const) {
    it(`${name}: gives each model what the function gives for it alone`, async () => {
      const s = open();
      const data = problem(s);
      const penalty = { columns: matrix(s, [PENALTIES]), cols: 1 };
      const models = await batch(s, 3, { ...shared(data), penalty }, program, named(name));
      for (const [k, { w, iterations }] of models.entries()) {
        const alone = await program({ ...data, penalty: matrix(s, [[PENALTIES[k]!]]) });
        assertClose(await w.value(), await alone.w.value(), 1e-9, `model ${k}`);
        assert.deepEqual(await iterations.toArray(), await alone.iterations.toArray());
      }
      const counts = await Promise.all(models.map(({ iterations }) => iterations.toArray()));
      assert.ok(new Set(counts.map(String)).size > 1, 'models are done after different steps');
    });
  }

  it('takes as many kernels and passes an iteration for many models as for one', async () => {
    const work = async (models: number) => {
      const s = open();
      const data = problem(s, 4000);
      await Promise.all([data.X.value(), data.y.value()]);
      const before = { ...s.statistics };
      const penalties = Array.from({ length: models }, (_, k) => 1 + k / 1000);
      const program: BatchFunction<{ w: Matrix }> = async ({ X, y, penalty }) =>
        iterate(
          { w: zeros(X!.session, X!.cols, 1) },
          ({ w }) => {
            const gradient = X!.t().matmul(X!.matmul(w).sigmoid().sub(y!)).add(w.mul(penalty!));
            const next = w.sub(gradient.mul(1e-5));
            return { state: { w: next }, done: gradient.abs().max().lt(0).asMatrix() };
          },
          { maxIterations: 5 },
        );
      const penalty = each(s, penalties);
      await batch(s, models, { ...shared(data), penalty }, program, named('counted'));
      const { kernels, passes } = s.statistics;
      return { kernels: kernels - before.kernels, passes: passes - before.passes };
    };
    const one = await work(1);
    const many = await work(40);
    assert.ok(one.kernels >= 5 * 4, `${one.kernels} kernels of one model`);
    assert.ok(many.kernels <= one.kernels + 5, `${many.kernels} kernels, ${one.kernels} of one`);
    assert.deepEqual([one.passes, many.passes], [5, 5], 'a pass over X an iteration');
  });

  it('trains only the models that are new', async () => {
    const s = open();
    const data = problem(s);
    const names = named('descent');
    const train = (penalties: readonly number[]) => {
      const penalty = each(s, penalties);
      return batch(s, penalties.length, { ...shared(data), penalty }, descent, names);
    };
    const start = performance.now();
    const first = await train(PENALTIES);
    const elapsed = (performance.now() - start) / 1000;
    const counts = s.functions.countsOf(names.name, names.version);
    assert.equal(counts.runs, 3);
    assert.ok(counts.seconds <= elapsed, 'models that train together share the time');
    const more = await train([0.5, ...PENALTIES, 5]);
    assert.equal(counts.runs, 5);
    assert.deepEqual(
      first.map(({ w }) => w),
      more.slice(1, 4).map(({ w }) => w),
    );
    const columns = { columns: matrix(s, [PENALTIES]), cols: 1 };
    await batch(s, 3, { ...shared(data), penalty: columns }, descent, names);
    const stack = { stack: matrix(s, PENALTIES.map((penalty) => [penalty])), rows: 1 }; // biome-ignore format: a line
    await batch(s, 3, { ...shared(data), penalty: stack }, descent, names);
    assert.equal(counts.runs, 5, 'known by cells, however they are given');
    await batch(s, 3, { ...shared(data), penalty: columns }, descent, { ...names, params: 'x' });
    assert.equal(counts.runs, 8);
  });

  it('gives the same in stacks that fit in memory', async () => {
    const s = open();
    const data = problem(s);
    const train = (maxBytes?: number) =>
      batch(s, 3, { ...shared(data), penalty: each(s, PENALTIES) }, descent, {
        ...named('bounded'),
        ...(maxBytes === undefined ? {} : { maxBytes }),
      });
    const before = s.statistics.kernels;
    const whole = await train();
    const between = s.statistics.kernels;
    const small = await train(1);
    assert.ok(s.statistics.kernels - between > 1.5 * (between - before), 'three stacks');
    for (const [k, { w }] of small.entries()) {
      assertClose(await w.value(), await whole[k]!.w.value(), 1e-9, `model ${k}`);
    }
  });

  it('lets a model with a singular system fail alone', async () => {
    const s = open();
    const systems = [
      [2, 0, 0, 2],
      [1, 1, 1, 1],
      [4, 1, 1, 3],
    ].map((cells) => matrix(s, 2, 2, cells));
    const side = matrix(s, [[1], [2]]);
    const program: BatchFunction<{ x: Matrix }> = async ({ A, b }) => ({ x: A!.solve(b!) });
    const args = { A: systems, b: { shared: side } };
    const [first, second, third] = await batchSettled(s, 3, args, program, named('solve'));
    assert.ok(first?.status === 'fulfilled' && third?.status === 'fulfilled');
    assert.deepEqual(await first.value.x.toArray(), [[0.5], [1]]);
    assertClose(await third.value.x.value(), await systems[2]!.solve(side).value(), 1e-12, 'third');
    assert.ok(second?.status === 'rejected' && second.reason instanceof SingularError);
    await assert.rejects(batch(s, 3, args, program, named('solve')), SingularError);
  });

  it('leaves large state where it is', async () => {
    const s = open();
    const starts = [1, 2, 3].map((seed) => rand(s, 40, 2, { seed }));
    const program: BatchFunction<{ z: Matrix; iterations: Matrix }> = async ({ z, limit }) =>
      iterate(
        { z: z!, count: zeros(z!.session, 1, 1) },
        (state) => ({
          state: { z: state.z.mul(2).sub(z!), count: state.count.add(1) },
          done: state.count.ge(limit!),
        }),
        { maxIterations: 20, hostBytes: 1000 },
      );
    const args = { z: starts, limit: each(s, [3, 1, 3]) };
    const models = await batch(s, 3, args, program, named('large'));
    for (const [k, { z, iterations }] of models.entries()) {
      const alone = await program({ z: starts[k]!, limit: args.limit[k]! });
      assertClose(await z.value(), await alone.z.value(), 1e-12, `model ${k}`);
      assert.deepEqual(await iterations.toArray(), await alone.iterations.toArray());
    }
  });

  it('leaves large state where it is when a model is lost before the loop', async () => {
    const s = open();
    const starts = [1, 2, 3].map((seed) => rand(s, 40, 2, { seed }));
    const systems = [2, 0, 4].map((cell) => matrix(s, [[cell]]));
    const program: BatchFunction<{ z: Matrix; x: Matrix }> = async ({ z, A }) =>
      iterate(
        { z: z!, x: A!.solve(z!.slice([0, 1], [0, 1])) },
        ({ z, x }) => ({ state: { z: z.mul(2), x: x.add(1) }, done: x.gt(2) }),
        { maxIterations: 9, hostBytes: 1000 },
      );
    const found = await batchSettled(s, 3, { z: starts, A: systems }, program, named('lost'));
    for (const [k, one] of found.entries()) {
      const alone = program({ z: starts[k]!, A: systems[k]! });
      if (k === 1) {
        await assert.rejects(alone, SingularError);
        assert.ok(one.status === 'rejected' && one.reason instanceof SingularError);
      } else {
        assert.ok(one.status === 'fulfilled', `model ${k}`);
        assertClose(await one.value.z.value(), await (await alone).z.value(), 1e-12, `model ${k}`);
      }
    }
  });

  for (const reuse of ['full', 'off'] as const) {
    it(`trains models with nothing of their own, reuse ${reuse}`, async () => {
      const s = new Session({ local: createReferenceBackend(), reuse });
      const data = problem(s);
      const program: BatchFunction<{ w: Matrix }> = async ({ X, y }) => ({
        w: X!.tsmm().solve(X!.t().matmul(y!)),
      });
      const models = await batch(s, 3, shared(data), program, named('alike'));
      const w = await (await program(data)).w.value();
      for (const one of models) assertClose(await one.w.value(), w, 1e-12, 'alike');
    });
  }

  it('says its plans, and what is made model by model', async () => {
    const s = open();
    const data = problem(s);
    const program: BatchFunction<{ top: Matrix }> = async (args) => {
      const { w } = await descent(args as Arguments);
      return { top: w.topK(2) };
    };
    const text = await explainBatch(
      s,
      3,
      { ...shared(data), penalty: each(s, PENALTIES) },
      program,
    );
    assert.match(text, /== an iteration of w, 3 models\n[\s\S]*matmul.* 50x3 /);
    assert.match(text, /\nturns: planned, as reference compiles no loops\n/);
    assert.match(text, /== the result, 3 models\n[\s\S]*model by model: topK x1$/);
  });

  it('refuses arguments of another number of models, matrices from outside, and values', async () => {
    const s = open();
    const { X } = problem(s);
    const program: BatchFunction<{ a: Matrix }> = async ({ a }) => ({ a: a! });
    await assert.rejects(
      batch(s, 2, { a: { columns: X, cols: 1 } }, program, named('wrong')),
      (error) => error instanceof ShapeError && /a of 2 x 1 columns, got 50x4/.test(error.message),
    );
    const outside: BatchFunction<{ a: Matrix }> = async ({ a }) => ({ a: X.matmul(a!) });
    const args = { a: each(s, [1, 2]) };
    await assert.rejects(batch(s, 2, args, outside, named('outside')), /one session/);
    const asking: BatchFunction<{ a: Matrix }> = async ({ a }) => {
      await a!.value();
      return { a: a! };
    };
    await assert.rejects(
      batch(s, 2, args, asking, named('asking')),
      (error) => error instanceof PlanError && /loop with `iterate`/.test(error.message),
    );
  });
});
