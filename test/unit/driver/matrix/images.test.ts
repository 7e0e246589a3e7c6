/**
 * Convolutions, pools and normalisation of images against JAX (`test/fixtures/networks`), by the
 * reference and by the local CPU in float32; long ones as blocks of images on threads.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import {
  type DType,
  dense,
  embedding,
  gradient,
  Images,
  layerNorm,
  type Matrix,
  matrix,
  type Padding,
  PlanError,
  rand,
  Session,
} from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';

type Two = readonly [number, number];

interface Geometry {
  readonly name: string;
  readonly image: readonly [number, number, number];
  readonly window: Two;
  readonly stride: Two;
  readonly padding: Padding;
  readonly rows: number;
}

interface Fixture {
  readonly convolutions: readonly (Geometry & {
    readonly filters: number;
    readonly dilation: Two;
    readonly groups: number;
    readonly value: readonly number[];
    readonly inputGradient: readonly number[];
    readonly filterGradient: readonly number[];
  })[];
  readonly pools: readonly (Geometry & {
    readonly greatest: readonly number[];
    readonly greatestGradient: readonly number[];
    readonly mean: readonly number[];
  })[];
}

const fixture = JSON.parse(readFileSync('test/fixtures/networks/images.json', 'utf8')) as Fixture;

/** As `generate.py` has them. */
function sampled(session: Session, rows: number, cols: number, step: number, dtype: DType): Matrix {
  const cells = Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(1 + (i + step) ** 2));
  return matrix(session, rows, cols, dtype === 'float32' ? Float32Array.from(cells) : cells);
}

async function assertCells(value: Matrix, expected: readonly number[], what: string) {
  const got = await value.value();
  const tolerance = value.dtype === 'float64' ? 1e-11 : 1e-5;
  assertClose(got, dense(got.rows, got.cols, Float64Array.from(expected)), tolerance, what);
}

const ENGINES = [
  ['reference', async () => createReferenceBackend(), 'float64'],
  ['cpu', () => createCpuBackend(), 'float32'],
] as const;

for (const [engine, open, dtype] of ENGINES) {
  describe(`images and JAX, ${engine} in ${dtype}`, () => {
    let session: Session;
    before(async () => {
      session = new Session({ local: await open(), reuse: 'off' });
    });
    after(() => session.close());

    for (const test of fixture.convolutions) {
      it(`convolution: ${test.name}`, async () => {
        const [height, width, channels] = test.image;
        const shape = { height, width, channels };
        const { window, stride, padding, dilation, groups, filters, rows } = test;
        const x = sampled(session, rows, height * width * channels, 1, dtype);
        const f = sampled(session, (window[0] * window[1] * channels) / groups, filters, 2, dtype);
        const options = { window, stride, padding, dilation, groups };
        const { matrix: y } = new Images(x, shape).conv2d(f, options);
        await assertCells(y, test.value, 'value');
        const loss = y.mul(sampled(session, rows, y.cols, 4, dtype)).sum();
        const [byX, byF] = gradient(loss, [x, f]) as [Matrix, Matrix];
        await assertCells(byX, test.inputGradient, 'by input');
        await assertCells(byF, test.filterGradient, 'by filter');
      });
    }

    for (const test of fixture.pools) {
      it(`pool: ${test.name}`, async () => {
        const [height, width, channels] = test.image;
        const x = sampled(session, test.rows, height * width * channels, 1, dtype);
        const images = new Images(x, { height, width, channels });
        const { matrix: y } = images.maxPool2d(test);
        await assertCells(y, test.greatest, 'greatest');
        const loss = y.mul(sampled(session, test.rows, y.cols, 3, dtype)).sum();
        await assertCells(gradient(loss, [x])[0]!, test.greatestGradient, 'by input');
        await assertCells(images.avgPool2d(test).matrix, test.mean, 'mean');
      });
    }
  });
}

describe('images', () => {
  let session: Session;
  before(async () => {
    session = new Session({ local: await createCpuBackend({ helperFlops: 0 }), reuse: 'off' });
  });
  after(() => session.close());
  const shape = { height: 6, width: 5, channels: 3 };
  const given = (rows = 4): Images =>
    new Images(rand(session, rows, 90, { seed: 1, distribution: 'normal' }), shape);

  it('normalises each channel by its moments', async () => {
    const { mean, variance } = given().batchNorm().channelMoments();
    for (const cell of (await mean.value()).data) assert.ok(Math.abs(cell) < 1e-12);
    for (const cell of (await variance.value()).data) assert.ok(Math.abs(cell - 1) < 1e-4);
  });

  it('normalises by one moment that is given and the other of these images', async () => {
    const images = given();
    const { variance } = images.channelMoments();
    const mean = matrix(session, [[1, 2, 3]]);
    const expected = await images.batchNorm({ mean, variance }).matrix.value();
    assertClose(await images.batchNorm({ mean }).matrix.value(), expected, 0, 'mean');
    assert.throws(() => images.avgPool2d({ window: 2, stride: 1, padding: 2 }), PlanError);
  });

  it('normalises each row', async () => {
    const normal = layerNorm(given().matrix, { epsilon: 0 });
    for (const cell of (await normal.rowSumSqs().value()).data)
      assert.ok(Math.abs(cell - 90) < 1e-9);
    for (const cell of (await normal.rowSums().value()).data) assert.ok(Math.abs(cell) < 1e-9);
  });

  it('derives normalisation by channel', async () => {
    const images = given();
    const weights = rand(session, 4, 90, { seed: 2 });
    const loss = (x: Matrix) => new Images(x, shape).batchNorm().matrix.mul(weights).sum();
    const [by] = gradient(loss(images.matrix), [images.matrix]);
    const step = rand(session, 4, 90, { seed: 3, distribution: 'normal' });
    const [up, down] = [1e-5, -1e-5].map((h) => loss(images.matrix.add(step.mul(h))));
    const slope = await up!.sub(down!).div(2e-5).value();
    assert.ok(
      Math.abs((await by!.mul(step).sum().value()) - slope) < 1e-7 * Math.abs(slope) + 1e-8,
    );
  });

  it('binds and cuts channels, and turns them first', async () => {
    const images = given();
    const parts = [images.sliceChannels(0, 1), images.sliceChannels(1, 3)] as const;
    assertClose(
      await parts[0].bindChannels(parts[1]).matrix.value(),
      await images.matrix.value(),
      0,
      'bound again',
    );
    const turned = Images.ofChannelsFirst(images.channelsFirst(), shape);
    assertClose(await turned.matrix.value(), await images.matrix.value(), 0, 'turned back');
    const first = await images.channelsFirst().value();
    assert.equal(first.data[1 * 30 + 7], (await images.matrix.value()).data[7 * 3 + 1]);
  });

  it('pads with zeros and repeats pixels', async () => {
    const images = given(2);
    const sum = await images.matrix.sum().value();
    const padded = images.pad([1, 2, 0, 3]);
    assert.deepEqual([padded.height, padded.width], [9, 8]);
    assert.ok(Math.abs((await padded.matrix.sum().value()) - sum) < 1e-12);
    const twice = images.repeatPixels(2);
    assert.deepEqual([twice.height, twice.width], [12, 10]);
    const [cells, from] = [await twice.matrix.value(), await images.matrix.value()];
    assert.equal(cells.data[(3 * 10 + 5) * 3 + 2], from.data[(1 * 5 + 2) * 3 + 2]);
    const back = twice.avgPool2d({ window: 2 });
    assertClose(await back.matrix.value(), from, 1e-15, 'averaged again');
  });

  it('adds a bias by filter on the way back through a convolution too', async () => {
    const small = { height: 2, width: 3, channels: 2 };
    const images = new Images(rand(session, 2, 12, { seed: 7 }), small);
    const filters = rand(session, 4 * 3, 2, { seed: 8 });
    const bias = matrix(session, [[1, 20, 300]]);
    const options = { window: 2, stride: 2, height: 4, width: 6, channels: 3 };
    const plain = await images.convTranspose2d(filters, options).matrix.value();
    const moved = await images.convTranspose2d(filters, { ...options, bias }).matrix.value();
    const shifts = [1, 20, 300];
    const expected = plain.data.map((cell, i) => cell + shifts[i % 3]!);
    assertClose(moved, dense(plain.rows, plain.cols, expected), 1e-15, 'cells');
  });

  it('puts the rows of a table side by side', async () => {
    const table = rand(session, 5, 3, { seed: 4 });
    const words = matrix(session, [
      [4, 0],
      [2, 9],
    ]);
    const { data } = await embedding(words, table).value();
    const rows = (await table.value()).data;
    const expected = [...rows.slice(12, 15), ...rows.slice(0, 3), ...rows.slice(6, 9), 0, 0, 0];
    assert.deepEqual([...data], expected);
  });

  it('runs long convolutions as blocks of images on threads, one kernel each', async () => {
    const wide = { height: 24, width: 20, channels: 16 };
    const x = rand(session, 37, 24 * 20 * 16, { seed: 5 });
    const f = rand(session, 9 * 16, 24, { seed: 6, min: -1 });
    const options = { window: 3, padding: 'same' } as const;
    const y = new Images(x, wide).conv2d(f, options).matrix;
    const [dx, df] = gradient(y.sumSq(), [x, f]) as [Matrix, Matrix];
    const values = await Promise.all([y, dx, df].map((one) => one.value()));
    const alone = new Session({ local: await createCpuBackend({ blas: 'none' }), reuse: 'off' });
    try {
      const [own, filters] = await Promise.all([x.value(), f.value()]);
      const some = [0, 17, 36];
      for (const row of some) {
        const image = matrix(alone, 1, x.cols, own.data.subarray(row * x.cols, (row + 1) * x.cols));
        const one = new Images(image, wide).conv2d(matrix(alone, filters), options).matrix;
        const [back] = gradient(one.sumSq(), [image]);
        for (const [i, expected] of [one, back!].entries()) {
          const { cols, data } = values[i]!;
          const got = dense(1, cols, data.subarray(row * cols, (row + 1) * cols));
          assertClose(got, await expected.value(), 1e-11, `image ${row}`);
        }
      }
      const all = new Images(matrix(alone, own), wide).conv2d(
        matrix(alone, filters),
        options,
      ).matrix;
      const byF = gradient(all.sumSq(), [all.expr.inputs[1]!.facade as Matrix]);
      assertClose(values[2]!, await byF[0]!.value(), 1e-11, 'filters');
    } finally {
      await alone.close();
    }
  });
});
