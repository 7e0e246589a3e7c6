/**
 * Metrics in SQL are aggregates over held-out predictions: those that say what a metric of
 * scikit-learn's says equal it, their cost is paid once, and what is no aggregate is refused.
 */
import assert from 'node:assert/strict';
import { type ClassValue, matrix, Session } from '../../../../../driver/index.js';
import type { SqlDialect } from '../../../../../driver/ir/frame-engine.js';
import { createDuckDbEngine } from '../../../../../gpu-executor/cpu/duckdb/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import type { Estimator, Params } from '../../../../../jobs/estimators/estimator.js';
import { kmeans } from '../../../../../jobs/estimators/kmeans.js';
import { logistic } from '../../../../../jobs/estimators/logistic.js';
import { pca } from '../../../../../jobs/estimators/pca.js';
import { ridge } from '../../../../../jobs/estimators/ridge.js';
import { duckDbFormulas } from '../../../../../jobs/formula-engines.js';
import { gridSearch } from '../../../../../jobs/search/grid-search.js';
import {
  type FormulaEngine,
  predictionColumns,
} from '../../../../../jobs/search/scoring/formulas.js';
import type { Scoring } from '../../../../../jobs/search/scoring/scorers.js';
import { cells } from '../../../../support/plan.js';

const ROWS = 90;
const { data } = cells(ROWS, 3);
const signal = Array.from({ length: ROWS }, (_, i) => data[3 * i]! + data[3 * i + 1]! ** 2);

interface Asked {
  readonly estimator: Estimator;
  readonly grid: Record<string, number[]>;
  readonly params?: Params;
  readonly classes?: readonly ClassValue[];
  /** A metric and the SQL that says the same. */
  readonly pairs: readonly (readonly [Scoring & string, string, boolean?])[];
}

const error = (sql: string) => `avg(${sql})`;
const CASES: readonly Asked[] = [
  {
    estimator: ridge,
    grid: { lambda: [0.1, 10] },
    pairs: [
      ['neg_mean_squared_error', error('(prediction - target) ** 2'), false],
      ['neg_median_absolute_error', '-median(abs(prediction - target))'],
      ['neg_max_error', 'max(abs(prediction - target))', false],
    ],
  },
  {
    estimator: logistic,
    grid: { C: [0.1, 10] },
    classes: ["it's", 'a b'],
    pairs: [
      ['accuracy', 'count(*) filter (where prediction = target) / count(*)'],
      [
        'neg_log_loss',
        `avg(ln(case when target = 'it''s' then "probability_it's" else "probability_a b" end))`,
      ],
    ],
  },
  {
    estimator: logistic,
    grid: { C: [0.1] },
    classes: [1, 2, 7],
    pairs: [
      [
        'neg_brier_score',
        `-sum((probability_1 - (target = 1)::int) ** 2 + (probability_2 - (target = 2)::int) ** 2 + (PROBABILITY_7 - (target = 7)::int) ** 2) / count(*)`,
      ],
      ['accuracy', 'avg(case when prediction - target = 0 then 1.0 else 0 end)'],
    ],
  },
  {
    estimator: logistic,
    grid: { C: [0.1] },
    classes: [false, true],
    pairs: [['accuracy', 'avg((prediction = target)::int)']],
  },
];

describe('metrics in SQL', () => {
  const duckdb = createDuckDbEngine();
  let session: Session;
  let asked = 0;
  const formulas: FormulaEngine = {
    ...duckDbFormulas(duckdb),
    aggregate: (...given) => {
      asked++;
      return duckDbFormulas(duckdb).aggregate(...given);
    },
  };
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(async () => {
    await session.close();
    duckdb.close();
  });

  const search = (
    { estimator, grid, params, classes = [] }: Asked,
    scoring: readonly Scoring[],
  ) => {
    const cuts = [-0.2, 0.6].slice(0, Math.max(0, classes.length - 1));
    const y = classes.length > 0 ? signal.map((z) => cuts.filter((cut) => z > cut).length) : signal;
    return gridSearch(session.run(), {
      X: matrix(session, ROWS, 3, data),
      ...(estimator.task === 'clustering' || estimator.task === 'decomposition'
        ? {}
        : { y: matrix(session, ROWS, 1, Float64Array.from(y)) }),
      weight: matrix(
        session,
        ROWS,
        1,
        Float64Array.from(y, (_, i) => 1 + (i % 3)),
      ),
      classes,
      cv: { folds: 3 },
      estimator,
      grid,
      ...(params ? { params } : {}),
      scoring,
      formulas,
      refit: false,
    });
  };

  for (const one of CASES) {
    const { estimator, classes = [], pairs } = one;
    it(`are those of scikit-learn where they say the same: ${estimator.name} of ${classes}`, async () => {
      const scoring = pairs.flatMap(([metric, sql, isGreater = true], i): Scoring[] => [
        metric,
        { name: `own${i}`, sql, greaterIsBetter: isGreater },
      ]);
      const { trials } = await search(one, scoring);
      for (const { splitScores } of trials) {
        for (const [i, [metric]] of pairs.entries()) {
          for (const [f, score] of splitScores[metric]!.entries()) {
            const own = splitScores[`own${i}`]![f]!;
            assert.ok(
              Math.abs(own - score) <= 1e-12 * Math.max(1, Math.abs(score)),
              `${metric} ${f}: ${own} and ${score}`,
            );
          }
        }
      }
      const before = asked;
      const again = await search(one, scoring);
      assert.deepEqual([again.trials, asked], [trials, before], 'nothing is asked of SQL twice');
    });
  }

  it('see clusters, components and weights', async () => {
    const sql = (text: string): Scoring[] => [{ name: 'own', sql: text }];
    const of = async (estimator: Estimator, params: Params, text: string) => {
      const { trials } = await search({ estimator, grid: {}, params, pairs: [] }, sql(text));
      return trials[0]!.splitScores.own!;
    };
    assert.deepEqual(await of(kmeans, { n_clusters: 1 }, 'max(prediction)'), [0, 0, 0]);
    assert.deepEqual(await of(kmeans, { n_clusters: 3 }, 'sum(weight)'), [60, 60, 60]);
    const [spread] = await of(
      pca,
      { n_components: 2 },
      'var_pop(component_0) + var_pop(component_1)',
    );
    assert.ok(spread! > 0);
  });

  it('are no number where SQL gives none, which is said', async () => {
    const scoring = [{ name: 'own', sql: 'sum(prediction) filter (where prediction > 1e9)' }];
    const { warnings } = await search({ ...CASES[0]!, grid: {} }, ['r2', ...scoring] as Scoring[]);
    assert.match(
      warnings![0]!,
      /mean own of every candidate; own is of test sets on which its SQL gives a finite number/,
    );
    await assert.rejects(
      search({ ...CASES[0]!, grid: {} }, [{ name: 'own', sql: 'sum(ln(0 * prediction))' }]),
      /scoring: expected values that "sum\(ln\(0 \* prediction\)\)" can take, got: .*logarithm of zero/,
    );
    await assert.rejects(
      search({ ...CASES[0]!, grid: {} }, [{ name: 'own', sql: "max('a')" }]),
      /scoring: expected a number of "max\('a'\)", got a value of type VARCHAR/,
    );
  });

  const refused: readonly (readonly [string, RegExp, SqlDialect?])[] = [
    ['prediction', /one without an aggregate; such as sum/],
    ['sum(prediction) + target', /must appear in the GROUP BY clause/],
    ['sum(predicton)', /expected columns of the predictions, got "predicton"; .* prediction/],
    ['sum(distinct target)', /sum\(\) of distinct values/],
    ['max(target order by target)', /max\(\) of ordered values/],
    ['avgg(target)', /the nearest are avg/],
    ['sum(random())', /random\(\), which is not in the table/],
    ['sum(target) over ()', /a window function/],
    ['(select 1)', /a sub-query/],
    ["sum('a')", /one aggregate in SQL .* got .*sum/],
    ['sum(random())', /random\(\), whose result does not depend/, 'duckdb'],
    ['sum(predicton)', /expected columns of the predictions, .* prediction/, 'duckdb'],
    ['sum(target)', /expected engine spark for dialect spark/, 'spark'],
  ];
  for (const [sql, message, dialect] of refused) {
    it(`are refused: ${sql}${dialect ? ` in ${dialect}` : ''}`, async () => {
      const columns = predictionColumns({
        task: 'regression',
        classes: [],
        hasWeight: false,
        hasProbabilities: false,
        outputs: 1,
      });
      const text = { sql, ...(dialect ? { dialect } : {}) };
      await assert.rejects(formulas.check([text], columns), message);
      await formulas.check([{ sql: 'quantile_cont(target, 0.9)', dialect: 'duckdb' }], columns);
    });
  }
});
