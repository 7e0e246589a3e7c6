/**
 * Every metric is scikit-learn's, for the decision values of `test/fixtures/sklearn/metrics.json`:
 * folds without a class, of one class and of one row, ties, certain probabilities, values out of
 * range. The searches fit a stand-in whose decision values are its columns.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type ClassValue, matrix, Session } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import type { Link, MomentEstimator } from '../../../../../jobs/estimators/estimator.js';
import { logistic } from '../../../../../jobs/estimators/logistic.js';
import { nearestCentroid } from '../../../../../jobs/estimators/nearest-centroid.js';
import { gridSearch } from '../../../../../jobs/search/grid-search.js';
import { checkMetrics } from '../../../../../jobs/search/scoring/check-metrics.js';
import { type Metric, metricsOf } from '../../../../../jobs/search/scoring/metrics.js';
import {
  type Scoring,
  type SilhouetteScoring,
  scorerOf,
} from '../../../../../jobs/search/scoring/scorers.js';
import { checkCompared, MOST_COMPARED } from '../../../../../jobs/search/scoring/silhouettes.js';
import { foldPartition } from '../../../../../jobs/search/splits/partition.js';
import { sklearnFolder } from '../../../../support/sklearn-fixtures.js';

interface Case {
  readonly name: string;
  readonly link: Link;
  readonly classes: number;
  readonly ranksBy: 'decision' | 'probability';
  readonly task?: 'clustering';
  readonly y: readonly number[];
  readonly z: readonly (readonly number[])[];
  readonly fold: readonly number[];
  readonly expected: Readonly<Partial<Record<Metric, readonly (number | null)[]>>>;
  /** Of all rows together. */
  readonly all?: number;
}

const { cases } = JSON.parse(readFileSync(join(sklearnFolder, 'metrics.json'), 'utf8')) as {
  readonly cases: readonly Case[];
};
const TOLERANCE = 1e-12;

/** Answers its columns, whatever it is fitted on; `scale` times for a candidate of that. */
function echo({ link, classes, ranksBy, task, z: rows }: Case): MomentEstimator {
  const outputs = rows[0]!.length;
  return {
    name: 'echo',
    description: '',
    solver: '',
    parameters: z.strictObject({ scale: z.number().default(1) }),
    task: task ?? (classes > 0 ? 'classification' : 'regression'),
    link: () => link,
    outputs: () => outputs,
    ranksBy,
    reads: 'moments',
    centers: () => true,
    fit: ({ gram: { session } }, { scale }) => {
      const cells = new Float64Array((outputs + 1) * outputs);
      for (let k = 0; k < outputs; k++) cells[k * outputs + k] = scale as number;
      const weights = matrix(session, outputs + 1, outputs, cells);
      const coefficients = weights.slice([0, outputs]);
      return { weights, outputs: { coefficients, intercept: weights.slice(outputs) } };
    },
  };
}

async function search(
  session: Session,
  given: Case,
  scoring: readonly Scoring[],
  scale = [1],
  times = 1,
) {
  const { y, fold, z: rows, classes } = given;
  const column = (cells: readonly number[]) =>
    matrix(session, cells.length, 1, Float64Array.from(cells));
  const X = matrix(session, rows.length, rows[0]!.length, Float64Array.from(rows.flat()));
  const run = session.run();
  const result = await gridSearch(run, {
    X,
    y: column(y),
    classes: Array.from({ length: classes }, (_, c): ClassValue => `class ${c}`),
    cv: Array.from({ length: times }, () => foldPartition(column(fold), Math.max(...fold) + 1)),
    estimator: echo(given),
    grid: { scale },
    scoring,
    refit: false,
    reportClasses: true,
  });
  return { ...result, passes: run.statistics.counters().passes };
}

describe('metrics', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  for (const given of cases) {
    it(`are scikit-learn's: ${given.name}`, async () => {
      const scoring = Object.keys(given.expected) as Metric[];
      const { trials } = await search(session, given, scoring, [0.5, 1]);
      for (const name of scoring) {
        for (const [f, wanted] of given.expected[name]!.entries()) {
          const got = trials.at(-1)!.splitScores[name]![f]!;
          const isNear =
            wanted === null
              ? Number.isNaN(got)
              : Math.abs(got - wanted) <= TOLERANCE * Math.max(1e-3, Math.abs(wanted));
          assert.ok(isNear, `${name}, fold ${f}: ${got}, expected ${wanted}`);
        }
      }
    });
  }

  it('are all in the fixtures', () => {
    const there = new Set(cases.flatMap(({ expected }) => Object.keys(expected)));
    for (const name of metricsOf(['regression', 'classification']))
      assert.ok(there.has(name), name);
    assert.ok(there.has('silhouette'));
  });

  it('compare samples of rows, or all rows under the model of each split', async () => {
    const given = cases.find(({ task }) => task === 'clustering')!;
    const scored = async (settings: Omit<SilhouetteScoring, 'name'>, scale?: number[]) => {
      const scoring = [{ name: 'silhouette', ...settings } as const];
      const { trials } = await search(session, given, scoring, scale);
      return trials.map(({ splitScores }) => splitScores.silhouette!);
    };
    const [held] = await scored({});
    const [sampled] = await scored({ sampleSize: 43, seed: 3 });
    for (const [f, score] of held!.entries())
      assert.ok(Object.is(score, sampled![f]) || Math.abs(score - sampled![f]!) < TOLERANCE);
    const some = await scored({ sampleSize: 12, seed: 3 }, [1, 2]);
    assert.notEqual(some[0]![0], held![0]);
    assert.ok(Number.isFinite(some[0]![0]));
    assert.deepEqual(some[0], some[1], 'the same rows for every candidate');
    assert.notEqual((await scored({ sampleSize: 12, seed: 4 }))[0]![0], some[0]![0]);
    for (const settings of [{ rows: 'all' }, { rows: 'all', sampleSize: 99 }] as const) {
      for (const score of (await scored(settings, [1, 2]))[1]!)
        assert.ok(Math.abs(score - given.all!) < TOLERANCE, `${score} and ${given.all}`);
    }
  });

  it('refuse to compare very many rows with each other, and say how to sample', () => {
    const tests = [{ count: MOST_COMPARED + 1, targetScatter: 0 }];
    assert.throws(
      () => checkCompared([scorerOf('silhouette')], tests, 1e6),
      /^ConfigError: scoring: expected at most 50000 rows .*, got 50001; say \{name: silhouette, sample_size: 10000\}$/,
    );
    checkCompared([scorerOf({ name: 'silhouette', sampleSize: 100 })], tests, 1e6);
  });

  it('are measured in one pass, whatever is asked for', async () => {
    const given = cases.find(({ name }) => name === 'four classes')!;
    const sums: Metric[] = ['accuracy', 'f1_macro', 'neg_log_loss', 'neg_brier_score'];
    const { passes } = await search(session, given, ['accuracy'], [2, 3]);
    assert.equal((await search(session, given, sums, [4, 5])).passes, passes);
  });

  it('say what they stand for and lack', async () => {
    const never = cases.find(({ name }) => name === 'two classes, one is never predicted')!;
    const { warnings } = await search(session, never, ['precision', 'roc_auc']);
    assert.deepEqual(warnings, [
      'precision: 0 for a class that is never predicted, in 1 of 4 scores',
      'one or more of the test scores are non-finite: the mean roc_auc of every candidate; roc_auc needs rows of every class in each test fold, fold 2 has none of class 0 (and 1 more fold lacks one); take cv type stratified',
    ]);
  });

  it('count a score once, however many of its classes a warning is about', async () => {
    const row = (c: number) => [0, 1, 2, 3].map((own) => +(own === c));
    const given: Case = {
      ...cases.find(({ name }) => name === 'four classes')!,
      y: [0, 1, 2, 3, 0, 1, 2, 3],
      fold: [0, 0, 0, 0, 1, 1, 1, 1],
      z: [0, 0, 0, 0, 0, 1, 2, 3].map(row),
    };
    const { warnings } = await search(session, given, ['precision_macro']);
    assert.deepEqual(warnings, [
      'precision_macro: 0 for a class that is never predicted, in 1 of 2 scores',
    ]);
  });

  it('come with how the best candidate tells classes apart', async () => {
    const two = cases.find(({ name }) => name === 'two classes, one column')!;
    const { classReport } = await search(session, two, ['accuracy']);
    const isOne = two.z.map(([z]) => z! > 0);
    const count = (own: number, taken: boolean): number =>
      two.y.filter((y, i) => y === own && isOne[i] === taken).length;
    assert.deepEqual(classReport!.confusion, [
      [count(0, false), count(0, true)],
      [count(1, false), count(1, true)],
    ]);
    const [only, ...others] = classReport!.curves;
    assert.equal(others.length, 0);
    const { roc, precision, calibration } = only!;
    const pairs = two.y.flatMap((y, i) =>
      y === 0
        ? []
        : two.y.flatMap((other, j) => (other === 0 ? [two.z[i]![0]! - two.z[j]![0]!] : [])),
    );
    const area = pairs.filter((d) => d > 0).length + pairs.filter((d) => d === 0).length / 2;
    const drawn = roc.slice(1).reduce((sum, y, s) => sum + (y + roc[s]!) / 200, 0);
    assert.ok(Math.abs(drawn - area / pairs.length) < 2e-3, `${drawn}`);
    const least = Math.min(...two.z.flatMap(([z], i) => (two.y[i] === 1 ? [z!] : [])));
    const taken = two.z.filter(([z]) => z! >= least).length;
    assert.equal(
      precision.at(-1),
      Math.round((two.y.filter((y) => y === 1).length / taken) * 1e4) / 1e4,
    );
    assert.equal(
      calibration!.reduce((sum, { rows }) => sum + rows, 0),
      two.y.length,
    );
    const four = cases.find(({ name }) => name === 'four classes, margins')!;
    const twice = (await search(session, two, ['accuracy'], [1], 2)).classReport!;
    assert.deepEqual(twice.partitions, { all: 2, counted: 2 });
    assert.deepEqual(
      twice.confusion,
      classReport!.confusion.map((row) => row.map((n) => 2 * n)),
    );
    assert.deepEqual(twice.curves[0]!.roc, roc);
    const more = (await search(session, four, ['accuracy'])).classReport!;
    assert.equal(more.curves.length, 4);
    assert.equal(more.curves[0]!.calibration, undefined);
  });

  it('tell classes apart by the fits that did not fail', async () => {
    const { X, y } = {
      X: matrix(
        session,
        12,
        1,
        Float64Array.from({ length: 12 }, (_, i) => i),
      ),
      y: [0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1],
    };
    const { classReport, trials } = await gridSearch(session.run(), {
      X,
      y: matrix(session, 12, 1, Float64Array.from(y)),
      classes: ['no', 'yes'],
      cv: { folds: 2 },
      estimator: logistic,
      grid: {},
      errorScore: 0,
      reportClasses: true,
    });
    assert.deepEqual(Object.keys(trials[0]!.errors!), ['0']);
    // The other fold tests rows of one class.
    assert.equal(
      classReport!.confusion.flat().reduce((a, b) => a + b),
      6,
    );
    assert.deepEqual(classReport!.confusion[0], [0, 0]);
  });

  const refused: [string, Metric, RegExp][] = [
    ['four classes', 'f1', /expected a metric for any number of classes, got f1, which is for two, for 4 classes; say f1_macro/],
    ['four classes, margins', 'neg_log_loss', /needs no probabilities, got neg_log_loss, and echo has none; say one of accuracy, /],
    ['four classes', 'r2', /expected a metric of classification for echo, got r2, of regression/],
    ['numbers', 'accuracy', /expected a metric of regression for echo/],
  ]; // biome-ignore format: a case a line
  for (const [name, metric, message] of refused) {
    it(`refuse ${metric} for ${name}`, async () => {
      const given = cases.find((one) => one.name === name)!;
      await assert.rejects(search(session, given, [metric]), message);
    });
  }

  it('refuse to rank rows by decision values that do not', () => {
    for (const metric of ['roc_auc', 'average_precision'] as const) {
      assert.throws(
        () => checkMetrics([scorerOf(metric)], nearestCentroid, { shrink_threshold: null }, 2),
        /expected a metric of predicted classes, got .*, and nearest-centroid does not rank rows; say accuracy/,
      );
    }
    checkMetrics([scorerOf('accuracy')], nearestCentroid, { shrink_threshold: null }, 2);
  });
});
