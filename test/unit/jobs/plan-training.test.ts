/** What `plan` says of training is what training takes. */
import assert from 'node:assert/strict';
import { parseJob } from '../../../jobs/job-file/read-job.js';
import { planJob } from '../../../jobs/plan-job.js';
import { runJob } from '../../../jobs/run-job.js';
import { JobFolder } from '../../support/job-folder.js';

describe('plans of training', function () {
  this.timeout(60_000);
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
    const rows = Array.from({ length: 300 }, (_, i) => {
      const [a, b] = [Math.sin(7 * i), Math.cos(i * i)];
      return `${a},${b},${a + b + 2 * Math.sin(13 * i) > 0 ? 'yes' : 'no'},${i % 5}`;
    });
    folder.write('data.csv', ['a,b,y,n', ...rows, ''].join('\n'));
  });
  after(() => folder.remove());

  const job = (model: string, rest = '', target = 'y') =>
    parseJob(
      folder.file('job.yaml'),
      `{kind: grid-search, data: {path: data.csv${target ? `, target: ${target}` : ''}, features: [a, b]}, cv: {folds: 3}, model: ${model}${rest}}`,
    );
  const local = { engine: 'local' } as const;

  for (const [type, target, loops] of [
    ['logistic', 'y', 1],
    ['poisson', 'n', 1],
  ] as const) {
    it(`count the passes of an iteration: ${type}`, async () => {
      const ended = (most: number) =>
        job(`{type: ${type}, tol: 1e-15, max_iter: ${most}}`, ', refit: false', target);
      const { training, passes } = await planJob(ended(2), local);
      const [plan, ...others] = training;
      assert.deepEqual(
        [others.length, plan!.fits, plan!.stacks, plan!.maxIterations],
        [0, 3, 1, 2],
      );
      assert.equal(plan!.iterations.length, loops);
      assert.ok(passes >= 1, 'scores are planned');
      assert.ok(plan!.stackBytes! > 0);
      const [two, four] = [await runJob(ended(2), local), await runJob(ended(4), local)];
      assert.equal(four.passes - two.passes, 2 * plan!.iterations[0]!);
    });
  }

  it('count starts, and one stack for each kind of fit', async () => {
    const clusters = await planJob(job('{type: kmeans, n_init: 4}', '', ''), local);
    assert.deepEqual([clusters.training[0]!.fits, clusters.training[0]!.models], [3, 12]);
    const grid = ', search: {grid: {C: [1, 2], penalty: [l2, l1]}}';
    const { training } = await planJob(job('{type: logistic}', grid), local);
    assert.deepEqual(training.map(({ fits }) => fits), [6, 6]); // biome-ignore format: a line
    assert.deepEqual((await planJob(job('{type: gaussian-nb}'), local)).training, []);
  });
});
