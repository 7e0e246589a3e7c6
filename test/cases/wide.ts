/** Far more columns than rows: moments larger than the data. Expected: scikit-learn's values. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { duckdb, type JobFolder } from '../support/job-folder.js';
import { type Case, type Outcome, recordOf } from './case.js';

const cell = (i: number, j: number): number =>
  (((i * 7919 + j * 104729 + i * j * 31 + ((i + 1) * (j + 3)) ** 2) % 10007) - 5003) / 1000;

/** `missing`: cells left empty. y is a sum of forty columns and the last. */
function csv(rows: number, columns: number, missing: (i: number, j: number) => boolean): string {
  const names = Array.from({ length: columns }, (_, j) => `x${j}`);
  const lines = [`${names.join(',')},y`];
  for (let i = 0; i < rows; i++) {
    let y = cell(i, columns - 1);
    for (let j = 0; j < 40; j++) y += ((j % 5) - 2) * cell(i, j);
    lines.push(`${names.map((_, j) => (missing(i, j) ? '' : cell(i, j))).join(',')},${y}`);
  }
  return `${lines.join('\n')}\n`;
}

function prepare(folder: JobFolder, rows: number, columns: number): void {
  folder.write(
    'data.csv',
    csv(rows, columns, () => false),
  );
  job(folder, {});
}

function job(folder: JobFolder, data: object, folds = 4): void {
  folder.job({
    data: { path: 'data.csv', target: 'y', standardize: true, ...data },
    search: { grid: { lambda: [0.1, 10] } },
    cv: { folds },
    scoring: ['r2', 'neg_mean_squared_error'],
  });
}

interface Expected {
  readonly r2: readonly (readonly number[])[];
  readonly mse: readonly number[];
  readonly first: number;
  readonly intercept: number;
}

function expectScores(outcome: Outcome, expected: Expected): void {
  const { trials, model } = recordOf(outcome).search;
  for (const [t, trial] of trials.entries()) {
    close(trial.splitScores.r2!, expected.r2[t]!);
    close([trial.meanScore.neg_mean_squared_error!], [expected.mse[t]!]);
  }
  // Single coefficients are less certain where columns outnumber rows; scikit-learn solves the
  // system of the rows.
  const fitted = [model!.coefficients[0]![0]!, model!.intercepts[0]!];
  close(fitted, [expected.first, expected.intercept], 1e-6);
}

function close(got: readonly number[], expected: readonly number[], tolerance = 1e-8): void {
  assert.equal(got.length, expected.length);
  for (const [i, value] of expected.entries()) {
    const error = Math.abs(got[i]! - value) / Math.max(1e-2, Math.abs(value));
    assert.ok(error < tolerance, `${got[i]} for ${value}`);
  }
}

export const WIDE: readonly Case[] = [
  {
    name: '3,000 columns of Parquet',
    engines: ['local'],
    prepare: async (folder) => {
      prepare(folder, 120, 3000);
      const path = folder.file('data.parquet');
      await duckdb(`COPY (FROM read_csv('${folder.file('data.csv')}')) TO '${path}'`);
      job(folder, { path: 'data.parquet' });
    },
    check: (outcome) =>
      expectScores(outcome, {
        r2: [
          [0.09180851572451698, 0.011268708883372835, 0.0940164009282245, -0.0201438230015607],
          [0.09160073077661446, 0.011257825289936352, 0.0937596106262123, -0.02007809034773267],
        ],
        mse: [-502.3623928168196, -502.41060666619984],
        first: -0.11875397138742048,
        intercept: 2.058141584893104,
      }),
  },
  {
    // Their moments are larger than the rows, so on Spark the rows come here.
    name: '1,500 columns of Parquet',
    prepare: async (folder) => {
      prepare(folder, 80, 1500);
      const path = folder.file('data.parquet');
      await duckdb(`COPY (FROM read_csv('${folder.file('data.csv')}')) TO '${path}'`);
      job(folder, { path: 'data.parquet' });
    },
    check: (outcome) => {
      expectScores(outcome, {
        r2: [
          [0.07362842294802374, -0.02416178866533447, 0.19621905261330164, 0.015254936023806676],
          [0.07316532650303942, -0.023976548860039193, 0.1951415677537217, 0.01533815403189509],
        ],
        mse: [-476.80747911903256, -476.95601157854486],
        first: -0.17010139081900433,
        intercept: 4.061837656100145,
      });
      assert.ok(recordOf(outcome).memory!.processBytes > 100e6);
    },
  },
  {
    name: 'means put into 1,100 columns',
    engines: ['local'],
    prepare: (folder) => {
      const text = csv(60, 1100, (i, j) => (i * j + i) % 7 === 3);
      writeFileSync(folder.file('data.csv'), text);
      const names = Array.from({ length: 1100 }, (_, j) => `x${j}`);
      job(folder, { features: names.map((name) => ({ name, impute: 'mean' })) }, 3);
    },
    check: (outcome) => {
      expectScores(outcome, {
        r2: [
          [-0.019684152788458364, -0.014971426270507182, 0.03414172073635957],
          [-0.019148693389591687, -0.01460494766608278, 0.03392882475475367],
        ],
        mse: [-479.4010789783274, -479.3110867151274],
        first: -0.17864151434166042,
        intercept: 1.6521814957022252,
      });
      close([recordOf(outcome).search.model!.imputed.x1!], [-0.44003846153846154]);
    },
  },
  {
    name: 'a text longer than the memory, in one expression',
    prepare: (folder) => {
      folder.write(
        'data.csv',
        csv(20, 2, () => false),
      );
      const long = { name: 'long', sql: "length(repeat('x', 3000000000))" };
      folder.job({ data: { path: 'data.csv', target: 'y', features: ['x0', long] } });
    },
    check: ({ record, error }) => {
      assert.equal(record, undefined);
      assert.match(String(error), /feature long: .*3000000000/);
    },
  },
];
