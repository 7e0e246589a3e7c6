/** Nonnegative factorisations against scikit-learn's: parts, what rows have of them, errors. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, matrix, Session } from '../../../../driver/index.js';
import { csrOf } from '../../../../driver/ir/csr.js';
import { dense } from '../../../../driver/ir/value.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { Params } from '../../../../jobs/estimators/estimator.js';
import { decisionValues } from '../../../../jobs/estimators/model.js';
import { nmf } from '../../../../jobs/estimators/nmf.js';
import { onnxModel } from '../../../../jobs/export/onnx.js';
import { pmmlModel } from '../../../../jobs/export/pmml.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { parseModel } from '../../../../jobs/model/model-file.js';
import { predict } from '../../../../jobs/predict/predict.js';
import { runJob } from '../../../../jobs/run-job.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { GridSearchOptions } from '../../../../jobs/search/prepare.js';
import { assertClose } from '../../../support/close.js';
import { JobFolder } from '../../../support/job-folder.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Fixture {
  readonly P: readonly (readonly number[])[];
  readonly factors: readonly {
    readonly params: Params;
    readonly components: readonly (readonly number[])[];
    readonly scores: readonly number[];
    readonly rows: readonly (readonly number[])[];
  }[];
}

describe('nonnegative matrix factorisation', () => {
  const path = join(sklearnFolder, 'row-estimators.json');
  const { P, factors } = JSON.parse(readFileSync(path, 'utf8')) as Fixture;
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  const search = (own: Partial<GridSearchOptions>, cells = P) => {
    const run = session.run();
    const X = matrix(session, cells).in(run);
    return gridSearch(run, { X, cv: { folds: 3 }, estimator: nmf, grid: {}, ...own });
  };

  for (const { params, components, scores, rows } of factors) {
    it(`is scikit-learn's: ${JSON.stringify(params)}`, async () => {
      const { model, trials } = await search({ params });
      const found = await matrix(session, model!.coefficients).value();
      assertClose(found, await matrix(session, components).value(), 1e-8, 'components');
      const own = await decisionValues(model!, matrix(session, P)).value();
      assertClose(own, await matrix(session, rows).value(), 1e-5, 'rows');
      const ours = trials[0]!.splitScores.neg_reconstruction_error!;
      const [got, wanted] = [ours, scores].map((cells) => matrix(session, [cells]).value());
      assertClose(await got!, await wanted!, 1e-6, 'scores');
    });
  }

  for (const init of ['nndsvda', 'random']) {
    it(`trains numbers of components and penalties together as apart: ${init}`, async () => {
      const params = { init, tol: 0, max_iter: 20, random_state: 3 };
      const grid = { n_components: [1, 3], alpha_W: [0, 0.01] };
      const { trials } = await search({ params, grid });
      for (const { params: own, splitScores } of trials) {
        const alone = new Session({ local: await createCpuBackend() });
        const run = alone.run();
        const X = matrix(alone, P).in(run);
        const options = { X, cv: { folds: 3 }, estimator: nmf, params: { ...params, ...own } };
        const { trials: one } = await gridSearch(run, { ...options, grid: {}, refit: false });
        const [got, wanted] = [splitScores, one[0]!.splitScores].map((scores) =>
          matrix(session, [scores.neg_reconstruction_error!]).value(),
        );
        assertClose(await got!, await wanted!, 1e-9, JSON.stringify(own));
        await alone.close();
      }
    });
  }

  for (const init of ['nndsvda', 'random']) {
    it(`is of sparse rows what it is of their cells: ${init}`, async () => {
      const counts = Float64Array.from({ length: 90 * 30 }, (_, i) =>
        (i * 7919) % 13 === 0 ? 1 + ((i * 31) % 4) : 0,
      );
      const cells = dense(90, 30, counts);
      const found = [cells, csrOf(cells)].map(async (value) => {
        const run = session.run();
        const X = matrix(session, value).in(run);
        const { trials, model } = await gridSearch(run, {
          ...{ X, cv: { folds: 3 }, estimator: nmf, grid: { n_components: [1, 3] } },
          params: { init, beta_loss: 'kullback-leibler', tol: 1e-4, max_iter: 60, alpha_W: 0.001 },
        });
        const scores = trials.map((one) => one.splitScores.neg_reconstruction_error!);
        return matrix(
          session,
          [...scores.flat(), ...model!.coefficients.flat()].map((v) => [v]),
        );
      });
      const [wanted, got] = await Promise.all(found);
      assertClose(await got!.value(), await wanted!.value(), 1e-9, init);
    });
  }

  it('scores new rows by its model file, and refuses cells below 0 of a divergence', async () => {
    const folder = new JobFolder();
    const names = P[0]!.map((_, j) => `c${j}`);
    const write = (name: string, cells: readonly (readonly number[])[]): string =>
      folder.write(name, [names, ...cells].join('\n'));
    write('data.csv', P);
    const { params, rows } = factors.find(({ params: own }) => own.beta_loss !== undefined)!;
    const document = {
      kind: 'grid-search',
      data: { path: 'data.csv' },
      model: { type: 'nmf', ...params },
      cv: { folds: 2 },
    };
    const job = parseJob(folder.file('job.yaml'), JSON.stringify(document));
    const { model } = await runJob(job, { engine: 'local' });
    const stored = parseModel(JSON.parse(JSON.stringify(model)), 'model.json');
    const found = { model: stored, path: '', digest: '' };
    const scored = (name: string) =>
      predict(found, folder.file(name), { engine: 'local', out: folder.file('out.csv') });
    await scored('data.csv');
    const [head, ...lines] = readFileSync(folder.file('out.csv'), 'utf8').trim().split('\n');
    assert.equal(head, 'component_0,component_1,component_2');
    const got = matrix(
      session,
      lines.map((line) => line.split(',').map(Number)),
    );
    assertClose(await got.value(), await matrix(session, rows).value(), 1e-5, 'rows');
    write('bad.csv', [P[0]!, [1, -2, ...P[1]!.slice(2)]]);
    await assert.rejects(scored('bad.csv'), /feature `c1` .* got a negative one, .* \(row 2\)$/);
    assert.throws(() => onnxModel(stored), /^ConfigError: export: expected a model whose/);
    assert.throws(() => pmmlModel(stored), ConfigError);
    folder.remove();
  });

  it('says when the error still fell, and fails on cells below 0', async () => {
    const { warnings } = await search({ params: { max_iter: 5 }, refit: false });
    assert.match(warnings!.join(), /expected an error that stands still .* after 5 iterations/);
    const cells = P.map((row, i) => (i === 4 ? [-1, ...row.slice(1)] : row));
    const bad = await search({ refit: false }, cells);
    const errors = Object.values(bad.trials[0]!.errors!);
    assert.equal(errors.length, 2);
    assert.match(
      errors[0]!,
      /^expected columns from 0 up, got a training row with a negative cell/,
    );
  });

  it('refuses more components than singular vectors, and standardised columns', async () => {
    await assert.rejects(search({ grid: { n_components: [2, 9] } }), (error) => {
      return error instanceof ConfigError && /at most as many as columns \(8\)/.test(error.message);
    });
    const random = await search({ params: { n_components: 9, init: 'random', max_iter: 3 } });
    assert.equal(random.model!.coefficients.length, 9);
    await assert.rejects(
      search({ standardize: true }),
      /data.standardize: expected false with nmf/,
    );
  });
});
