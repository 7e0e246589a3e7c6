/**
 * Exports: the files are those that onnxruntime and pypmml were found to agree with `predict` on.
 * After a change, `test/fixtures/export/check.py` asks them again.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { onnxModel } from '../../../../jobs/export/onnx.js';
import { pmmlModel } from '../../../../jobs/export/pmml.js';
import { hasPmml, MODELS } from '../../../support/exported-models.js';

const { files } = JSON.parse(
  readFileSync(join(packageRoot(), 'test/fixtures/export/checked.json'), 'utf8'),
) as { readonly files: Readonly<Record<string, string>> };

const sha256 = (content: Uint8Array | string): string =>
  createHash('sha256').update(content).digest('hex');

describe('exported models', () => {
  for (const [name, model] of Object.entries(MODELS)) {
    it(`${name}: the file is the one that was checked`, () => {
      assert.equal(sha256(onnxModel(model)), files[`${name}.onnx`], 'ask check.py');
      if (hasPmml(model))
        assert.equal(sha256(pmmlModel(model)), files[`${name}.pmml`], 'ask check.py');
    });
  }

  it('have no PMML of what PMML has no form for', () => {
    for (const name of ['clusters', 'components', 'above']) {
      assert.throws(
        () => pmmlModel(MODELS[name]!),
        /export: expected a regression or .*\.onnx instead/,
      );
    }
  });

  it('say nothing in PMML of members that may be divided equally', () => {
    assert.throws(
      () => pmmlModel(MODELS.hardVotes!),
      /export: expected soft votes .*\.onnx instead/,
    );
  });

  it('tell no categories apart that float64 does not', () => {
    const { features, ...model } = MODELS.identity!;
    const wide = features.map((feature) =>
      feature.name === 'code'
        ? { ...feature, categories: ['9007199254740993', '1', '2'] }
        : feature,
    ) as typeof features;
    assert.throws(
      () => onnxModel({ ...model, features: wide }),
      /got 9007199254740993 of feature code/,
    );
  });
});
