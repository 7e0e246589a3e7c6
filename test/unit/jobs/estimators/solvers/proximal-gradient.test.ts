/** The elastic net by passes over the rows ends where its gap says so, whatever steps it took. */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../../../../driver/backend/reference-backend.js';
import { matrix, ones, Session, scalar } from '../../../../../driver/index.js';
import { fitElasticNetRows } from '../../../../../jobs/estimators/solvers/proximal-gradient.js';
import { rowData } from '../../../../support/row-data.js';

describe('an elastic net by rows', () => {
  it('has the gap it says, though its first steps are far too long', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const n = 40;
    const x = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : -1));
    // All columns are the target: a step by the diagonal goes as often too far as there are columns.
    const X = matrix(
      session,
      x.map((cell) => new Array<number>(60).fill(cell)),
    );
    const rows = rowData(X, matrix(session, n, 1, x), ones(session, n, 1), 0);
    const { weights, ending } = await fitElasticNetRows({
      rows,
      // The gap of no coefficients at all is 0.99e-4.
      alpha: scalar(session, 0.9859).asMatrix(),
      ratio: scalar(session, 1).asMatrix(),
      hasIntercept: false,
      tol: 1e-4,
      maxIterations: 1000,
    });
    const w = [...(await weights.value()).data].slice(0, 60);
    const total = w.reduce((sum, cell) => sum + cell, 0);
    const objective =
      (1 - total) ** 2 / 2 + 0.9859 * w.reduce((sum, cell) => sum + Math.abs(cell), 0);
    const least = 0.5 - (1 - 0.9859) ** 2 / 2;
    assert.ok((await ending.value()).data[0]! <= 1e-4);
    assert.ok(objective - least <= 1e-4, `${objective}, not ${least}`);
    await session.close();
  });
});
