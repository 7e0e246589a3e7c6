/** Job files: what a valid one means, and what is said of a wrong one. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../../../../driver/errors.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { jobJsonSchema } from '../../../../jobs/job-file/json-schema.js';
import { parseJob, type ReadJobOptions, readJob } from '../../../../jobs/job-file/read-job.js';
import { linspace, logspace } from '../../../../jobs/job-file/spaces.js';
import { localPath } from '../../../../jobs/npm-data.js';
import { candidatesOf } from '../../../../jobs/search/candidates.js';

const MINIMAL = `
kind: grid-search
data: {path: d.csv, target: y}
model: {type: ridge}
search: {grid: {lambda: [0.1, 1]}}
`;

function errorOf(text: string, options: ReadJobOptions = {}): string {
  try {
    parseJob('job.yaml', text, options);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('expected a ConfigError');
}

/** The minimal job with one line replaced or added. */
const withLine = (key: string, line: string): string =>
  `${MINIMAL.split('\n')
    .filter((existing) => !existing.startsWith(`${key}:`))
    .join('\n')}${line}\n`;

describe('job files', () => {
  it('fills in the documented defaults', () => {
    const job = parseJob('/jobs/first.yaml', MINIMAL, { cwd: '/home/me' });
    assert.equal(job.name, 'first');
    assert.equal(job.data.path, '/jobs/d.csv');
    assert.equal(job.data.standardize, false);
    assert.equal(job.data.features, undefined);
    assert.equal(job.models[0]!.estimator.name, 'ridge');
    assert.deepEqual(job.models[0]!.params, { intercept: true });
    assert.deepEqual(job.cv, { type: 'kfold', folds: 5, repeats: 1, shuffle: false, seed: 0 });
    assert.deepEqual(job.scoring, ['r2']);
    assert.equal(job.metric, 'r2');
    assert.equal(job.refit, true);
    assert.ok(Number.isNaN(job.errorScore));
    assert.equal(job.output, '/home/me/runs');
  });

  it('search several parameters, and take the rest from the model or its defaults', () => {
    const text = MINIMAL.replace('{lambda: [0.1, 1]}', '{lambda: 2, intercept: [true, false]}');
    const job = parseJob('job.yaml', text);
    assert.deepEqual(job.search.space[0]!.values, { lambda: [2], intercept: [true, false] });
    assert.deepEqual(job.models[0]!.params, {});
    const candidates = candidatesOf(job.models[0]!, job.search.space[0]!.values);
    assert.deepEqual(
      candidates.map(({ params }) => params),
      [
        { intercept: true, lambda: 2 },
        { intercept: false, lambda: 2 },
      ],
    );
    const fixed = parseJob(
      'job.yaml',
      withLine('model', 'model: {type: ridge, lambda: 3}').replace(/^search.*$/m, ''),
    );
    assert.deepEqual(fixed.models[0]!.params, { lambda: 3, intercept: true });
  });

  it('reads every key of the example', async () => {
    const job = await readJob(join(packageRoot(), 'examples/flights.yaml'));
    assert.equal((job.search.space[0]!.values.lambda as readonly number[]).length, 40);
    assert.deepEqual(job.cv, { type: 'kfold', folds: 10, repeats: 1, shuffle: true, seed: 7 });
    assert.equal(job.data.features?.length, 7);
    assert.deepEqual(job.data.features?.[0], { name: 'distance' });
    assert.equal(job.metric, 'neg_mean_squared_error');
  });

  it('takes data of npm packages at an exact version only, and nothing outside them', async () => {
    for (const path of ['npm://vega-datasets/data/x', 'npm://a@1.2.3', 'pypi://a@1.2.3/../../b']) {
      await assert.rejects(
        localPath(path),
        /^ConfigError: data\.path: expected npm:\/\/ or pypi:\/\/package@version/,
      );
    }
    assert.equal(await localPath('hdfs://there/x'), 'hdfs://there/x');
  });

  it('names the published schema in the example', () => {
    const text = readFileSync(join(packageRoot(), 'examples/flights.yaml'), 'utf8');
    const path = /\$schema=(\S+)/.exec(text)?.[1] ?? assert.fail('expected a schema line');
    JSON.parse(readFileSync(resolve(packageRoot(), 'examples', path), 'utf8'));
  });

  it('publishes the schema that it checks with', () => {
    const published = readFileSync(join(packageRoot(), 'jobs/job-file/job.schema.json'), 'utf8');
    assert.equal(published, jobJsonSchema(), 'run `npm run schema`');
  });

  it('lists every problem with file, line, column and key', () => {
    const message = errorOf(
      [
        'kind: grid-search',
        'data:',
        '  path: d.csv',
        '  targt: y',
        'model: {type: ridge, interceptt: true}',
        'search: {grid: {lambda: [1, -2]}}',
        'cv: {folds: 1}',
      ].join('\n'),
    );
    assert.deepEqual(message.split('\n'), [
      'job.yaml:3:3: data.target: expected text or a mapping, got nothing (the key is missing)',
      'job.yaml:4:3: data.targt: expected a known key, got `targt`; did you mean `target`?',
      'job.yaml:5:22: model.interceptt: expected a known key, got `interceptt`; did you mean `intercept`? known keys: type, lambda, intercept',
      'job.yaml:6:29: search.grid.lambda.1: expected a number of at least 0, got -2',
      'job.yaml:7:13: cv.folds: expected a number of at least 2, got 1',
    ]);
  });

  it('says of a mistyped layer no more than that', () => {
    const text = withLine('model', 'model: {type: network-regressor, layers: [{dropuot: 0.2}]}');
    const [problem, ...others] = errorOf(text)
      .split('\n')
      .filter((line) => line.includes('model.'));
    assert.match(problem!, /layers\.0\.dropuot: expected a known key, got .*mean `dropout`\?/);
    assert.deepEqual(others, []);
  });

  it('suggests the metric that was meant', () => {
    assert.match(
      errorOf(withLine('scoring', 'scoring: neg_mean_square_error')),
      /did you mean neg_mean_squared_error\?/,
    );
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['refit', 'refit: neg_mean_squared_error', /refit: expected one of the scored metrics \(r2\)/],
    ['scoring', 'scoring: [r2, r2]', /scoring.1: expected each metric once/],
    ['scoring', 'scoring: []', /scoring: expected at least 1 item/],
    [
      'cv',
      'cv: {gap: 3}',
      /^\S+ cv.gap: expected a `type` together with `gap`, got none; add type: time-series$/,
    ],
    [
      'cv',
      'cv: {test_size: 0.2}',
      /^\S+ cv.test_size: .*, got none; add type: time-series or shuffle or stratified-shuffle$/,
    ],
    ['cv', 'cv: {stratify: c, gap: 1}', /cv.gap: expected no `gap` together with `stratify`/],
    ['cv', 'cv: {test_size: 5, seed: 1, gap: 2}', /got `seed`, `test_size`, `gap`; say `type`/],
    ['cv', 'cv: {type: kfold, gap: 3}', /cv.gap: expected no `gap` together with `type: kfold`/],
    ['model', 'model: {type: kmeans}', /data.target: expected no `target`, as kmeans does clus/],
    ['cv', 'cv: {type: group}', /cv.type: expected `group`, a column/],
    ['cv', 'cv: {repeats: 2, shuffle: false}', /cv.shuffle: expected true together/],
    ['cv', 'cv: {type: time-series, test_size: 0.5}', /cv.test_size: expected a whole number/],
    ['cv', 'cv: {outer: {predefined: f, folds: 3}}', /cv.outer.folds: expected no `folds`/],
    ['cv', 'cv: {predefined: f, folds: 3}', /cv.folds: expected no `folds`/],
    ['cv', 'cv: {folds: 2.5}', /cv.folds: expected a whole number, got 2.5/],
    ['cv', 'cv: {seed: -1}', /cv.seed: expected a number of at least 0, got -1/],
    ['search', 'search: {grid: {lambda: []}}', /lambda: expected at least 1 item/],
    ['search', 'search: {grid: {lambda: [.nan]}}', /lambda.0: expected a number, got NaN/],
    ['search', 'search: {grid: {lambda: [.inf]}}', /lambda.0: expected .*, got Infinity/],
    ['search', 'search: {grid: {lambda: {}}}', /lambda: expected one of logspace and linspace/],
    ['search', 'search: {grid: {lambda: {logspace: [0, 1]}}}', /logspace: expected at least 3/],
    ['search', 'search: {grid: {lambda: {logspace: [0, 1, 2.5]}}}', /logspace.2: expected a whole/],
    [
      'search',
      'search: {grid: {lamda: 1}}',
      /got `lamda`; did you mean `lambda`\? known keys: lambda, i/,
    ],
    ['search', 'search: {grid: {l1_ratio: 1}}', /got `l1_ratio`; known keys: lambda, intercept/],
    ['search', 'search: {grid: {intercept: [1]}}', /intercept.0: expected true or false, got 1/],
    ['search', 'search: {grid: {lambda: {linspace: [-1, 1, 3]}}}', /at least 0, got -1/],
    [
      'model',
      'model: {type: ridge, lambda: 1}',
      /grid.lambda: expected no `lambda` in the grid together/,
    ],
    [
      'search',
      'search: {grid: {lambda: {logspace: [0, 1, 60000]}, intercept: [true, false]}}',
      /search.grid: expected at most 100000 candidates, got 120000/,
    ],
    ['model', 'model: {type: rigde}', /model.type: expected .*ridge.*, got "rigde"/],
    ['data', 'data: {target: y}', /data: expected `path` or `table`, got neither/],
    ['data', 'data: {path: a, table: b, target: y}', /data.table: expected no `table` together/],
    ['data', 'data: {table: b, format: orc, target: y}', /data.format: expected no `format`/],
    ['data', 'data: [a]', /data: expected a mapping, got \["a"\]/],
    ['data', 'data:', /data: expected a mapping, got an empty value/],
    ['data', 'data: {path: a, target: y, features: [y]}', /features.0: expected a column other/],
    ['data', 'data: {path: a, target: y, features: [a, a]}', /features.1: expected each feature/],
    ['data', 'data: {path: a, target: y, features: [{name: a, top: 3}]}', /encode: onehot/],
    ['data', 'data: {path: a, target: y, features: [{name: a, impute: x}]}', /expected mean, zero/],
    [
      'data',
      'data: {path: a, target: y, features: [{name: a, encode: bin, bins: [2, 1]}]}',
      /ascending order/,
    ],
  ];
  for (const [key, line, expected] of wrong)
    it(`refuses \`${line}\``, () => assert.match(errorOf(withLine(key, line)), expected));

  it('refuses what is not one mapping', () => {
    assert.match(errorOf(''), /job.yaml:1:1: expected a mapping/);
    assert.match(errorOf('- a'), /expected a mapping/);
    assert.match(errorOf('a: 1\n---\nb: 2'), /job.yaml:2:1: expected YAML/);
  });

  it('says where YAML is broken', () => {
    assert.match(errorOf('kind: [a\nb: 1'), /^job.yaml:2:\d+: expected YAML, got a syntax error/);
    assert.equal(
      errorOf('kind: pipline\nsteps: {}'),
      'job.yaml:1:7: kind: expected one of grid-search, search, pipeline (did you mean pipeline?), got "pipline"',
    );
    assert.match(errorOf('steps: {}'), /^job.yaml:1:1: kind: expected one of .*, got none$/);
    assert.match(errorOf('kind: a\nkind: b'), /job.yaml:2:1: .*unique/);
  });

  it('refuses files made to exhaust the reader', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (let i = 0; i < 8; i++) {
      const [from, to] = [String.fromCharCode(97 + i), String.fromCharCode(98 + i)];
      bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(',')}]`);
    }
    assert.match(errorOf(bomb.join('\n')), /values from aliases/);
    assert.match(errorOf(`a: ${'['.repeat(30)}${']'.repeat(30)}`), /at most 20 levels/);
    assert.match(errorOf(`a: ${'['.repeat(200_000)}`), /expected/);
  });

  it('takes no key that could touch a prototype', () => {
    for (const key of ['__proto__', 'constructor', 'prototype'])
      assert.match(errorOf(`${MINIMAL}${key}: {polluted: 1}`), /expected a key of a job file/);
    assert.match(errorOf(MINIMAL, { overrides: ['__proto__.polluted=1'] }), /expected/);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  it('refuses a missing file, a folder, a huge file and bytes that are no text', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reprise-job-'));
    try {
      writeFileSync(join(folder, 'huge.yaml'), Buffer.alloc(2 << 20, 32));
      writeFileSync(join(folder, 'bytes.yaml'), Buffer.from([0x6b, 0xff, 0xfe, 0xc0]));
      await assert.rejects(readJob(join(folder, 'none.yaml')), /got no such file/);
      await assert.rejects(readJob(folder), /got a folder/);
      await assert.rejects(readJob(join(folder, 'huge.yaml')), /got 2097152 bytes, over/);
      await assert.rejects(readJob(join(folder, 'bytes.yaml')), /not UTF-8 text/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('overrides', () => {
  it('replace, add and reach into lists', () => {
    const job = parseJob(
      '/j/job.yaml',
      withLine('data', 'data: {path: d, target: y, features: [a, b]}'),
      {
        overrides: [
          'search.grid.lambda=[1, 10]',
          'cv.folds=3',
          'data.features.1={name: c, sql: a+1}',
        ],
      },
    );
    assert.deepEqual(job.search.space[0]!.values.lambda, [1, 10]);
    assert.deepEqual(job.cv, { type: 'kfold', folds: 3, repeats: 1, shuffle: false, seed: 0 });
    assert.deepEqual(job.data.features, [{ name: 'a' }, { name: 'c', sql: 'a+1' }]);
  });

  it('read values as YAML, later ones winning', () => {
    const job = parseJob('job.yaml', MINIMAL, {
      overrides: ['model.intercept=false', 'name=a=b', 'error_score=.nan', 'name=last one'],
    });
    assert.equal(job.models[0]!.params.intercept, false);
    assert.equal(job.name, 'last one');
    assert.ok(Number.isNaN(job.errorScore));
  });

  it('are named as the source of what is wrong with them', () => {
    assert.equal(
      errorOf(MINIMAL, { overrides: ['cv.folds=one'] }),
      'command line: cv.folds=one: cv.folds: expected a number, got "one"',
    );
    assert.match(errorOf(MINIMAL, { overrides: ['cvv.folds=3'] }), /^command line: .*`cv`\?$/);
    assert.match(errorOf(MINIMAL, { overrides: ['folds'] }), /expected key.path=value/);
    assert.match(errorOf(MINIMAL, { overrides: ['cv.folds=[1'] }), /expected a YAML value/);
    assert.match(errorOf(MINIMAL, { overrides: ['kind.x=1'] }), /expected a mapping at kind/);
  });

  it('leave problems of the file with the file', () => {
    assert.match(
      errorOf(withLine('cv', 'cv: {folds: 1}'), { overrides: ['name=x'] }),
      /^job.yaml:\d+:\d+: cv.folds/,
    );
  });

  it('name a table of Spark in place of a path', () => {
    const file = MINIMAL.replace('path: d.csv', 'table: sales.orders');
    assert.equal(parseJob('/j/job.yaml', file).data.path, 'table://sales.orders');
  });

  it('take paths from the current folder, those of the file from the file', () => {
    const options = { cwd: '/home/me', overrides: ['data.path=other.csv'] };
    assert.equal(parseJob('/jobs/job.yaml', MINIMAL, options).data.path, '/home/me/other.csv');
    const output = { cwd: '/home/me', output: 'here' };
    const text = `${MINIMAL}output: there\n`;
    assert.equal(parseJob('/jobs/job.yaml', text, output).output, '/home/me/here');
    assert.equal(parseJob('/jobs/job.yaml', text, { cwd: '/home/me' }).output, '/jobs/there');
  });

  it('leave addresses of remote storage alone', () => {
    const job = parseJob('/j/job.yaml', MINIMAL, { overrides: ['data.path=hdfs://host/a b'] });
    assert.equal(job.data.path, 'hdfs://host/a b');
  });
});

describe('grids', () => {
  it('space values as NumPy does', () => {
    assert.deepEqual(linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]);
    assert.deepEqual(linspace(3, 9, 1), [3]);
    assert.deepEqual(logspace(-2, 2, 5), [0.01, 0.1, 1, 10, 100]);
    // numpy.logspace(-2, 6, 40)[[1, 20, 39]]
    const grid = logspace(-2, 6, 40);
    assert.equal(grid.length, 40);
    const numpy = [0.0160371874375133, 126.63801734674023, 1e6];
    for (const [i, at] of [1, 20, 39].entries())
      assert.ok(Math.abs(grid[at]! / numpy[i]! - 1) < 1e-14, `${grid[at]} and ${numpy[i]}`);
  });
});
