/** Ranks, average precision and quantiles by group, against scikit-learn 1.9.1 and numpy. */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import {
  groupPrecision,
  groupQuantile,
  groupRanks,
  matrix,
  Session,
} from '../../../../driver/index.js';
import { evaluateExpr } from '../../../support/plan.js';

const session = new Session({ local: createReferenceBackend() });
const column = (...cells: number[]) => matrix(session, cells.length, 1, Float64Array.from(cells));

describe('ranked groups', () => {
  const g = column(0, 0, 0, 0, 0, 0, 1, 1, 1);
  const y = column(0, 1, 1, 0, 1, 0, 1, 1, 1);
  const scores = column(0.1, 0.4, 0.35, 0.4, 0.8, 0.2, 3, 2, 1);
  const two = { groups: 2, classes: 2, width: 1 };

  it('count pairs in order, ties half: roc_auc_score is 0.8333 of 9 pairs', () => {
    const { data } = evaluateExpr(groupRanks(g, y, scores, two).expr);
    assert.deepEqual([...data], [7.5, 0, 0, 0]);
  });

  it('average precision as average_precision_score', () => {
    const { data } = evaluateExpr(groupPrecision(g, y, scores, two).expr);
    assert.ok(Math.abs(data[0]! - 0.8055555555555556) < 1e-15, `${data[0]}`);
    assert.equal(data[1], 1);
    const none = evaluateExpr(groupPrecision(g, y.mul(0), scores, two).expr);
    assert.deepEqual([...none.data], [0, 0]);
  });

  it('say nothing of scores that are NaN', () => {
    const broken = column(0.1, Number.NaN, 0.35, 0.4, 0.8, 0.2, 3, 2, 1);
    const { data } = evaluateExpr(groupRanks(g, y, broken, two).expr);
    assert.deepEqual([...data], [Number.NaN, 0, 0, 0]);
    const quantiles = evaluateExpr(groupQuantile(g, broken, 2, 0.5).expr);
    assert.deepEqual([...quantiles.data], [Number.NaN, 2]);
  });

  it('quantiles between two values as numpy.quantile', () => {
    const at = (q: number) => [...evaluateExpr(groupQuantile(g, scores, 3, q).expr).data];
    assert.deepEqual(at(0.5), [0.375, 2, Number.NaN]);
    assert.deepEqual(at(1), [0.8, 3, Number.NaN]);
    assert.ok(Math.abs(at(0.3)[0]! - 0.275) < 1e-15);
  });
});
