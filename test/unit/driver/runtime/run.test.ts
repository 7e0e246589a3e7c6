/**
 * Runs side by side in one session: each counts its own work and is cancelled alone; a value that
 * several need is computed once, by whoever asked first and is not cancelled.
 */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { PlanError } from '../../../../driver/errors.js';
import { type Matrix, matrix, type Run, rand, reusable } from '../../../../driver/index.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { REST_RUNS } from '../../../../driver/reuse/resting.js';
import { Session } from '../../../../driver/runtime/session.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';
import { GatedBackend, turns } from '../../../support/gated-backend.js';

const CELLS = [
  [1, 2, 3],
  [4, 5, 6],
  [7, 8, 10],
];

async function cpuSession(): Promise<Session> {
  return new Session({ local: await createCpuBackend(), spill: false, materialiseBytes: 0 });
}

const data = (where: Run): Matrix => rand(where, 60_000, 20, { seed: 3, min: -1 });

/** One pass over the data and one operator after it. */
const PROGRAMS: readonly ((x: Matrix) => Matrix)[] = [
  (x) => x.tsmm().add(1),
  (x) => x.colSums().mul(2),
];

const kernelsOf = ({ statistics }: Run): number => statistics.counters().kernels;

describe('runs side by side on the CPU backend', () => {
  it('count their own work, and the values are those of cold runs', async () => {
    const session = await cpuSession();
    const runs = PROGRAMS.map(() => session.run());
    const values = await Promise.all(runs.map((run, i) => PROGRAMS[i]!(data(run)).value()));
    for (const [i, run] of runs.entries()) {
      const alone = await cpuSession();
      assertClose(values[i]!, await PROGRAMS[i]!(data(alone)).value(), 0, `program ${i}`);
      const { savedSeconds, hits, ...own } = run.statistics.counters();
      const { savedSeconds: _, hits: __, ...cold } = alone.statistics.counters();
      assert.deepEqual(own, cold);
      assert.equal(own.passes, 1);
      const names = run.statistics.timeline().map(({ name }) => name);
      assert.deepEqual(names, [`pass: ${i === 0 ? 'tsmm' : 'colSums'}`, i === 0 ? 'add' : 'mul']);
      await alone.close();
    }
    assert.equal(kernelsOf(session), 0, 'the session itself was asked for nothing');
    await session.close();
  });

  it('compute what both need once: counted for the one, a hit for the other', async () => {
    const session = await cpuSession();
    const [first, second] = [session.run(), session.run()];
    const values = await Promise.all([first, second].map((run) => data(run).tsmm().value()));
    assert.equal(values[0], values[1]);
    const counts = [first, second].map(({ statistics }) => statistics.counters());
    assert.deepEqual(
      counts.map(({ passes, misses }) => [passes, misses]),
      [
        [1, 2],
        [0, 0],
      ],
    );
    assert.equal(counts[0]!.hits, 0);
    assert.ok(counts[1]!.hits >= 1 && counts[1]!.savedSeconds > 0);
    await session.close();
  });

  it('say what was saved: what was there before, once, however often it is asked for', async () => {
    const session = await cpuSession();
    const ask = async (run: Run): Promise<number> => {
      for (let i = 0; i < 5; i++) await data(run).tsmm().add(i).value();
      return run.statistics.counters().savedSeconds;
    };
    const first = session.run();
    assert.equal(await ask(first), 0, 'all of it was computed here');
    const seconds = [...first.statistics.nodes.values()].reduce((sum, one) => sum + one.seconds, 0);
    const saved = await ask(session.run());
    assert.ok(saved > 0 && saved <= seconds * (1 + 1e-9), `${saved} of ${seconds} s`);
    await session.close();
  });

  it('are told of their own progress', async () => {
    const session = await cpuSession();
    const told: number[][] = [[], []];
    const [long, short] = told.map((own) => session.run({ onProgress: (at) => own.push(at) }));
    await Promise.all([data(long!).tsmm().value(), matrix(short!, CELLS).tsmm().value()]);
    assert.ok(told[0]!.length > 1 && told[0]!.at(-1) === 1, `${told[0]}`);
    assert.deepEqual(told[1], []);
    await session.close();
  });

  for (const cancelled of [0, 1]) {
    it(`keep their results when run ${cancelled} of two over the same data is cancelled`, async () => {
      const session = await cpuSession();
      const controllers = [new AbortController(), new AbortController()];
      const runs = controllers.map(({ signal }, i) =>
        session.run({
          signal,
          onProgress: () => (i === 0 ? controllers[cancelled]!.abort() : undefined),
        }),
      );
      const [gone, stays] = runs
        .map((run) => data(run).tsmm().add(1).value())
        .toSorted((_, __) => (cancelled === 0 ? 0 : -1));
      await assert.rejects(gone!, { name: 'AbortError' });
      const cold = await cpuSession();
      assertClose(await stays!, await data(cold).tsmm().add(1).value(), 0, 'the other run');
      // The one that stayed did all of it when the claimant was cancelled.
      assert.equal(runs[1 - cancelled]!.statistics.passes, 1);
      assert.equal(kernelsOf(runs[1 - cancelled]!), kernelsOf(cold));
      for (const entry of session.cache.entries()) assert.notEqual(entry.state, 'pending');
      await Promise.all([session.close(), cold.close()]);
    });
  }
});

describe('a run', () => {
  /** Two runs that need x'x; the first is held in it, the second waits. */
  async function held() {
    const gate = new GatedBackend();
    const session = new Session({ local: gate.backend, spill: false });
    const gram = matrix(session, CELLS).tsmm();
    gate.watched = session.simplified(gram.expr);
    const controllers = [new AbortController(), new AbortController()];
    const [first, second] = controllers.map(({ signal }) => session.run({ signal }));
    const values = [first!, second!].map(async (run, i) => {
      if (i === 1) await turns();
      return gram.in(run).add(i).value();
    });
    await turns(10);
    assert.equal(session.cache.probe(gate.watched)?.state, 'pending');
    return { gate, session, controllers, runs: [first!, second!], values };
  }

  it('that waits for a value of another stops waiting when it is cancelled', async () => {
    const { gate, controllers, runs, values } = await held();
    controllers[1]!.abort();
    await assert.rejects(values[1]!, { name: 'AbortError' });
    gate.end('value');
    assert.equal((await values[0]!).rows, 3);
    assert.deepEqual([gate.runs, kernelsOf(runs[1]!)], [1, 0]);
  });

  it('is a hit where it waited, and has the value', async () => {
    const { gate, runs, values } = await held();
    gate.end('value');
    const [own, waited] = await Promise.all(values);
    const cold = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const expected = await matrix(cold, CELLS).tsmm().value();
    assert.deepEqual(own!.data, expected.data);
    assert.deepEqual(waited!.data, (await matrix(cold, CELLS).tsmm().add(1).value()).data);
    // x'x + 0 is x'x, so the first ran one operator and the second the sum.
    assert.deepEqual(runs.map(kernelsOf), [1, 1]);
    assert.equal(runs[1]!.statistics.counters().hits, 1);
  });

  it('has the nodes of its session, and evaluates what is made from its matrices', () => {
    const session = new Session({ local: createReferenceBackend() });
    const run = session.run();
    const x = matrix(session, CELLS);
    const own = x.in(run);
    assert.equal(own.session, run);
    assert.equal(own.expr, x.expr);
    assert.equal(own.add(1).expr, x.add(1).expr);
    assert.equal(own.in(session), x);
    assert.equal(own.sum().asMatrix().asScalar().session, run);
    assert.equal(x.sum().in(run).session, run);
    // What a method makes is its receiver's, whoever made the operands.
    assert.equal(own.add(x).session, run);
    assert.equal(x.add(own).session, session);
    const other = new Session({ local: createReferenceBackend() });
    assert.throws(() => x.in(other), PlanError);
    assert.throws(() => own.add(matrix(other, CELLS)), /expected operands of one session/);
  });

  it('is not kept alive by what it computed', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const nodes: Expr[] = [];
    const once = async (i: number): Promise<WeakRef<Run>> => {
      const run = session.run();
      const gram = matrix(run, CELLS).add(i).tsmm();
      await gram.sum().value();
      nodes.push(gram.expr);
      return new WeakRef(run);
    };
    const runs = [await once(0), await once(1), await once(2)];
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    for (let i = 0; i < 3; i++) {
      await turns();
      gc();
    }
    assert.ok(nodes.length === 3 && session.cache.size >= 3);
    assert.deepEqual(
      runs.map((run) => run.deref() === undefined),
      [true, true, true],
    );
  });

  it('ages what the cache holds once for all that begin beside one another', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const x = matrix(session, CELLS).add(1);
    await x.value();
    const many = Array.from({ length: 3 * REST_RUNS }, () => session.run());
    await Promise.all(
      many.map((run, i) =>
        matrix(run, CELLS)
          .mul(i + 2)
          .value(),
      ),
    );
    const next = session.run();
    await x.in(next).value();
    assert.equal(kernelsOf(next), 0);
  });
});

describe('work in flight that runs share', () => {
  /** Begins work of its own run and waits in it until told. */
  function gated() {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    return { gate, release };
  }

  it('is a function called once: counted for the run that called first, a hit for the other', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const { gate, release } = gated();
    const gram = reusable('runs.gram', '1', async (x: Matrix) => {
      await gate;
      return x.tsmm().add(1);
    });
    const [first, second] = [session.run(), session.run()];
    const x = matrix(session, CELLS);
    const calls = [gram(x.in(first)), gram(x.in(second)), gram.in(second, x)];
    await turns();
    release();
    const results = await Promise.all(calls);
    assert.deepEqual(
      results.map((own) => own.session),
      [first, second, second],
    );
    assert.equal(results[1]!.expr, results[2]!.expr);
    assert.deepEqual([kernelsOf(first), kernelsOf(second)], [2, 0]);
    assert.equal(first.statistics.counters().hits, 0);
    assert.equal(second.statistics.counters().hits, 2);
    const { runs, hits } = session.functions.countsOf('runs.gram', '1');
    assert.deepEqual([runs, hits], [1, 2]);
    const cold = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const expected = (await matrix(cold, CELLS).tsmm().add(1).value()).data;
    for (const result of results) assert.deepEqual((await result.value()).data, expected);
  });

  it('is called again by the run that waits when the one that called is cancelled', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const controller = new AbortController();
    const { gate, release } = gated();
    const gram = reusable('runs.again', '1', async (x: Matrix) => {
      await gate;
      return x.tsmm().add(1);
    });
    const x = matrix(session, CELLS);
    const [first, second] = [session.run({ signal: controller.signal }), session.run()];
    const gone = gram(x.in(first));
    const stays = gram(x.in(second));
    await turns();
    controller.abort();
    release();
    await assert.rejects(gone, { name: 'AbortError' });
    const value = await (await stays).value();
    assert.deepEqual([kernelsOf(first), kernelsOf(second)], [0, 2]);
    const cold = new Session({ local: createReferenceBackend(), reuse: 'off' });
    assert.deepEqual(value.data, (await matrix(cold, CELLS).tsmm().add(1).value()).data);
  });

  it('is plain data computed once, and again where that was cancelled', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const controller = new AbortController();
    const [first, second] = [session.run({ signal: controller.signal }), session.run()];
    const { gate, release } = gated();
    const by: Run[] = [];
    const compute = (run: Run) => async (): Promise<number> => {
      by.push(run);
      await gate;
      run.scope.signal?.throwIfAborted();
      return 7;
    };
    const one = first.memo('shared', compute(first));
    const two = second.memo('shared', compute(second));
    const gone = first.memo('cancelled', compute(first));
    const stays = second.memo('cancelled', compute(second));
    await turns();
    assert.deepEqual(by, [first, first]);
    controller.abort();
    release();
    const settled = await Promise.allSettled([one, two, gone, stays]);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(by, [first, first, second, second]);
    assert.equal(await second.memo('shared', compute(second)), 7);
    assert.equal(by.length, 4);
  });
});
