/**
 * A pretrained network as a step: scores equal those of its values given as columns, and each setting
 * of `reuse` computes no layer oftener than it says, by convolutions that ran.
 */
import assert from 'node:assert/strict';
import { basename, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import {
  ConfigError,
  fill,
  Images,
  type Matrix,
  matrix,
  type ReuseSetting,
  Session,
  type UnsupportedError,
} from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { logistic } from '../../../../jobs/estimators/logistic.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import { readNetwork } from '../../../../jobs/networks/network.js';
import { parsePipeline } from '../../../../jobs/pipeline/read-pipeline.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import { countingBackend } from '../../../support/counting-backend.js';

const path = join('test/fixtures/networks', 'functional.json');
const CUTS = ['relu', 'sum', 'both'];
const ROWS = 12;
const image = [9, 8, 3] as const;
const step = { step: 'network', path, image, scale: 0.5, offset: 0.25 };

function dataIn(session: Session): { readonly X: Matrix; readonly y: Matrix } {
  const cells = Float64Array.from({ length: ROWS * 216 }, (_, i) => Math.sin(1 + i * i + (i % 5)));
  const y = Float64Array.from({ length: ROWS }, (_, i) => Number((i * 7) % 5 > 1));
  return { X: matrix(session, ROWS, 216, cells), y: matrix(session, ROWS, 1, y) };
}

/** By penalty, then cut where it is searched. */
const scoresOf = ({ trials }: SearchResult): Map<string, number> =>
  new Map(
    trials.map(({ params, meanScore }) => [
      `${params.C} ${params.network ?? ''}`,
      meanScore.neg_log_loss!,
    ]),
  );

type Data = ReturnType<typeof dataIn>;

function searched(session: Session, data: Data, prepare: readonly object[], grid: object) {
  return gridSearch(session, {
    ...data,
    ...{ classes: [0, 1], cv: { folds: 2 }, estimator: logistic, refit: false },
    ...{ scoring: ['neg_log_loss'], prepare: prepare as never, grid: grid as never },
  });
}

describe('a pretrained network as a step', () => {
  const expected = new Map<string, number>();
  let session: Session;
  let data: Data;
  before(async () => {
    session = new Session({ local: await createCpuBackend() });
    data = dataIn(session);
    const network = await readNetwork(path);
    const shape = { height: 9, width: 8, channels: 3 };
    const images = new Images(data.X.cast('float32').mul(0.5).add(0.25), shape);
    for (const [i, value] of network.apply(images, CUTS).entries()) {
      const features = value.images!.globalAvgPool2d().matrix.cast('float64');
      const own = { ...data, X: features };
      const found = await searched(session, own, [{ step: 'scale' }], { C: [1] });
      for (const [C, score] of scoresOf(found)) expected.set(C + CUTS[i]!, score);
    }
  });

  after(() => session.close());

  // Padding and six convolutions lie below the cuts; the mean of the pixels of each is one more.
  const ONCE = 10;
  for (const [reuse, first, again] of [
    ['off', undefined, undefined],
    ['layers', ONCE, 0],
    ['full', ONCE, 0],
  ] as readonly (readonly [ReuseSetting, number | undefined, number | undefined])[]) {
    it(`${reuse}: scores its values, ${first === undefined ? 'computed again' : 'each layer once'}`, async () => {
      const counted = await countingBackend();
      const own = new Session({ local: counted.backend, reuse });
      const ownData = dataIn(own);
      const work = async (C: readonly number[]): Promise<number> => {
        const before = counted.convolutions;
        const grid = { network: CUTS, C };
        const scores = scoresOf(await searched(own, ownData, [step, { step: 'scale' }], grid));
        assert.equal(scores.size, expected.size);
        for (const [params, score] of scores) {
          const own = expected.get(params)!;
          assert.ok(Math.abs(score - own) < 1e-6, `${params}: ${score}, ${own}`);
        }
        return counted.convolutions - before;
      };
      const [ran, ranAgain] = [await work([1]), await work([1])];
      if (first !== undefined) {
        // A deeper cut builds upon what is there: none of the seven below its pools runs again.
        const before = counted.convolutions;
        await searched(own, ownData, [{ ...step, cut: 'times' }], { C: [1] });
        const added = counted.convolutions - before;
        assert.ok(added < 7, `${added}`);
      }
      await own.close();
      if (first === undefined) {
        // Each fit makes its columns once, as scores and sums do, and not at each iteration.
        assert.ok(ran > ONCE && ran < 10 * ONCE && ranAgain === ran, `${ran} and ${ranAgain}`);
      } else assert.deepEqual([ran, ranAgain], [first, again]);
    });
  }

  it('is run once for two searches at a time, each of other cuts and penalties', async () => {
    const counted = await countingBackend();
    const own = new Session({ local: counted.backend });
    const ownData = dataIn(own);
    const grids = [
      { network: CUTS, C: [1] },
      { network: CUTS.slice(1), C: [0.1] },
    ];
    const [found] = await Promise.all(
      grids.map((grid) => searched(own, ownData, [step, { step: 'scale' }], grid)),
    );
    const scores = scoresOf(found!);
    assert.equal(scores.size, CUTS.length);
    for (const [params, score] of scores) assert.ok(Math.abs(score - expected.get(params)!) < 1e-6);
    assert.equal(counted.convolutions, ONCE);
    await own.close();
  });

  it('reads images of one channel and of other sizes as the network has them', async () => {
    const grey = matrix(session, [[0, 1, 2, 3, 4, 5]]);
    const images = new Images(grey, { height: 2, width: 3, channels: 1 });
    // torch.nn.functional.interpolate(.., size=(3, 5), mode='bilinear')
    const resized = [...[0, 0.4, 1, 1.6, 2], ...[1.5, 1.9, 2.5, 3.1, 3.5], ...[3, 3.4, 4, 4.6, 5]];
    const { data } = await images.resize(3, 5).matrix.value();
    for (const [i, cell] of data.entries()) assert.ok(Math.abs(cell - resized[i]!) < 1e-12);
    const two = images.bindChannels(images).resize(3, 5);
    const pairs = (await two.matrix.value()).data;
    assert.deepEqual(
      [...pairs],
      [...data].flatMap((cell) => [cell, cell]),
    );
    assert.equal(images.resize(2, 3), images);
    // Weights of more than 4,096 cells are known by their memory.
    const large = new Images(fill(session, 1, 24 * 24 * 3, 1), {
      height: 24,
      width: 24,
      channels: 3,
    });
    assert.equal(large.resize(32, 32).matrix.expr, large.resize(32, 32).matrix.expr);
  });

  it('refuses what it can not work on', async () => {
    const rejected = (
      own: object,
      problem: RegExp,
      kind: typeof ConfigError | typeof UnsupportedError = ConfigError,
    ) =>
      assert.rejects(
        searched(session, data, [{ ...step, cut: 'conv', ...own }], { C: [1] }),
        (error) => {
          assert.ok(error instanceof kind, String(error));
          assert.match(error.message, problem);
          return true;
        },
      );
    await rejected({ image: [9, 9, 3] }, /expected 9 x 9 x 3 columns, got 216/);
    await rejected({ cut: undefined }, /expected a cut, such as classes, got none/);
    await rejected({ path: undefined }, /expected the path of a network, got none/);
    await rejected({ channels: 4 }, /expected one channel to be repeated, got 3/);
    await rejected({ cut: 'none such' }, /got none such/);
    const after = [{ step: 'scale' }, { ...step, cut: 'conv' }];
    await assert.rejects(
      searched(session, data, after, { C: [1] }),
      /expected to be the first step/,
    );
    const job = parseJob(
      'folder/job.yaml',
      'kind: search\ndata: { path: a.parquet, target: y }\nmodel: { type: logistic }\nprepare: [{ step: network, path: own.onnx, cut: a }]\n',
    );
    assert.match(String(job.models[0]!.prepare![0]!.path), /folder.own\.onnx$/);
  });

  it('is made again in a pipeline when a file of the network is another one', async () => {
    const job = {
      ...{ data: { path: 'a.parquet', target: 'y' }, model: { type: 'logistic' }, refit: false },
      prepare: [
        { step: 'network', path: resolve(path), cut: 'conv' },
        { step: 'network', name: 'packed', path: 'npm://a@1.0.0/model.json', cut: 'conv' },
        { step: 'network', name: 'later', path: 'none.onnx', cut: 'conv' },
      ],
    };
    const text = stringify({ kind: 'pipeline', steps: { search: { job } } });
    const { steps } = await parsePipeline('folder/nightly.yaml', text);
    const inputs = steps[0]!.work.inputs.map(({ name, from, isAnyFile }) => [
      name,
      'path' in from ? basename(from.path) : '',
      isAnyFile ?? false,
    ]);
    assert.deepEqual(inputs, [
      ['data', 'a.parquet', false],
      ['network', 'functional.json', true],
      ['network 2', 'functional-1.bin', true],
      ['network 3', 'functional-2.bin', true],
      ['later', 'none.onnx', true],
    ]);
  });
});
