/**
 * Compiled loops: the same bits as turns that are planned one by one, in memory that is taken once,
 * charged to the cache and given back; and what becomes of loops that are not compiled.
 */
import assert from 'node:assert/strict';
import { slotLeaf } from '../../../../driver/batch/trace.js';
import {
  batch,
  coo,
  fill,
  iterate,
  type LoopState,
  type LoopStep,
  logSoftmax,
  Matrix,
  matrix,
  oneHot,
  Session,
  seq,
  takeRows,
} from '../../../../driver/index.js';
import type { DType } from '../../../../driver/ir/dtype.js';
import { converted, dense } from '../../../../driver/ir/value.js';
import { type CpuBackend, createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { FreeRanges } from '../../../../gpu-executor/cpu/loops/free-ranges.js';

type Of = Readonly<Record<string, Matrix>>;
type Step = (now: Of, given: Of) => LoopStep<LoopState>;

const wave = (count: number, seed: number): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => Math.sin(1.7 * i + seed));

/** Bodies by what is special in them; `w` [12, 3] and `v` [12, 3] are each model's own. */
const BODIES: Readonly<Record<string, Step>> = {
  'a step down a gradient, over data and counters': ({ w, v, n }, { X, y }) => {
    const z = X!.matmul(w!).add(w!.slice([0, 1]));
    const p = logSoftmax(z).exp();
    const g = X!
      .t()
      .matmul(p.sub(oneHot(y!, 3).cast(w!.dtype)))
      .add(w!.mul(0.01));
    const mean = v!.mul(0.9).add(g.mul(0.1));
    const rate = n!.add(1).pow(-0.5).mul(0.05).cast(w!.dtype);
    return { state: { w: w!.sub(mean.mul(rate)), v: mean, n: n!.add(1) }, done: n!.ge(8) };
  },
  'state that is handed on, swapped and cut': ({ w, v, n }) => {
    const cut = w!.slice([1, 12]).rbind(v!.slice([0, 1]));
    return { state: { w: v!, v: cut.add(w!.colSums()), n: n!.add(1) }, done: n!.ge(7) };
  },
  'cells that a step reads after they are written over': ({ w, v, n }) => {
    const next = w!.mul(0.5).add(1).add(w!.max());
    const turned = v!
      .t()
      .matmul(next)
      .matmul(fill(w!.session, 3, 3, 0.125).cast(w!.dtype));
    return { state: { w: next, v: v!.add(turned.slice([0, 1])), n: n!.add(1) }, done: n!.ge(6) };
  },
  'parts of values that are bound, and sums of many cells': ({ w, v, n }, { X }) => {
    const tall = takeRows(seq(X!.session, 0, 299).mul(0.1).floor(), X!).add(n!.cast(X!.dtype));
    const sums = tall.colSums().add(tall.colSumSqs()).slice(null, [0, 3]).mul(1e-5);
    const part = w!.mul(0.5);
    const bound = part.rbind(w!.colSums());
    const twice = part.rbind(part);
    const nested = bound.rbind(v!.abs(), sums);
    const next = bound
      .slice([1, 13])
      .add(twice.slice([12, 24]))
      .add(nested.slice([13, 25]));
    return {
      state: { w: next.mul(0.1).add(part), v: nested.slice([14, 26]), n: n!.add(1) },
      done: n!.ge(7),
    };
  },
  'a system, rows by number, and what does not change': ({ w, v, n }, { X, y }) => {
    const { session } = X!;
    const A = X!.tsmm().addDiag(n!.add(5).cast(X!.dtype));
    const some = takeRows(seq(session, 0, 4).add(n!), X!);
    const b = some.t().matmul(some.matmul(w!)).add(v!.abs().log());
    const own = y!.mul(2).sum().asMatrix().cast(w!.dtype);
    const solved = A.solve(b, { assume: 'spd' }).add(own.mul(0.001));
    return {
      state: { w: solved, v: w!.cbind(v!).slice(null, [2, 5]), n: n!.add(1) },
      done: n!.ge(9),
    };
  },
  'passes over rows of data, one after the other': ({ w, v, n }, { X }) => {
    const z = X!.matmul(w!);
    const p = z.neg().exp().add(1).recip();
    const g = X!.t().matmul(p.sub(0.5)).mul(1e-3);
    const H = X!.t().matmul(X!.mul(p.rowMeans())).mul(1e-4);
    return {
      state: { w: w!.sub(g), v: v!.mul(0.5).add(H.matmul(w!)), n: n!.add(1) },
      done: n!.ge(6),
    };
  },
  'passes over rows that make what changes and what does not': ({ w, v, n }, { X }) => {
    const g = X!.t().matmul(X!.matmul(w!).tanh()).mul(1e-3);
    const fixed = X!.t().matmul(X!.abs()).mul(1e-3).add(1);
    return {
      state: { w: w!.sub(g), v: v!.mul(0.5).add(fixed.matmul(w!)), n: n!.add(1) },
      done: n!.ge(6),
    };
  },
  // Kernels keep what they found out about the other operand.
  'products of compressed rows and what changes': ({ w, v, n }, { X }) => {
    const g = X!.t().matmul(X!.matmul(w!).tanh());
    return {
      state: { w: w!.sub(g.mul(0.01)), v: v!.add(w!), n: n!.add(1) },
      done: n!.ge(7),
    };
  },
  'products long enough for threads': ({ w, v, n }, { X }) => {
    const many = takeRows(seq(X!.session, 0, 599).mul(0.06).floor().add(n!), X!);
    const all = many.matmul(many.t());
    const next = all.t().matmul(many).t().matmul(many).matmul(w!).mul(1e-5);
    return { state: { w: next.add(w!.mul(0.1)), v: v!, n: n!.add(1) }, done: n!.ge(5) };
  },
};

/** A third of the cells of `[rows, 12]`. */
function sparse(session: Session, rows: number): Matrix {
  const rowIndices = Array.from({ length: rows * 4 }, (_, i) => Math.floor(i / 4));
  const columns = rowIndices.map((row, i) => (row + 3 * (i % 4)) % 12);
  return coo(session, { rows, cols: 12, rowIndices, columns, values: wave(rows * 4, 1) });
}

async function run(name: string, dtype: DType, models: number, isCompiled: boolean) {
  const local = await createCpuBackend();
  if (!isCompiled) (local as { compileLoop?: unknown }).compileLoop = undefined;
  const session = new Session({ local, reuse: 'off' });
  const rows = name.startsWith('passes') ? 900 : 40;
  const cells = (r: number, c: number, seed: number): Matrix =>
    matrix(session, r, c, converted(dense(r, c, wave(r * c, seed)), dtype).data);
  const y = matrix(
    session,
    rows,
    1,
    Float64Array.from({ length: rows }, (_, i) => i % 3),
  );
  const each = (seed: number): Matrix[] =>
    Array.from({ length: models }, (_, k) => cells(12, 3, seed + k));
  const args = {
    X: { shared: name.includes('compressed') ? sparse(session, rows) : cells(rows, 12, 1) },
    y: { shared: y },
    w: each(2),
    v: each(50),
    // Models end one after the other.
    n: Array.from({ length: models }, (_, k) => fill(session, 1, 1, -k)),
  };
  const program = async ({ X, y, ...start }: Of) => {
    const { finished: _, ...end } = await iterate(
      start,
      (now) => BODIES[name]!(now, { X: X!, y: y! }),
      {
        maxIterations: 40,
      },
    );
    return end as Of;
  };
  const found = await batch(session, models, args, program, { name, version: '1', isFresh: true });
  const values = await Promise.all(
    found.flatMap((one) =>
      Object.entries(one).map(async ([key, m]) => [key, (await m.value()).data]),
    ),
  );
  const { compiledTurns, kernels, passes, loops } = session.statistics;
  await session.close();
  return { values, compiledTurns, kernels, passes, loops };
}

describe('compiled loops', () => {
  for (const name of Object.keys(BODIES)) {
    it(`have the bits of planned turns: ${name}`, async () => {
      for (const [dtype, models] of [
        ['float64', 1],
        [name.includes('compressed') ? 'float64' : 'float32', 3],
      ] as const) {
        const compiled = await run(name, dtype, models, true);
        const planned = await run(name, dtype, models, false);
        assert.deepEqual([...compiled.loops.keys()], []);
        assert.ok(compiled.compiledTurns >= 2, `${compiled.compiledTurns} turns`);
        assert.equal(planned.compiledTurns, 0);
        assert.deepEqual(compiled.values, planned.values);
        assert.equal(compiled.passes, planned.passes);
        // What does not change from turn to turn is computed once.
        assert.ok(compiled.kernels <= planned.kernels, `${compiled.kernels} of ${planned.kernels}`);
      }
    });
  }
});

describe('state that models of a stack have alike', () => {
  const MODELS = 3;

  /** Steps over a few rows at a time; model k is done after 6 + k of them. @param apart in `at` */
  async function stepsOf(apart: number) {
    const session = new Session({ local: await createCpuBackend(), reuse: 'off' });
    const each = (of: (k: number) => Float64Array, rows: number): Matrix[] =>
      Array.from({ length: MODELS }, (_, k) => matrix(session, rows, 1, of(k)));
    const args = {
      X: { shared: matrix(session, 40, 12, wave(480, 1)) },
      w: each((k) => wave(12, 2 + k), 12),
      at: each((k) => Float64Array.of(k * apart), 1),
      most: each((k) => Float64Array.of(6 + k), 1),
    };
    const program = async ({ X, most, ...start }: Of) => {
      const state: LoopState = { ...start, n: fill(X!.session, 1, 1, 0) };
      return iterate(
        state,
        ({ w, at, n }) => {
          const own = takeRows(seq(X!.session, 0, 4).add(at!), X!);
          const next = w!.sub(own.t().matmul(own.matmul(w!).tanh()).mul(0.01));
          const end = at!.add(7).ge(36);
          const state = { w: next, at: end.ifelse(at!.sub(28), at!.add(7)), n: n!.add(1) };
          return { state, done: n!.add(1).ge(most!) };
        },
        { maxIterations: 20 },
      );
    };
    const options = { name: `alike ${apart}`, version: '1', isFresh: true };
    const found = await batch(session, MODELS, args, program, options);
    const cells = async (name: 'w' | 'n' | 'iterations'): Promise<number[]> => {
      const all = await Promise.all(found.map((one) => (one as Of)[name]!.value()));
      return all.flatMap(({ data }) => [...data]);
    };
    const values = [await cells('w'), await cells('n'), await cells('iterations')] as const;
    const { kernels, compiledTurns } = session.statistics;
    await session.close();
    return { values, kernels, compiledTurns };
  }

  it('is computed once for all, and is that of each when it is done', async () => {
    const alike = await stepsOf(0);
    // Row numbers of other cells that name the same rows.
    const apart = await stepsOf(1e-9);
    const [[w, n, steps], [wApart, ...others]] = [alike.values, apart.values];
    assert.deepEqual([n, steps], others);
    assert.deepEqual(n, [6, 7, 8]);
    for (const [i, cell] of w.entries()) assert.ok(Math.abs(cell - wApart[i]!) < 1e-12);
    assert.ok(alike.compiledTurns > 0);
    assert.ok(alike.kernels < apart.kernels, `${alike.kernels} of ${apart.kernels}`);
  });
});

describe('a compiled loop', () => {
  let local: CpuBackend;
  let session: Session;
  beforeEach(async () => {
    local = await createCpuBackend();
    session = new Session({ local });
  });
  afterEach(() => session.close());

  const like = { rows: 100, cols: 3, dtype: 'float64' } as const;

  /** x' = t(X) (X x) / 100, and whether a cell of it is above the limit. */
  function turnsOf(X: Matrix, limit: number) {
    const slot = slotLeaf(session, like);
    const x = Matrix.of(session, slot);
    const next = X.t().matmul(X.matmul(x)).mul(0.01);
    const exprs = [next.expr, next.max().asMatrix().gt(limit).expr];
    const start = dense(100, 3, wave(300, 3));
    return session.loopTurns(exprs, new Map([[slot, start]]));
  }

  it('takes memory once, charges it to the cache and gives it back', async () => {
    const before = session.cache.bytes;
    const turns = turnsOf(matrix(session, 30, 100, wave(3000, 1)), Infinity)!;
    assert.ok(session.cache.bytes - before >= 2 * 2400, `${session.cache.bytes - before} bytes`);
    const [{ data }] = turns.values as [(typeof turns.values)[0]];
    await turns.take(() => true);
    const [held, first] = [session.cache.bytes, data[0]];
    let taken = 0;
    await turns.take(() => ++taken === 5);
    assert.equal(session.cache.bytes, held);
    assert.equal(turns.values[0]!.data, data);
    assert.notEqual(data[0], first);
    assert.equal(session.statistics.compiledTurns, 6);
    turns.end();
    assert.equal(session.cache.bytes, before);
  });

  it('is planned where cells of compressed rows are asked for, and says so', () => {
    const X = coo(session, { rows: 1, cols: 3, rowIndices: [0], columns: [2], values: [1] });
    const slot = slotLeaf(session, like);
    const next = Matrix.of(session, slot).add(X);
    const given = new Map([[slot, dense(100, 3, wave(300, 3))]]);
    assert.equal(session.loopTurns([next.expr], given), undefined);
    assert.deepEqual([...session.statistics.loops], [['cells of literal are compressed', 1]]);
  });

  it('stops in the middle when it is cancelled, and lets other work through until then', async () => {
    const stop = new AbortController();
    const running = session.run({ signal: stop.signal });
    const slot = slotLeaf(session, { rows: 1, cols: 1, dtype: 'float64' });
    const one = Matrix.of(session, slot).mul(1);
    const given = new Map([[slot, dense(1, 1, Float64Array.of(2))]]);
    assert.equal(running.explainLoop([one.expr]), 'turns: compiled after the first few');
    const turns = running.loopTurns([one.expr], given)!;
    let count = 0;
    setImmediate(() => setImmediate(() => stop.abort()));
    await assert.rejects(
      turns.take(() => ++count < 0),
      { name: 'AbortError' },
    );
    turns.end();
    assert.equal(running.statistics.compiledTurns, count);
    assert.equal(turns.values[0]!.data[0], 2);
  });
});

describe('ranges of memory', () => {
  it('never overlap, and are joined again', () => {
    const ranges = new FreeRanges();
    const held = new Map<number, number>();
    let random = 7;
    for (let i = 0; i < 400; i++) {
      random = (random * 48_271) % 2_147_483_647;
      const bytes = 1 + (random % 700);
      if (random % 3 > 0) {
        const from = ranges.take(bytes);
        for (const [other, size] of held) {
          assert.ok(from >= other + size || from + bytes <= other, `${from} in ${other}`);
        }
        held.set(from, bytes);
      } else {
        const [first] = held;
        if (first === undefined) continue;
        ranges.give(...first);
        held.delete(first[0]);
      }
    }
    for (const one of held) ranges.give(...one);
    const { end } = ranges;
    assert.equal(ranges.take(end), 0);
    assert.equal(ranges.end, end);
  });
});
