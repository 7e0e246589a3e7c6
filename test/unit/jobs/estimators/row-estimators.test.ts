/** Estimators that read rows against scikit-learn's coefficients, fit by fit. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Matrix, matrix, Session, scalar } from '../../../../driver/index.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { Fit, ParamValue, RowEstimator } from '../../../../jobs/estimators/estimator.js';
import { huber } from '../../../../jobs/estimators/huber.js';
import { linearSvm } from '../../../../jobs/estimators/linear-svm.js';
import { logistic } from '../../../../jobs/estimators/logistic.js';
import { quantile } from '../../../../jobs/estimators/quantile.js';
import { gamma, poisson, tweedie } from '../../../../jobs/estimators/tweedie.js';
import type { Grid } from '../../../../jobs/search/candidates.js';
import { byClassNumber } from '../../../../jobs/search/class-params.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { Metric } from '../../../../jobs/search/scoring/metrics.js';
import { assertClose } from '../../../support/close.js';
import { rowData } from '../../../support/row-data.js';

interface Case {
  readonly estimator: string;
  readonly target: string;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly weighted: boolean;
  readonly coefficients: readonly (readonly number[])[];
  readonly intercepts: readonly number[];
}

interface Search extends Pick<Case, 'estimator' | 'target'> {
  readonly grid: Grid;
  readonly scoring: Metric;
  /** By candidate and fold. */
  readonly scores: readonly (readonly number[])[];
  readonly best: number;
}

interface Fixture {
  readonly X: readonly (readonly number[])[];
  readonly weights: readonly number[];
  readonly targets: Readonly<Record<string, readonly number[]>>;
  readonly cases: readonly Case[];
  readonly searches: readonly Search[];
}

const path = join(packageRoot(), 'test/fixtures/sklearn/row-estimators.json');
const fixture = JSON.parse(readFileSync(path, 'utf8')) as Fixture;
const rowEstimators: readonly RowEstimator[] = [
  logistic,
  linearSvm,
  poisson,
  gamma,
  tweedie,
  huber,
  quantile,
];
/** Classes of a target; 0 for numbers. */
const CLASSES: Readonly<Record<string, number>> = { binary: 2, apart: 2, classes: 3 };

describe('estimators that read rows', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  const column = (cells: readonly number[]): Matrix => matrix(session, cells.length, 1, cells);
  const trained = async (
    { name, parameters, stacked, train, ends }: RowEstimator,
    target: readonly number[],
    classes: number,
    given: Case['params'] = {},
    weights: readonly number[] = target.map(() => 1),
  ): Promise<Fit> => {
    const parsed = parameters.safeParse(given);
    assert.ok(parsed.success, name);
    const values = Array.from({ length: classes }, (_, c) => c);
    const params = byClassNumber(parsed.data as Case['params'], values);
    const rows = rowData(matrix(session, fixture.X), column(target), column(weights), classes);
    const numbers = stacked.map((key) => {
      return [key, scalar(session, params[key] as number).asMatrix()] as const;
    });
    return { ...(await train(rows, Object.fromEntries(numbers), params)), ...ends?.(params) };
  };
  const said = async ({ ending, warn, fails }: Fit): Promise<string | undefined> => {
    const { data } = await ending!.value();
    return fails?.(data.at(-1)!, data) ?? warn?.(data.at(-1)!);
  };

  for (const estimator of rowEstimators) {
    it(`${estimator.name} gives scikit-learn's coefficients`, async () => {
      const own = fixture.cases.filter((one) => one.estimator === estimator.name);
      assert.ok(own.length >= 3);
      const check = async (one: Case): Promise<void> => {
        const { target, params, weighted, coefficients, intercepts } = one;
        const weights = weighted ? fixture.weights : undefined;
        const ends = 'tol' in estimator.parameters.shape ? { tol: 1e-5, max_iter: 1000 } : {};
        const given = { ...params, ...ends };
        const cells = fixture.targets[target]!;
        const fitted = await trained(estimator, cells, CLASSES[target] ?? 0, given, weights);
        const wanted = await matrix(session, coefficients)
          .t()
          .rbind(matrix(session, [intercepts]))
          .value();
        const what = `${estimator.name} ${target} ${JSON.stringify(params)}`;
        assertClose(await fitted.weights.value(), wanted, 1e-5, what);
        assert.equal(await said(fitted), undefined, what);
      };
      for (const one of own) await check(one);
    });
  }

  for (const { estimator, target, grid, scoring, scores, best } of fixture.searches) {
    it(`${estimator} is searched as by GridSearchCV: ${scoring} of ${target}`, async () => {
      const run = session.run();
      const found = await gridSearch(run, {
        X: matrix(session, fixture.X).in(run),
        y: column(fixture.targets[target]!).in(run),
        classes: Array.from({ length: CLASSES[target] ?? 0 }, (_, c) => c),
        cv: { folds: 3 },
        estimator: rowEstimators.find(({ name }) => name === estimator)!,
        grid,
        scoring: [scoring],
        standardize: true,
      });
      const ours = found.trials.map(({ splitScores }) => splitScores[scoring]!);
      const wanted = await matrix(session, scores).value();
      // scikit-learn's Huber regression ends before its last digits.
      const tolerance = estimator === 'huber' ? 1e-5 : 1e-6;
      assertClose(await matrix(session, ours).value(), wanted, tolerance, scoring);
      assert.equal(found.bestIndex, best);
      assert.deepEqual(found.warnings, []);
    });
  }

  it('train models of several tolerances together, each to its own', async () => {
    const search = async (tol: readonly number[]) => {
      const alone = new Session({ local: await createCpuBackend() });
      const y = fixture.targets.binary!;
      const { trials } = await gridSearch(alone, {
        X: matrix(alone, fixture.X),
        y: matrix(alone, y.length, 1, y),
        classes: [0, 1],
        ...{ cv: { folds: 3 }, estimator: linearSvm, grid: { tol, C: [0.1, 1] }, refit: false },
      });
      const { kernels } = alone.statistics;
      await alone.close();
      const scores = trials.map(({ params, splitScores }) => {
        return [`${params.tol} ${params.C}`, splitScores.accuracy!] as const;
      });
      return { kernels, scores };
    };
    const [loose, tight, both] = [await search([1]), await search([1e-8]), await search([1, 1e-8])];
    const apart = [...loose.scores, ...tight.scores];
    assert.deepEqual(new Map(both.scores), new Map(apart));
    assert.ok(both.kernels < loose.kernels + tight.kernels * 0.75, JSON.stringify(both.kernels));
  });

  it('say that a fit did not converge', async () => {
    const fitted = await trained(logistic, fixture.targets.binary!, 2, { max_iter: 2 });
    assert.match(
      (await said(fitted))!,
      /^expected coefficients within 0.000001 .* after at most 2 iterations \(max_iter\); raise/,
    );
  });

  it('fail where all training rows are of one class', async () => {
    const one = fixture.targets.binary!.map((value) => 1 - value);
    for (const estimator of [logistic, linearSvm]) {
      const fitted = await trained(estimator, fixture.targets.binary!, 2, {}, one);
      assert.match((await said(fitted))!, /expected .* two classes, got one class/);
    }
  });

  it('fail where a training target is out of the range of its distribution', async () => {
    const cells = fixture.targets.binary!.map((value, i) => (i === 5 ? -1 : value + 1));
    const without = cells.map((_, i) => (i === 5 ? 0 : 1));
    for (const estimator of [poisson, gamma]) {
      const fitted = await trained(estimator, cells, 0);
      assert.match((await said(fitted))!, /^expected targets (of 0 and )?above( 0)?, got -1$/);
      const rest = await trained(estimator, cells, 0, {}, without);
      assert.equal(await said(rest), undefined);
    }
  });

  it('give a class without training rows no probability', async () => {
    const present = fixture.targets.classes!.map((value) => (value === 1 ? 0 : 1));
    const fitted = await trained(logistic, fixture.targets.classes!, 3, {}, present);
    const { data } = await matrix(session, fixture.X)
      .matmul(fitted.weights.slice([0, 3]))
      .add(fitted.weights.slice(3))
      .softmax()
      .colSums()
      .value();
    assert.ok(data[1]! < 1e-100 && data[0]! > 1 && data[2]! > 1, String(data));
  });
});
