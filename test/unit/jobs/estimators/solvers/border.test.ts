/**
 * The ridge system of one category with numbers and a small category beside it: its inverse, and the
 * weights that conjugate gradients end at with it, are those of a solve of the products.
 */
import assert from 'node:assert/strict';
import { type Matrix, matrix, Session } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import type { RowData } from '../../../../../jobs/estimators/estimator.js';
import { type BesideCategory, bordered } from '../../../../../jobs/estimators/solvers/border.js';
import { fitRidgeRows } from '../../../../../jobs/estimators/solvers/conjugate-gradient.js';
import { rowDesign } from '../../../../../jobs/search/row-design.js';

const ROWS = 240;
const SIZES = [9, 3];

interface Problem {
  readonly rows: RowData & { readonly border: BesideCategory };
  /** X'WX about the means or the origin, [d, d], and X'W y. */
  readonly system: Matrix;
  readonly right: Matrix;
}

/** Two categories, two numbers far from 0 and one that never changes; group 1 of 3 is held out. */
async function problem(hasIntercept: boolean, isWeighted: boolean) {
  const session = new Session({ local: await createCpuBackend() });
  const ones = SIZES.reduce((sum, size) => sum + size, 0);
  const d = ones + 3;
  const cells = new Float64Array(ROWS * d);
  for (let i = 0; i < ROWS; i++) {
    let from = 0;
    for (const [c, size] of SIZES.entries()) {
      cells[i * d + from + Math.floor(size * Math.abs(Math.sin(i * (c + 2))))] = 1;
      from += size;
    }
    cells.set([50 + Math.sin(i * 5), -3 + 0.1 * Math.cos(i * 7), 4], i * d + ones);
  }
  const column = (of: (i: number) => number) =>
    matrix(
      session,
      ROWS,
      1,
      Float64Array.from({ length: ROWS }, (_, i) => of(i)),
    );
  const X = matrix(session, ROWS, d, cells);
  const y = column((i) => Math.sin(i) + (i % 5));
  const groupOf = column((i) => i % 3);
  const sampleWeight = isWeighted ? column((i) => 1 + (i % 4)) : undefined;
  const isTraining = groupOf.eq(1).not();
  const weight = sampleWeight ? isTraining.mul(sampleWeight) : isTraining;
  const momentsBy = (w: Matrix) => {
    const mean = X.t().matmul(w).div(w.sum());
    const spread = X.sub(mean.t()).square().mul(w).colSums().t();
    return { count: w.sum().asMatrix(), mean, spread };
  };
  const own = momentsBy(weight);
  const all = momentsBy(sampleWeight ?? groupOf.ge(0));
  const target = y.mul(weight).sum().div(weight.sum()).asMatrix();
  const given = { ...own, target, allCount: all.count, allMean: all.mean, allSpread: all.spread };
  const beside = Array.from({ length: d - SIZES[0]! }, (_, j) => SIZES[0]! + j);
  const chosen = matrix(session, beside.map((one) => Array.from({ length: d }, (_, j) => (j === one ? 1 : 0)))).t(); // biome-ignore format: a selection
  const trains = matrix(session, [[1], [0], [1]]);
  const border = { chosen, groupOf, trains, ...(sampleWeight ? { sampleWeight } : {}) };
  const rows = { X, y, weight, classes: 0, models: 1, design: rowDesign(given, d), border };
  const about = hasIntercept ? X.sub(own.mean.t()) : X;
  const shifted = hasIntercept ? y.sub(target) : y;
  const system = about.t().matmul(about.mul(weight));
  return { rows, system, right: about.t().matmul(shifted.mul(weight)) } satisfies Problem;
}

async function largest(m: Matrix): Promise<number> {
  return (await m.abs().max().asMatrix().value()).data[0]!;
}

describe('a bordered ridge system', () => {
  for (const hasIntercept of [true, false]) {
    for (const isWeighted of [true, false]) {
      const called = `${hasIntercept ? 'with' : 'without'} intercept, ${isWeighted ? 'weighted' : 'rows alike'}`;
      it(`is inverted: ${called}`, async () => {
        const { rows, system, right } = await problem(hasIntercept, isWeighted);
        const l2 = matrix(right.session, [[0.3]]);
        const z = bordered(rows, { l2, hasIntercept })(right);
        const residual = system.matmul(z).add(z.mul(l2)).sub(right);
        assert.ok((await largest(residual)) <= 1e-9 * (await largest(right)));
      });

      it(`leads to the weights of a solve: ${called}`, async () => {
        const { rows, system, right } = await problem(hasIntercept, isWeighted);
        const l2 = matrix(right.session, [[0.3]]);
        const { weights, ending } = await fitRidgeRows(rows, l2, hasIntercept);
        const expected = system.addDiag(l2.asScalar()).solve(right, { assume: 'spd' });
        const found = weights.slice([0, expected.rows]);
        assert.ok((await ending.value()).data[0]! <= 1e-10);
        assert.ok((await largest(found.sub(expected))) <= 1e-9 * (await largest(expected)));
      });
    }
  }

  it('stands columns that depend on each other, without a penalty', async () => {
    const { rows, system, right } = await problem(true, false);
    const l2 = matrix(right.session, [[0]]);
    const { weights } = await fitRidgeRows(rows, l2, true);
    const own = weights.slice([0, right.rows]);
    const residual = system.matmul(own).sub(right);
    assert.ok((await largest(residual)) <= 1e-8 * (await largest(right)));
  });
});
