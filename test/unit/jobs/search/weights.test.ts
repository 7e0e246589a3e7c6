/** Fits with sample weights are scikit-learn's, scored with all rows alike. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenSession, openSession } from '../../../../jobs/engines.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface WeightCase {
  readonly model: Readonly<Record<string, unknown>>;
  readonly standardize: boolean;
  readonly scores: readonly number[];
  readonly coefficients: readonly number[];
  readonly intercept: number;
}

/** Of an estimator that is fitted another way, over standardised columns. */
interface OtherCase extends Pick<WeightCase, 'model' | 'scores'> {
  readonly target: string;
}

const { cases, others } = JSON.parse(readFileSync(join(sklearnFolder, 'weights.json'), 'utf8')) as {
  readonly cases: readonly WeightCase[];
  readonly others: readonly OtherCase[];
};

describe('sample weights', () => {
  let open: OpenSession;
  before(async () => {
    open = await openSession('local');
  });
  after(() => open.session.close());

  const jobOf = (
    given: Pick<WeightCase, 'model' | 'standardize'>,
    weight: string,
    { target, scoring }: { readonly target: string; readonly scoring: string } = {
      target: 'y',
      scoring: 'r2',
    },
  ) => {
    const document = {
      kind: 'grid-search',
      data: {
        path: 'regression.csv',
        target,
        features: ['x1', 'x2', 'x3', 'x5'],
        standardize: given.standardize,
        weight,
      },
      model: given.model,
      cv: { type: 'kfold', folds: 4 },
      scoring,
    };
    return parseJob(join(sklearnFolder, 'job.yaml'), JSON.stringify(document));
  };

  for (const one of cases) {
    const { model, standardize, scores, coefficients, intercept } = one;
    it(`are scikit-learn's: ${JSON.stringify(model)}, standardize ${standardize}`, async () => {
      const { search } = await runJob(jobOf(one, 'group'), { engine: 'local', open });
      const close = (got: number, want: number, what: string): void =>
        assert.ok(
          Math.abs(got - want) <= 1e-9 * Math.max(1, Math.abs(want)),
          `${what}: ${got}, ${want}`,
        );
      const found = search.model!;
      for (const [f, score] of search.trials[0]!.splitScores.r2!.entries()) {
        close(score, scores[f]!, `fold ${f}`);
      }
      for (const [j, value] of found.coefficients[0]!.entries())
        close(value, coefficients[j]!, `x ${j}`);
      close(found.intercepts[0]!, intercept, 'intercept');
    });
  }

  for (const { model, target, scores } of others) {
    it(`reach fits that read rows: ${model.type}`, async () => {
      const scoring = 'neg_mean_squared_error';
      const job = jobOf({ model, standardize: true }, 'group', { target, scoring });
      const { search } = await runJob(job, { engine: 'local', open });
      for (const [f, score] of search.trials[0]!.splitScores[scoring]!.entries()) {
        const gap = Math.abs(score - scores[f]!) / Math.max(1, Math.abs(scores[f]!));
        assert.ok(gap <= 1e-6, `fold ${f}: ${score}, ${scores[f]}`);
      }
    });
  }

  it('have to be numbers from 0', async () => {
    await assert.rejects(
      runJob(jobOf({ model: { type: 'ridge' }, standardize: false }, 'fold'), {
        engine: 'local',
        open,
      }),
      /weight fold: expected a number from 0 in every row, above 0 in some, got numbers from -1 to 2/,
    );
  });
});
