/**
 * Compressed rows on this machine: matrices whose cells would never fit go through products, sums,
 * cells, moves and factorisations, on all threads, and are kept, spilled and stored as they are.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { ResourceError, ShapeError } from '../../../../driver/errors.js';
import type { Matrix } from '../../../../driver/index.js';
import {
  CsrMatrix,
  coo,
  csr,
  DurableStore,
  deserializeLineage,
  lineageKey,
  matrix,
  Session,
  serializeLineage,
  weightedCrossEntropy,
  weightedLoss,
  weightedProduct,
} from '../../../../driver/index.js';
import { csrFromBytes, csrOf, csrToBytes } from '../../../../driver/ir/csr.js';
import { contentDigest } from '../../../../driver/ir/lineage-key.js';
import { type DenseMatrix, dense } from '../../../../driver/ir/value.js';
import { readSpillFile, writeSpillFile } from '../../../../driver/reuse/spill-file.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';

/** 100,000 x 150,000 with three cells a row, of which the cells would take 120 GB. */
const ROWS = 100_000;
const COLS = 150_000;
const PER_ROW = 3;
/** Columns of products: an odd number, of those that lanes take. */
const N = 9;
const columnOf = (i: number, k: number): number => (i * 7919 + k * 50_021) % COLS;
const cellOf = (i: number, k: number): number => 1 + ((i * 31 + k) % 5);

function triplets() {
  const count = ROWS * PER_ROW;
  const [rowIndices, columns] = [new Int32Array(count), new Int32Array(count)];
  const values = new Float64Array(count);
  for (let i = 0, at = 0; i < ROWS; i++) {
    for (let k = 0; k < PER_ROW; k++, at++) {
      rowIndices[at] = i;
      columns[at] = columnOf(i, k);
      values[at] = cellOf(i, k);
    }
  }
  return { rows: ROWS, cols: COLS, rowIndices, columns, values };
}

const wave = (rows: number, cols: number, step: number) =>
  dense(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => 1.5 + Math.sin(i * step)),
  );

describe('compressed rows on this machine', () => {
  let session: Session;
  let X: Matrix;
  before(async () => {
    session = new Session({ local: await createCpuBackend({ helperFlops: 0 }) });
    X = coo(session, triplets());
  });
  after(() => session.close());

  it('are multiplied from both sides, however many cells they stand for', async () => {
    const [w, r] = [wave(COLS, N, 0.7), wave(ROWS, N, 0.3)];
    const [product, back, chain] = await Promise.all([
      X.matmul(matrix(session, w)).value(),
      X.t().matmul(matrix(session, r)).value(),
      X.mmchain(matrix(session, w)).value(),
    ]);
    const own = new Float64Array(ROWS * N);
    const [sums, chained] = [new Float64Array(COLS * N), new Float64Array(COLS * N)];
    for (let i = 0; i < ROWS; i++) {
      for (let k = 0; k < PER_ROW; k++) {
        for (let j = 0; j < N; j++) {
          own[i * N + j]! += cellOf(i, k) * w.data[columnOf(i, k) * N + j]!;
          sums[columnOf(i, k) * N + j]! += cellOf(i, k) * r.data[i * N + j]!;
        }
      }
      for (let k = 0; k < PER_ROW; k++) {
        for (let j = 0; j < N; j++) {
          chained[columnOf(i, k) * N + j]! += cellOf(i, k) * own[i * N + j]!;
        }
      }
    }
    assertClose(product, dense(ROWS, N, own), 1e-12, 'X W');
    assertClose(back, dense(COLS, N, sums), 1e-12, 't(X) R');
    assertClose(chain, dense(COLS, N, chained), 1e-12, 't(X) X W');
  });

  it('are summed, mapped and cut without their cells', async () => {
    let [total, squares] = [0, 0];
    const columns = new Float64Array(COLS);
    for (let i = 0; i < ROWS; i++) {
      for (let k = 0; k < PER_ROW; k++) {
        total += cellOf(i, k);
        squares += cellOf(i, k) ** 2;
        columns[columnOf(i, k)]! += cellOf(i, k);
      }
    }
    assert.equal(await X.sum().value(), total);
    assert.equal(await X.square().sum().value(), squares);
    assert.deepEqual((await X.colSums().value()).data, columns);
    assert.equal(await X.min().value(), 0);
    const halves = await X.mul(0.5).value();
    assert.ok(halves instanceof CsrMatrix);
    assert.equal(halves.nnz, ROWS * PER_ROW);
    const doubled = X.add(X).slice([10, ROWS - 10], [0, 100_000]);
    const part = await doubled.value();
    assert.ok(part instanceof CsrMatrix);
    assert.equal(
      Float64Array.from(part.values).reduce((sum, cell) => sum + cell, 0),
      await doubled.sum().value(),
    );
    const ranked = await X.rbind(X).rowSums().value();
    assert.equal(ranked.data[ROWS + 7], ranked.data[7]);
    const scaled = X.div(X.rowSums());
    assert.ok(Math.abs((await scaled.sum().value()) - ROWS) < 1e-6);
    assert.ok((await X.t().value()) instanceof CsrMatrix);
  });

  it('are factorised at their cells alone', async () => {
    const [U, V] = [wave(ROWS, 3, 0.11), wave(COLS, 3, 0.23)];
    const of = { X, U: matrix(session, U), V: matrix(session, V) };
    const left = await weightedProduct(of, { cells: 'quotient', side: 'left', plus: 0.25 }).value();
    const right = await weightedProduct(of, {
      cells: 'quotient',
      side: 'right',
      plus: 0.25,
    }).value();
    const [ownLeft, ownRight] = [new Float64Array(COLS * 3), new Float64Array(ROWS * 3)];
    let [loss, entropy] = [0, 0];
    for (let i = 0; i < ROWS; i++) {
      for (let k = 0; k < PER_ROW; k++) {
        const j = columnOf(i, k);
        let product = 0;
        for (let f = 0; f < 3; f++) product += U.data[i * 3 + f]! * V.data[j * 3 + f]!;
        loss += (cellOf(i, k) - product) ** 2;
        entropy += cellOf(i, k) * Math.log(Math.max(product, 4));
        for (let f = 0; f < 3; f++) {
          ownLeft[j * 3 + f]! += (cellOf(i, k) / (product + 0.25)) * U.data[i * 3 + f]!;
          ownRight[i * 3 + f]! += (cellOf(i, k) / (product + 0.25)) * V.data[j * 3 + f]!;
        }
      }
    }
    assertClose(left, dense(COLS, 3, ownLeft), 1e-12, 't(P) U');
    assertClose(right, dense(ROWS, 3, ownRight), 1e-12, 'P V');
    const got = await weightedLoss(of).value();
    assert.ok(Math.abs(got - loss) < 1e-9 * loss);
    const logs = await weightedCrossEntropy(of, { least: 4 }).value();
    assert.ok(Math.abs(logs - entropy) < 1e-9 * Math.abs(entropy));
  });

  it('are factorised where a row is long, weights are compressed and a factor is infinite', async () => {
    const reference = new Session({ local: createReferenceBackend() });
    const cols = 9000;
    const cells = Float64Array.from({ length: 3 * cols }, (_, i) =>
      i < cols ? 1 + (i % 7) : i % 911 === 0 ? 2 : 0,
    );
    const [x, w] = [dense(3, cols, cells), dense(3, cols, cells.slice().reverse())];
    const [u, v] = [wave(3, 5, 0.7), wave(cols, 5, 0.3)];
    v.data[cols * 5 - 7] = Number.POSITIVE_INFINITY;
    for (const weights of [undefined, w]) {
      for (const side of ['left', 'right'] as const) {
        const product = (on: Session, form: (value: DenseMatrix) => DenseMatrix) => {
          const [U, V] = [matrix(on, u), matrix(on, v)];
          const own = weights ? { weights: matrix(on, form(weights)) } : {};
          const of = { X: matrix(on, form(x)), U, V, ...own };
          return weightedProduct(of, { cells: 'quotient', side }).value();
        };
        const wanted = await product(reference, (value) => value);
        for (const form of [csrOf, (value: DenseMatrix) => value]) {
          const got = await product(session, form);
          assertClose(got, wanted, 1e-12, `${side} ${weights ? 'weighted' : ''}`);
        }
      }
    }
  });

  it('are refused where all their cells would be needed', async () => {
    await assert.rejects(X.add(1).value(), (error: unknown) => {
      assert.ok(error instanceof ResourceError, String(error));
      assert.match(error.message, /add: expected a result of at most .* got 100000x150000 cells/);
      return true;
    });
    await assert.rejects(X.toArray(), /sparse matrix: expected an operator that reads compressed/);
  });

  it('make NaN of a zero that meets an infinity, as dense cells do', async () => {
    const small = matrix(
      session,
      csrOf(dense(3, 4, Float64Array.of(1, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0))),
    );
    const cells = matrix(session, 3, 4, [1, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0]);
    const w = matrix(session, 4, 1, [1, Infinity, 2, NaN]);
    for (const of of [
      (x: Matrix) => x.matmul(w),
      (x: Matrix) => x.mul(w.t()),
      (x: Matrix) => x.div(matrix(session, 3, 1, [0, 1, 2])),
    ]) {
      assertClose(await of(small).value(), await of(cells).value(), 0, 'with an infinity');
    }
  });

  it('are told apart by content, and are the same from rows and from places', async () => {
    const of = { rows: 2, cols: 3, rowStarts: [0, 3, 3], columns: [2, 0, 2], values: [1, 5, 2] };
    const given = await csr(session, of).value();
    assert.deepEqual([...given.data], [5, 0, 3, 0, 0, 0]);
    const placed = { rows: 2, cols: 3, rowIndices: [0, 0], columns: [2, 0], values: [3, 5] };
    assert.equal(coo(session, placed).expr, csr(session, of).expr);
    const digest = contentDigest(given);
    assert.notEqual(digest, contentDigest(csrOf(dense(2, 3, Float64Array.of(0, 5, 3, 0, 0, 0)))));
    const view = csrOf(dense(3, 3, Float64Array.of(9, 9, 9, 5, 0, 3, 0, 0, 0))).rowsView(1, 3);
    assert.equal(digest, contentDigest(view));
  });

  it('refuse what is no matrix of rows, with what is wrong', () => {
    const good = { rows: 2, cols: 3, rowStarts: [0, 1, 2], columns: [2, 0], values: [1, 2] };
    const wrong: readonly [Partial<typeof good>, RegExp][] = [
      [{ rows: 0 }, /csr: expected rows and cols from 1 to/],
      [
        { rowStarts: [0, 2] },
        /csr: expected rowStarts of 3 numbers from 0 to 2, got 2 from 0 to 2/,
      ],
      [
        { rowStarts: [0, 3, 2] },
        /csr: expected rowStarts that do not fall, got a fall after row 1/,
      ],
      [{ rowStarts: [0, 1.5, 2] }, /csr: expected whole rowStarts from 0 to 2, got 1.5 at 1/],
      [{ columns: [3, 0] }, /csr: expected whole columns from 0 to 2, got 3 at 0/],
      [{ columns: [0] }, /csr: expected a column for each value/],
    ];
    for (const [change, message] of wrong) {
      assert.throws(
        () => csr(session, { ...good, ...change }),
        (error: unknown) => {
          assert.ok(error instanceof ShapeError, String(error));
          assert.match(error.message, message);
          return true;
        },
      );
    }
    const placed = { rows: 2, cols: 3, rowIndices: [2], columns: [0], values: [1] };
    assert.throws(
      () => coo(session, placed),
      /coo: expected whole rowIndices from 0 to 1, got 2 at 0/,
    );
    const column = { ...placed, rowIndices: [1], columns: [3] };
    assert.throws(
      () => coo(session, column),
      /coo: expected whole columns from 0 to 2, got 3 at 0/,
    );
    const texts = { ...placed, rowIndices: [1], values: ['a'] as unknown as number[] };
    assert.throws(() => coo(session, texts), /coo: expected a number as value 0, got/);
    const text = { ...good, values: ['a', 2] as unknown as number[] };
    assert.throws(() => csr(session, text), /csr: expected a number as value 0, got/);
  });

  it('come back from bytes and from a file as they were', async () => {
    const value = csrOf(dense(3, 4, Float64Array.of(1, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, -1)));
    const shape = { rows: 3, cols: 4, dtype: 'float64', nnz: 4 } as const;
    assert.deepEqual(csrFromBytes(shape, csrToBytes(value)).data, value.data);
    assert.throws(() => csrFromBytes({ ...shape, nnz: 3 }, csrToBytes(value)), /got other bytes/);
    const folder = mkdtempSync(join(tmpdir(), 'csr-'));
    try {
      const back = await readSpillFile(await writeSpillFile(join(folder, '1'), 1, value));
      assert.ok(back instanceof CsrMatrix);
      assert.equal(contentDigest(back), contentDigest(value));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('come back from the durable store and from a stored lineage as they were', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'csr-store-'));
    const placed = { rows: 9, cols: 40, rowIndices: [0, 8], columns: [39, 0], values: [3, -2] };
    const own = coo(session, placed);
    const value = await own.value();
    try {
      const store = await DurableStore.open(folder);
      const key = lineageKey(own.expr);
      const meta = { op: 'test', seconds: 1, createdAt: new Date(0).toISOString() };
      assert.ok(await store.put(key, value, meta));
      const found = (await store.get(key))?.value;
      assert.ok(found instanceof CsrMatrix);
      assert.equal(contentDigest(found), contentDigest(value));
    } finally {
      rmSync(folder, { recursive: true });
    }
    const stored = JSON.parse(JSON.stringify(serializeLineage([own.expr])));
    const [root] = deserializeLineage(stored, session).roots;
    assert.equal(root, own.expr);
  });
});
