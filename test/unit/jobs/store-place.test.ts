/**
 * A project's own store: beside its job files, unless flag, environment or job file say otherwise. A
 * job run again in another session makes no pass over the data, whatever its model and metrics, to
 * equal scores, and says which run answered it.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseJob, readJob } from '../../../jobs/job-file/read-job.js';
import { runJob } from '../../../jobs/run-job.js';
import type { RunRecord } from '../../../jobs/runs/record.js';
import { JobFolder } from '../../support/job-folder.js';

const ROWS = 240;
/** Of all jobs here together. */
const MOST_RESULTS = 100;

/** Columns a, b: numbers, with gaps in b; c: one of three texts; k: counts; y. */
function rows(): string {
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const [a, b] = [Math.sin(i * 12.9898) * 3, Math.cos(i * 78.233)];
    const c = a + b > 1 ? 'high' : a > -1 ? 'mid' : 'low';
    return `${a},${i % 11 === 0 ? '' : b},${c},${(i * 7) % 5},${2 * a - b + Math.sin(i)}`;
  });
  return `a,b,c,k,y\n${lines.join('\n')}\n`;
}

const numbers = { target: 'y', features: ['a', { name: 'b', impute: 'mean' }, { name: 'c', encode: 'onehot' }] }; // biome-ignore format: a line
const classes = { target: 'c', features: ['a', { name: 'b', impute: 'mean' }, 'k'] };

const JOBS: readonly (readonly [model: string, job: Readonly<Record<string, unknown>>])[] = [
  ['ridge', { data: numbers, search: { grid: { lambda: [0.1, 10] } }, scoring: ['r2', 'neg_mean_absolute_error'] }],
  ['huber', { data: numbers, scoring: ['neg_median_absolute_error', 'd2_absolute_error_score'], cv: { folds: 3, outer: { folds: 3 } } }],
  ['logistic', { data: classes, search: { grid: { C: [0.1, 1] } }, scoring: ['accuracy', 'roc_auc_ovr', 'average_precision'] }],
  ['gaussian-nb', { data: classes, scoring: ['f1_macro', 'neg_log_loss'], cv: { type: 'stratified', folds: 3 } }],
  ['lda', { data: { ...classes, standardize: true }, scoring: ['accuracy'], cv: { type: 'shuffle', folds: 2, test_size: 0.3 } }],
  ['kmeans', { data: { features: ['a', 'k'] }, search: { grid: { n_clusters: [2, 5] } }, scoring: ['neg_inertia'] }],
  ['pca', { data: { features: ['a', 'k'] }, scoring: ['neg_reconstruction_error'] }],
]; // biome-ignore format: a job a line

describe("a project's store", () => {
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
    folder.write('data.csv', rows());
  });
  beforeEach(() => {
    process.env.REPRISE_STORE = '';
  });
  afterEach(() => {
    process.env.REPRISE_STORE = 'off';
  });
  after(() => folder.remove());

  const jobOf = (model: string, { data, ...job }: Readonly<Record<string, unknown>>): string =>
    folder.job({
      ...{ scoring: ['r2'], search: { grid: {} }, cv: { folds: 3 }, model: { type: model } },
      ...job,
      data: { path: 'data.csv', ...(data as object) },
    });
  const run = async (file: string, store = true): Promise<RunRecord> =>
    runJob(await readJob(file, { store }), { engine: 'local' });

  for (const [model, job] of JOBS) {
    it(`answers a second run without a pass: ${model}`, async () => {
      const file = jobOf(model, job);
      const first = await run(file);
      const second = await run(file);
      assert.ok(first.passes > 0);
      assert.deepEqual([second.passes, second.rowsRead, second.scans], [0, 0, 0]);
      assert.deepEqual(second.search, first.search);
      const { answered, from, results, bytes } = second.store!;
      assert.ok(answered > 0 && results >= answered && bytes > 0, JSON.stringify(second.store));
      assert.ok(from.includes(first.run), `${from}`);
      assert.ok(results <= MOST_RESULTS, `${results} results: steps of iterations are not kept`);
    });
  }

  it('lies beside the job file, for its owner alone, where version control passes it over', async () => {
    const { store } = await run(jobOf('ridge', JOBS[0]![1]));
    assert.equal(store!.folder, folder.file('.reprise/store'));
    assert.equal(readFileSync(folder.file('.reprise/.gitignore'), 'utf8'), '*\n');
    assert.equal(statSync(folder.file('.reprise')).mode & 0o777, 0o700);
  });

  it('is none where flag, environment or job file say so, and elsewhere where they say that', async () => {
    const own = new JobFolder();
    own.write('data.csv', rows());
    const file = own.job({ data: { path: 'data.csv', ...numbers } });
    const { store, passes } = await run(file, false);
    assert.deepEqual(
      [store, passes > 0, existsSync(own.file('.reprise'))],
      [undefined, true, false],
    );
    own.remove();
    const text = (line: string): string =>
      `{kind: grid-search, data: {path: x.csv, target: y}, model: {type: ridge}, search: {grid: {lambda: [1]}}${line}}`;
    const place = (line: string, at = '/p/job.yaml') =>
      parseJob(at, text(line), { cwd: '/w' }).store;
    const GIB = 1024 ** 3;
    assert.deepEqual(place(''), {
      folder: '/p/.reprise/store',
      project: '/p/.reprise',
      maxBytes: 2 * GIB,
    });
    assert.deepEqual(place(', store: {folder: ../kept, size: 5GiB}'), {
      ...{ folder: '/kept/store', project: '/kept', maxBytes: 5 * GIB },
    });
    assert.equal(place(', store: false'), null);
    assert.equal(
      place('', '/w/node_modules/reprise/examples/a.yaml')!.project,
      join('/w', '.reprise'),
    );
    process.env.REPRISE_STORE = '/elsewhere';
    assert.deepEqual(place(', store: false'), { folder: '/elsewhere' });
    process.env.REPRISE_STORE = 'off';
    assert.equal(place(''), null);
    assert.throws(() => place(', store: {size: much}'), /store.size: expected a size such as 5GiB/);
  });
});
