import assert from 'node:assert/strict';
import fc from 'fast-check';
import { dense, type Float64Matrix, matrix, ops, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import { cells } from '../../../support/plan.js';

interface Setting {
  readonly rows: number;
  readonly cols: number;
  readonly groups: number;
  readonly models: number;
  readonly center: boolean;
  /** Added to every column, in spreads of it. */
  readonly offset: number;
  /** Noise of the target beside the model's part. */
  readonly noise: number;
  readonly seed: number;
}

const settings = fc.record<Setting>({
  rows: fc.integer({ min: 30, max: 400 }),
  cols: fc.integer({ min: 1, max: 8 }),
  groups: fc.integer({ min: 1, max: 4 }),
  models: fc.integer({ min: 1, max: 3 }),
  center: fc.boolean(),
  offset: fc.constantFrom(0, 5, 1e3, 1e6),
  noise: fc.constantFrom(1, 1e-3, 1e-6),
  seed: fc.integer({ min: 1, max: 1000 }),
});

/** Losses from moments with their bounds, and the same row by row. */
function bothWays(setting: Setting): { gram: Float64Matrix; rows: Float64Matrix } {
  const { rows, cols, groups, models, center } = setting;
  const x = cells(rows, cols, setting.seed);
  x.data.forEach((cell, at) => {
    x.data[at] = cell + setting.offset;
  });
  const w = cells(cols + 1, groups * models, setting.seed + 1);
  const noise = cells(rows, 1, setting.seed + 2);
  const y = noise.data.map((cell, i) => {
    let sum = cell * setting.noise + w.data[cols * w.cols]!;
    for (let j = 0; j < cols; j++) sum += x.data[i * cols + j]! * w.data[j * w.cols]!;
    return sum;
  });
  const g = dense(
    rows,
    1,
    Float64Array.from({ length: rows }, (_, i) => i % groups),
  );
  const target = dense(rows, 1, y);
  const side = cols + 2;
  const moments = ops.groupGram.reference(
    [g, x, target],
    { groups, center },
    { rows: groups * side, cols: side },
  );
  return {
    gram: ops.gramLoss.reference([moments, w], { groups, center }, { rows: 2, cols: w.cols }),
    rows: ops.groupLoss.reference(
      [g, x, target, w],
      { groups, losses: ['squared'] },
      { rows: 1, cols: w.cols },
    ),
  };
}

describe('losses from Gram matrices', () => {
  it('differ from losses summed by rows by no more than their bound', () => {
    fc.assert(
      fc.property(settings, (setting) => {
        const { gram, rows } = bothWays(setting);
        // Summing by rows rounds too: each residual by a few units of what it is the difference of.
        const unit = 8 * Number.EPSILON * setting.cols * (1 + Math.abs(setting.offset));
        for (let at = 0; at < rows.cols; at++) {
          const own = setting.rows * unit * (2 * Math.sqrt(rows.data[at]! / setting.rows) + unit);
          const difference = Math.abs(gram.data[at]! - rows.data[at]!);
          assert.ok(
            difference <= gram.data[gram.cols + at]! + own,
            `model ${at}: ${gram.data[at]} and ${rows.data[at]}, bound ${gram.data[gram.cols + at]}`,
          );
        }
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it('have bounds that tell a fit too close for them', () => {
    const loose = bothWays({ ...ROUGH, noise: 1 });
    assert.ok(loose.gram.data[loose.gram.cols]! < 1e-12 * loose.gram.data[0]!);
    const close = bothWays({ ...ROUGH, noise: 1e-9 });
    assert.ok(close.gram.data[close.gram.cols]! > 1e-3 * close.gram.data[0]!);
  });

  it('have bounds that hardly grow with the rows', () => {
    // 20 columns of variance 1, three of which make up the target but for a remainder of 1/12.
    const boundOf = (rows: number): number => {
      const side = 22;
      const block = new Float64Array(side * side);
      const weights = [2, -1, 0.5];
      block[0] = rows;
      for (let j = 1; j < side - 1; j++) block[j * side + j] = rows;
      for (const [j, weight] of weights.entries()) {
        block[(j + 1) * side + side - 1] = rows * weight;
        block[(side - 1) * side + j + 1] = rows * weight;
      }
      block[side * side - 1] = rows * (5.25 + 1 / 12);
      const w = dense(
        21,
        1,
        Float64Array.from({ length: 21 }, (_, j) => weights[j] ?? 0),
      );
      const attrs = { groups: 1, center: true };
      const shape = { rows: 2, cols: 1 };
      const losses = ops.gramLoss.reference([dense(side, side, block), w], attrs, shape);
      return losses.data[1]! / losses.data[0]!;
    };
    assert.ok(boundOf(1e9) < 1e-10, `${boundOf(1e9)}`);
    assert.ok(boundOf(1e9) < 2.5 * boundOf(1e5));
  });

  for (const { what, noise, passes } of [
    { what: 'one pass for data with noise', noise: 1, passes: 1 },
    { what: 'two for a target that the columns nearly determine', noise: 1e-9, passes: 2 },
  ]) {
    it(`take ${what}, and give the scores of summing by rows`, async () => {
      const search = async (scoring: ('r2' | 'neg_mean_absolute_error')[]) => {
        const session = new Session({ local: await createCpuBackend() });
        const X = cells(2000, 6);
        const extra = cells(2000, 1, 9);
        const y = extra.data.map((cell, i) => {
          let sum = cell * noise;
          for (let j = 0; j < X.cols; j++) sum += X.data[i * X.cols + j]! * (j + 1);
          return sum;
        });
        const result = await gridSearch(session, {
          X: matrix(session, X),
          y: matrix(session, dense(2000, 1, y)),
          cv: { folds: 4 },
          estimator: ridge,
          grid: { lambda: [1e-12, 1e-6] },
          scoring,
        });
        const { passes: counted } = session.statistics.counters();
        await session.close();
        return { passes: counted, scores: result.trials.map((trial) => trial.splitScores.r2!) };
      };
      const squared = await search(['r2']);
      const byRows = await search(['r2', 'neg_mean_absolute_error']);
      assert.equal(squared.passes, passes);
      assert.equal(byRows.passes, 2);
      for (const [t, scores] of squared.scores.entries()) {
        for (const [f, score] of scores.entries()) {
          const loss = 1 - byRows.scores[t]![f]!;
          assert.ok(Math.abs(1 - score - loss) <= 1e-10 * loss, `trial ${t}, fold ${f}: ${score}`);
        }
      }
    });
  }
});

const ROUGH: Setting = {
  rows: 200,
  cols: 4,
  groups: 1,
  models: 1,
  center: true,
  offset: 0,
  noise: 1,
  seed: 3,
};
