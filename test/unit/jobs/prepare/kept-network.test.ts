/**
 * Models behind a pretrained network: what is kept says the same of new images as the network's values
 * given as columns, and a network that is another by now is refused.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { Images, matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend, createDuckDbEngine } from '../../../../gpu-executor/cpu/index.js';
import { onnxModel } from '../../../../jobs/export/onnx.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import type { ModelFile } from '../../../../jobs/model/model-file.js';
import { readModel } from '../../../../jobs/model/read-model.js';
import { readNetwork } from '../../../../jobs/networks/network.js';
import type { OutputName } from '../../../../jobs/predict/output-names.js';
import { predict } from '../../../../jobs/predict/predict.js';
import type { StoredNetwork } from '../../../../jobs/prepare/stored-network.js';
import { runJob } from '../../../../jobs/run-job.js';
import { writeRun } from '../../../../jobs/runs/write-run.js';
import { countingBackend } from '../../../support/counting-backend.js';
import { JobFolder } from '../../../support/job-folder.js';
import { layersOfCells } from '../../../support/plain-layers.js';

const FILES = ['functional.json', 'functional-1.bin', 'functional-2.bin'];
const PIXELS = 9 * 8 * 3;
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

function isNear(
  rows: readonly (readonly number[])[],
  expected: readonly (readonly number[])[],
  most = 1e-4,
) {
  assert.equal(rows.length, expected.length);
  for (const [i, row] of rows.entries()) {
    assert.equal(row.length, expected[i]!.length);
    for (const [k, cell] of row.entries()) {
      assert.ok(Math.abs(cell - expected[i]![k]!) < most, `${cell}, ${expected[i]![k]}`);
    }
  }
}

/** A model that says the columns of several values of a network, side by side. */
function besides(
  { prepare: _, ...found }: ModelFile,
  network: StoredNetwork,
  cuts: readonly string[],
): ModelFile {
  const branches = cuts.map((cut) => [{ ...network, cut }]);
  const columns = cuts.flatMap((cut) => network.columns.map((_, j) => `${cut} ${j}`));
  return {
    ...{ ...found, task: 'decomposition', columns, prepare: [{ kind: 'beside', branches }] },
    coefficients: columns.map((_, k) => columns.map((_, j) => Number(j === k))),
    intercepts: columns.map(() => 0),
  };
}

describe('a model behind a pretrained network', () => {
  let folder: JobFolder;
  let session: Session;
  const at = (name: string): string => join('test/fixtures/networks', name);
  const imagesOf = (rows: number, seed: number): number[][] =>
    Array.from({ length: rows }, (_, i) =>
      Array.from({ length: PIXELS }, (_, j) => Math.fround(Math.sin(seed + i * j + (i % 5) + j))),
    );
  const numberOf = (i: number): number => (i * 7) % 5;
  const csvOf = (rows: readonly (readonly number[])[]): string => {
    const names = rows[0]!.map((_, j) => `x${j}`);
    return [['y', ...names], ...rows.map((row, i) => [numberOf(i), ...row])].join('\n');
  };
  /** The means of the pixels of a value, a list a row. */
  const featuresOf = async (rows: readonly (readonly number[])[], cut: string) => {
    const X = matrix(session, rows.length, PIXELS, Float32Array.from(rows.flat()));
    const images = new Images(X.mul(0.5), { height: 9, width: 8, channels: 3 });
    const [value] = (await readNetwork(at(FILES[0]!))).apply(images, [cut]);
    const { data, cols } = await value!.images!.globalAvgPool2d().matrix.value();
    return rows.map((_, i) => [...data.subarray(i * cols, (i + 1) * cols)]);
  };
  const run = async (name: string, job: object): Promise<string> => {
    const text = stringify({ kind: 'search', cv: { folds: 2 }, ...job });
    const record = await runJob(parseJob(folder.file('job.yaml'), text), { engine: 'local' });
    return writeRun(record, { output: folder.file(name), renderReport: () => '' });
  };
  const modelOf = (path: string): ModelFile =>
    JSON.parse(readFileSync(join(path, 'model.json'), 'utf8'));
  const score = async (model: string, output: OutputName) => {
    const found = await readModel(model, folder.path);
    const out = folder.file('scored.csv');
    await predict(found, folder.file('new.csv'), { engine: 'local', out, outputs: [output] });
    const [, ...lines] = readFileSync(out, 'utf8').trim().split('\n');
    return lines.map((line) => line.split(',').map(Number));
  };

  before(async () => {
    folder = new JobFolder();
    session = new Session({ local: await createCpuBackend() });
    for (const name of FILES) copyFileSync(at(name), folder.file(name));
    folder.write('images.csv', csvOf(imagesOf(30, 1)));
    folder.write('new.csv', csvOf(imagesOf(7, 3)));
  });
  after(async () => {
    await session.close();
    folder.remove();
  });

  it('is kept with the cut and the content of the network, and predicts new images', async () => {
    const data = { target: 'y' };
    const kept = await run('images', {
      data: { path: 'images.csv', ...data },
      model: { type: 'ridge' },
      prepare: [
        { step: 'network', path: FILES[0], image: [9, 8, 3], scale: 0.5 },
        { step: 'scale' },
      ],
      search: { grid: { network: ['relu', 'sum'], lambda: [0.1] } },
    });
    const found = modelOf(kept);
    const [own, scaled] = found.prepare!;
    assert.ok(own?.kind === 'network' && scaled?.kind === 'columns');
    assert.equal(own.path, resolve(folder.file(FILES[0]!)));
    const digests = FILES.map((name) => sha256(readFileSync(at(name))));
    assert.equal(own.sha256, sha256(digests.join('\n')));

    // A search over the network's values as columns fits the same model.
    folder.write('values.csv', csvOf(await featuresOf(imagesOf(30, 1), own.cut)));
    const given = await run('values', {
      data: { path: 'values.csv', ...data },
      model: { type: 'ridge', lambda: 0.1 },
      prepare: [{ step: 'scale' }],
    });
    const { coefficients, intercepts } = modelOf(given);
    const values = await featuresOf(imagesOf(7, 3), own.cut);
    const expected = values.map((row) =>
      coefficients[0]!.reduce((sum, factor, j) => sum + factor * row[j]!, intercepts[0]!),
    );
    isNear(await score(kept, 'prediction'), expected.map((one) => [one])); // biome-ignore format: a call
    assert.throws(() => onnxModel(found), /a model of the columns, got one behind the network/);

    // Moved with the model it is found beside it; here two of its values are all that is said.
    mkdirSync(folder.file('moved'));
    for (const name of FILES) renameSync(folder.file(name), folder.file(`moved/${name}`));
    const model = besides(found, own, ['relu', 'sum']);
    folder.write('moved/model.json', JSON.stringify(model));
    const [relu, sum] = [await featuresOf(imagesOf(7, 3), 'relu'), await featuresOf(imagesOf(7, 3), 'sum')]; // biome-ignore format: a list
    const moved = folder.file('moved/model.json');
    isNear(await score(moved, 'components'), relu.map((row, i) => [...row, ...sum[i]!])); // biome-ignore format: a call

    // Another file is refused wherever it is.
    const weights = readFileSync(folder.file(`moved/${FILES[1]}`));
    weights[0]! ^= 1;
    writeFileSync(folder.file(`moved/${FILES[1]}`), weights);
    for (const path of [kept, moved]) {
      const refused = /expected its network with SHA-256 .*, got another or none; bring/;
      await assert.rejects(score(path, 'prediction'), refused);
    }
  });

  it('is one that was trained here too: kernels decide as its layers say cell by cell', async () => {
    const input = { height: 9, width: 8, channels: 3 };
    const kept = await run('cnn', {
      data: { path: 'images.csv', target: 'y' },
      model: { type: 'cnn', input, filters: [2], dense: 4, max_iter: 1 },
    });
    const rows = imagesOf(7, 3);
    const plain = layersOfCells(Float64Array.from(rows.flat()), 7, modelOf(kept).layers!);
    const expected = rows.map((_, i) => [...plain.subarray(i * 5, (i + 1) * 5)]);
    isNear(await score(kept, 'decision'), expected, 1e-12);
  });

  it('is searched by rungs of epochs: each layer once, survivors as with all at once', async () => {
    const searched = async (search: object) => {
      const duckdb = createDuckDbEngine();
      const counted = await countingBackend({ frames: duckdb });
      const own = new Session({ local: counted.backend });
      const job = {
        ...{ kind: 'search', data: { path: 'images.csv', target: 'y' }, cv: { folds: 2 } },
        prepare: [{ step: 'network', path: resolve(at(FILES[0]!)), image: [9, 8, 3] }],
        model: { type: 'mlp-regressor', hidden_layer_sizes: 4, max_iter: 8 },
        search: { ...search, grid: { network: ['relu', 'sum'], alpha: [0, 0.1] } },
      };
      const parsed = parseJob(folder.file('job.yaml'), stringify(job));
      const open = { engine: 'local', session: own, duckdb, frames: duckdb } as const;
      const { search: found } = await runJob(parsed, { engine: 'local', open });
      await own.close();
      const rows = found.trials.map(({ params, budget, splitScores }) => {
        const name = `${params.network} ${params.alpha}`;
        return [name, budget?.iterations ?? 8, splitScores.r2!] as const;
      });
      return { convolutions: counted.convolutions, rows };
    };
    const all = await searched({ type: 'grid' });
    const whole = new Map(all.rows.map(([name, , scores]) => [name, scores]));
    assert.deepEqual([whole.size, all.convolutions > 0], [4, true]);
    for (const type of ['halving', 'hyperband']) {
      const search = { type, resource: 'iterations', factor: 2, min_resources: 2 };
      const { convolutions, rows } = await searched(search);
      assert.equal(convolutions, all.convolutions, type);
      const last = rows.filter(([, iterations]) => iterations === 8);
      assert.ok(last.length > 0 && last.length < rows.length, `${type}: ${rows}`);
      for (const [name, , scores] of last) assert.deepEqual(scores, whole.get(name), name);
    }
  });
});
