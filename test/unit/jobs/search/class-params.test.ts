/** Parameters that say a number of each class: by the class in a job, by class number in a fit. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../../driver/index.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { byClassNumber } from '../../../../jobs/search/class-params.js';

const CLASSES = ['low', 'mid', 'top'];

describe('parameters by class', () => {
  it('are given by class number, 1 where a map is silent', () => {
    const params = byClassNumber(
      { C: 2, class_weight: { top: 5, low: 0.5 }, priors: [1, 2, 3] },
      CLASSES,
    );
    assert.deepEqual(params, { C: 2, class_weight: [0.5, 1, 5], priors: [1, 2, 3] });
    assert.deepEqual(
      byClassNumber({ class_weight: { 2: 3, true: 4 } }, [1, 2, true]).class_weight,
      [1, 3, 4],
    );
    assert.deepEqual(byClassNumber({ class_weight: 'balanced', priors: null }, CLASSES), {
      class_weight: 'balanced',
      priors: null,
    });
  });

  it('have to fit the classes there are', () => {
    const fails = (params: Parameters<typeof byClassNumber>[0], message: RegExp) =>
      assert.throws(
        () => byClassNumber(params, CLASSES),
        (error) => {
          return error instanceof ConfigError && message.test(error.message);
        },
      );
    fails(
      { class_weight: { high: 2 } },
      /^class_weight: expected classes of the target \(low, mid, top\), got high$/,
    );
    fails(
      { priors: [0.5, 0.5] },
      /^priors: expected a number for each of the classes low, mid, top, got 2 numbers$/,
    );
  });

  it('stand in a job as a map or a list, and in lists in the grid', () => {
    const job = (model: object, grid: object = {}) =>
      parseJob(
        '/job.yaml',
        JSON.stringify({
          kind: 'grid-search',
          data: { path: 'data.csv', target: 'y' },
          model,
          search: { grid },
        }),
      );
    const weighted = job({ type: 'logistic', class_weight: { low: 2 } });
    assert.deepEqual(weighted.models[0]!.params.class_weight, { low: 2 });
    const searched = job({ type: 'logistic' }, { class_weight: [{ low: 2 }, 'balanced'], C: 3 });
    assert.deepEqual(searched.search.space[0]!.values, {
      class_weight: [{ low: 2 }, 'balanced'],
      C: [3],
    });
    assert.deepEqual(
      job({ type: 'logistic' }, { class_weight: 'balanced' }).search.space[0]!.values,
      {
        class_weight: ['balanced'],
      },
    );
    const priors = job({ type: 'lda' }, { priors: [[0.5, 0.5], null] });
    assert.deepEqual(priors.search.space[0]!.values.priors, [[0.5, 0.5], null]);
    assert.throws(() => job({ type: 'logistic' }, { class_weight: { low: 2 } }), ConfigError);
    assert.throws(() => job({ type: 'lda' }, { priors: [0.5, 0.5] }), ConfigError);
    assert.throws(() => job({ type: 'gaussian-nb', priors: [0.5, 0.6] }), /sum to 1/);
    assert.throws(() => job({ type: 'logistic', class_weight: { low: 0 } }), ConfigError);
  });

  it('know least squares as `linear` too', () => {
    const document = (type: string) =>
      JSON.stringify({
        kind: 'grid-search',
        data: { path: 'data.csv', target: 'y' },
        model: { type },
      });
    const [linear, ols] = ['linear', 'ols'].map((type) => parseJob('/job.yaml', document(type)));
    assert.equal(linear!.models[0]!.estimator.name, 'ols');
    assert.deepEqual(linear!.document, ols!.document);
  });
});
