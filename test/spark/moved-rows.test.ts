/**
 * Rows that are cut, stacked and selected stay in Spark: values equal those of this machine, and
 * passes and jobs are as few as if the rows had never moved. Chunks of 700 rows make uneven and
 * empty partitions.
 */
import assert from 'node:assert/strict';
import {
  coo,
  type Evaluator,
  Matrix,
  ops,
  rand,
  Session,
  selectRows,
  weightedLoss,
  weightedProduct,
} from '../../driver/index.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';
import { SMALL_CHUNKS } from '../support/spark.js';
import { SharedSpark } from '../support/spark-session.js';

const ROWS = 90_001;

/** Large enough to be made by row blocks. */
function data(session: Evaluator, seed: number, rows = ROWS, sparsity = 1): Matrix {
  return rand(session, rows, 16, { seed, min: -1, max: 1, sparsity });
}

function folds(session: Evaluator, count: number, shuffle = false): Matrix {
  const attrs = { rows: ROWS, folds: count, shuffle, seed: 2 };
  return Matrix.of(session, session.intern(ops.kfold, [], attrs));
}

type Program = (session: Evaluator) => readonly Matrix[];

describe('rows moved in Spark', () => {
  let shared: SharedSpark;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start({ conf: SMALL_CHUNKS });
    if (typeof started === 'string') {
      console.warn(`SKIPPED rows moved in Spark: ${started}`);
      this.skip();
    } else shared = started;
  });
  after(() => shared?.close());

  /** Runs a program on Spark and here. @returns what it took on Spark */
  async function same(program: Program): Promise<{ passes: number; sparkJobs: number }> {
    const local = await createCpuBackend();
    const here = new Session({ local });
    const { session } = await shared.session({ rddReuse: 'off' });
    const run = session.run();
    const [there, expected] = [program(run), program(here)];
    const values = await run.evaluate(there.map((matrix) => matrix.expr));
    const { passes, sparkJobs } = run.statistics.counters();
    const others = await here.evaluate(expected.map((matrix) => matrix.expr));
    for (const [i, value] of values.entries()) {
      const other = others[i];
      assert.ok(value.kind === 'dense' && other?.kind === 'dense');
      assertClose(value, other, 1e-10, `value ${i}`);
    }
    session.cache.clear();
    await local.close();
    return { passes, sparkJobs };
  }

  it('cuts rows and columns, and reduces what is cut in one pass', async () => {
    const counts = await same((session) => {
      const part = data(session, 1).slice([1234, 80_000], [2, 13]);
      return [part.tsmm(), part.colSums(), part.max().asMatrix()];
    });
    assert.deepEqual(counts, { passes: 1, sparkJobs: 1 });
  });

  it('cuts a single row, and rows of one partition only', async () => {
    const counts = await same((session) => [
      data(session, 1).slice(89_999),
      data(session, 1).slice([5, 9]),
    ]);
    assert.ok(counts.sparkJobs <= 2, `${counts.sparkJobs} jobs`);
  });

  it('stacks parts of unlike heights, and reduces them in one pass', async () => {
    const counts = await same((session) => {
      const [a, b, c] = [data(session, 1), data(session, 2, 70_003), data(session, 3, 66_000)];
      const [ay, by, cy] = [a, b, c].map((part) => part.rowSums());
      const X = a.rbind(b, c);
      const y = ay!.rbind(by!, cy!);
      // Of a column that is not stacked, so that reductions cannot be taken part by part.
      const weighted = X.mul(rand(session, X.rows, 1, { seed: 4 }));
      return [weighted.tsmm(), weighted.t().matmul(y), weighted.min().asMatrix()];
    });
    assert.deepEqual(counts, { passes: 1, sparkJobs: 1 });
  });

  it('selects the training rows of a fold, counting them first', async () => {
    const rows = ROWS - Math.floor(ROWS / 5);
    const counts = await same((session) => {
      const X = data(session, 4);
      const y = X.rowSums().square();
      const mask = folds(session, 5, true).ne(4);
      const [trainX, trainY] = [selectRows(X, mask, rows), selectRows(y, mask, rows)];
      return [trainX.tsmm(), trainX.t().matmul(trainY)];
    });
    assert.deepEqual(counts, { passes: 1, sparkJobs: 2 });
  });

  it('selects rows of one end, which leaves partitions empty', async () => {
    await same((session) => {
      const X = data(session, 5);
      const fold = folds(session, 7);
      const last = selectRows(X, fold.eq(6), Math.floor(ROWS / 7));
      return [last.colMins(), last.colMaxs(), last.rowIndexMax().sum().asMatrix()];
    });
  });

  it('refuses a wrong number of rows', async () => {
    const { session } = await shared.session({ rddReuse: 'off' });
    const X = data(session, 5);
    const mask = folds(session, 7).eq(6);
    await assert.rejects(selectRows(X, mask, 10).tsmm().value(), /expected 10 rows .* got 12857/);
  });

  it('moves rows that were moved, and aligns what is cut differently', async () => {
    await same((session) => {
      const X = data(session, 6);
      const both = X.slice([10_000, 60_000]).rbind(data(session, 7).slice([0, 40_500]));
      const lagged = X.slice([1, ROWS]).sub(X.slice([0, ROWS - 1]));
      return [both.tsmm(), lagged.colSums(), lagged.tsmm(), both.slice([49_990, 50_010])];
    });
  });

  it('does all that on compressed rows, whose zeros are not kept', async () => {
    const { session } = await shared.session({ rddReuse: 'off' });
    const sparse = data(session, 8, ROWS, 0.05);
    await session.persist([sparse.expr]);
    const { handles } = await shared.storage();
    const stored = handles.reduce((sum, held) => sum + held.memoryBytes + held.diskBytes, 0);
    const dense = ROWS * 16 * 8;
    assert.ok(stored > 0 && stored < dense / 4, `${stored} of ${dense} bytes`);
    session.cache.clear();
    await same((other) => {
      const X = data(other, 8, ROWS, 0.05);
      const v = rand(other, 16, 2, { seed: 1 });
      const cut = X.slice([777, 88_000], [1, 15]);
      const twice = X.mul(2).rbind(X.abs());
      return [
        X.tsmm(),
        X.mmchain(v),
        cut.colSums(),
        cut.min().asMatrix(),
        twice.tsmm(),
        X.exp().sum().asMatrix(),
      ];
    });
  });

  it('computes the products of a factorisation over the cells that are there', async () => {
    const counts = await same((session) => {
      const X = rand(session, 60_000, 40, { seed: 9, min: 1, max: 5, sparsity: 0.05 });
      const U = rand(session, 60_000, 3, { seed: 10 });
      const V = rand(session, 40, 3, { seed: 11 });
      const of = { X, U, V };
      return [
        weightedLoss(of).asMatrix(),
        weightedProduct(of, { cells: 'residual', side: 'left' }),
        weightedProduct(of, { cells: 'residual', side: 'right' }).colSums(),
        weightedProduct(of, { cells: 'quotient', side: 'left' }),
      ];
    });
    assert.deepEqual(counts, { passes: 1, sparkJobs: 1 });
  });

  it('computes over compressed rows that were sent as they are, whose cells would not fit', async () => {
    const [cols, perRow] = [100_000, 3];
    const count = ROWS * perRow;
    const of = {
      rows: ROWS,
      cols,
      rowIndices: Int32Array.from({ length: count }, (_, k) => Math.floor(k / perRow)),
      columns: Int32Array.from({ length: count }, (_, k) => (k * 7919) % cols),
      values: Float64Array.from({ length: count }, (_, k) => 1 + (k % 5)),
    };
    const counts = await same((session) => {
      const X = coo(session, of);
      const factors = {
        X,
        U: rand(session, ROWS, 3, { seed: 10 }),
        V: rand(session, cols, 3, { seed: 11 }),
      };
      return [
        X.mmchain(rand(session, cols, 4, { seed: 1 })),
        X.t().matmul(rand(session, ROWS, 2, { seed: 2 })),
        X.colSumSqs(),
        weightedProduct(factors, { cells: 'quotient', side: 'left' }),
      ];
    });
    assert.deepEqual(counts, { passes: 1, sparkJobs: 1 });
  });
});
