/** Nested cross-validation finds the candidates and gives the scores of scikit-learn. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface NestedCase {
  readonly outer: Readonly<Record<string, unknown>>;
  readonly scores: readonly number[];
  readonly best: readonly number[];
}

const { nested } = JSON.parse(readFileSync(join(sklearnFolder, 'splits.json'), 'utf8')) as {
  readonly nested: readonly NestedCase[];
};

describe('nested cross-validation', () => {
  let open: OpenSession;
  before(async () => {
    open = await openSession('local');
  });
  after(() => open.session.close());

  for (const { outer, scores, best } of nested) {
    it(`is scikit-learn's: ${JSON.stringify(outer)}`, async () => {
      const document = {
        kind: 'grid-search',
        data: { path: 'regression.csv', target: 'y', features: ['x1', 'x2', 'x5'] },
        model: { type: 'ridge' },
        search: { grid: { lambda: [0.1, 3, 30, 300, 3000] } },
        cv: { folds: 3, outer },
      };
      const job = parseJob(join(sklearnFolder, 'job.yaml'), JSON.stringify(document));
      const { search, passes } = await runJob(job, { engine: 'local', open });
      assert.equal(search.folds, 3);
      assert.equal(search.trials[0]!.splitScores.r2!.length, 3);
      const { splits } = search.nested!;
      assert.deepEqual(
        splits.map(({ params }) => params!.lambda),
        best,
      );
      for (const [o, { score }] of splits.entries()) {
        assert.ok(Math.abs(score.r2! - scores[o]!) <= 1e-9, `outer split ${o}`);
      }
      assert.ok(passes <= 2, `${passes} passes`);
    });
  }
});
