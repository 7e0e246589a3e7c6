/**
 * `predict`: scikit-learn's predictions for rows like and unlike the training rows, what is refused
 * of new data, and that a folder of files is scored file by file, each once.
 */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ReuseSetting } from '../../../../driver/index.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { type ModelFile, parseModel } from '../../../../jobs/model/model-file.js';
import { readModel } from '../../../../jobs/model/read-model.js';
import { type PredictOptions, predict } from '../../../../jobs/predict/predict.js';
import { RowCache } from '../../../../jobs/predict/row-cache.js';
import { runJob } from '../../../../jobs/run-job.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { JobFolder } from '../../../support/job-folder.js';

interface Classifier {
  readonly classes: readonly (string | boolean)[];
  readonly coefficients: number[][];
  readonly intercepts: number[];
  readonly prediction: readonly (string | boolean)[];
  readonly probability: readonly (readonly number[])[];
}

const fixture = JSON.parse(
  readFileSync(join(packageRoot(), 'test/fixtures/sklearn/predict.json'), 'utf8'),
) as {
  readonly train: string;
  readonly new: string;
  readonly ridge: { readonly prediction: readonly number[] };
  readonly binary: Classifier;
  readonly multinomial: Classifier;
};

const JOB = `
kind: grid-search
data:
  path: train.csv
  target: y
  features:
    - { name: a, impute: mean } # no training row lacks it
    - { name: b, impute: mean }
    - { name: age, encode: bin, bins: 4 }
    - { name: town, encode: onehot }
model: { type: ridge, lambda: 1 }
`;

describe('predictions for new data', () => {
  let folder: JobFolder;
  let run: string;
  before(async () => {
    folder = new JobFolder();
    folder.write('train.csv', fixture.train);
    folder.write('new.csv', fixture.new);
    const record = await runJob(parseJob(folder.file('job.yaml'), JOB), { engine: 'local' });
    run = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
  });
  after(() => folder.remove());

  const score = async (data: string, options: Partial<PredictOptions> = {}, model = run) =>
    predict(await readModel(model, folder.file('runs')), folder.file(data), {
      engine: 'local',
      ...options,
    });

  /** The rows of a Parquet or CSV file. */
  const rowsOf = async (path: string): Promise<Record<string, unknown>[]> => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(`SELECT * FROM '${path}'`);
    const rows = reader.getRowObjectsJS();
    connection.closeSync();
    instance.closeSync();
    return rows;
  };

  const refuses = (data: string, content: string, expected: RegExp) => async () => {
    folder.write(data, content);
    const out = folder.write('before.parquet', 'what was there');
    await assert.rejects(score(data, { out }), expected);
    assert.equal(readFileSync(out, 'utf8'), 'what was there');
    assert.ok(!readdirSync(folder.path).some((name) => name.startsWith('.predict-')));
  };

  const change = (given: object): string => {
    const model = JSON.parse(readFileSync(join(run, 'model.json'), 'utf8')) as ModelFile;
    const changed = parseModel({ ...model, ...given }, 'changed');
    return folder.write('changed.json', JSON.stringify(changed));
  };

  it("are scikit-learn's, for unknown categories, missing numbers and values beyond the bins too", async () => {
    const out = folder.file('ridge.parquet');
    const { summary } = await score('new.csv', { out, keep: ['town'] });
    assert.deepEqual([summary.rows, summary.rowsRead, summary.files], [30, 30, 1]);
    const rows = await rowsOf(out);
    assert.deepEqual(
      rows.map(({ town }) => town),
      fixture.new
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.split(',')[3]),
    );
    for (const [i, { prediction }] of rows.entries()) {
      assert.ok(
        Math.abs((prediction as number) - fixture.ridge.prediction[i]!) < 1e-10,
        `row ${i}`,
      );
    }
  });

  for (const name of ['binary', 'multinomial'] as const) {
    it(`of a ${name} classification are its classes and probabilities`, async () => {
      const { classes, coefficients, intercepts, prediction, probability } = fixture[name];
      const link = name === 'binary' ? 'logit' : 'softmax';
      const model = change({ task: 'classification', link, classes, coefficients, intercepts });
      const out = folder.file(`${name}.parquet`);
      await score('new.csv', { out, outputs: ['prediction', 'probability'] }, model);
      for (const [i, row] of (await rowsOf(out)).entries()) {
        assert.equal(row.prediction, prediction[i]);
        for (const [c, value] of classes.entries()) {
          const own = row[`probability_${value}`] as number;
          assert.ok(Math.abs(own - probability[i]![c]!) < 1e-10, `row ${i}, ${value}`);
        }
      }
    });
  }

  it('are of one file, in order, whatever its row groups, and as CSV too', async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const big = folder.file('big.parquet');
    await connection.run(
      `COPY (SELECT CAST(i AS DOUBLE) AS a, 0.0::DOUBLE AS b, 30.0::DOUBLE AS age, 'Rome' AS town, i AS id
       FROM range(60000) t(i)) TO '${big}' (ROW_GROUP_SIZE 7000)`,
    );
    connection.closeSync();
    instance.closeSync();
    const out = folder.file('big-scored.csv');
    await score('big.parquet', { out, keep: ['id'] });
    const rows = await rowsOf(out);
    assert.equal(rows.length, 60_000);
    const slope = (rows[1]!.prediction as number) - (rows[0]!.prediction as number);
    for (const [i, { id, prediction }] of rows.entries()) {
      assert.equal(Number(id), i);
      const expected = (rows[0]!.prediction as number) + i * slope;
      assert.ok(Math.abs((prediction as number) - expected) < 1e-6);
    }
  });

  it('are shown as a table when no place is named, from the first rows alone', async () => {
    const { table, summary } = await score('new.csv', { keep: ['a', 'town'] });
    assert.deepEqual(table![0], ['a', 'town', 'prediction']);
    assert.deepEqual([table!.length, summary.rowsRead, summary.rows], [21, 20, 30]);
  });

  it('are none for data without rows', async () => {
    folder.write('none.csv', 'a,b,age,town\n');
    const out = folder.file('none.parquet');
    const { summary } = await score('none.csv', { out, keep: ['town'] });
    assert.deepEqual([summary.rows, await rowsOf(out)], [0, []]);
  });

  it('take a text column of digits for text, as it was in training', async () => {
    folder.write('digits.csv', 'a,b,age,town\n1,2,30,7\n');
    const { table } = await score('digits.csv');
    folder.write('letters.csv', 'a,b,age,town\n1,2,30,Quito\n');
    assert.deepEqual(table, (await score('letters.csv')).table);
  });

  it(
    'are refused without a column of the training data',
    refuses(
      'lacks.csv',
      'a,b,town\n1,2,Rome\n',
      /data: expected the column "age" .* trained on, got none/,
    ),
  );
  it(
    'are refused for text in place of numbers',
    refuses('words.csv', 'a,b,age,town\n1,two,30,Rome\n', /words\.csv|"b"/),
  );
  it(
    'are refused for a missing number that training had none of and no value to impute',
    refuses(
      'gap.csv',
      'a,b,age,town\n1,2,30,Rome\n1,2,,Rome\n',
      /feature `age` .* missing value.*row 2\)/,
    ),
  );
  it(
    'are refused for infinite numbers',
    refuses('inf.csv', 'a,b,age,town\n1,inf,30,Rome\n', /feature `b` .* infinite value \(row 1\)/),
  );
  it('are refused in a column that is an output', async () => {
    const asked = { out: folder.file('x.csv'), keep: ['prediction'] };
    await assert.rejects(score('new.csv', asked), /--keep: expected names other than the outputs/);
    await assert.rejects(
      score('new.csv', { outputs: ['probability'] }),
      /--output: .*ridge, which has no/,
    );
    await assert.rejects(
      score('new.csv', { out: 'x.json' }),
      /--out: expected a name that ends in/,
    );
  });

  it('are made by runs of before model files had a version', async () => {
    const earlier = folder.file('earlier');
    mkdirSync(earlier);
    for (const name of readdirSync(run)) copyFileSync(join(run, name), join(earlier, name));
    const { columns, coefficients, intercepts, imputed } = JSON.parse(
      readFileSync(join(run, 'model.json'), 'utf8'),
    ) as ModelFile;
    const old = { columns, coefficients: coefficients[0], intercept: intercepts[0], imputed };
    writeFileSync(join(earlier, 'model.json'), JSON.stringify({ kind: 'linear', ...old }));
    folder.write('full.csv', 'a,b,age,town\n1,,30,Rome\n9,1,40,Lima\n');
    assert.deepEqual((await score('full.csv', {}, earlier)).table, (await score('full.csv')).table);
  });

  it('of equal rows are made once, with equal values, where the model takes long', async () => {
    const net = `${JOB.replace('ridge, lambda: 1', 'mlp-classifier, hidden_layer_sizes: [64, 64], max_iter: 1').replace('target: y', "target: { name: high, sql: \"CASE WHEN y > 0 THEN 'a' ELSE 'b' END\" }")}`;
    const record = await runJob(parseJob(folder.file('net.yaml'), net), { engine: 'local' });
    const model = await writeRun(record, { output: folder.file('runs'), renderReport: () => '' });
    const [head, ...lines] = fixture.new.trim().split('\n');
    const many = Array.from({ length: 10 * lines.length }, (_, i) => lines[(i * 7) % lines.length]);
    folder.write('many.csv', `${[head, ...many].join('\n')}\n`);
    const distinct = new Set(many).size;
    const scored = async (reuse: ReuseSetting) => {
      const out = folder.file(`many-${reuse}.parquet`);
      const outputs = ['prediction', 'probability'] as const;
      const { summary } = await score('many.csv', { out, reuse, outputs }, model);
      return { rows: await rowsOf(out), read: summary.rowsRead, computed: summary.rowsComputed };
    };
    const off = await scored('off');
    assert.deepEqual([off.read, off.computed], [many.length, many.length]);
    for (const reuse of ['predictions', 'full'] as const) {
      assert.deepEqual(await scored(reuse), { ...off, computed: distinct }, reuse);
    }
    assert.equal((await scored('input')).computed, many.length);
    // What a linear model takes is less than looking a row up.
    assert.equal((await score('many.csv')).summary.rowsComputed, 20);
  });

  it('are forgotten by generation when memory is full, and not looked up where few rows are equal', () => {
    const cache = new RowCache(2 * 3 * (1 + 8 + 120));
    const computed = (keys: string): number => {
      let count = 0;
      const z = cache.decide([...keys], (rows) => {
        count += rows.length;
        return Float64Array.from(rows, (row) => keys.charCodeAt(row));
      });
      assert.deepEqual(
        [...z],
        [...keys].map((key) => key.charCodeAt(0)),
      );
      return count;
    };
    assert.deepEqual(
      ['abab', 'abc', 'de', 'a', 'fgh', 'a', 'b'].map(computed),
      [2, 1, 2, 0, 3, 0, 1],
    );
    const useless = new RowCache();
    for (let i = 0; i < 2; i++) {
      assert.ok(useless.pays);
      const keys = Array.from({ length: 8192 }, (_, k) => `${i} ${k}`);
      useless.decide(keys, (rows) => new Float64Array(rows.length));
    }
    assert.ok(!useless.pays);
  });

  it('of a folder are made for the files that are new or changed, and removed with theirs', async () => {
    mkdirSync(folder.file('days'));
    const [head, ...lines] = fixture.new.trim().split('\n');
    const day = (name: string, from: number, to: number): string =>
      folder.write(`days/${name}.csv`, `${[head, ...lines.slice(from, to)].join('\n')}\n`);
    day('1', 0, 10);
    day('2', 10, 18);
    const out = folder.file('scored');
    const scored = async (model = run) => {
      const { summary } = await score('days', { out: `${out}/` }, model);
      return [summary.filesScored, summary.rowsRead, summary.filesRemoved];
    };
    assert.deepEqual(await scored(), [2, 18, 0]);
    assert.deepEqual(await scored(), [0, 0, 0]);
    day('3', 18, 30);
    assert.deepEqual(await scored(), [1, 12, 0]);
    const all = await rowsOf(join(out, '*.parquet'));
    for (const [i, { prediction }] of all.entries()) {
      assert.ok(Math.abs((prediction as number) - fixture.ridge.prediction[i]!) < 1e-10);
    }
    day('2', 10, 15);
    rmSync(folder.file('days/1.csv'));
    assert.deepEqual(await scored(), [1, 5, 1]);
    assert.ok(!existsSync(join(out, '1.csv.parquet')));
    // Another model makes other predictions.
    assert.deepEqual(await scored(change({ intercepts: [0] })), [2, 17, 0]);
    // Settings that keep no predictions make them again; those that do need nothing else.
    for (const reuse of ['off', 'steps', 'predictions'] as const) {
      await score('days', { out: `${out}/` });
      const { summary } = await score('days', { out: `${out}/`, reuse });
      assert.equal(summary.filesScored, reuse === 'predictions' ? 0 : 2, reuse);
    }
  });

  it('of a folder whose list was made by another remove nothing outside it', async () => {
    mkdirSync(folder.file('one'));
    folder.write('one/1.csv', fixture.new);
    const out = folder.file('listed');
    mkdirSync(out);
    mkdirSync(folder.file('outside'));
    const kept = folder.write('outside/kept.txt', 'kept');
    symlinkSync(folder.file('outside'), join(out, 'link'));
    const names = [
      '../outside/kept.txt',
      kept,
      'link/kept.txt',
      'link',
      '',
      '.',
      '..',
      '__proto__',
    ];
    const files = Object.fromEntries(names.map((name) => [name, { key: 'x', rows: 1 }]));
    folder.write('listed/_scored.json', JSON.stringify({ version: 1, files }));
    const { summary } = await score('one', { out: `${out}/` });
    assert.equal(summary.filesScored, 1);
    assert.equal(readFileSync(kept, 'utf8'), 'kept');
    const left = JSON.parse(readFileSync(join(out, '_scored.json'), 'utf8'));
    assert.deepEqual(Object.keys(left.files), ['1.csv.parquet']);
  });
});
