import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Backend } from '../../driver/backend/backend.js';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { slotLeaf } from '../../driver/batch/trace.js';
import type { PlanNode } from '../../driver/compiler/plan.js';
import { Matrix } from '../../driver/index.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import type { ReuseSetting } from '../../driver/support/reuse-words.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { COLS, chain, data, ROWS } from '../support/cell-steps.js';

const isKept = ({ stays }: PlanNode): boolean => stays.at !== 'nowhere' && stays.isKept;

describe('pass transients', () => {
  let cpu: Backend;
  const open = (options: Partial<SessionOptions> = {}): Session =>
    new Session({ local: cpu, ...options });

  before(async () => {
    cpu = await createCpuBackend();
  });
  after(() => cpu.close());

  it('keeps the results asked for, and of cheap steps between only what cuts the chain', async () => {
    const session = open();
    const v = chain(matrix(session, data()), 400);
    const nodes = session.plan([v.sum().expr]).nodes;
    const kept = nodes.filter(isKept);
    assert.ok(kept.length >= 3 && kept.length <= 12, `${kept.length} of ${nodes.length} kept`);
    assert.ok(isKept(nodes.at(-1)!));
    // No more than about the work of 64 times its keeping lies between two kept values.
    const gaps = nodes.map((node, i) => (isKept(node) ? i : -1)).filter((i) => i >= 0);
    assert.ok(gaps.every((at, i) => at - (gaps[i - 1] ?? -1) <= 180));
  });

  it('computes what is asked for again not at all, what was let go once more and then never', async () => {
    const session = open();
    const x = matrix(session, data());
    const v = x.mul(2).add(1);
    const w = v.abs();
    const kernels = async (...asked: readonly Pick<Matrix, 'expr'>[]): Promise<number> => {
      const before = session.statistics.kernels;
      await session.evaluate(asked.map(({ expr }) => expr));
      return session.statistics.kernels - before;
    };
    assert.equal(await kernels(w.sum()), 4);
    assert.equal(await kernels(w.sum()), 0, 'a result is kept');
    assert.equal(await kernels(w.max()), 1, 'so is the end of a chain');
    assert.equal(await kernels(v.max()), 3, 'the steps before it were let go');
    assert.equal(await kernels(v.min(), x.mul(2).sum()), 2, 'what is made twice is kept');
  });

  it('lets a loop go on from what it carries, at no more than one step made twice', async () => {
    const steps = async (reuse: ReuseSetting): Promise<{ kernels: number; values: number[] }> => {
      const session = open({ reuse });
      const x = matrix(session, data());
      let speed = x.mul(0.1);
      let weights = x;
      const values: number[] = [];
      let kernels = 0;
      for (let turn = 0; turn < 20; turn++) {
        // Carried into the next turn as they are: nothing but cell-by-cell steps reads `speed`.
        speed = speed.mul(0.9).add(weights.mul(0.01));
        weights = weights.sub(speed);
        const before = session.statistics.kernels;
        values.push(await weights.abs().sum().value());
        kernels += session.statistics.kernels - before;
      }
      return { kernels, values };
    };
    const [on, off] = [await steps('full'), await steps('off')];
    assert.deepEqual(on.values, off.values);
    // x * 0.1 once, six operators a turn, and what the first turns let go.
    assert.ok(on.kernels <= 1 + 6 * 20 + 12, `${on.kernels} kernels`);
  });

  it('keeps small results and those of operators that do more than pass over cells', async () => {
    const session = open();
    const x = matrix(session, data());
    const small = chain(x.slice([0, 8], [0, 8]), 3).sum();
    const products = x.t().matmul(x.mul(2).add(1)).sum();
    const marks = session
      .plan([small.expr, products.expr])
      .nodes.filter((node) => !isKept(node))
      .map(({ expr }) => `${expr.op.name} ${expr.rows}x${expr.cols}`);
    assert.deepEqual(marks, [`mul ${ROWS}x${COLS}`]);
  });

  it('lets products go whose form nobody asks for again, and keeps those made a second time', async () => {
    const steps = async (reuse: ReuseSetting): Promise<{ kernels: number[]; sums: number[] }> => {
      const session = open({ reuse });
      const x = matrix(session, data());
      const kernels: number[] = [];
      const sums: number[] = [];
      const ask = async (asked: Matrix): Promise<void> => {
        const before = session.statistics.kernels;
        sums.push(await asked.sum().value());
        kernels.push(session.statistics.kernels - before);
      };
      const product = (turn: number): Matrix =>
        x.matmul(matrix(session, COLS, 30, new Float64Array(COLS * 30).fill(turn + 1)));
      for (let turn = 0; turn < 100; turn++) await ask(product(turn).mul(2));
      const products = [product(0), product(99), product(98)];
      // The first is kept, as are the sums; those let go are made once more.
      for (const [i, one] of products.entries()) await ask(one.mul(i + 3));
      for (const [i, one] of products.entries()) await ask(one.mul(i + 6));
      return { kernels: kernels.slice(100), sums };
    };
    const [on, off] = [await steps('full'), await steps('off')];
    assert.deepEqual(on.sums, off.sums);
    assert.deepEqual(on.kernels, [2, 3, 3, 2, 2, 2]);
    assert.deepEqual(off.kernels, [3, 3, 3, 3, 3, 3]);
  });

  it('keeps products of a form that is asked for again', async () => {
    const session = open();
    const x = matrix(session, 100, 1000, new Float64Array(100_000).fill(0.5));
    const kernels: number[] = [];
    for (let turn = 0; turn < 40; turn++) {
      const w = matrix(session, 1000, 30, new Float64Array(30_000).fill(turn + 1));
      await x.matmul(w).sum().value();
      const before = session.statistics.kernels;
      // Every second turn comes back for it.
      if (turn % 2 === 0) await x.matmul(w).max().value();
      if (turn % 2 === 0) kernels.push(session.statistics.kernels - before);
    }
    assert.deepEqual(kernels, new Array(20).fill(1));
  });

  it('keeps large ends of chains from when a loop has come back for one', async () => {
    const session = open();
    let v = matrix(session, 400, 400, new Float64Array(160_000).fill(1));
    const kernels: number[] = [];
    for (let turn = 0; turn < 5; turn++) {
      v = v.mul(0.5 + turn);
      const before = session.statistics.kernels;
      await v.sum().value();
      kernels.push(session.statistics.kernels - before);
    }
    assert.deepEqual(kernels, [2, 3, 3, 2, 2]);
  });

  it('keeps the end of a chain that is only summed up if it is small', async () => {
    const session = open();
    const kernels = async (rows: number): Promise<number> => {
      const v = matrix(session, rows, 100, new Float64Array(rows * 100).fill(1))
        .mul(2)
        .add(1);
      await v.sum().value();
      const before = session.statistics.kernels;
      await v.max().value();
      return session.statistics.kernels - before;
    };
    assert.deepEqual([await kernels(50), await kernels(100)], [1, 3]);
  });

  it('keeps nothing that follows from the state of a loop but what is asked for', () => {
    const session = open();
    const { rows, cols, dtype } = matrix(session, data());
    const state = Matrix.of(session, slotLeaf(session, { rows, cols, dtype }));
    const next = state.mul(2);
    const roots = [next.expr, next.mul(state).colSums().expr];
    const kept = session.plan(roots).nodes.filter(isKept);
    assert.deepEqual(
      kept.map(({ expr }) => expr),
      roots.map((root) => session.simplified(root)),
    );
  });

  it('charges a kept value with the steps that were let go', async () => {
    const session = open();
    const v = chain(matrix(session, data()), 4);
    await v.sum().value();
    const steps = [...session.statistics.nodes].filter(([{ op }]) => op.elementwise);
    const seconds = steps.reduce((all, [, one]) => all + one.seconds, 0);
    const entry = session.cache.probe(session.simplified(v.expr));
    assert.equal(steps.length, 8);
    assert.ok(Math.abs(entry!.seconds - seconds) < 1e-9 * seconds + 1e-12);
  });

  it('leaves results untouched by what is computed in recycled memory later', async () => {
    const session = open();
    const x = matrix(session, data());
    const result = await chain(x, 5).value();
    const copy = Float64Array.from(result.data);
    for (let seed = 2; seed < 12; seed++) await chain(x, 20, seed).sum().value();
    assert.deepEqual(result.data, copy);
  });

  for (const reuse of ['full', 'off'] as const) {
    it(`gives what the reference gives for random programs, views among them, reuse ${reuse}`, async () => {
      const reference = createReferenceBackend();
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat({ max: 8 }), { minLength: 4, maxLength: 24 }),
          async (steps) => {
            const program = async (local: Backend): Promise<number[]> => {
              const session = new Session({ local, reuse });
              const values: number[] = [];
              // Twice, so that the second runs over what the first kept and in what it gave back.
              for (const scale of [1, 2]) {
                const results = randomProgram(session, steps, scale);
                for (const value of await session.evaluate(results.map(({ expr }) => expr))) {
                  values.push(...(value as DenseMatrix).data);
                }
              }
              return values;
            };
            const [mine, expected] = [await program(cpu), await program(reference)];
            assert.equal(mine.length, expected.length);
            mine.forEach((cell, i) => {
              assert.ok(
                Math.abs(cell - expected[i]!) <= 1e-9 * Math.max(1, Math.abs(expected[i]!)),
              );
            });
          },
        ),
        { numRuns: 60, seed: 7 },
      );
    });
  }
});

/** Each step takes the newest value and an earlier one; some give views of what they read. */
function randomProgram(session: Session, steps: readonly number[], scale: number): Matrix[] {
  const x = matrix(session, data(scale));
  const values: Matrix[] = [x];
  for (const [at, step] of steps.entries()) {
    const v = values.at(-1)!;
    const other = values[(at * 7 + step) % values.length]!;
    const next = [
      () => v.mul(0.5),
      () => v.add(other),
      () => v.sub(other).abs(),
      () => v.t().t().mul(0.25),
      () => v.slice([0, ROWS]).add(1),
      () => v.slice([0, ROWS / 2]).rbind(other.slice([ROWS / 2, ROWS])),
      () => v.sub(v.colMeans()),
      () => v.reshape(COLS, ROWS).reshape(ROWS, COLS),
      () => v.mul(other).sigmoid(),
    ][step]!;
    values.push(next());
  }
  return [values.at(-1)!.colSums(), values[values.length >> 1]!.add(1), values.at(-1)!.mul(2)];
}
