/** A map over looked-up rows is made over the table once batches have paid for it. */
import assert from 'node:assert/strict';
import {
  embedding,
  logSoftmax,
  type Matrix,
  matrix,
  type ReuseSetting,
  type Run,
  rand,
  relu,
  Session,
  takeRows,
} from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';

const WORDS = 60;

function column(run: Run, numbers: readonly number[]): Matrix {
  return matrix(run, numbers.length, 1, Float64Array.from(numbers));
}

/** Numbers of words that repeat: batch b has WORDS / 3 of them. */
function ids(batch: number): number[] {
  return Array.from({ length: WORDS / 3 }, (_, i) => (i * 7 + batch * 11) % WORDS);
}

interface Net {
  readonly table: Matrix;
  readonly of: (x: Matrix) => Matrix;
}

function net(run: Run): Net {
  const table = matrix(
    run,
    WORDS,
    8,
    Float64Array.from({ length: WORDS * 8 }, (_, i) => Math.sin(i)),
  );
  const [W, V] = [rand(run, 8, 6, { seed: 1 }), rand(run, 6, 5, { seed: 2 })];
  const bias = rand(run, 1, 6, { seed: 3 });
  const of = (x: Matrix): Matrix => logSoftmax(relu(x.matmul(W).add(bias)).matmul(V)).rowMaxs();
  return { table, of };
}

/** Rows that products were made of, in the latest plan. */
function rowsMade({ statistics }: Run): number {
  const nodes = statistics.plans.at(-1)?.nodes ?? [];
  const products = nodes.filter(({ expr }) => expr.op.name === 'matmul');
  return products.reduce((sum, { expr }) => sum + expr.rows, 0) / 2;
}

describe('rows of tables', () => {
  let cpu: Awaited<ReturnType<typeof createCpuBackend>>;
  before(async () => {
    cpu = await createCpuBackend();
  });
  after(() => cpu.close());

  const open = (reuse: ReuseSetting = 'full'): Session => new Session({ local: cpu, reuse });

  /** Values of each program alone, and rows made for each in one session, which give the same. */
  async function rowsOfEach(
    programs: readonly ((net: Net, run: Run) => Matrix)[],
    reuse?: ReuseSetting,
  ): Promise<number[]> {
    const session = open(reuse);
    const made: number[] = [];
    for (const program of programs) {
      const cold = open('off');
      const expected = await program(net(cold), cold).value();
      const run = session.run();
      assertClose(await program(net(run), run).value(), expected, 1e-12, 'values');
      made.push(rowsMade(run));
    }
    return made;
  }

  it('are mapped batch by batch until that has cost as much as the table, and then no more', async () => {
    const batches = [0, 1, 2, 3, 4].map(
      (b) =>
        ({ table, of }: Net, run: Run) =>
          of(embedding(column(run, ids(b)), table)),
    );
    const own = WORDS / 3;
    assert.deepEqual(await rowsOfEach(batches), [own, WORDS, 0, 0, 0]);
    // A batch that comes again is a hit, and so is one word.
    const again = [batches[0]!, batches[3]!];
    assert.deepEqual(await rowsOfEach([...batches, ...again]), [own, WORDS, 0, 0, 0, 0, 0]);
    for (const reuse of ['off', 'operators'] as const) {
      assert.deepEqual(await rowsOfEach(batches, reuse), [own, own, own, own, own], reuse);
    }
  });

  it('are mapped once where one plan asks for more of them than there are', async () => {
    const all = Array.from({ length: 9 }, (_, b) => ids(b)).flat();
    assert.deepEqual(
      await rowsOfEach([({ table, of }, run) => of(takeRows(column(run, all), table))]),
      [WORDS],
    );
    // A range of the numbers of all words is a batch.
    const one = ({ table, of }: Net, run: Run): Matrix =>
      of(takeRows(column(run, all).slice([30, 45]), table));
    assert.deepEqual(await rowsOfEach([one]), [15]);
  });

  it('stay as they are where a map would make something of rows that are not there', async () => {
    const many = (number: number): number[] => [...ids(0), ...ids(1), ...ids(2), ...ids(3), number];
    for (const number of [WORDS, -1, Number.NaN]) {
      const program = ({ table, of }: Net, run: Run): Matrix =>
        of(takeRows(column(run, many(number)), table));
      assert.deepEqual(await rowsOfEach([program]), [4 * ids(0).length + 1], `${number}`);
    }
  });

  it('are joined where the map reads several tables, and left where it reads other rows', async () => {
    const all = Array.from({ length: 9 }, (_, b) => ids(b)).flat();
    const two = ({ table, of }: Net, run: Run): Matrix => {
      const g = column(run, all);
      return of(takeRows(g, table).mul(takeRows(g, rand(run, WORDS, 1, { seed: 4 }).mul(1))));
    };
    const other = ({ table, of }: Net, run: Run): Matrix =>
      of(takeRows(column(run, all), table).mul(column(run, all)));
    assert.deepEqual(await rowsOfEach([other]), [all.length]);
    assert.deepEqual(await rowsOfEach([two]), [all.length]);
    const leaves = ({ table, of }: Net, run: Run): Matrix => {
      const g = column(run, all);
      return of(
        takeRows(g, table).mul(takeRows(g, column(run, [...ids(0), ...ids(1), ...ids(2)]))),
      );
    };
    assert.deepEqual(await rowsOfEach([leaves]), [WORDS]);
  });

  it('are looked up in what the sums of a batch need', async () => {
    const all = Array.from({ length: 9 }, (_, b) => ids(b)).flat();
    const sums = ({ table, of }: Net, run: Run): Matrix => {
      const g = column(run, all);
      const x = takeRows(g, table);
      return of(x).colSums().cbind(x.colSums());
    };
    assert.deepEqual(await rowsOfEach([sums]), [WORDS]);
  });

  it('are told of in the plan', () => {
    const session = open();
    const { table, of } = net(session);
    const all = Array.from({ length: 9 }, (_, b) => ids(b)).flat();
    const text = of(takeRows(column(session, all), table)).explain();
    assert.match(text, /matmul.*60x5/);
    assert.doesNotMatch(text, /matmul.*180x/);
  });
});
