/** Ensembles: scores of scikit-learn's models added up, the best weights, and one model of the sum. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { openSession } from '../../../../jobs/engines.js';
import type { Params } from '../../../../jobs/estimators/estimator.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { decisionValues } from '../../../../jobs/estimators/model.js';
import { votesOf, votesOfRows } from '../../../../jobs/estimators/votes.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { runJob } from '../../../../jobs/run-job.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import type { SearchModel } from '../../../../jobs/search/candidates.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { SearchOptions } from '../../../../jobs/search/prepare.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import { runSearch } from '../../../../jobs/search/run-search.js';
import type { Scoring } from '../../../../jobs/search/scoring/scorers.js';
import { grid } from '../../../../jobs/search/strategies/grid.js';
import { hyperband } from '../../../../jobs/search/strategies/hyperband.js';
import { random } from '../../../../jobs/search/strategies/random.js';
import { numericColumns, sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Member {
  readonly type: string;
  readonly params: Params;
  readonly says: readonly number[];
}

const fixture = JSON.parse(readFileSync(join(sklearnFolder, 'ensemble.json'), 'utf8')) as {
  readonly target: readonly number[];
  /** Of 0.3 and 0.7. */
  readonly voting: readonly number[];
  readonly votes: readonly {
    readonly classes: number;
    readonly target: readonly number[];
    readonly weights: readonly number[];
    readonly score: Readonly<Record<string, readonly number[]>>;
    readonly members: readonly (Member & {
      readonly shares: readonly (readonly number[])[];
      readonly predicted: readonly number[];
    })[];
  }[];
  readonly regression: readonly Member[];
  readonly classification: readonly Member[];
};
const columns = numericColumns('regression.csv');
const y = [...columns.get('y')!];
const n = y.length;
const FOLDS = Array.from({ length: 4 }, (_, f) => [(f * n) / 4, ((f + 1) * n) / 4] as const);

const named = ({ type, params }: Member): SearchModel => ({
  name: type,
  estimator: estimators.find((one) => one.name === type)!,
  params: { ...params, ...(/logistic|svm/.test(type) ? { tol: 1e-10, max_iter: 10_000 } : {}) },
});

describe('ensembles', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  const data = () => {
    const names = ['x1', 'x2', 'x4', 'x5'];
    const cells = Float64Array.from({ length: n * 4 }, (_, i) => columns.get(names[i % 4]!)![Math.floor(i / 4)]!); // biome-ignore format: cells
    return matrix(session, n, 4, cells);
  };
  const search = (
    members: readonly Member[],
    own: Partial<SearchOptions>,
  ): Promise<SearchResult> => {
    const models = members.map(named);
    const space = [{ models: models.map(({ name }) => name), values: {} }];
    return runSearch(session.run(), {
      ...{ X: data(), models, cv: { folds: 4 }, ensemble: { members: 2, trials: 200, seed: 1 } },
      strategy: (facts) => grid.begin(space, {}, facts),
      ...own,
    });
  };
  const sum = (members: readonly Member[], weights: readonly number[]): number[] =>
    y.map((_, i) => members.reduce((all, { says }, m) => all + weights[m]! * says[i]!, 0));
  const r2 = (says: readonly number[], [from, to]: readonly [number, number]): number => {
    const own = y.slice(from, to);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    const square = (of: (i: number) => number) => own.reduce((all, _, i) => all + of(i) ** 2, 0);
    return 1 - square((i) => own[i]! - says[from + i]!) / square((i) => own[i]! - mean);
  };
  const accuracy = (says: readonly number[], [from, to]: readonly [number, number]): number => {
    const right = says.slice(from, to).filter((one, i) => (one > 0 ? 1 : 0) === fixture.target[from + i]); // biome-ignore format: a rule
    return right.length / (to - from);
  };
  const meanOf = (scores: readonly number[]): number =>
    scores.reduce((a, b) => a + b) / scores.length;

  for (const [task, members, score, metric] of [
    ['regression', fixture.regression, r2, 'r2'],
    ['regression', fixture.regression, r2, 'neg_mean_absolute_error'],
    ['classification', fixture.classification, accuracy, 'accuracy'],
  ] as const) {
    it(`of ${task} by ${metric} score as scikit-learn's models added up, and best of the weights`, async () => {
      const target = task === 'regression' ? y : fixture.target;
      const classes = task === 'regression' ? {} : { classes: [0, 1] };
      const scoring: Scoring[] = metric === 'neg_mean_absolute_error' ? [metric, 'r2'] : [metric];
      const found = await search(members, { y: matrix(session, n, 1, Float64Array.from(target)), ...classes, scoring, metric }); // biome-ignore format: a call
      const { ensemble, trials, model } = found;
      assert.equal(ensemble!.tried, 2 + 1 + 200);
      const order = ensemble!.members.map(({ model: name }) => members.find(({ type }) => type === name)!); // biome-ignore format: a list
      const { weights } = ensemble!;
      assert.ok(Math.abs(meanOf(weights) - 1 / 2) < 1e-12);
      const says = sum(order, weights);
      const own = task === 'regression' ? 'r2' : metric;
      for (const [f, fold] of FOLDS.entries()) {
        assert.ok(
          Math.abs(ensemble!.splitScores[own]![f]! - score(says, fold)) <=
            (task === 'regression' ? 1e-6 : 1e-12),
          `fold ${f}`,
        );
      }
      const best = Math.max(...trials.map(({ meanScore }) => meanScore[metric]!));
      assert.ok(ensemble!.meanScore[metric]! > best);
      if (metric !== 'neg_mean_absolute_error') {
        const all = Array.from({ length: 101 }, (_, i) => sum(order, [i / 100, 1 - i / 100]));
        const most = Math.max(...all.map((one) => meanOf(FOLDS.map((fold) => score(one, fold)))));
        assert.ok(ensemble!.meanScore[metric]! >= most - (task === 'regression' ? 1e-4 : 0.01));
      }
      // The model is the sum of models fitted alone.
      const alone = await Promise.all(
        order.map(async (member) => {
          const { estimator, params } = named(member);
          const all = {
            X: data(),
            y: matrix(session, n, 1, Float64Array.from(target)),
            ...classes,
          };
          return (await gridSearch(session.run(), { ...all, estimator, params, grid: {}, cv: { folds: 4 } })).model!; // biome-ignore format: a call
        }),
      );
      const values = async (one: NonNullable<SearchResult['model']>) =>
        (await decisionValues(one, data()).value()).data;
      const [together, ...apart] = await Promise.all([model!, ...alone].map(values));
      for (let i = 0; i < n; i++) {
        const wanted = apart.reduce((all, one, m) => all + weights[m]! * one[i]!, 0);
        assert.ok(Math.abs(together![i]! - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)), `${i}`);
      }
    });
  }

  for (const votes of fixture.votes) {
    const { classes, members, target } = votes;
    const vote = (asked: Partial<SearchOptions> & { readonly voting: 'soft' | 'hard' }) => {
      const { voting, ...own } = asked;
      const y = matrix(session, n, 1, Float64Array.from(target));
      const names = Array.from({ length: classes }, (_, c) => c);
      const ensemble = { members: 3, trials: 300, seed: 2, voting };
      return search(members, { y, classes: names, ensemble, ...own });
    };
    /** Of weights: the share of rows, or the mean log loss, of each fold. */
    const scoreOf = (voting: string, metric: string, weights: readonly number[]): number[] => {
      const said = target.map((_, i) =>
        Array.from({ length: classes }, (_, c) =>
          members.reduce((sum, { shares, predicted }, m) => {
            const own = voting === 'soft' ? shares[i]![c]! : predicted[i] === c ? 1 : 0;
            return sum + weights[m]! * own;
          }, 0),
        ),
      );
      return FOLDS.map(([from, to]) => {
        const rows = said.slice(from, to).map((row, i) => {
          if (metric === 'neg_log_loss') return Math.log(row[target[from + i]!]!);
          return row.indexOf(Math.max(...row)) === target[from + i] ? 1 : 0;
        });
        return meanOf(rows);
      });
    };
    for (const [voting, metric] of [
      ['soft', 'accuracy'],
      ['soft', 'neg_log_loss'],
      ['hard', 'accuracy'],
    ] as const) {
      // biome-ignore format: cases
      it(`of ${classes} classes vote ${voting} as VotingClassifier, by ${metric}`, async () => {
        const rule = votes.score[`${voting} ${metric}`]!;
        for (const [f, score] of scoreOf(voting, metric, votes.weights).entries()) {
          assert.ok(Math.abs(score - rule[f]!) <= 1e-9, 'the rule of this test');
        }
        const { ensemble, model, trials } = await vote({ voting, scoring: [metric] });
        assert.equal(ensemble!.voting, voting);
        const order = ensemble!.members.map(({ model: name }) => name!);
        const weights = members.map(({ type }) => ensemble!.weights[order.indexOf(type)]!);
        for (const [f, score] of scoreOf(voting, metric, weights).entries()) {
          const found = ensemble!.splitScores[metric]![f]!;
          assert.ok(Math.abs(found - score) <= 1e-7, `fold ${f}: ${found}, ${score}`);
        }
        const single = Math.max(...trials.map(({ meanScore }) => meanScore[metric]!));
        assert.ok(ensemble!.meanScore[metric]! > single);
        // Of squares and of columns alike, decision values stand side by side, and vote.
        const z = await decisionValues(model!, data()).value();
        const [both, rows] = [votesOf(model!.votes!, classes, decisionValues(model!, data())), votesOfRows(model!.votes!, classes, Float64Array.from(z.data), n)]; // biome-ignore format: a pair
        const cells = (await both.value()).data;
        for (const [at, cell] of cells.entries()) assert.ok(Math.abs(cell - rows[at]!) < 1e-12);
        const width = cells.length / n;
        const right = target.filter((c, i) => {
          const own = rows.subarray(i * width, (i + 1) * width);
          return c === (width === 1 ? Number(own[0]! > 0) : own.indexOf(Math.max(...own)));
        });
        assert.ok(right.length / n > 0.95 * meanOf(scoreOf(voting, 'accuracy', weights)));
      });
    }
  }

  it('of more weights take no further pass over the data', async () => {
    const open = await openSession('local');
    const runs: RunRecord[] = [];
    for (const trials of [20, 200]) {
      const job = parseJob(
        join(sklearnFolder, 'job.yaml'),
        JSON.stringify({
          kind: 'search',
          data: { path: 'regression.csv', target: 'y', features: ['x1', 'x2', 'x4', 'x5'] },
          model: fixture.regression.map(({ type, params }) => ({ type, ...params })),
          search: { ensemble: { trials, seed: 3 } },
          cv: { folds: 4 },
        }),
      );
      runs.push(await runJob(job, { engine: 'local', open }));
    }
    const [first, more] = runs;
    assert.ok(first!.passes > 0 && first!.search.ensemble);
    assert.equal(more!.passes, 0);
    assert.ok(more!.search.ensemble!.meanScore.r2! >= first!.search.ensemble.meanScore.r2!);
    assert.equal(more!.model!.estimator, 'ensemble');
    await open.session.close();
  });

  it('follow the rule of VotingRegressor', () => {
    const says = sum(fixture.regression, [0.3, 0.7]);
    for (const [f, fold] of FOLDS.entries()) {
      assert.ok(Math.abs(r2(says, fold) - fixture.voting[f]!) <= 1e-12);
    }
  });

  it('are refused where decision values can not be added, and said where there are too few', async () => {
    const target = { y: matrix(session, n, 1, Float64Array.from(y, Math.abs)) };
    const poisson = { type: 'poisson', params: {}, says: [] };
    await assert.rejects(
      search([fixture.regression[0]!, poisson], target),
      /search.ensemble: expected predictions that are linear in the columns, got those of poisson/,
    );
    const classes = {
      y: matrix(session, n, 1, Float64Array.from(fixture.target)),
      classes: [0, 1],
    };
    const bayes = { type: 'gaussian-nb', params: {}, says: [] };
    await assert.rejects(
      search([{ type: 'linear-svm', params: {}, says: [] }, bayes], classes),
      /search.ensemble: expected decision values of as many columns, got 1 of linear-svm and 2 of gaussian-nb/,
    );
    const alone = await search(fixture.regression.slice(0, 1), { ...target, scoring: ['r2'] });
    assert.match(
      alone.warnings!.join(),
      /no ensemble was made: it takes at least 2 candidates with a score and no failed fit, and there is 1/,
    );
    assert.equal(alone.ensemble, undefined);
    assert.ok(alone.model);
  });

  it('say of members fitted on all rows that they did not converge, as of fits on folds', async () => {
    const { warnings, ensemble } = await search(fixture.classification, {
      ...{ y: matrix(session, n, 1, Float64Array.from(fixture.target)), classes: [0, 1] },
      ...{ scoring: ['accuracy'], metric: 'accuracy' },
      models: fixture.classification.map((member) => {
        const { params, ...model } = named(member);
        return { ...model, params: { ...params, tol: 1e-10, max_iter: 4 } };
      }),
    });
    assert.equal(ensemble!.members.length, 2);
    // Two candidates on four folds, and both members on all rows.
    assert.match(warnings!.join(), /^10 of 10 fits did not converge/);
  });

  it('are refused before anything is fitted for what only later rungs would try', async () => {
    const target = { y: matrix(session, n, 1, Float64Array.from(y, Math.abs)) };
    const poisson = { type: 'poisson', params: {}, says: [] };
    const linear = { models: ['ridge'], values: { lambda: [0.1, 1, 10] } };
    const space = [linear, { models: ['poisson'], values: { alpha: [0.1] } }];
    const resources = { factor: 3, resource: 'rows', min_resources: n / 3, max_resources: 'auto' };
    for (const [type, settings] of [
      [random, { trials: 4, seed: 0, stop_after: 1, min_improvement: 0 }],
      [hyperband, { ...resources, seed: 2 }],
    ] as const) {
      const models = [fixture.regression[0]!, poisson];
      let phases = 0;
      const asked = search(models, {
        ...target,
        strategy: (facts) => {
          const made = type.begin(space, settings, facts);
          const { candidates } = made.next([])!;
          assert.ok(candidates.every(({ model }) => model.name === 'ridge'));
          return made;
        },
        onPhase: () => phases++,
      });
      await assert.rejects(asked, /expected predictions that are linear .*, got those of poisson/);
      assert.equal(phases, 0);
    }
  });

  it('are asked for in job files', () => {
    const job = (search: string) => parseJob('job.yaml', `kind: search\ndata: {path: x.csv, target: y}\nmodel: {type: ridge}\nsearch: ${search}\n`); // biome-ignore format: a file
    assert.deepEqual(job('{grid: {lambda: [1, 2]}, ensemble: {trials: 7}}').search.ensemble, {
      ...{ members: 2, trials: 7, seed: 0 },
    });
    assert.throws(() => job('{ensemble: {members: 1}}'), /search.ensemble.members: expected a .*number of at least 2, got 1/); // biome-ignore format: a check
  });
});
