/** A search under each setting of `reuse`: equal scores, and how often its sums and fits are made. */
import assert from 'node:assert/strict';
import type { Backend } from '../../../../driver/backend/backend.js';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { matrix, type ReuseSetting, Session } from '../../../../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { logistic } from '../../../../jobs/estimators/logistic.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';

const [ROWS, COLUMNS] = [300, 4];
const cells = Float64Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i * i * 0.37 + i));
const target = Float64Array.from(
  { length: ROWS },
  (_, i) => 2 * cells[i * COLUMNS]! - cells[i * COLUMNS + 1]! + Math.cos(i * 0.9) / 3,
);
/** Two candidates on three folds, and the best on all rows. */
const FITS = 7;

/** Counts the products of all columns with each other. */
function counting(backend: Backend): { readonly local: Backend; readonly products: () => number } {
  let count = 0;
  const { runSync } = backend;
  const local: Backend = {
    ...backend,
    runSync: (expr, inputs) => {
      if (expr.op.name === 'groupGram' && expr.cols > COLUMNS) count++;
      return runSync!(expr, inputs);
    },
  };
  return { local, products: () => count };
}

interface Searched {
  readonly scores: readonly number[];
  readonly coefficients: readonly number[];
}

async function search(session: Session, which: 'ridge' | 'logistic'): Promise<Searched> {
  const isRidge = which === 'ridge';
  const y = isRidge ? target : target.map((value) => (value > 0 ? 1 : 0));
  const own = isRidge
    ? { estimator: ridge, grid: { lambda: [0.1, 10] } }
    : {
        ...{ estimator: logistic, grid: { C: [0.1, 10] }, classes: [0, 1] },
        params: { tol: 1e-10, max_iter: 500 },
      };
  const { trials, model } = await gridSearch(session, {
    X: matrix(session, ROWS, COLUMNS, cells),
    y: matrix(session, ROWS, 1, y),
    cv: { folds: 3 },
    scoring: [isRidge ? 'neg_mean_squared_error' : 'neg_log_loss'],
    ...own,
  });
  return {
    scores: trials.flatMap(({ splitScores }) => Object.values(splitScores).flat()),
    coefficients: [...model!.coefficients].flat(),
  };
}

describe('a search under the setting reuse', () => {
  let cpu: CpuBackend;
  before(async () => {
    cpu = await createCpuBackend();
  });
  after(() => cpu.close());

  /** By setting: products of columns of a first search, and of the same again in the session. */
  const PRODUCTS: Readonly<Partial<Record<ReuseSetting, readonly [number, number]>>> = {
    // Each fit makes its own.
    off: [FITS, FITS],
    predictions: [FITS, FITS],
    input: [FITS, FITS],
    operators: [1, 0],
    steps: [FITS, 0],
    // Fits are there; the scores of each candidate are made of sums again.
    functions: [FITS, 2],
    full: [1, 0],
  };

  for (const [reuse, [first, again]] of Object.entries(PRODUCTS)) {
    it(`${reuse}: makes the sums of ridge ${first} times, then ${again}, for equal scores`, async () => {
      const { local, products } = counting(createReferenceBackend());
      const session = new Session({ local, reuse: reuse as ReuseSetting });
      const one = await search(session, 'ridge');
      assert.equal(products(), first);
      const two = await search(session, 'ridge');
      assert.equal(products() - first, again);
      const cold = await search(new Session({ local: createReferenceBackend() }), 'ridge');
      assert.deepEqual([one, two], [cold, cold], 'to the bit');
    });
  }

  it('trains each model once where its setting keeps models, for scores equal to 1e-10', async () => {
    const cold = await search(new Session({ local: cpu }), 'logistic');
    for (const [reuse, runs] of [
      ['off', 2 * FITS],
      ['operators', 2 * FITS],
      ['steps', FITS],
      ['functions', FITS],
      ['full', FITS],
    ] as const) {
      const session = new Session({ local: cpu, reuse });
      for (let i = 0; i < 2; i++) {
        const { scores } = await search(session, 'logistic');
        assert.equal(scores.length, cold.scores.length);
        for (const [k, score] of scores.entries()) {
          assert.ok(Math.abs(score - cold.scores[k]!) < 1e-10, `${reuse}: ${score}`);
        }
      }
      const { name, version } = logistic;
      assert.equal(session.functions.countsOf(`fit ${name}`, String(version)).runs, runs, reuse);
    }
  });
});
