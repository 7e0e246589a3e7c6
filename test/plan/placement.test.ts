import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PlacementPolicy } from '../../driver/compiler/pass.js';
import { CostModel } from '../../driver/cost/cost-model.js';
import { ReadCounts, ReuseHistory } from '../../driver/cost/reuse-history.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { matrix } from '../../driver/matrix/create.js';
import type { Matrix, Scalar } from '../../driver/matrix/matrix.js';
import type { Session } from '../../driver/runtime/session.js';
import { assertClose } from '../support/close.js';
import { generated, MIB, machines } from '../support/placement.js';
import { cells } from '../support/plan.js';

const policies: readonly PlacementPolicy[] = ['cost', 'local', 'blocks'];

/** The places of the plan's lines, in order: `tsmm [cluster, wave 1, sink]`. */
function places(session: Session, ...wanted: readonly { readonly expr: Matrix['expr'] }[]): string {
  return session
    .explain(wanted.map(({ expr }) => expr))
    .split('\n')
    .flatMap(
      (line) =>
        line
          .match(/^#\d+ (\w+).*(\[.*\])/)
          ?.slice(1)
          .join(' ') ?? [],
    )
    .join('\n');
}

/** Costs as backends state them: a busy machine would teach that one of them is slow. */
class Estimates extends CostModel {
  override observe(): void {}
}

describe('placement by cost', () => {
  const gramAndSums = (x: Matrix): [Matrix, Matrix] => [x.t().matmul(x), x.mul(2).colSums()];

  it('keeps small data here: a job there takes longer than all the work', () => {
    const { session } = machines({ placement: 'cost' });
    const [gram, sums] = gramAndSums(generated(session, MIB / 2));
    assert.equal(
      places(session, gram, sums),
      'rand [host, wave 0]\ntsmm [host, wave 0]\nmul [host, wave 0]\ncolSums [host, wave 0]',
    );
  });

  it('sends large data to where their passes are fast, all of them in one job', () => {
    const { session } = machines({ placement: 'cost' });
    const [gram, sums] = gramAndSums(generated(session, 4 * MIB));
    assert.equal(
      places(session, gram, sums),
      [
        'rand [cluster, wave 0, row blocks]',
        'mul [cluster, wave 0, row blocks]',
        'colSums [cluster, wave 1, sink]',
        'tsmm [cluster, wave 1, sink]',
      ].join('\n'),
    );
  });

  it('decides for the whole plan: no one reduction would pay for the job that thirty of them share', () => {
    const { session } = machines({ placement: 'cost' });
    const x = generated(session, MIB / 2);
    const powers = Array.from({ length: 30 }, (_, i) => x.mul(i + 2).colSums());
    assert.match(places(session, powers[0]!), /colSums \[host, wave 0\]/);
    assert.match(places(session, ...powers), /colSums \[cluster, wave 1, sink\]/);
  });

  it('leaves values where they are kept when bringing them costs more than a job', async () => {
    const { session, cluster } = machines({ placement: 'cost' });
    const x = generated(session, 4 * MIB);
    await session.persist([x.expr]);
    assert.match(places(session, x.colSums()), /colSums \[cluster, wave 1, sink\]/);
    await x.colSums().value();
    assert.deepEqual(cluster.collected, []);
  });

  it('brings small values and works on them here', async () => {
    const { session, cluster } = machines({ placement: 'cost', nanoseconds: { cluster: 200 } });
    const x = generated(session, MIB / 2);
    await session.persist([x.expr]);
    await Promise.all([x.colSums().value(), x.t().matmul(x).value(), x.abs().sum().value()]);
    assert.equal(cluster.collected.length, 1);
    assert.equal(cluster.segments.length, 1, 'only the request to persist ran there');
  });

  it('moves data at once for a loop that an earlier session ran over them', async () => {
    const loop = async (costs: CostModel) => {
      const { session, cluster } = machines({ placement: 'cost', costs });
      const x = generated(session, 2 * MIB);
      await session.persist([x.expr]);
      const sums: number[] = [];
      for (let turn = 1; turn <= 10; turn++) sums.push(await x.mul(turn).sum().value());
      return { sums, jobs: cluster.segments.length, brought: cluster.collected.length };
    };
    const costs = new Estimates();
    const first = await loop(costs);
    assert.ok(first.jobs >= 2, 'a loop of unknown length starts where its data are');
    const second = await loop(new Estimates({}, undefined, costs.reads));
    assert.deepEqual(
      [second.jobs, second.brought],
      [1, 1],
      'only the request to persist ran there',
    );
    for (const [i, sum] of second.sums.entries())
      assert.ok(Math.abs(sum - first.sums[i]!) <= 1e-9 * Math.abs(sum), `turn ${i}`);
  });

  it('makes data where a loop that an earlier session ran will read them', async () => {
    // One turn is done sooner in the cluster, which makes the numbers ten times as fast; ten turns
    // are not.
    const slowNumbers = { 'host/rand': { factor: 10, samples: 10 } };
    const turn = (session: Session): Scalar =>
      generated(session, 2 * MIB)
        .mul(3)
        .sum();
    const first = machines({ placement: 'cost', costs: new CostModel(slowNumbers) });
    assert.match(places(first.session, turn(first.session)), /sum \[cluster/);
    const reads = new ReadCounts();
    const data = generated(first.session, 2 * MIB).expr;
    const earlier = new ReuseHistory(reads);
    for (let i = 0; i < 10; i++) earlier.note([data]);
    const costs = new CostModel(slowNumbers, undefined, reads);
    const second = machines({ placement: 'cost', costs });
    assert.match(places(second.session, turn(second.session)), /sum \[host/);
    const [here, there] = [await turn(second.session).value(), await turn(first.session).value()];
    assert.ok(Math.abs(here - there) <= 1e-9 * Math.abs(there));
    assert.equal(second.cluster.segments.length, 0);
  });

  it('stays here where a transfer would eat the gain, and goes where it does not', () => {
    const data = (session: Session): Matrix => matrix(session, cells(16_384, 64));
    const slow = machines({ placement: 'cost' });
    assert.match(places(slow.session, data(slow.session).exp().colSums()), /colSums \[host/);
    const fast = machines({ placement: 'cost', clusterBytes: 4096 * MIB });
    assert.match(places(fast.session, data(fast.session).exp().colSums()), /colSums \[cluster/);
  });

  it('keeps a chain on a device and brings only its end', async () => {
    const { session, gpu } = machines({ placement: 'cost', withGpu: true });
    const x = matrix(session, cells(4096, 64));
    const chain = x.mul(2).exp().add(1).sqrt();
    assert.equal(
      places(session, chain),
      [
        'mul [gpu, wave 0, stays there, transient]',
        'exp [gpu, wave 0, stays there, transient]',
        'add [gpu, wave 0, stays there, transient]',
        'sqrt [gpu, wave 0]',
      ].join('\n'),
    );
    const there = await chain.value();
    assert.deepEqual([gpu.segments.length, gpu.collected.length, gpu.waits()], [1, 1, 1]);
    const here = machines({ placement: 'local', withGpu: true }).session;
    assertClose(
      there,
      await matrix(here, cells(4096, 64)).mul(2).exp().add(1).sqrt().value(),
      0,
      'chain',
    );
  });

  it('gives a device nothing that does not fit into it', () => {
    const { session } = machines({ placement: 'cost', withGpu: true, gpuMemory: MIB });
    assert.match(places(session, matrix(session, cells(4096, 64)).exp().sqrt()), /sqrt \[host/);
  });

  it('sends a device by rows what does not fit into it, where copying pays each pass', () => {
    const given = { placement: 'cost', withGpu: true, gpuMemory: MIB, gpuStreams: true } as const;
    const sums = (session: Session): string => {
      const x = matrix(session, cells(16_384, 64));
      return places(
        session,
        x
          .matmul(matrix(session, cells(64, 8)))
          .exp()
          .colSums(),
      );
    };
    // 8 MiB: 1.6 ms to copy, some 13 to compute here; at 64 MiB a second 125 to copy.
    const all = /matmul \[gpu.*exp \[gpu.*colSums \[gpu/s;
    assert.match(sums(machines(given).session), all);
    assert.doesNotMatch(sums(machines({ ...given, gpuBytes: 64 * MIB }).session), /gpu/);
    // What reads it whole stays here, and what it gives comes by rows.
    const { session } = machines(given);
    const whole = places(session, matrix(session, cells(16_384, 64)).exp().t());
    assert.match(whole, /t(ranspose)? \[host/);
    assert.doesNotMatch(sums(machines({ ...given, gpuStreams: false }).session), /gpu/);
  });

  it('runs what only one backend has where it is', () => {
    const { session } = machines({ placement: 'cost' });
    const x = generated(session, 16 * MIB);
    assert.match(places(session, x.t().matmul(x).cholesky()), /cholesky \[host, wave 1\]/);
  });

  it('asks for a known policy', () => {
    process.env.REPRISE_PLACEMENT = 'everywhere';
    try {
      assert.throws(() => machines({ placement: undefined as never }), {
        code: 'CONFIG',
        message: /REPRISE_PLACEMENT: expected cost, local, blocks, devices, got `everywhere`/,
      });
    } finally {
      delete process.env.REPRISE_PLACEMENT;
    }
  });
});

/** What a job of the simulated cluster takes to start. */
const START_SECONDS = 0.02;

/** Random programs over generated and literal data, some of them kept in the cluster before. */
interface Recipe {
  readonly rows: number;
  readonly persisted: boolean;
  readonly steps: readonly number[];
  readonly rates: readonly [number, number, number];
}

const recipes: fc.Arbitrary<Recipe> = fc.record({
  rows: fc.constantFrom(8, 100, 700, 1500),
  persisted: fc.boolean(),
  steps: fc.array(fc.nat({ max: 9 }), { minLength: 2, maxLength: 12 }),
  rates: fc.tuple(
    fc.constantFrom(1, 10, 300),
    fc.constantFrom(1, 10, 300),
    fc.constantFrom(1, 10, 300),
  ),
});

/** The program as matrices: steps take the last row-wise value; some end in a reduction. */
function program(session: Session, { rows, steps }: Recipe): { x: Matrix; ends: Matrix[] } {
  const x = generated(session, rows * 64 * 8, 5);
  const y = matrix(session, cells(rows, 64, 3));
  const ends: Matrix[] = [];
  let last = x;
  let small: Matrix | undefined;
  for (const step of steps) {
    if (step === 0) last = last.mul(0.5);
    else if (step === 1) last = last.add(y);
    else if (step === 2) last = last.abs();
    else if (step === 3 && small !== undefined) last = last.sub(small);
    else if (step === 4) ends.push(last.t().matmul(last));
    else if (step === 5) ends.push(last.t().matmul(y));
    else if (step === 6) ends.push(last.rowSums());
    else {
      small = last.colSums().div(rows);
      ends.push(small);
    }
  }
  return { x, ends: [...ends, last.colSums(), x.colSums()] };
}

async function run(
  recipe: Recipe,
  placement: PlacementPolicy,
  withGpu: boolean,
): Promise<{ values: DenseMatrix[]; seconds: number }> {
  const [host, cluster, gpu] = recipe.rates;
  const { session, spentSeconds } = machines({
    placement,
    withGpu,
    nanoseconds: { host, cluster, gpu },
  });
  const { x, ends } = program(session, recipe);
  if (recipe.persisted) await session.persist([x.expr]);
  const before = spentSeconds();
  const values = await Promise.all(ends.map((end) => end.value()));
  return { values, seconds: spentSeconds() - before };
}

describe('every placement', () => {
  it('gives equal values, on host, cluster and device', async () => {
    await fc.assert(
      fc.asyncProperty(recipes, fc.boolean(), async (recipe, withGpu) => {
        const [first, ...others] = await Promise.all(
          policies.map((policy) => run(recipe, policy, withGpu)),
        );
        for (const other of others) {
          other.values.forEach((value, i) => {
            assertClose(value, first!.values[i]!, 1e-12, `end ${i}`);
          });
        }
      }),
      { numRuns: 30 },
    );
  });

  it('by cost takes at most two starts of a pass longer than all here or all there, by the costs given', async () => {
    await fc.assert(
      fc.asyncProperty(recipes, async (recipe) => {
        const [chosen, here, there] = await Promise.all(
          policies.map((policy) => run(recipe, policy, false)),
        );
        const best = Math.min(here!.seconds, there!.seconds);
        // Starts are charged a wave, before it is known which passes will share one: a choice is off
        // by one start at times, and rarely by two (seed 53576059: a pass for 56 ms of 26). Beside
        // that, operands of some bytes are not charged.
        assert.ok(
          chosen!.seconds <= best * 1.05 + 2 * START_SECONDS + 2e-3,
          `chosen ${chosen!.seconds}, here ${here!.seconds}, there ${there!.seconds}`,
        );
      }),
      { numRuns: 60 },
    );
  });
});
