/**
 * Classifiers from sums by class, and components: what they say of rows they were not fitted on is
 * what scikit-learn 1.9.1 says (`test/fixtures/sklearn/generate-classes.py`), mean imputation and
 * standardising included.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { Matrix, matrix, ops, Session } from '../../../../driver/index.js';
import { basisColumns } from '../../../../jobs/estimators/basis.js';
import { bernoulliNb } from '../../../../jobs/estimators/bernoulli-nb.js';
import type { Estimator, Fit, Params } from '../../../../jobs/estimators/estimator.js';
import { gaussianNb } from '../../../../jobs/estimators/gaussian-nb.js';
import { lda } from '../../../../jobs/estimators/lda.js';
import { linearDesign, type TrainingRows } from '../../../../jobs/estimators/linear-design.js';
import { multinomialNb } from '../../../../jobs/estimators/multinomial-nb.js';
import { nearestCentroid } from '../../../../jobs/estimators/nearest-centroid.js';
import { pca, svd } from '../../../../jobs/estimators/pca.js';
import { classRows } from '../../../../jobs/search/class-rows.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Fixture {
  readonly y: readonly number[];
  readonly weight: readonly number[];
  readonly group: readonly number[];
  readonly test: number;
  readonly data: Readonly<Record<string, readonly (readonly (number | null)[])[]>>;
  readonly cases: readonly {
    readonly estimator: string;
    readonly data: string;
    readonly params: Params;
    readonly standardize: boolean;
    readonly weighted: boolean;
    readonly predictions?: readonly number[];
    readonly values?: readonly (readonly number[])[];
  }[];
}

const estimators: readonly Estimator[] = [
  gaussianNb,
  multinomialNb,
  bernoulliNb,
  nearestCentroid,
  lda,
  pca,
  svd,
];
const CLASSES = 3;
const GROUPS = 3;
const TOLERANCE = 1e-8;

describe('estimators from sums by class and components', () => {
  const fixture = JSON.parse(readFileSync(join(sklearnFolder, 'classes.json'), 'utf8')) as Fixture;
  const session = new Session({ local: createReferenceBackend() });

  for (const one of fixture.cases) {
    const text = `${one.estimator} ${JSON.stringify(one.params)}, ${one.data}${one.standardize ? ', standardised' : ''}${one.weighted ? ', weighted' : ''}`;
    it(text, async () => {
      const { X, rows } = trainingRows(session, fixture, one.data, one.standardize);
      const estimator = estimators.find(({ name }) => name === one.estimator)!;
      const params = estimator.parameters.parse(one.params) as Params;
      let fit: Fit;
      if (estimator.reads === 'classes') {
        const column = (cells: readonly number[]) => matrix(session, cells.length, 1, cells);
        const data = { X, y: column(fixture.y), classes: CLASSES, groupOf: rows.groupOf };
        const weight = one.weighted ? { weight: column(fixture.weight) } : {};
        fit = estimator.fit(classRows({ ...data, ...weight }, rows), params);
      } else {
        assert.equal(estimator.reads, 'moments');
        fit = estimator.fit(rows, params);
      }
      const basis = estimator.basis?.(params) ?? 'linear';
      const all = await basisColumns(basis, X)
        .cbind(X.col(0).mul(0).add(1))
        .matmul(fit.weights)
        .toArray();
      const held = all.filter((_, i) => fixture.group[i] === fixture.test);
      if (one.predictions) {
        assert.deepEqual(held.map(greatest), one.predictions);
      } else {
        const values = estimator.link(params, CLASSES) === 'softmax' ? held.map(softmax) : held;
        assertNear(values, one.values!);
      }
    });
  }

  it('merges the moments of a class once for all fits of a run', () => {
    const run = session.run();
    const { X, rows } = trainingRows(session, fixture, 'numbers', false);
    const y = matrix(run, fixture.y.length, 1, fixture.y);
    const data = { X: X.in(run), y, classes: CLASSES, groupOf: rows.groupOf.in(run) };
    const [first, second] = [0, 1].map(() => classRows(data, { ...rows, train: [0, 1] }));
    assert.equal(first!.ofClass(1), second!.ofClass(1));
  });
});

/** Missing cells as the encoder has them: 0, beside an indicator of 1. */
function trainingRows(
  session: Session,
  { data, group, test }: Fixture,
  name: string,
  standardize: boolean,
) {
  const cells = data[name]!;
  const d = cells[0]!.length;
  const missing = Array.from({ length: d }, (_, j) => j).filter((j) =>
    cells.some((row) => row[j] === null),
  );
  const encoded = cells.map((row) => [
    ...row.map((cell) => cell ?? 0),
    ...missing.map((j) => (row[j] === null ? 1 : 0)),
  ]);
  const X = matrix(session, encoded);
  const imputations = missing.map((column, k) => ({ column, indicator: d + k }));
  const groupOf = matrix(session, group.length, 1, group);
  const gram = session.intern(ops.groupGram, [groupOf.expr, X.expr], {
    groups: GROUPS,
    center: true,
  });
  const rows: TrainingRows = {
    gram: Matrix.of(session, gram),
    groups: GROUPS,
    train: [0, 1, 2].filter((g) => g !== test),
    centered: true,
    standardize,
    design: linearDesign(session, X.cols, imputations).design,
  };
  return { X, rows: { ...rows, groupOf } };
}

function softmax(z: readonly number[]): number[] {
  const most = Math.max(...z);
  const powers = z.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

function greatest(z: readonly number[]): number {
  return z.indexOf(Math.max(...z));
}

function assertNear(
  got: readonly (readonly number[])[],
  expected: readonly (readonly number[])[],
): void {
  assert.equal(got.length, expected.length);
  const worst = Math.max(
    ...got.flatMap((row, i) => row.map((cell, j) => Math.abs(cell - expected[i]![j]!))),
  );
  assert.ok(worst <= TOLERANCE, `expected differences of at most ${TOLERANCE}, got ${worst}`);
}
