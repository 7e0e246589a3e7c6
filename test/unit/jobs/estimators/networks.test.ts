/**
 * Networks by a list of layers, and autoencoders: as PyTorch's from equal first weights and rows in
 * order, several models at once; searched, refitted and predicted with.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  adamW,
  batch,
  fill,
  type Matrix,
  matrix,
  ones,
  Session,
  sgd,
  zeros,
} from '../../../../driver/index.js';
import { dense } from '../../../../driver/ir/value.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { autoencoder } from '../../../../jobs/estimators/autoencoder.js';
import { decisionValues } from '../../../../jobs/estimators/model.js';
import { cnn, networkClassifier } from '../../../../jobs/estimators/network.js';
import { type Augmentation, augmented } from '../../../../jobs/estimators/networks/augmentation.js';
import {
  type LayerList,
  layersOfNetwork,
  listedNetwork,
  perceptron,
  type TrainableNetwork,
} from '../../../../jobs/estimators/networks/layer-list.js';
import { applied, layerShape } from '../../../../jobs/estimators/networks/layers.js';
import { trainNetwork } from '../../../../jobs/estimators/networks/train.js';
import type { Training } from '../../../../jobs/estimators/networks/training.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import { assertClose } from '../../../support/close.js';
import { layersOfCells } from '../../../support/plain-layers.js';
import { cells, leaf } from '../../../support/plan.js';
import { rowData } from '../../../support/row-data.js';

const [ROWS, BATCH] = [23, 7];
const path = join(packageRoot(), 'test/fixtures/torch/networks.json');
type Name = 'images' | 'norms' | 'again';
type Fixture = { readonly losses: readonly number[]; readonly decisions: readonly number[] };
const fixtures = JSON.parse(readFileSync(path, 'utf8')) as Record<Name, Fixture>;

const INPUT = { height: 6, width: 5, channels: 2 };
const LAYERS: LayerList = [
  { rescaling: { scale: 0.5, offset: 0.25 } },
  { conv2d: { filters: 3, kernel_size: 3, padding: 'same', activation: 'relu' } },
  { batch_norm: { momentum: 0.9 } },
  { max_pool: 2 },
  { conv2d: { filters: 4, kernel_size: [2, 2], activation: 'tanh' } },
  'flatten',
  { dense: 5 },
  { batch_norm: { momentum: 0.9 } },
  { activation: 'relu' },
];

const NORMED: LayerList = [
  { depthwise_conv2d: { kernel_size: 3, depth_multiplier: 2 } },
  'layer_norm',
  { activation: 'gelu' },
  { conv2d: { filters: 6, kernel_size: 2, groups: 2 } },
  'flatten',
  { dense: 5 },
  'layer_norm',
  { activation: 'tanh' },
];

interface Scenario {
  readonly network: TrainableNetwork;
  readonly columns: number;
  readonly sizes: readonly (readonly [rows: number, cols: number])[];
  readonly training: Pick<Training, 'loss' | 'optimiser'>;
  readonly rate: number;
  readonly decay: number;
}

const OF_IMAGES = {
  columns: 60,
  training: { loss: 'classes', optimiser: sgd({ momentum: 0.9, nesterov: true }) },
  rate: 0.05,
  decay: 1,
} as const;

const scenarios: Readonly<Record<Name, Scenario>> = {
  images: {
    ...OF_IMAGES,
    network: listedNetwork(LAYERS, INPUT, 60, 3),
    sizes: [[19, 3], [13, 4], [9, 5], [6, 3]], // biome-ignore format: a list
  },
  norms: {
    ...OF_IMAGES,
    network: listedNetwork(NORMED, INPUT, 60, 3),
    sizes: [[10, 4], [9, 6], [37, 5], [6, 3]], // biome-ignore format: a list
  },
  again: {
    network: perceptron(4, [5, 2, 5], 'tanh', 4),
    columns: 4,
    sizes: [[5, 5], [6, 2], [3, 5], [6, 4]], // biome-ignore format: a list
    training: { loss: 'reconstruction', optimiser: adamW({ weightDecay: 0.1 }) },
    rate: 0.02,
    decay: 0.9,
  },
};

describe('networks', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  for (const name of ['images', 'norms', 'again'] as const) {
    it(`end where PyTorch's do: ${name}`, async () => {
      const { network, columns, sizes, training, rate, decay } = scenarios[name];
      const { losses, decisions } = fixtures[name];
      const program = async (given: Readonly<Record<string, Matrix>>) => {
        const { session: own } = given.X!;
        const left = sizes.map((_, l) => given[`first ${l}`]!);
        const number = (value: number): Matrix => fill(own, 1, 1, value);
        const first = network.layers.flatMap((layer) => {
          if (layer.kind === 'batch_norm' || layer.kind === 'layer_norm') {
            return [ones(own, 1, layer.channels).rbind(zeros(own, 1, layer.channels))];
          }
          return layer.kind === 'dense' || layer.kind === 'conv2d' ? [left.shift()!] : [];
        });
        const { layers, loss } = await trainNetwork(
          rowData(given.X!, given.y!, given.weight!, 3),
          {
            network,
            ...{ batchRows: BATCH, shuffles: false, maxEpochs: losses.length, patience: 99 },
            ...training,
            rates: 'exponential',
            numbers: {
              ...{ rate: given.rate!, decay: number(decay) },
              ...{ tolerance: number(0), seed: number(0) },
            },
          },
          first,
        );
        const all = [...layers];
        const z = layersOfNetwork(network).reduce(
          (x, layer) => applied(layer, x, layerShape(layer) && all.shift()!),
          given.X!,
        );
        return { loss, z };
      };
      const args = {
        X: { shared: leaf(session, ROWS, columns) },
        y: { shared: matrix(session, ROWS, 1, Float64Array.from({ length: ROWS }, (_, i) => i % 3)) }, // biome-ignore format: a matrix
        weight: { shared: ones(session, ROWS, 1) },
        // The second model goes another way.
        rate: [rate, rate / 3].map((value) => fill(session, 1, 1, value)),
        ...Object.fromEntries(
          sizes.map(([rows, cols], l) => {
            return [`first ${l}`, { shared: leaf(session, rows, cols, 3 + l).div(2) }];
          }),
        ),
      };
      const [found] = await batch(session, 2, args, program, { name, version: '1', params: null });
      const loss = await found!.loss!.asScalar().value();
      assert.ok(Math.abs(loss - losses.at(-1)!) < 1e-9, `${loss} for ${losses.at(-1)}`);
      const z = await found!.z!.value();
      const wanted = dense(z.rows, z.cols, Float64Array.from(decisions));
      assertClose(z, wanted, 1e-9, 'decision values');
    });
  }

  const COLUMNS = 4;
  const search = async (
    own: Session,
    estimator: typeof autoencoder,
    grid: Parameters<typeof gridSearch>[1]['grid'],
    scoring?: readonly string[],
  ) =>
    gridSearch(own, {
      X: leaf(own, ROWS, COLUMNS),
      ...(estimator.task === 'classification' && {
        y: matrix(
          own,
          ROWS,
          1,
          Float64Array.from({ length: ROWS }, (_, i) => i % 3),
        ),
        classes: [0, 1, 2],
      }),
      cv: { folds: 2 },
      estimator,
      ...(scoring && { scoring }),
      grid: { max_iter: [3], batch_size: [5], ...grid },
      standardize: estimator === autoencoder,
    } as Parameters<typeof gridSearch>[1]);

  it('train rates of dropout together, each to its own, and score what is said of rows again', async () => {
    const hidden = { hidden_layer_sizes: [[6, 2, 6]], learning_rate: [0.05] };
    const made = async (dropout: readonly number[]) => {
      const own = new Session({ local: await createCpuBackend() });
      const { trials, model } = await search(own, autoencoder, { ...hidden, dropout });
      const { kernels } = own.statistics;
      await own.close();
      const scores = trials.flatMap((trial) => trial.splitScores.neg_reconstruction_error!);
      return { kernels, scores, model: model! };
    };
    const both = await made([0, 0.4]);
    const apart = [await made([0]), await made([0.4])];
    const alone = apart.flatMap(({ scores }) => scores);
    assert.ok(alone.every((score) => score < 0 && score > -10));
    assert.notEqual(alone[0], alone[2]);
    assertClose(
      dense(1, 4, Float64Array.from(both.scores)),
      dense(1, 4, Float64Array.from(alone)),
      1e-9,
      'scores',
    );
    const kernels = apart.reduce((sum, one) => sum + one.kernels, 0);
    assert.ok(both.kernels < 0.7 * kernels, `${both.kernels} of ${kernels}`);
    // The model says rows in the units of the data: better than their means do.
    const { model } = both;
    const X = cells(ROWS, COLUMNS, 1);
    const said = await decisionValues(model, leaf(session, ROWS, COLUMNS)).value();
    const errors = [...said.data].map((cell, i) => (cell - X.data[i]!) ** 2);
    const mean = (of: (column: number) => number): number =>
      Array.from({ length: COLUMNS }, (_, j) => of(j)).reduce((sum, one) => sum + one, 0);
    const spread = mean((j) => {
      const column = Array.from({ length: ROWS }, (_, i) => X.data[i * COLUMNS + j]!);
      const middle = column.reduce((sum, one) => sum + one) / ROWS;
      return column.reduce((sum, one) => sum + (one - middle) ** 2, 0);
    });
    assert.ok(errors.reduce((sum, one) => sum + one) < spread);
    assert.equal(model.code, 3);
  });

  it('of more epochs go on where they stood', async () => {
    const of = async (own: Session, epochs: number) => {
      const before = own.statistics.kernels;
      const grid = { hidden_layer_sizes: [[3, 2]], max_iter: [epochs] };
      const { trials } = await search(own, autoencoder, grid);
      const scores = trials.flatMap((trial) => trial.splitScores.neg_reconstruction_error!);
      return { scores, kernels: own.statistics.kernels - before };
    };
    const [warm, fresh] = [await createCpuBackend(), await createCpuBackend()].map(
      (local) => new Session({ local }),
    ) as [Session, Session];
    await of(warm, 4);
    const [more, cold] = [await of(warm, 5), await of(fresh, 5)];
    assert.deepEqual(more.scores, cold.scores);
    assert.ok(more.kernels < 0.4 * cold.kernels, `${more.kernels} of ${cold.kernels} kernels`);
    await Promise.all([warm.close(), fresh.close()]);
  });

  it('of a list are refitted to a model whose cells say the same', async () => {
    const layers: LayerList = [
      { random_flip: 'horizontal' },
      { random_translation: { height_factor: 0.5 } },
      { conv2d: { filters: 2, kernel_size: 2, padding: 'same', activation: 'gelu' } },
      'batch_norm',
      { depthwise_conv2d: { kernel_size: 2, padding: 'same' } },
      'layer_norm',
      { avg_pool: { pool_size: 2, strides: 1, padding: 'same' } },
      'flatten',
      'dropout',
      { dense: { units: 3, activation: 'sigmoid' } },
    ];
    const input = { height: 2, width: 2, channels: 1 };
    const grid = { layers: [layers], input: [input], dropout: [0, 0.5] };
    const { model, trials } = await search(session, networkClassifier, grid as never);
    for (const { splitScores } of trials) assert.ok(splitScores.accuracy!.every(Number.isFinite));
    assert.deepEqual(model!.coefficients, []);
    const z = await decisionValues(model!, leaf(session, ROWS, COLUMNS)).value();
    const plain = layersOfCells(
      Float64Array.from(cells(ROWS, COLUMNS, 1).data),
      ROWS,
      model!.layers!,
    );
    assertClose(z, dense(ROWS, 3, plain), 1e-12, 'decision values');
  });

  it('move pixels of images while they train, as they are told', async () => {
    const [height, width, channels, rows] = [3, 4, 2, 5];
    const X = cells(rows, height * width * channels, 1);
    const drawn = Float64Array.of(0, 0.999, 0.7, 0.3, 0.49, 0.5, 0.2, 0.2, 0.999, 0);
    // Along an axis of `size` pixels: what pixel `at` of a row was.
    type Source = (at: number, size: number, draw: number, axis: number) => number;
    const moved = (source: Source): Float64Array =>
      Float64Array.from(X.data, (_, cell) => {
        const c = cell % channels;
        const x = Math.floor(cell / channels) % width;
        const y = Math.floor(cell / channels / width) % height;
        const row = Math.floor(cell / channels / width / height);
        const fromY = source(y, height, drawn[2 * row]!, 0);
        const fromX = source(x, width, drawn[2 * row + 1]!, 1);
        const isInside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
        return isInside ? X.data[((row * height + fromY) * width + fromX) * channels + c]! : 0;
      });
    const most = [2, 1];
    const shifted = (at: number, draw: number, axis: number): number =>
      at + Math.floor(draw * (2 * most[axis]! + 1)) - most[axis]!;
    const translation = (fill_mode?: 'reflect' | 'nearest' | 'constant'): LayerList[number] => ({
      random_translation: { height_factor: 0.6, width_factor: 0.25, fill_mode },
    });
    const given: [LayerList[number], Source][] = [
      ['random_flip', (at, size, draw) => (draw < 0.5 ? size - 1 - at : at)],
      [
        { random_flip: 'horizontal' },
        (at, size, draw, axis) => (axis === 1 && draw < 0.5 ? size - 1 - at : at),
      ],
      [translation('constant'), (at, _, draw, axis) => shifted(at, draw, axis)],
      [
        translation('nearest'),
        (at, size, draw, axis) => Math.min(Math.max(shifted(at, draw, axis), 0), size - 1),
      ],
      [
        translation(),
        (at, size, draw, axis) => {
          const to = shifted(at, draw, axis);
          return to < 0 ? -1 - to : to < size ? to : 2 * size - 1 - to;
        },
      ],
    ];
    for (const [layer, source] of given) {
      const { layers } = listedNetwork([layer], { height, width, channels }, X.cols, 1);
      const [own] = layers as [Augmentation];
      const x = leaf(session, rows, X.cols);
      const draws = matrix(session, rows, 2, drawn);
      const made = await augmented(own, x, draws, undefined).value();
      assert.deepEqual([...made.data], [...moved(source)], JSON.stringify(layer));
      const held = await augmented(own, x, draws, zeros(session, 1, 1)).value();
      assert.deepEqual([...held.data], [...X.data]);
    }
  });

  it('that move images train in a stack as alone, otherwise than where they lie still', async () => {
    const scoresOf = async (first: LayerList, dropout: readonly number[]) => {
      const layers = [[...first, { conv2d: { filters: 2, kernel_size: 2 } }, 'dropout']];
      const input = [{ height: 2, width: 2, channels: 1 }];
      const grid = { layers, input, dropout };
      const { trials } = await search(session, networkClassifier, grid as never, ['neg_log_loss']);
      return trials.flatMap((trial) => trial.splitScores.neg_log_loss!);
    };
    const moving: LayerList = ['random_flip', { random_translation: { width_factor: 0.5 } }];
    const both = await scoresOf(moving, [0, 0.5]);
    const alone = [...(await scoresOf(moving, [0])), ...(await scoresOf(moving, [0.5]))];
    assert.deepEqual(both, alone);
    assert.notDeepEqual(both, await scoresOf([], [0, 0.5]));
  });

  it('are refused where layers do not fit, by their place', async () => {
    const list =
      (...layers: LayerList) =>
      () =>
        listedNetwork(layers, null, 4, 1);
    assert.throws(list({ dense: 3 }, { max_pool: 2 }), /model\.layers\.1: expected images before max_pool, got columns/); // biome-ignore format: a pattern
    assert.throws(
      () => listedNetwork([{ max_pool: 3 }], { height: 2, width: 2, channels: 1 }, 4, 1),
      /model\.layers\.0: max_pool: expected a window that fits 2x2/,
    );
    assert.throws(
      () => listedNetwork(['flatten'], { height: 2, width: 3, channels: 1 }, 4, 1),
      /model\.input: expected as many cells as columns \(4\), got 2 x 3 x 1 = 6/,
    );
    await assert.rejects(search(session, cnn, {}), /model\.input: expected height, width/);
  });
});
