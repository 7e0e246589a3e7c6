import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Backend } from '../../driver/backend/backend.js';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import type { CellChain, Plan } from '../../driver/compiler/plan.js';
import type { Matrix } from '../../driver/index.js';
import type { Float64Matrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import { type CpuBackend, createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { CellChainKernels } from '../../gpu-executor/cpu/kernels/cell-chain.js';
import { chain, data } from '../support/cell-steps.js';

const chainsOf = ({ nodes }: Plan): CellChain[] =>
  nodes.flatMap(({ how }) => (how.kind === 'chain' ? [how] : []));

describe('pass cell chains', () => {
  let cpu: CpuBackend;
  /** Compiles each loop at once. */
  let eager: Backend;
  const open = (options: Partial<SessionOptions> = {}): Session =>
    new Session({ local: cpu, reuse: 'off', ...options });

  before(async () => {
    cpu = await createCpuBackend();
    eager = await createCpuBackend({ chainCompileSeconds: 0 });
  });
  after(() => Promise.all([cpu.close(), eager.close()]));

  it('cuts a long chain into equal pieces', () => {
    const session = open();
    const v = chain(matrix(session, data()), 40);
    const plan = session.plan([v.expr]);
    assert.deepEqual(
      chainsOf(plan).map(({ nodes }) => nodes.length),
      [16, 16, 16, 16, 16],
    );
    assert.equal(plan.nodes.filter(({ how }) => how.kind === 'fused').length, 75);
    assert.match(session.explain([v.expr]), /mul .*\[cpu, wave 0, fused\]/);
    assert.match(session.explain([v.expr]), /add .*\[cpu, wave 0, chain of 16\]/);
  });

  it('takes in a value read several times once all its readers are inside', () => {
    const session = open();
    const x = matrix(session, data());
    const s = x.mul(3).sigmoid();
    // Read by two steps that meet again.
    const gradient = s.mul(s.mul(-1).add(1)).add(s.abs());
    const [plan] = [session.plan([gradient.expr])];
    assert.deepEqual(
      chainsOf(plan).map(({ nodes }) => nodes.map(({ op }) => op.name)),
      [['mul', 'sigmoid', 'mul', 'add', 'mul', 'abs', 'add']],
    );
  });

  it('leaves alone what is kept, read elsewhere, asked for, or of another shape', () => {
    const session = open({ reuse: 'full' });
    const x = matrix(session, data());
    const shared = x.mul(2);
    const asked = shared.add(1);
    const stretched = x.add(x.colSums().mul(2));
    const other = shared.t().matmul(stretched);
    const plan = session.plan([asked.expr, other.expr]);
    assert.deepEqual(
      plan.nodes.filter(({ how }) => how.kind !== 'whole').map(({ expr }) => expr.op.name),
      [],
    );
  });

  it('runs a form step by step until a loop for it would have paid, then in one loop, to the same bits', async () => {
    const loops: number[] = [];
    const kernels = new CellChainKernels();
    const stepwise: Backend = {
      name: cpu.name,
      capabilities: cpu.capabilities,
      estimate: (expr) => cpu.estimate(expr),
      runSync: (expr, inputs) => cpu.runSync(expr, inputs),
      run: (segment, context) => cpu.run(segment, context),
      close: async () => {},
    };
    const session = open({
      local: {
        ...stepwise,
        runChain: (nodes, inputs) => {
          const loop = kernels.run(nodes, inputs, {
            blas: cpu.blas,
            allocate: (cells) => new Float64Array(cells),
          });
          loops.push(loop === undefined ? 0 : nodes.length);
          return cpu.runChain(nodes, inputs);
        },
      },
    });
    const single = open({ local: stepwise });
    const x = matrix(session, data());
    const y = matrix(single, data());
    for (let turn = 0; turn < 200; turn++) {
      const [before, beforeSingle] = [session.statistics.kernels, single.statistics.kernels];
      const value = await chain(x, 12, turn + 0.5)
        .sigmoid()
        .value();
      const expected = await chain(y, 12, turn + 0.5)
        .sigmoid()
        .value();
      assert.deepEqual(value.data, expected.data);
      // Fused or not, each step counts as computed.
      assert.equal(session.statistics.kernels - before, 25);
      assert.equal(single.statistics.kernels - beforeSingle, 25);
    }
    assert.equal(loops[0], 0);
    assert.deepEqual(loops.slice(-2), [16, 9]);
  });

  it('records every step, and charges what is kept with the whole chain', async () => {
    const session = open({ reuse: 'full' });
    const x = matrix(session, 600, 500, new Float64Array(300_000).fill(1));
    const v = chain(x, 8);
    await v.value();
    await session.evaluate([chain(x, 8, 0.25).expr]);
    const steps = [...session.statistics.nodes].filter(([{ op }]) => op.elementwise);
    assert.equal(steps.length, 32);
    assert.equal(steps.filter(([, { state }]) => state === 'fused').length, 30);
    const seconds = steps.slice(0, 16).reduce((all, [, one]) => all + one.seconds, 0);
    const entry = session.cache.probe(session.simplified(v.expr));
    assert.ok(Math.abs(entry!.seconds - seconds) < 1e-9 * seconds + 1e-12);
    const before = session.statistics.kernels;
    await v.sum().value();
    assert.equal(session.statistics.kernels - before, 1, 'the end of the chain is reused');
  });

  for (const reuse of ['full', 'off'] as const) {
    it(`gives what the reference gives for random programs, reuse ${reuse}`, async () => {
      const reference = createReferenceBackend();
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 5 })), {
            minLength: 3,
            maxLength: 40,
          }),
          async (steps) => {
            const program = async (local: Backend): Promise<Float64Array[]> => {
              const session = new Session({ local, reuse });
              const values: Float64Array[] = [];
              for (const scale of [1, 2]) {
                const results = randomCells(session, steps, scale);
                for (const value of await session.evaluate(results.map(({ expr }) => expr))) {
                  values.push((value as Float64Matrix).data.slice());
                }
              }
              return values;
            };
            assert.deepEqual(await program(eager), await program(reference));
          },
        ),
        { numRuns: 60, seed: 11 },
      );
    });
  }
});

/** Cell-by-cell steps over the newest value and a recent one, with all ways of broadcasting. */
function randomCells(
  session: Session,
  steps: readonly (readonly [number, number])[],
  scale: number,
): Matrix[] {
  const rows = 30;
  const cols = 40;
  const cells = Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(scale * (i + 1)));
  const x = matrix(session, rows, cols, cells);
  const row = x.slice([0, 1]).mul(2);
  const column = x.slice([0, rows], [0, 1]).add(1);
  const values: Matrix[] = [x];
  for (const [step, back] of steps) {
    const v = values.at(-1)!;
    const other = values[Math.max(0, values.length - 1 - back)]!;
    const next = [
      () => v.mul(0.5),
      () => v.add(other),
      () => v.sub(other),
      () => v.abs(),
      () => v.sub(row),
      () => column.mul(v),
      () => v.maximum(other),
      () => v.mul(v),
      () => v.gt(0).ifelse(v, other),
      () => v.neg().floor(),
    ][step]!;
    values.push(next());
  }
  return [values.at(-1)!, values[values.length >> 1]!];
}
