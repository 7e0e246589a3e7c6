/**
 * Multilayer perceptrons: as scikit-learn's from equal first weights and rows in order, several
 * models at once and alone; searched, refitted and predicted with.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adam, batch, fill, type Matrix, matrix, Session, sgd } from '../../../../driver/index.js';
import { dense } from '../../../../driver/ir/value.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { mlpClassifier, mlpRegressor } from '../../../../jobs/estimators/mlp.js';
import { decisionValues } from '../../../../jobs/estimators/model.js';
import { perceptron } from '../../../../jobs/estimators/networks/layer-list.js';
import type { Activation } from '../../../../jobs/estimators/networks/layers.js';
import { layersOfCells } from '../../../../jobs/estimators/networks/stored-layers.js';
import { orderBefore, trainNetwork } from '../../../../jobs/estimators/networks/train.js';
import type { NetworkLoss } from '../../../../jobs/estimators/networks/training.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import { assertClose } from '../../../support/close.js';
import { cells, leaf } from '../../../support/plan.js';
import { rowData } from '../../../support/row-data.js';

interface Scenario {
  readonly target: Exclude<NetworkLoss, 'reconstruction'>;
  readonly params: {
    readonly hidden_layer_sizes: readonly number[];
    readonly batch_size: number;
    readonly activation: Activation;
    readonly solver?: 'sgd';
    readonly learning_rate?: 'adaptive' | 'invscaling';
    readonly learning_rate_init?: number;
    readonly alpha?: number;
    readonly tol?: number;
    readonly n_iter_no_change?: number;
    readonly nesterovs_momentum?: boolean;
    readonly beta_1?: number;
    readonly beta_2?: number;
    readonly epsilon?: number;
    readonly early_stopping?: true;
    readonly validation_fraction?: number;
    readonly weighted?: true;
    readonly max_iter: number;
  };
  readonly epochs: number;
  readonly losses: readonly number[];
  readonly layers: readonly (readonly number[])[];
}

const path = join(packageRoot(), 'test/fixtures/sklearn/mlp.json');
const { scenarios } = JSON.parse(readFileSync(path, 'utf8')) as {
  readonly scenarios: readonly Scenario[];
};
const [ROWS, COLUMNS] = [23, 4];
const numbers = Array.from({ length: ROWS }, (_, i) => {
  const { data } = cells(ROWS, COLUMNS, 1);
  return data[i * COLUMNS]! * 2 - Math.abs(data[i * COLUMNS + 1]!) + 0.3;
});
const targets = {
  squared: numbers,
  binary: numbers.map((y) => (y > 0 ? 1 : 0)),
  classes: numbers.map((y) => (y < -0.5 ? 0 : y < 0.5 ? 1 : 2)),
};

describe('multilayer perceptrons', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  /** Layers and the loss in the last epoch. */
  const program = async (
    given: Readonly<Record<string, Matrix>>,
    at: unknown,
  ): Promise<Readonly<Record<string, Matrix>>> => {
    const { target, params } = scenarios[at as number]!;
    const classes = { squared: 0, binary: 2, classes: 3 }[target];
    const rows = rowData(given.X!, given.y!, given.weight!, classes);
    const { session: own } = given.X!;
    const number = (value: number): Matrix => fill(own, 1, 1, value);
    const outputs = target === 'classes' ? 3 : 1;
    const hidden = params.hidden_layer_sizes;
    const sizes = [COLUMNS, ...hidden, outputs];
    const nesterov = params.nesterovs_momentum ?? true;
    const moments = { beta1: params.beta_1 ?? 0.9, beta2: params.beta_2 ?? 0.999 };
    const first = sizes.slice(1).map((_, l) => given[`first ${l}`]!);
    const { layers, loss } = await trainNetwork(
      rows,
      {
        network: perceptron(COLUMNS, hidden, params.activation, outputs),
        loss: target,
        batchRows: params.batch_size,
        shuffles: false,
        maxEpochs: params.max_iter,
        patience: params.n_iter_no_change ?? 10,
        validation: params.early_stopping && params.validation_fraction,
        optimiser:
          params.solver === 'sgd'
            ? sgd({ momentum: 0.9, nesterov })
            : adam({ ...moments, epsilon: params.epsilon ?? 1e-8, addsEarly: true }),
        rates: params.learning_rate ?? 'constant',
        numbers: {
          alpha: given.alpha!,
          rate: number(params.learning_rate_init ?? 1e-3),
          exponent: number(0.5),
          tolerance: number(params.tol ?? 1e-4),
          seed: number(0),
        },
      },
      first,
    );
    const named = layers.map((layer, l) => [`layer ${l}`, layer] as const);
    return { loss, ...Object.fromEntries(named) };
  };

  for (const [at, { target, params, losses, layers }] of scenarios.entries()) {
    it(`ends where scikit-learn's does: ${target}, ${params.activation}`, async () => {
      const sizes = [COLUMNS, ...params.hidden_layer_sizes, target === 'classes' ? 3 : 1];
      const alpha = params.alpha ?? 1e-4;
      // The second model has rows between that do not train, and another penalty.
      const y = matrix(session, ROWS, 1, targets[target]);
      const weights = leaf(session, ROWS, 1, 4).abs().add(0.5);
      const first = sizes.slice(1).map((units, l) => {
        const layer = leaf(session, sizes[l]! + 1, units, 3 + l).div(2);
        return [`first ${l}`, { shared: layer }] as const;
      });
      const args = {
        X: { shared: leaf(session, ROWS, COLUMNS) },
        y: { shared: y },
        weight: [
          params.weighted ? weights : fill(session, ROWS, 1, 1),
          y.gt(-9).mul(leaf(session, ROWS, 1, 4).gt(0)),
        ],
        alpha: [alpha, 3 * alpha].map((value) => fill(session, 1, 1, value)),
        ...Object.fromEntries(first),
      };
      const options = { name: 'mlp scenario', version: '1', params: at };
      const [found] = await batch(session, 2, args, program, options);
      const loss = await found!.loss!.asScalar().value();
      assert.ok(Math.abs(loss - losses.at(-1)!) < 1e-8, `${loss} for ${losses.at(-1)}`);
      for (const [l, layer] of layers.entries()) {
        const value = await found![`layer ${l}`]!.value();
        const wanted = dense(value.rows, value.cols, Float64Array.from(layer));
        assertClose(value, wanted, 1e-8, `layer ${l}`);
      }
    });
  }

  it('holds out as large a share of each class, drawn by the seed', async () => {
    const [rows, held] = [60, 15];
    // 36, 16 and 8 rows of the classes; every fifth row does not train.
    const classOf = (i: number): number => (i % 15 < 9 ? 0 : i % 15 < 13 ? 1 : 2);
    const y = Array.from({ length: rows }, (_, i) => classOf(i));
    const trains = y.map((_, i) => (i % 5 === 4 ? 0 : 1));
    const count = trains.filter((one) => one === 1).length;
    const number = (value: number): Matrix => fill(session, 1, 1, value);
    const data = rowData(
      leaf(session, rows, 2),
      matrix(session, rows, 1, y),
      matrix(session, rows, 1, trains),
      3,
    );
    const orders = await Promise.all(
      [0, 1].map(async (seed) => {
        const numbers = { rate: number(1), tolerance: number(0), seed: number(seed) };
        const order = orderBefore(
          data,
          { shuffles: true, numbers },
          data.weight.gt(0),
          number(count - held),
        );
        return [...(await order.value()).data];
      }),
    );
    assert.notDeepEqual(orders[0], orders[1]);
    for (const order of orders) {
      const parts = [
        order.slice(0, count - held),
        order.slice(count - held, count),
        order.slice(count),
      ];
      for (const part of parts)
        assert.deepEqual(
          part,
          part.toSorted((a, b) => a - b),
        );
      assert.ok(parts[2]!.every((row) => trains[row] === 0));
      for (const own of [0, 1, 2]) {
        const all = order.slice(0, count).filter((row) => y[row] === own).length;
        const found = parts[1]!.filter((row) => y[row] === own).length;
        assert.ok(Math.abs(found - (all * held) / count) < 1, `${found} of ${all} of class ${own}`);
      }
    }
  });

  const search = async (own: Session, given: Readonly<Record<string, readonly number[]>>) => {
    const standard = { hidden_layer_sizes: [[6, 3]], max_iter: [4], batch_size: [5] };
    return gridSearch(own, {
      X: leaf(own, ROWS, COLUMNS),
      // Every fold has rows of every class.
      y: matrix(
        own,
        ROWS,
        1,
        numbers.map((_, i) => i % 3),
      ),
      classes: [0, 1, 2],
      cv: { folds: 3 },
      estimator: mlpClassifier,
      grid: { ...standard, ...given },
      scoring: ['neg_log_loss'],
      standardize: true,
    });
  };

  it('trains models of several penalties and seeds together, each to its own', async () => {
    const made = async (given: Readonly<Record<string, readonly number[]>>) => {
      const own = new Session({ local: await createCpuBackend() });
      const { trials } = await search(own, given);
      const { kernels } = own.statistics;
      await own.close();
      return { kernels, scores: trials.flatMap(({ splitScores }) => splitScores.neg_log_loss!) };
    };
    const both = await made({ alpha: [1e-4, 0.1], random_state: [0, 7] });
    const alone = await Promise.all(
      [1e-4, 0.1].flatMap((alpha) =>
        [0, 7].map((seed) => made({ alpha: [alpha], random_state: [seed] })),
      ),
    );
    const apart = alone.flatMap(({ scores }) => scores);
    assert.ok(apart.every(Number.isFinite));
    assertClose(
      dense(1, apart.length, Float64Array.from(both.scores)),
      dense(1, apart.length, Float64Array.from(apart)),
      1e-9,
      'scores',
    );
    const kernels = alone.reduce((sum, one) => sum + one.kernels, 0);
    assert.ok(both.kernels < kernels / 2, `${both.kernels} of ${kernels}`);
  });

  it('is refitted to a model that predicts as its layers say', async () => {
    const { model, trials } = await search(session, { learning_rate_init: [0.01] });
    assert.equal(trials.length, 1);
    const z = await decisionValues(model!, leaf(session, ROWS, COLUMNS)).value();
    assert.deepEqual([z.rows, z.cols], [ROWS, 3]);
    const { coefficients, intercepts, layers } = model!;
    const first = new Float64Array(ROWS * intercepts.length);
    const { data } = cells(ROWS, COLUMNS, 1);
    first.forEach((_, i) => {
      const [row, unit] = [Math.floor(i / intercepts.length), i % intercepts.length];
      first[i] = coefficients[unit]!.reduce(
        (sum, own, j) => sum + own * data[row * COLUMNS + j]!,
        intercepts[unit]!,
      );
    });
    const plain = dense(ROWS, 3, layersOfCells(first, ROWS, layers!));
    assertClose(z, plain, 1e-12, 'decision values');
  });

  it('learns a curve that no line is', async () => {
    const x = Float64Array.from({ length: 60 }, (_, i) => i / 30 - 1);
    const found = await gridSearch(session, {
      X: matrix(session, 60, 1, x),
      y: matrix(
        session,
        60,
        1,
        x.map((at) => at * at),
      ),
      cv: { folds: 2, shuffle: true, seed: 1 },
      estimator: mlpRegressor,
      grid: { hidden_layer_sizes: [16], max_iter: [300], learning_rate_init: [0.02] },
      scoring: ['r2'],
    });
    const [{ splitScores }] = found.trials as [(typeof found.trials)[number]];
    for (const score of splitScores.r2!) assert.ok(score > 0.8, String(score));
  });
});
