/**
 * Columns that are problems of their own end as if alone: one whose step is small before those of
 * the others are is not moved by it again in each pass that the others take. Passes of fewer digits
 * end them where that is sure.
 */
import assert from 'node:assert/strict';
import { type Matrix, matrix, ones, Session } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import { minimise } from '../../../../../jobs/estimators/solvers/quasi-newton.js';

/** Diagonals of quadratic forms with their least points at 1: easy, and ever harder. */
const FORMS = [
  [1.02, 0.99, 1, 1.01, 1.03, 0.98],
  [1, 2, 4, 8, 16, 32],
  [1, 9, 40, 200, 900, 4000],
];

describe('descent of several columns', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  /** @param rounding of rough passes, which lead; absent: none do */
  const descend = async (columns: readonly number[], rounding?: number) => {
    const rows = FORMS[0]!.map((_, i) => columns.map((c) => FORMS[c]![i]!));
    const form = matrix(session, rows);
    let passes = 0;
    const gradient = (point: Matrix): Matrix => {
      passes++;
      return point.sub(1).mul(form);
    };
    const rough = (point: Matrix): Matrix => point.cast('float32').cast('float64').sub(1).mul(form);
    const { point } = await minimise({
      ...(rounding === undefined ? {} : { rough, rounding: () => matrix(session, [[rounding]]) }),
      start: matrix(session, form.rows, form.cols, new Float64Array(form.rows * form.cols)),
      ...{ gradient, hessian: ones(session, form.rows, 1), measured: ones(session, form.rows, 1) },
      floor: matrix(session, [[1e-20]]),
      ...{ joint: false, tolerance: 1e-2, maxIterations: 200 },
    });
    return { passes, point: (await point.value()).data };
  };

  it('takes as many passes as the hardest alone', async () => {
    const alone = await Promise.all(FORMS.map(async (_, c) => (await descend([c])).passes));
    const { passes, point } = await descend([0, 1, 2]);
    assert.ok(passes <= Math.max(...alone) + 1, `${passes} passes, alone ${alone}`);
    for (const cell of point) assert.ok(Math.abs(cell - 1) < 0.05, `${cell}, not 1`);
  });

  it('ends by rough passes where their rounding is far below the tolerance', async () => {
    const sure = await descend([0, 1], 1e-10);
    // A step is traced, which is what the loop is known by.
    assert.equal(sure.passes, 1);
    for (const cell of sure.point) assert.ok(Math.abs(cell - 1) < 0.05, `${cell}, not 1`);
    for (const rounding of [1, Number.NaN]) {
      assert.ok((await descend([0, 1], rounding)).passes > 1, `a rounding of ${rounding}`);
    }
  });
});
