/** Large values that only passes read: made in the pass, block by block, or whole where not. */
import assert from 'node:assert/strict';
import type { Expr } from '../../driver/ir/expr.js';
import { cellsOf } from '../../driver/ir/value.js';
import { matrix, seq } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { bestColumns } from '../../driver/matrix/regroup.js';
import { Session } from '../../driver/runtime/session.js';
import { type CpuBackend, createCpuBackend } from '../../gpu-executor/cpu/index.js';

const ROWS = 30_000;
const MODELS = 20;

describe('host data by row blocks', () => {
  let cpu: CpuBackend;
  before(async () => {
    cpu = await createCpuBackend();
  });
  after(() => cpu.close());

  function data(rows = ROWS): { session: Session; x: Matrix; w: Matrix; g: Matrix } {
    const session = new Session({ local: cpu });
    const cells = (r: number, c: number) => cellsOf('float64', r * c).fill(0.5);
    const x = matrix(session, rows, 8, cells(rows, 8));
    const w = matrix(session, 8, MODELS, cells(8, MODELS));
    return { session, x, w, g: matrix(session, rows, 1, cells(rows, 1)) };
  }

  /** How each node of that operator is evaluated. */
  function how(
    session: Session,
    op: string,
    ...roots: readonly { readonly expr: Expr }[]
  ): string[] {
    const { nodes } = session.plan(roots.map(({ expr }) => expr));
    return nodes.filter(({ expr }) => expr.op.name === op).map((node) => node.how.kind);
  }

  it('makes products and cells in the pass that sums them', () => {
    const { session, x, w, g } = data();
    const residual = x.matmul(w).sigmoid().sub(g);
    const gradient = x.t().matmul(residual);
    assert.deepEqual(how(session, 'matmul', gradient), ['rows', 'reduce']);
    assert.deepEqual(how(session, 'sigmoid', gradient, residual.colSums()), ['rows']);
  });

  it('takes sums of rows along', () => {
    const { session, x, w } = data();
    const z = x.matmul(w).exp();
    const sums = z.div(z.rowSums()).colSums();
    assert.deepEqual(how(session, 'rowSums', sums), ['rows']);
    assert.deepEqual(how(session, 'matmul', sums), ['rows']);
  });

  it('makes long products of large rows there, however small', () => {
    const session = new Session({ local: cpu });
    const x = matrix(session, ROWS, 100, cellsOf('float64', ROWS * 100).fill(1));
    const made = (models: number): Matrix =>
      bestColumns(
        x,
        matrix(session, 101, 2 * models, cellsOf('float64', 202 * models)),
        Array.from({ length: models }, () => 2),
      );
    assert.deepEqual(how(session, 'bestColumns', made(20).colSums()), ['rows']);
    assert.deepEqual(how(session, 'bestColumns', made(5).colSums()), ['whole']);
  });

  it('writes what is asked for as well on the way', async () => {
    const { session, x, w } = data();
    const at = seq(session, 0, ROWS - 1).mul(w.row(0).slice(null, 0));
    const z = x.matmul(w).add(at);
    assert.deepEqual(how(session, 'matmul', z.colSums(), z), ['rows']);
    const [rows, sums] = await Promise.all([z.value(), z.colSums().value()]);
    // 8 products of a half by a half, and half the row's number.
    const expected = (cell: number): number => 2 + Math.floor(cell / MODELS) / 2;
    assert.ok(rows.data.every((cell, i) => cell === expected(i)));
    assert.ok(sums.data.every((sum) => sum === 2 * ROWS + (ROWS * (ROWS - 1)) / 4));
  });

  it('leaves alone what is small, wide, or read in two passes', () => {
    const { session, x, w } = data();
    const z = x.matmul(w);
    assert.deepEqual(how(session, 'matmul', z), ['whole']);
    const centred = z.sub(z.colSums());
    assert.deepEqual(how(session, 'matmul', centred.square().colSums()), ['whole']);
    const small = data(3000);
    assert.deepEqual(how(small.session, 'matmul', small.x.matmul(small.w).colSums()), ['whole']);
    const wide = matrix(session, 8, 600, cellsOf('float64', 4800).fill(1));
    const products = x.slice([0, 1000]).matmul(wide);
    assert.deepEqual(how(session, 'matmul', products.exp().sum()), ['whole']);
  });

  it('makes a product whole once it was asked for again, and cells never', async () => {
    const { session, x, w, g } = data();
    const z = x.matmul(w);
    const isOther = g.ne(w.row(0));
    await z.mul(isOther).colSums().value();
    assert.deepEqual(how(session, 'matmul', z.square().colSums()), ['whole']);
    for (const step of [2, 3, 4]) {
      const again = x.matmul(w.mul(step)).mul(isOther).colSums();
      assert.deepEqual(how(session, 'ne', again), ['rows']);
      await again.value();
    }
  });
});
