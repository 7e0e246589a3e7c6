/**
 * What a kept value was made from: it stays while Spark may need it and no longer (lazy garbage
 * collection), by programs sent straight to the shim, so that each handle and each job is the
 * test's own.
 */
import assert from 'node:assert/strict';
import { BackendLostError } from '../../driver/errors.js';
import type { Reply } from '../../spark-bridge/channel/channel.js';
import { bytesToCells, cellsToBytes } from '../../spark-bridge/channel/frame-codec.js';
import type {
  WireInput,
  WireInstruction,
  WireJson,
  WireKeep,
  WireStorage,
} from '../../spark-bridge/channel/wire.js';
import { eventually, SharedSpark } from '../support/spark-session.js';

const ROWS = 2000;
const COLS = 4;
const CELLS = Float64Array.from({ length: ROWS * COLS }, (_, i) => Math.sin(i) + 2);
const TOTAL = CELLS.reduce((sum, cell) => sum + cell, 0);

describe('the origins of kept row blocks', () => {
  let shared: SharedSpark;
  let before0: WireStorage;
  let nextRun = 1;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start({ conf: { 'spark.reprise.chunkRows': '300' } });
    if (typeof started === 'string') {
      console.warn(`SKIPPED origins of kept row blocks: ${started}`);
      this.skip();
      return;
    }
    shared = started;
    // The shim warms itself up with a program of its own.
    await eventually('the warm-up to end', async () => {
      const { result } = await started.embedded.channel.call('status', {});
      const { liveBroadcasts } = await shared.storage();
      return result.sparkJobs > 0 && result.runs.length === 0 && liveBroadcasts === 0;
    });
  });
  beforeEach(async () => {
    before0 = await shared.storage();
    assert.deepEqual(before0.handles, [], 'each test lets go of what it kept');
  });
  after(() => shared?.close());

  const node = (
    id: number,
    op: string,
    operands: readonly (readonly [id: number, blocked: boolean])[],
    shape: readonly [rows: number, cols: number] = [ROWS, COLS],
    attrs: WireJson = {},
  ): WireInstruction => ({
    id,
    op,
    attrs,
    operands: operands.map(([operand, blocked]) => ({ id: operand, blocked })),
    rows: shape[0],
    cols: shape[1],
    blocked: true,
  });
  const keep = (id: number, handle: string, how: Partial<WireKeep> = {}): WireKeep => ({
    id,
    handle,
    level: null,
    lazy: false,
    ...how,
  });
  const held = (id: number, handle: string): WireInput => ({
    id,
    rows: ROWS,
    cols: COLS,
    payload: null,
    handle,
  });
  const sent = (id: number, handle: string | null = null): WireInput => ({
    id,
    rows: ROWS,
    cols: COLS,
    payload: 0,
    handle,
  });

  interface Parts {
    readonly inputs: readonly WireInput[];
    readonly instructions?: readonly WireInstruction[];
    readonly outputs?: readonly number[];
    readonly persist?: readonly WireKeep[];
  }

  function run(parts: Parts, cells: readonly Float64Array[] = []): Promise<Reply<'runProgram'>> {
    return shared.embedded.channel.call(
      'runProgram',
      { run: `origins-${nextRun++}`, instructions: [], outputs: [], persist: [], ...parts },
      cells.map(cellsToBytes),
    );
  }

  /** Keeps x (sent) as `handle`. */
  const keepSent = (handle: string, how: Partial<WireKeep> = {}): Promise<Reply<'runProgram'>> =>
    run({ inputs: [sent(1)], persist: [keep(1, handle, how)] }, [CELLS]);

  /** Keeps 2 * parent as `handle`, without reading it. */
  const keepDouble = (
    parent: string,
    handle: string,
    how: Partial<WireKeep> = {},
  ): Promise<Reply<'runProgram'>> =>
    run({
      inputs: [held(1, parent)],
      instructions: [
        node(2, 'add', [
          [1, true],
          [1, true],
        ]),
      ],
      persist: [keep(2, handle, how)],
    });

  async function total(handle: string): Promise<{ sum: number; jobs: number; missing: string[] }> {
    const { result, payloads } = await run({
      inputs: [held(1, handle)],
      instructions: [node(2, 'sum', [[1, true]], [1, 1])],
      outputs: [2],
    });
    const sum = bytesToCells(payloads[0]!)[0]!;
    return { sum, jobs: result.sparkJobs, missing: [...result.incomplete] };
  }

  const discard = (...handles: string[]): Promise<Reply<'unpersist'>> =>
    shared.embedded.channel.call('unpersist', { handles });

  const assertSum = (sum: number, expected: number): void => {
    assert.ok(Math.abs(sum - expected) <= 1e-10 * Math.abs(expected), `${sum} for ${expected}`);
  };

  /** Spark's own counts are what they were before the test. */
  async function assertNothingLeft(): Promise<void> {
    await eventually('Spark to let go of everything', async () => {
      const { handles, persistentRdds, liveBroadcasts } = await shared.storage();
      return (
        handles.length === 0 &&
        persistentRdds === before0.persistentRdds &&
        liveBroadcasts === before0.liveBroadcasts
      );
    });
  }

  it('go with the job that computes the value', async () => {
    await keepSent('a');
    // The cells sent are in the blocks now.
    await eventually('what was sent to go', async () => {
      return (await shared.storage()).liveBroadcasts === before0.liveBroadcasts;
    });
    assert.equal((await shared.storage()).persistentRdds, before0.persistentRdds + 1);
    assertSum((await total('a')).sum, TOTAL);
    await discard('a');
    await assertNothingLeft();
  });

  it('stay under a value that is kept but not computed, though nobody holds them', async () => {
    await keepSent('a');
    const jobs = await shared.jobs();
    await keepDouble('a', 'b', { lazy: true });
    assert.equal(await shared.jobs(), jobs, 'keeping lazily runs no job');
    await discard('a');
    // `a` has no handle any more; `b` still comes from it.
    assert.equal((await shared.storage()).persistentRdds, before0.persistentRdds + 2);
    const first = await total('b');
    assertSum(first.sum, 2 * TOTAL);
    assert.equal(first.jobs, 1);
    // Computed: what it came from goes.
    await eventually('the parent to go', async () => {
      return (await shared.storage()).persistentRdds === before0.persistentRdds + 1;
    });
    assertSum((await total('b')).sum, 2 * TOTAL);
    await discard('b');
    await assertNothingLeft();
  });

  it('stay under grandchildren that are not computed', async () => {
    await keepSent('a', { lazy: true });
    await keepDouble('a', 'b', { lazy: true });
    await keepDouble('b', 'c', { lazy: true });
    await discard('b');
    await discard('a');
    assert.equal((await shared.storage()).persistentRdds, before0.persistentRdds + 3);
    assertSum((await total('c')).sum, 4 * TOTAL);
    await eventually('what it came from to go', async () => {
      return (await shared.storage()).persistentRdds === before0.persistentRdds + 1;
    });
    assertSum((await total('c')).sum, 4 * TOTAL);
    await discard('c');
    await assertNothingLeft();
  });

  it('go at once with a value that is never computed', async () => {
    await keepSent('a', { lazy: true });
    await keepDouble('a', 'b', { lazy: true });
    await discard('a', 'b');
    await assertNothingLeft();
  });

  it('are shared by two children, and go with the last', async () => {
    await keepSent('a', { lazy: true });
    await keepDouble('a', 'b', { lazy: true });
    await keepDouble('a', 'c', { lazy: true });
    await discard('a');
    assertSum((await total('b')).sum, 2 * TOTAL);
    // `c` is not computed yet: `a` must stay for it.
    assert.equal((await shared.storage()).persistentRdds, before0.persistentRdds + 3);
    assertSum((await total('c')).sum, 2 * TOTAL);
    await eventually('the parent to go', async () => {
      return (await shared.storage()).persistentRdds === before0.persistentRdds + 2;
    });
    await discard('b', 'c');
    await assertNothingLeft();
  });

  it('are counted once for two values of one pass', async () => {
    await run(
      {
        inputs: [sent(1)],
        instructions: [node(2, 'square', [[1, true]])],
        persist: [keep(1, 'x'), keep(2, 'y')],
      },
      [CELLS],
    );
    assert.equal((await shared.storage()).persistentRdds, before0.persistentRdds + 1);
    await discard('x', 'x');
    assert.equal((await shared.storage()).persistentRdds, before0.persistentRdds + 1);
    assertSum(
      (await total('y')).sum,
      CELLS.reduce((sum, cell) => sum + cell * cell, 0),
    );
    await discard('y');
    await discard('x', 'y');
    await assertNothingLeft();
  });

  it('do not make Spark go back through hundreds of steps', async () => {
    let last = 'step-0';
    await keepSent(last, { lazy: true });
    for (let i = 1; i <= 300; i++) {
      const next = `step-${i}`;
      await keepDouble(last, next, { lazy: true });
      await discard(last);
      last = next;
    }
    const { persistentRdds } = await shared.storage();
    assert.ok(persistentRdds <= before0.persistentRdds + 16, `${persistentRdds} RDDs`);
    const { sum } = await total(last);
    assertSum(sum / 2 ** 300, TOTAL);
    await discard(last);
    await assertNothingLeft();
  });

  it('let programs that run at the same time read what goes meanwhile', async () => {
    await keepSent('a', { lazy: true });
    await keepDouble('a', 'b', { lazy: true });
    const reading = Array.from({ length: 6 }, (_, i) => total(i % 2 === 0 ? 'b' : 'a'));
    const going = discard('a');
    const results = await Promise.allSettled(reading);
    await going;
    for (const [i, result] of results.entries()) {
      // A program that comes after its value went says so; one that had begun ends well.
      if (result.status === 'fulfilled') assertSum(result.value.sum, TOTAL * (i % 2 === 0 ? 2 : 1));
      else assert.match(String(result.reason), /expected the value `a` to be held/);
    }
    assert.ok(results.every((result, i) => i % 2 === 1 || result.status === 'fulfilled'));
    await discard('b');
    await assertNothingLeft();
  });

  it('says which values Spark could not keep whole, and stores them when told to', async () => {
    await keepSent('b', { lazy: true });
    assert.deepEqual((await total('b')).missing, ['b'], 'nothing of it was stored before');
    assert.deepEqual((await total('b')).missing, []);
    await discard('b');
    await keepSent('a', { lazy: true, level: 'MEMORY_ONLY' });
    const { result } = await shared.embedded.channel.call('persist', { handle: 'a', run: 'p1' });
    assert.deepEqual([result.materialised, result.sparkJobs], [true, 1]);
    const { sum, missing } = await total('a');
    assertSum(sum, TOTAL);
    assert.deepEqual(missing, []);
    // In memory only, its lineage is not cut: what it comes from stays with it, and goes with it.
    assert.ok((await shared.storage()).liveBroadcasts > before0.liveBroadcasts);
    await discard('a');
    await assertNothingLeft();
  });

  it('leaves a broadcast for the next program, and destroys it once', async () => {
    const weights = Float64Array.of(1, 2, 3, 4);
    const weighted = (input: WireInput, cells: Float64Array[]): Promise<Reply<'runProgram'>> =>
      run(
        {
          inputs: [sent(1), input],
          instructions: [
            node(
              3,
              'matmul',
              [
                [1, true],
                [2, false],
              ],
              [ROWS, 1],
            ),
            node(4, 'sum', [[3, true]], [1, 1]),
          ],
          outputs: [4],
        },
        cells,
      );
    const expected = CELLS.reduce((sum, cell, i) => sum + cell * weights[i % COLS]!, 0);
    const onlyOneMore = (): Promise<void> =>
      eventually('all broadcasts but one to go', async () => {
        return (await shared.storage()).liveBroadcasts === before0.liveBroadcasts + 1;
      });
    const whole: WireInput = { id: 2, rows: COLS, cols: 1, payload: 1, handle: 'w' };
    const first = await weighted(whole, [CELLS, weights]);
    assertSum(bytesToCells(first.payloads[0]!)[0]!, expected);
    await onlyOneMore();
    for (let i = 0; i < 3; i++) {
      const again = await weighted({ ...whole, payload: null }, [CELLS]);
      assertSum(bytesToCells(again.payloads[0]!)[0]!, expected);
    }
    await onlyOneMore();
    const destroy = { handles: ['w'] };
    const { result } = await shared.embedded.channel.call('destroyBroadcast', destroy);
    assert.equal(result.dropped, 1);
    const twice = await shared.embedded.channel.call('destroyBroadcast', destroy);
    assert.equal(twice.result.dropped, 0);
    await assertNothingLeft();
  });

  it('keeps a destroyed broadcast for a value that is not computed yet', async () => {
    const row = Float64Array.of(1, 2, 3, 4);
    await run(
      {
        inputs: [sent(1), { id: 2, rows: 1, cols: COLS, payload: 1, handle: 'row' }],
        instructions: [
          node(3, 'mul', [
            [1, true],
            [2, false],
          ]),
        ],
        persist: [keep(3, 'scaled', { lazy: true })],
      },
      [CELLS, row],
    );
    await shared.embedded.channel.call('destroyBroadcast', { handles: ['row'] });
    const { sum } = await total('scaled');
    assertSum(
      sum,
      CELLS.reduce((all, cell, i) => all + cell * row[i % COLS]!, 0),
    );
    await eventually('the broadcast to go', async () => {
      return (await shared.storage()).liveBroadcasts === before0.liveBroadcasts;
    });
    await discard('scaled');
    await assertNothingLeft();
  });

  it('tells of a value that was let go instead of answering wrongly', async () => {
    await keepSent('a');
    await discard('a');
    await assert.rejects(total('a'), (error) => {
      assert.ok(!(error instanceof BackendLostError));
      assert.match(String(error), /expected the value `a` to be held by this shim, got none/);
      return true;
    });
    await assertNothingLeft();
  });
});
