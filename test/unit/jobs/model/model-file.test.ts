/** Model files: what is refused, and that rows are encoded for one as its training rows were. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../../driver/errors.js';
import type { EncodedFeature } from '../../../../driver/operators/encode-block.js';
import { modelEncoding } from '../../../../jobs/model/encoding.js';
import { modelFeatures } from '../../../../jobs/model/make-model.js';
import { parseModel } from '../../../../jobs/model/model-file.js';
import { linearModel, modelFile } from '../../../support/run-records.js';

const model = modelFile(linearModel(['a', 'b'], [1.5, -2], 0.25));

describe('model files', () => {
  it('are read back as they were written', () => {
    assert.deepEqual(parseModel(JSON.parse(JSON.stringify(model)), 'model.json'), model);
  });

  it('of a newer version are refused, saying what to do', () => {
    assert.throws(
      () => parseModel({ ...model, version: 2 }, '/r/model.json'),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(
          error.message,
          /^\/r\/model.json: expected version 1 .*got version 2; .*install/,
        );
        return true;
      },
    );
  });

  for (const [what, change, expected] of [
    ['an unknown key', { extra: 1 }, /extra/],
    ['a task there is not', { task: 'ranking' }, /task/],
    ['other columns than its features make', { columns: ['a'] }, /expected 2 columns .*got 1/],
    ['a coefficient too few', { coefficients: [[1.5]] }, /expected 2 coefficients, got 1/],
    ['an intercept too many', { intercepts: [0, 1] }, /an intercept an output, got 2/],
  ] as const) {
    it(`with ${what} are refused`, () => {
      assert.throws(() => parseModel({ ...model, ...change }, 'model.json'), expected);
    });
  }
});

describe('features of a model', () => {
  const text = (name: string) => ({ name, sql: name });
  const encoded: readonly EncodedFeature[] = [
    { kind: 'number', ...text('a'), missing: 'error' },
    { kind: 'number', ...text('b'), missing: 'zero' },
    { kind: 'missing', ...text('b') },
    { kind: 'onehot', ...text('c'), categories: ['x', 'y'], other: true, missing: false },
    { kind: 'bin', ...text('d'), edges: [0, 1, 2], missing: false },
  ];
  const features = modelFeatures(encoded, {
    specs: [
      { name: 'a', impute: 'mean' },
      { name: 'b', impute: 'mean' },
      { name: 'c', encode: 'onehot' },
      { name: 'd', sql: 'b * 2', encode: 'bin' },
    ],
    mean: (column, design) => column * 10 + design,
  });

  it('have means as constants, also where no training row was missing', () => {
    assert.deepEqual(
      features.map(({ name, impute, column }) => [name, impute, column]),
      [
        ['a', 0, 'a'],
        ['b', 11, 'b'],
        ['c', undefined, 'c'],
        ['d', undefined, undefined],
      ],
    );
  });

  it('are encoded into the columns the coefficients are of, and guards that weigh nothing', () => {
    const columns = ['a', 'b', 'c=x', 'c=y', 'c=(other)', 'd=[0,1)', 'd=[1,2)'];
    const weights = [1, 2, 3, 4, 5, 6, 7];
    const linear = linearModel(columns, weights, 0.5);
    const { features: own, width, weights: cells } = modelEncoding(modelFile(linear, { features }));
    assert.deepEqual([...cells], [1, 2, 3, 4, 5, 6, 7, 0]);
    assert.equal(width, 8);
    assert.deepEqual(
      own.map(({ kind, name }) => `${kind} ${name}`),
      ['number a', 'number b', 'onehot c', 'bin d', 'number d'],
    );
    const squared = { ...linear, coefficients: [[...weights, ...weights.map((w) => -w)]] };
    const squares = modelEncoding(modelFile(squared, { features, basis: 'squares' }));
    assert.deepEqual([...squares.weights].slice(8), [-1, -2, -3, -4, -5, -6, -7, 0]);
  });
});
