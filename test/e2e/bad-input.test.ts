/** Wrong jobs and wrong data: each gives one clear error and its exit code, and leaves no run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { reprise } from '../support/cli.js';
import { duckdb, JobFolder, linearCsv } from '../support/job-folder.js';

interface Case {
  readonly name: string;
  /** What the message must say. */
  readonly expected: readonly RegExp[];
  readonly job?: Readonly<Record<string, unknown>>;
  readonly csv?: string;
  readonly prepare?: (folder: JobFolder) => void | Promise<void>;
  readonly code?: number;
}

const data = (fields: Readonly<Record<string, unknown>>) => ({
  data: { path: 'data.csv', target: 'y', ...fields },
});

const rowsOf = (...lines: string[]): string => `${lines.join('\n')}\n`;

const CASES: readonly Case[] = [
  { name: 'a missing file', job: data({ path: 'none.csv' }), expected: [/none\.csv/] },
  { name: 'an empty glob', job: data({ path: 'x*.csv' }), expected: [/x\*\.csv/] },
  { name: 'a missing target', job: data({ target: 'yy' }), expected: [/yy/, /\by\b/] },
  { name: 'a missing feature', job: data({ features: ['a', 'bb'] }), expected: [/bb/, /\bb\b/] },
  {
    name: 'an expression over a missing column',
    job: data({ features: [{ name: 'f', sql: 'aa * 2' }] }),
    expected: [/\bf\b/, /aa/],
  },
  {
    name: 'an expression that does not parse',
    job: data({ features: [{ name: 'f', sql: 'a * (' }] }),
    expected: [/\bf\b/],
  },
  {
    name: 'an expression that reads another file',
    job: data({ features: [{ name: 'f', sql: "(select 1 from read_csv('/etc/passwd'))" }] }),
    expected: [/\bf\b/],
  },
  {
    name: 'text in a number column',
    csv: rowsOf('a,y', '1,1', 'two,2', '3,3', '4,4', '5,5'),
    expected: [/\ba\b/, /two|text/],
  },
  {
    name: 'a target of text',
    csv: rowsOf('a,y', '1,low', '2,high', '3,low', '4,high', '5,low'),
    expected: [/\by\b/, /number/],
  },
  {
    name: 'infinite values',
    csv: rowsOf('a,y', '1,1', 'inf,2', '3,3', '4,4', '5,5'),
    expected: [/\ba\b/, /infinit/],
  },
  {
    name: 'missing values',
    csv: rowsOf('a,y', '1,1', ',2', '3,3', '4,4', '5,5'),
    expected: [/\ba\b/, /missing/, /impute/],
  },
  {
    name: 'NaN values',
    csv: rowsOf('a,y', '1,1', 'nan,2', '3,3', '4,4', '5,5'),
    expected: [/\ba\b/, /missing|NaN/, /impute/],
  },
  {
    name: 'a missing target value',
    csv: rowsOf('a,y', '1,1', '2,', '3,3', '4,4', '5,5'),
    expected: [/\by\b/, /missing/],
  },
  {
    name: 'more folds than rows',
    csv: rowsOf('a,y', '1,1', '2,2', '3,3'),
    expected: [/\b4\b/, /\b3\b/],
  },
  { name: 'no rows', csv: 'a,y\n', expected: [/row/] },
  {
    name: 'more folds than groups',
    csv: rowsOf('a,g,y', '1,p,1', '2,p,2', '3,q,3', '4,q,4', '5,q,5'),
    job: { ...data({ features: ['a'] }), cv: { folds: 3, group: 'g' } },
    expected: [/\bg\b/, /group/],
  },
  {
    name: 'a fold that leaves no row to train on',
    csv: rowsOf('a,f,y', '1,0,1', '2,0,2', '3,0,3', '4,0,4', '5,0,5'),
    job: { ...data({ features: ['a'] }), cv: { predefined: 'f' } },
    expected: [/fold/],
  },
  {
    name: 'folds that test no row',
    csv: rowsOf('a,f,y', '1,-1,1', '2,-1,2', '3,-1,3', '4,-1,4', '5,-1,5'),
    job: { ...data({ features: ['a'] }), cv: { predefined: 'f' } },
    expected: [/fold/],
  },
  {
    name: 'a fold column that holds no fold numbers',
    csv: rowsOf('a,f,y', '1,0.5,1', '2,0,2', '3,1,3', '4,1,4', '5,0,5'),
    job: { ...data({ features: ['a'] }), cv: { predefined: 'f' } },
    expected: [/\bf\b/, /0\.5|whole/],
  },
  {
    name: 'a singular system that must raise',
    csv: rowsOf('a,b,y', ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `${i},${2 * i},${(i * 7) % 5}`)),
    job: { search: { grid: { lambda: [0] } }, error_score: 'raise' },
    expected: [/positive definite|singular/, /penalty/],
  },
  {
    name: 'a truncated Parquet file',
    job: data({ path: 'cut.parquet' }),
    prepare: async (folder) => {
      await duckdb(`copy (from '${folder.file('data.csv')}') to '${folder.file('cut.parquet')}'`);
      const bytes = readFileSync(folder.file('cut.parquet'));
      folder.write('cut.parquet', bytes.subarray(0, bytes.length / 2));
    },
    expected: [/cut\.parquet/],
  },
  {
    name: 'a Parquet file that is text',
    job: data({ path: 'text.parquet' }),
    prepare: (folder) => void folder.write('text.parquet', 'a,y\n1,2\n'),
    expected: [/text\.parquet/],
  },
  {
    name: 'an empty file',
    job: data({ path: 'empty.parquet' }),
    prepare: (folder) => void folder.write('empty.parquet', ''),
    expected: [/empty\.parquet/],
  },
  {
    name: 'an unknown key',
    job: { extra: 1 },
    expected: [/job\.yaml:\d+:1: extra: expected a known key/],
  },
];

describe('bad input', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
  });
  afterEach(() => folder.remove());

  for (const { name, job, csv, prepare, expected, code = 3 } of CASES)
    it(`is refused: ${name}`, async () => {
      folder.write('data.csv', csv ?? linearCsv(40));
      await prepare?.(folder);
      folder.job(job);
      const result = await reprise(['run', 'job.yaml', '--engine', 'local', '--json'], {
        cwd: folder.path,
      });
      assert.equal(result.code, code, result.stderr);
      assert.equal(result.stdout, '');
      const errors = result.stderr.split('\n').filter((line) => line.startsWith('error: '));
      assert.equal(errors.length, 1, result.stderr);
      for (const pattern of expected) assert.match(result.stderr, pattern);
      assert.ok(!/\n\s+at /.test(result.stderr), `a stack trace: ${result.stderr}`);
      assert.deepEqual(folder.runs(), []);
    });

  it('that only some candidates can not bear ends the run with 4 and its results', async () => {
    folder.write(
      'data.csv',
      rowsOf('a,b,y', ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `${i},${2 * i},${(i * 7) % 5}`)),
    );
    folder.job({ search: { grid: { lambda: [0, 1] } } });
    const { code, stdout, stderr } = await reprise(
      ['run', 'job.yaml', '--engine', 'local', '--json'],
      { cwd: folder.path },
    );
    assert.equal(code, 4, stderr);
    const answer = JSON.parse(stdout);
    assert.deepEqual(answer.best.params, { lambda: 1 });
    assert.equal(answer.failedTrials, 1);
    assert.match(stderr, /warning: 1 of 2 candidates failed: lambda 0, fold 0: /);
    assert.equal(folder.runs().length, 1);
  });

  it('warns of a constant column, which predicts nothing', async () => {
    folder.write(
      'data.csv',
      rowsOf('a,c,y', ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => `${i},7,${2 * i}`)),
    );
    folder.job({ data: { path: 'data.csv', target: 'y', standardize: true } });
    const { code, stderr } = await reprise(['run', 'job.yaml', '--engine', 'local'], {
      cwd: folder.path,
    });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: feature c: .*same value/);
  });

  it('shows a stack only to those who debug', async () => {
    const options = { cwd: folder.path, env: { REPRISE_LOG: 'debug' } };
    const { code, stderr } = await reprise(['run', 'none.yaml'], options);
    assert.equal(code, 3);
    assert.match(stderr, /error: .*none\.yaml.*\n\s+at /s);
  });
});
