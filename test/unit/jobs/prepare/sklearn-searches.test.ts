/**
 * Searches over cleaning steps and their parameters against scikit-learn's `Pipeline` on the same
 * folds (fixtures by prepare.py): scores of every candidate and fold, and predictions of the best.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Matrix, matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { ParamValue } from '../../../../jobs/estimators/estimator.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { decisionValues, type LinearModel } from '../../../../jobs/estimators/model.js';
import type { StepDocument } from '../../../../jobs/prepare/chosen-steps.js';
import { applyToRows, storedStage, widthAfter } from '../../../../jobs/prepare/stored-stages.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import type { Scoring } from '../../../../jobs/search/scoring/scorers.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface SearchFixture {
  readonly name: string;
  readonly steps: readonly StepDocument[];
  readonly grid: Readonly<Record<string, readonly ParamValue[]>>;
  readonly model: string;
  readonly scoring: readonly Scoring[];
  readonly trials: readonly {
    readonly params: Readonly<Record<string, ParamValue>>;
    readonly scores: Readonly<Record<string, readonly number[]>>;
    readonly predicted: readonly (number | readonly number[])[];
  }[];
}

const { x, y, k, folds, shown, searches } = JSON.parse(
  readFileSync(join(sklearnFolder, 'prepare.json'), 'utf8'),
) as {
  readonly x: readonly (readonly (number | null)[])[];
  readonly y: readonly number[];
  readonly k: readonly number[];
  readonly folds: number;
  readonly shown: readonly number[];
  readonly searches: readonly SearchFixture[];
};

/** Solvers of scikit-learn's and ours end where they are close enough, not at one point. */
const EXACT: Readonly<Record<string, object>> = {
  lasso: { tol: 1e-13, max_iter: 100_000 },
  logistic: { tol: 1e-8, max_iter: 1000 },
};

describe('searches over cleaning steps as scikit-learn has them', () => {
  for (const fixture of searches) {
    it(fixture.name, async () => {
      const session = new Session({ local: await createCpuBackend() });
      try {
        await agrees(session, fixture);
      } finally {
        await session.close();
      }
    });
  }
});

/** Of which each fit is made by itself, too. */
const APART = 'target';

describe('a search over cleaning steps that reuses nothing', () => {
  it('has the same scores, by more kernels', async () => {
    const fixture = searches.find(({ name }) => name === APART)!;
    const kernels = [];
    for (const reuse of ['full', 'off'] as const) {
      const session = new Session({ local: await createCpuBackend(), reuse });
      kernels.push(await agrees(session, fixture));
      await session.close();
    }
    assert.ok(kernels[1]! > 1.5 * kernels[0]!, kernels.join());
  });
});

/** @returns kernels that ran */
async function agrees(session: Session, fixture: SearchFixture): Promise<number> {
  const { steps, grid, model, scoring, trials } = fixture;
  const estimator = estimators.find(({ name }) => name === model)!;
  const isClasses = estimator.task === 'classification';
  // Categories of x4 have a column each where they are encoded.
  const isCoded = steps.some(({ step }) => step === 'target');
  const cells = x.map((row) =>
    row.flatMap((cell, j) =>
      isCoded && j === 4
        ? [0, 1, 2].map((code) => Number(cell === code))
        : [cell ?? (isCoded && j === 5 ? 0 : Number.NaN)],
    ),
  );
  const run = session.run();
  const found = await gridSearch(run, {
    X: matrix(run, cells),
    missing: isCoded ? [0, 1, 2, 3] : [0, 1, 2, 3, 5],
    ...(isCoded ? { columns: ['x0', 'x1', 'x2', 'x3', 'x4=0', 'x4=1', 'x4=2', 'x5'] } : {}),
    y: matrix(
      run,
      (isClasses ? k : y).map((cell) => [cell]),
    ),
    ...(isClasses ? { classes: [0, 1, 2] } : {}),
    cv: { folds },
    estimator,
    params: { ...(EXACT[model] as Record<string, number>) },
    prepare: steps,
    grid,
    scoring,
  });
  assert.equal(found.trials.length, trials.length);
  for (const [t, { params, scores }] of trials.entries()) {
    const own = found.trials[t]!;
    assert.deepEqual(own.params, params);
    for (const [metric, expected] of Object.entries(scores)) {
      for (const [fold, score] of expected.entries()) {
        const got = own.splitScores[metric]![fold]!;
        const most = 1e-8 * Math.max(1, Math.abs(score)) * (model === 'logistic' ? 100 : 1);
        assert.ok(Math.abs(got - score) <= most, `${JSON.stringify(params)} ${metric} ${fold}: ${got}, not ${score}`); // biome-ignore format: a message
      }
    }
  }
  await predicts(session, fixture, found, cells);
  return run.statistics.counters().kernels;
}

/** The model that is kept, on rows with missing cells, as the Pipeline fitted on all rows. */
async function predicts(
  session: Session,
  { model: name, trials }: SearchFixture,
  { model, bestIndex }: SearchResult,
  cells: readonly (readonly number[])[],
): Promise<void> {
  const { predicted } = trials[bestIndex!]!;
  const rows = shown.map((i) => cells[i]!);
  const z = decisionValues(model!, matrix(session, rows));
  const isClasses = model!.task === 'classification';
  const values = await (isClasses ? z.softmax() : z).toArray();
  const parsed = (await applied(model!, rows)) ?? z;
  const again = await (isClasses ? parsed.softmax() : parsed).toArray();
  for (const [i, expected] of predicted.entries()) {
    for (const [c, value] of [expected].flat().entries()) {
      const most = 1e-7 * Math.max(1, Math.abs(value)) * (name === 'logistic' ? 100 : 1);
      for (const got of [values[i]![c]!, again[i]![c]!]) {
        assert.ok(Math.abs(got - value) <= most, `row ${i}, ${c}: ${got}, not ${value}`);
      }
    }
  }

  /** Stages as they are read again, on a block of rows. */
  async function applied(
    own: LinearModel,
    block: readonly (readonly number[])[],
  ): Promise<Matrix | undefined> {
    if (own.prepare === undefined) return undefined;
    const { prepare, ...rest } = own;
    const stages = prepare.map((stage) => storedStage.parse(JSON.parse(JSON.stringify(stage))));
    const made = applyToRows(Float64Array.from(block.flat()), block.length, stages);
    const width = widthAfter(stages, own.encoded!.length);
    assert.equal(width, own.columns.length);
    return decisionValues(rest, matrix(session, block.length, width, made));
  }
}
