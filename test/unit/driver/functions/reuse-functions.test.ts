/** Reusable functions: what is the same call, what is kept, and that no call computes twice. */
import assert from 'node:assert/strict';
import { putTogether, takeApart } from '../../../../driver/functions/call-values.js';
import {
  createReferenceBackend,
  type Matrix,
  matrix,
  rand,
  reusable,
  type Scalar,
  Session,
  type SessionOptions,
  scalar,
} from '../../../../driver/index.js';
import { deserializeLineage, serializeLineage } from '../../../../driver/lineage/serialize.js';
import { ops } from '../../../../driver/operators/index.js';

const open = (options: Partial<SessionOptions> = {}): Session =>
  new Session({ local: createReferenceBackend(), ...options });

let nextName = 0;
/** A gradient descent that counts how often its body ran. */
function descent(version = '1') {
  const state = { runs: 0, name: `descent${nextName++}` };
  const fn = reusable(
    state.name,
    version,
    async (x: Matrix, y: Matrix, options: { steps: number; rate: number }) => {
      state.runs++;
      let w = x.t().matmul(y).mul(0);
      for (let i = 0; i < options.steps; i++) {
        w = w.sub(x.t().matmul(x.matmul(w).sub(y)).mul(options.rate));
      }
      const loss = x.matmul(w).sub(y).sumSq();
      return { w, loss, steps: options.steps };
    },
  );
  return Object.assign(state, { fn });
}

const problem = (s: Session) => ({
  x: rand(s, 30, 4, { seed: 1 }),
  y: rand(s, 30, 1, { seed: 2 }),
});

describe('reusable functions', () => {
  it('runs once for equal arguments, however they are written', async () => {
    const s = open();
    const call = descent();
    const { x, y } = problem(s);
    const first = await call.fn(x, y, { steps: 5, rate: 0.01 });
    const cold = (await first.w.value()).data;
    const { kernels } = s.statistics;
    const again = problem(s);
    const second = await call.fn(again.x, again.y, { rate: 0.01, steps: 5 });
    assert.equal(second.w, first.w);
    assert.equal(second.steps, 5);
    assert.deepEqual((await second.w.value()).data, cold);
    assert.equal(await second.loss.value(), await first.loss.value());
    assert.equal(call.runs, 1);
    assert.equal(s.statistics.kernels, kernels);
  });

  it('gives what the function gives without reuse', async () => {
    const call = descent();
    const [warm, cold] = [open(), open({ reuse: 'off' })];
    const answers: number[][] = [];
    for (const s of [warm, warm, cold]) {
      const { x, y } = problem(s);
      const { w, loss } = await call.fn(x, y, { steps: 7, rate: 0.02 });
      answers.push([...(await w.value()).data, await loss.value()]);
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.deepEqual(answers[2], answers[0]);
    assert.equal(call.runs, 2);
  });

  it('runs again for another argument and for another version', async () => {
    const s = open();
    const call = descent();
    const { x, y } = problem(s);
    await call.fn(x, y, { steps: 2, rate: 0.01 });
    await call.fn(x, y, { steps: 3, rate: 0.01 });
    await call.fn(x.add(1), y, { steps: 2, rate: 0.01 });
    assert.equal(call.runs, 3);
    let runs = 0;
    for (const version of ['1', '2', '2']) {
      const fn = reusable('versioned', version, (m: Matrix) => {
        runs++;
        return m.mul(Number(version));
      });
      assert.equal((await (await fn(x)).value()).rows, 30);
    }
    assert.equal(runs, 2);
  });

  it('shares one run among calls made at the same time, and its failure too', async () => {
    const s = open();
    const call = descent();
    const { x, y } = problem(s);
    const results = await Promise.all(
      Array.from({ length: 5 }, () => call.fn(x, y, { steps: 4, rate: 0.01 })),
    );
    assert.equal(call.runs, 1);
    assert.ok(results.every(({ w }) => w === results[0]!.w));
    assert.deepEqual(s.functions.countsOf(call.name, '1').hits, 4);

    let tries = 0;
    const failing = reusable('failing', '1', async (m: Matrix) => {
      if (++tries === 1) throw new Error('first time');
      return m.solve(m.mul(0).addDiag(tries === 2 ? 0 : 1));
    });
    const square = matrix(s, [
      [2, 0],
      [0, 4],
    ]);
    const settled = await Promise.allSettled([failing(square), failing(square)]);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.equal(tries, 1, 'both waited for one run');
    assert.equal((await (await failing(square)).value()).rows, 2);
    const inverse = await failing(square);
    assert.equal(tries, 2);
    assert.deepEqual((await inverse.value()).data, Float64Array.of(0, 0, 0, 0));
  });

  it('does not keep a failure of an operator inside', async () => {
    const s = open();
    let runs = 0;
    const invert = reusable('invert', '1', (m: Matrix) => {
      runs++;
      return m.solve(m.mul(0).addDiag(1));
    });
    const singular = matrix(s, [
      [1, 1],
      [1, 1],
    ]);
    for (const round of [1, 2]) {
      await assert.rejects(invert(singular), { code: 'SINGULAR' });
      assert.equal(runs, round);
    }
    for (const entry of s.cache.entries()) assert.notEqual(entry.state, 'pending');
  });

  it('does not keep outputs that differ each time, and says why', async () => {
    const s = open();
    let runs = 0;
    const noisy = reusable('noisy', '1', (m: Matrix) => {
      runs++;
      const drawn = s.intern({ ...ops.exp, deterministic: false }, [m.expr]);
      return { fixed: m.add(1), drawn: (m.constructor as typeof Matrix).of(s, drawn) };
    });
    const x = rand(s, 3, 3, { seed: 5 });
    await noisy(x);
    const { drawn } = await noisy(x);
    assert.equal(runs, 2);
    assert.equal(
      s.functions.countsOf('noisy', '1').notKept,
      'an output is not the same each time it is computed',
    );
    const next = reusable('next', '1', (m: Matrix) => m.add(1));
    await next(drawn);
    await next(drawn);
    assert.equal(s.functions.countsOf('next', '1').runs, 2);
    assert.match(s.functions.countsOf('next', '1').notKept!, /argument/);
  });

  it('charges what it computed the time of the whole call, under one count of bytes', async () => {
    const s = open();
    const slow = reusable('slow', '1', async (m: Matrix) => {
      await new Promise((resolve) => setTimeout(resolve, 31));
      return m.exp();
    });
    const x = rand(s, 10, 10, { seed: 6 });
    const out = await slow(x);
    const outer = s.cache.probe(s.simplified(out.expr))!;
    assert.equal(outer, s.cache.probe(x.exp().expr), 'the operator and the function share it');
    assert.ok(outer.seconds >= 0.03);
    const { kernels } = s.statistics;
    await x.exp().value();
    assert.equal(s.statistics.kernels, kernels);
  });

  it('computes a value again that the cache dropped, by itself', async () => {
    const s = open({ cacheBytes: 40_000, spill: false });
    const call = descent();
    const { x, y } = problem(s);
    const { w } = await call.fn(x, y, { steps: 3, rate: 0.01 });
    const cold = Array.from((await w.value()).data);
    assert.equal(s.cache.evict(s.simplified(w.expr)), true);
    const norm = await w.sumSq().value();
    assert.equal(call.runs, 2);
    assert.ok(Math.abs(norm - cold.reduce((sum, cell) => sum + cell * cell, 0)) < 1e-12);
    await call.fn(x, y, { steps: 3, rate: 0.01 });
    assert.equal(call.runs, 2, 'and it is kept again');
  });

  it('gives outputs larger than the cache as they are', async () => {
    const s = open({ cacheBytes: 1000, spill: false });
    const big = reusable('big', '1', (m: Matrix) => m.add(1));
    const x = rand(s, 20, 20, { seed: 7 });
    const [a, b] = [await big(x), await big(x)];
    assert.deepEqual((await a.value()).data, (await b.value()).data);
    assert.equal(s.functions.countsOf('big', '1').notKept, 'the outputs are larger than the cache');
  });

  it('can call one another, and be operands like any other', async () => {
    const s = open();
    let runs = 0;
    const inner = reusable('inner', '1', (m: Matrix, k: Scalar) => {
      runs++;
      return m.mul(k);
    });
    const outer = reusable('outer', '1', async (m: Matrix) => (await inner(m, scalar(s, 3))).sum());
    const x = rand(s, 4, 4, { seed: 8 });
    const total = await outer(x);
    assert.equal(await total.add(1).value(), (await x.mul(3).sum().value()) + 1);
    await outer(x);
    await inner(x, scalar(s, 3));
    assert.equal(runs, 1);
  });

  it('refuses what it cannot tell apart or place in a session', async () => {
    const s = open();
    const fn = reusable('strict', '1', (...args: unknown[]) => args.length);
    const x = rand(s, 2, 2, { seed: 9 });
    await assert.rejects(fn(x, { when: new Date() }), {
      code: 'DTYPE',
      message:
        'strict: arguments: expected matrices, scalars and plain data, got a Date at value[1].when',
    });
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    await assert.rejects(fn(x, circle), /an object that holds itself at value\[1\].self/);
    await assert.rejects(fn(1), /expected a matrix or scalar among the arguments, got none/);
    await assert.rejects(fn(x, rand(open(), 2, 2, { seed: 9 })), /matrices of one session/);
    assert.equal(await fn.in(s, 1, 2), 2);
    assert.throws(() => reusable('', '1', () => 1), /expected a name and a version/);
  });

  it('takes arguments apart so that no two that differ have one text', () => {
    const values = [
      0,
      -0,
      NaN,
      null,
      undefined,
      '',
      'a',
      'é',
      'e\u0301',
      [],
      {},
      [undefined],
      [null],
      { $: 'undefined' },
      { $: 1, b: 2 },
      { a: undefined },
      { 'e\u0301': 1 },
      { é: 1 },
      Infinity,
      'NaN',
      [[]],
      true,
      'true',
    ];
    const texts = values.map((value) => JSON.stringify(s(value)));
    function s(value: unknown): unknown {
      const { template } = takeApart(value, 'test');
      assert.deepEqual(
        putTogether(template, () => assert.fail()),
        value,
      );
      return typeof template === 'number' ? `${template}:number` : template;
    }
    assert.equal(new Set(texts).size, values.length);
  });

  it('is in a stored lineage as one step, and is called to compute it again', async () => {
    const s = open();
    const call = descent();
    const { x, y } = problem(s);
    const { loss } = await call.fn(x, y, { steps: 50, rate: 0.01 });
    const stored = JSON.parse(JSON.stringify(serializeLineage([loss.add(1).expr])));
    const other = open({ reuse: 'off' });
    const { roots, nodes } = deserializeLineage(stored, other);
    assert.ok(nodes.length < 10);
    const [value] = await other.evaluate(roots);
    assert.equal(value?.kind === 'dense' && value.data[0], (await loss.value()) + 1);
    assert.equal(call.runs, 2);
  });
});
