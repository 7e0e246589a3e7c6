/** `docs/estimators.md` is what the estimators' own schemas say. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { measuredAgreement } from '../../../../jobs/job-file/agreement.js';
import { estimatorsPage } from '../../../../jobs/job-file/estimators-page.js';
import { parametersOf } from '../../../../jobs/job-file/model-schema.js';

describe('the page of estimators', () => {
  it('is up to date', () => {
    const root = packageRoot();
    const published = readFileSync(join(root, 'docs/estimators.md'), 'utf8');
    assert.equal(
      published,
      estimatorsPage(estimators, measuredAgreement(root)),
      'run `npm run schema`',
    );
  });

  it('has a row for each estimator and a line for each parameter', () => {
    const page = estimatorsPage(estimators, new Map([['ridge', 2.6e-13]]));
    assert.match(page, /^\| `ridge` \|.*\| 3e-13 \|$/m);
    assert.match(page, /^\| `ols`, `linear` \|.*\| not yet measured \|$/m);
    for (const estimator of estimators) {
      for (const { name } of parametersOf(estimator)) {
        assert.ok(page.includes(`\n  - \`${name}\``), `${estimator.name}: ${name}`);
      }
    }
  });
});
