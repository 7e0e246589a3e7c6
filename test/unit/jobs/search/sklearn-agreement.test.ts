/**
 * Reprise's scores are scikit-learn's: every trial, fold and metric of the searches in
 * `test/fixtures/sklearn`, with mean, deviation, rank, best trial and refitted model. Run through
 * the job runner over the CSV files on the local engine, and over whole matrices on the reference
 * backend, which shares no kernel with it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { matrix, Session } from '../../../../driver/index.js';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import type { LinearModel } from '../../../../jobs/estimators/model.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import { type CrossValidation, foldPartition } from '../../../../jobs/search/splits/partition.js';
import {
  numericColumns,
  type SklearnScenario,
  sklearnFolder,
  sklearnScenarios,
} from '../../../support/sklearn-fixtures.js';

const TOLERANCE = 1e-8;

describe('agreement with scikit-learn', () => {
  describe('local engine, from files', () => {
    let open: OpenSession;
    before(async () => {
      open = await openSession('local');
    });
    after(() => open.session.close());

    for (const scenario of sklearnScenarios()) {
      it(scenario.name, async () => {
        const record = await runJob(jobOf(scenario), { engine: 'local', open });
        assertAgrees(record.search, scenario);
      });
    }
  });

  describe('reference backend, from matrices', () => {
    const backend = createReferenceBackend();

    for (const scenario of sklearnScenarios().filter(isNumeric)) {
      it(scenario.name, async () => {
        const session = new Session({ local: backend });
        assertAgrees(await searchMatrices(session, scenario), scenario);
      });
    }
  });
});

/** The scenario as a user's job file would say it. */
function jobOf(scenario: SklearnScenario): ReturnType<typeof parseJob> {
  const { cv } = scenario;
  const document = {
    kind: 'grid-search',
    data: {
      path: scenario.data,
      target: scenario.target,
      features: scenario.features,
      standardize: scenario.standardize,
    },
    model: { type: scenario.estimator, ...scenario.params },
    search: { grid: scenario.grid },
    cv:
      cv.kind === 'kfold'
        ? {
            type: 'kfold',
            folds: cv.folds,
            shuffle: cv.shuffle,
            ...(cv.shuffle ? { seed: cv.seed } : {}),
          }
        : cv.kind === 'group'
          ? { folds: cv.folds, group: cv.column }
          : { predefined: cv.column },
    scoring: scenario.scoring,
    refit: scenario.scoring[0],
  };
  return parseJob(join(sklearnFolder, 'job.yaml'), JSON.stringify(document));
}

/** Numbers without gaps and folds that need no data but the rows or a column of fold numbers. */
function isNumeric(scenario: SklearnScenario): boolean {
  return scenario.data !== 'flights.csv' && !scenario.impute && scenario.cv.kind !== 'group';
}

function searchMatrices(session: Session, scenario: SklearnScenario): Promise<SearchResult> {
  const columns = numericColumns(scenario.data);
  const column = (name: string): Float64Array => columns.get(name)!;
  const y = column(scenario.target);
  const names = scenario.features.map((feature) => feature.name);
  const cells = new Float64Array(y.length * names.length);
  names.forEach((name, j) => {
    for (let i = 0; i < y.length; i++) cells[i * names.length + j] = column(name)[i]!;
  });
  return gridSearch(session, {
    X: matrix(session, y.length, names.length, cells),
    y: matrix(session, y.length, 1, y),
    cv: foldsOf(session, scenario, column),
    estimator: estimators.find(({ name }) => name === scenario.estimator)!,
    params: scenario.params,
    grid: scenario.grid,
    standardize: scenario.standardize,
    scoring: scenario.scoring,
  });
}

function foldsOf(
  session: Session,
  { cv, folds }: SklearnScenario,
  column: (name: string) => Float64Array,
): CrossValidation {
  if (cv.kind === 'kfold') return cv;
  const given = column(cv.kind === 'predefined' ? cv.column : 'group');
  const numbers = [...new Set(given)].filter((fold) => fold >= 0).sort((a, b) => a - b);
  // Rows that are never held out are in the group past the last fold.
  const assignment = given.map((fold) => (fold < 0 ? folds : numbers.indexOf(fold)));
  return [foldPartition(matrix(session, given.length, 1, assignment), folds, folds + 1)];
}

function assertAgrees(result: SearchResult, scenario: SklearnScenario): void {
  const { scores, bestIndex, model } = scenario.expected;
  assert.equal(result.folds, scenario.folds);
  assert.equal(result.columns, scenario.columns);
  assert.equal(result.trials.length, scores[scenario.scoring[0]!].mean.length);
  for (const metric of scenario.scoring) {
    const expected = scores[metric];
    result.trials.forEach((trial, t) => {
      const where = `${metric}, ${JSON.stringify(trial.params)}`;
      assertClose(trial.splitScores[metric]!, expected.split[t]!, `${where}, splits`);
      assertClose([trial.meanScore[metric]!], [expected.mean[t]!], `${where}, mean`);
      assertClose([trial.stdScore[metric]!], [expected.std[t]!], `${where}, deviation`);
    });
    const ranks = result.trials.map((trial) => trial.rank[metric]);
    assert.deepEqual(ranks, expected.rank, `${metric}, ranks`);
  }
  assert.equal(result.bestIndex, bestIndex);
  assertModel(result.model, model, scenario);
}

/** One-hot columns have their own order, so the flights' coefficients are compared as a set. */
function assertModel(
  ours: LinearModel | null,
  theirs: SklearnScenario['expected']['model'],
  scenario: SklearnScenario,
): void {
  assert.ok(ours);
  const sorted = scenario.data === 'flights.csv';
  const order = (values: readonly number[]): number[] =>
    sorted ? [...values].sort((a, b) => a - b) : [...values];
  const scale = Math.max(...theirs.coefficients.map(Math.abs));
  assertClose(order(ours.coefficients[0]!), order(theirs.coefficients), 'coefficients', scale);
  // The intercept is the target's mean less the columns' means times coefficients, which may
  // cancel.
  assertClose(ours.intercepts, [theirs.intercept], 'intercept', scale);
  if (theirs.imputed !== null) {
    const imputed = scenario.features.map(({ name }) => ours.imputed[name]);
    imputed.forEach((value, j) => {
      if (value !== undefined) assertClose([value], [theirs.imputed![j]!], `imputed ${j}`);
    });
    assert.ok(
      imputed.some((value) => value !== undefined),
      'expected imputed means',
    );
  }
}

/** Relative to each expected value, or to `floor` where that is larger. */
function assertClose(
  ours: readonly number[],
  theirs: readonly number[],
  where: string,
  floor = 0,
): void {
  assert.equal(ours.length, theirs.length, `${where}: lengths`);
  ours.forEach((value, i) => {
    const bound = TOLERANCE * Math.max(Math.abs(theirs[i]!), floor);
    const gap = Math.abs(value - theirs[i]!);
    if (!(gap <= bound)) assert.fail(`${where} ${i}: expected ${theirs[i]}, got ${value}`);
  });
}
