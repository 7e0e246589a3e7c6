/**
 * Layers models of TensorFlow.js as expressions, against its own values (`test/fixtures/networks`):
 * outputs and layers inside, weights quantised and split; the same wrapped as modules; what is refused.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DataError,
  type DType,
  dense,
  type Matrix,
  matrix,
  Session,
  UnsupportedError,
} from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { READ_LAYERS, readNetwork } from '../../../../jobs/networks/network.js';
import { readLayers } from '../../../../jobs/networks/read-layers.js';
import { assertClose } from '../../../support/close.js';

interface Fixture {
  readonly file: string;
  readonly dims: readonly number[];
  readonly rows: number;
  readonly values: Readonly<
    Record<string, { readonly dims: readonly number[]; readonly cells: readonly number[] }>
  >;
}

const folder = 'test/fixtures/networks';
const textOf = (file: string): string => readFileSync(join(folder, file), 'utf8');
const { networks } = JSON.parse(textOf('layers.json')) as { readonly networks: readonly Fixture[] };
const [functional, inLine] = networks as [Fixture, Fixture];

/** The input of `generate-layers.mjs`. */
function inputOf(session: Session, { dims, rows }: Fixture, dtype: DType): Matrix {
  const cols = dims.reduce((size, one) => size * one, 1);
  const cells = Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(1 + (i + 1) ** 2));
  return matrix(session, rows, cols, dtype === 'float32' ? cells : Float64Array.from(cells));
}

/** As a browser bundle has it. */
const wrapped = (literal: string): string =>
  `!function(e){if("object"==typeof module)module.exports=e();else self.model=e()}(function(){return function(a){a[0]({})}([function(t){t.exports=${literal}}])});`;

describe('networks of Keras layers', () => {
  let session: Session;
  let temporary: string;
  before(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'reprise-layers-'));
  });
  after(() => rm(temporary, { recursive: true }));
  beforeEach(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  afterEach(() => session.close());

  async function check(path: string, test: Fixture, dtype: DType): Promise<void> {
    const network = await readNetwork(path);
    const names = Object.keys(test.values);
    const values = network.apply(inputOf(session, test, dtype), names, test.dims);
    for (const [i, name] of names.entries()) {
      const { dims, cells } = test.values[name]!;
      assert.deepEqual([...values[i]!.dims], [...dims], name);
      const got = await values[i]!.matrix.value();
      assertClose(got, dense(test.rows, got.cols, Float64Array.from(cells)), 3e-6, name);
    }
  }

  for (const test of networks) {
    for (const dtype of ['float64', 'float32'] as const) {
      it(`${test.file} as TensorFlow.js has it, in ${dtype}`, () =>
        check(join(folder, test.file), test, dtype));
    }
  }

  it('reads every class it names in these', async () => {
    const graphs = await Promise.all(networks.map(({ file }) => readLayers(join(folder, file))));
    const used = new Set(graphs.flatMap(({ operations }) => operations.map(({ op }) => op)));
    const unused = READ_LAYERS.filter((name) => !used.has(name));
    assert.deepEqual(unused, ['SpatialDropout2D', 'Subtract']);
  });

  it('reads a model and shards that are modules of a package, without running them', async () => {
    const [model, one, two] = ['.json', '-1.bin', '-2.bin'].map((end) => `functional${end}`);
    // Minified: keys without quotes, numbers without zeros, !0 and !1.
    const literal = textOf(model!)
      .replace(/"([a-z_]+)":/g, '$1:')
      .replace(/\b0\.(?=\d)/g, '.')
      .replace(/: true/g, ': !0')
      .replace(/: false/g, ': !1');
    await writeFile(join(temporary, 'model.min.js'), wrapped(literal));
    for (const shard of [one!, two!]) {
      const packed = readFileSync(join(folder, shard)).toString('base64');
      await writeFile(join(temporary, `${shard}.min.js`), wrapped(JSON.stringify(packed)));
    }
    await check(join(temporary, 'model.min.js'), functional, 'float64');
    for (const [text, problem] of [
      ['module.exports = process.exit(1)', /got no exports in/],
      ['export default {a: process.exit(1)}', /an expression that would have to be run/],
      ['export default {', /Unexpected token/],
    ] as const) {
      await writeFile(join(temporary, 'other.mjs'), text);
      await assert.rejects(readNetwork(join(temporary, 'other.mjs')), problem);
    }
  });

  it('uses a layer twice where the model does', async () => {
    const model = JSON.parse(textOf('functional.json'));
    const { layers } = model.modelTopology.config;
    const times = layers.find((one: { name: string }) => one.name === 'times');
    times.inbound_nodes.push([
      ['mean', 0, 0, {}],
      ['mean', 0, 0, {}],
    ]);
    model.modelTopology.config.output_layers = [['times', 1, 0]];
    const path = join(temporary, 'twice.json');
    for (const shard of model.weightsManifest[0].paths) {
      await writeFile(join(temporary, shard), readFileSync(join(folder, shard)));
    }
    await writeFile(path, JSON.stringify(model));
    const network = await readNetwork(path);
    assert.deepEqual(network.outputs, ['times:1']);
    const x = inputOf(session, functional, 'float64');
    const [mean, twice] = network.apply(x, ['mean', 'times:1'], functional.dims);
    assertClose(await twice!.matrix.value(), await mean!.matrix.square().value(), 1e-15, 'twice');
  });

  it('refuses what it can not read, by name', async () => {
    type Config = Record<string, unknown>;
    type Layer = { class_name: string; config: Config; inbound_nodes: unknown };
    const changed = async (change: (layers: Layer[], model: Config) => unknown) => {
      const model = JSON.parse(textOf('in-line.json'));
      change(model.modelTopology.config.layers, model);
      const path = join(temporary, 'changed.json');
      await writeFile(join(temporary, 'in-line.bin'), readFileSync(join(folder, 'in-line.bin')));
      await writeFile(path, JSON.stringify(model));
      const network = await readNetwork(path);
      return network.apply(inputOf(session, inLine, 'float64'), undefined, inLine.dims);
    };
    const config = (at: number, own: Config) => (layers: Layer[]) =>
      Object.assign(layers[at]!.config, own);
    for (const [change, problem] of [
      [
        (layers: Layer[]) => Object.assign(layers[1]!, { class_name: 'Conv3D' }),
        /of Conv3D \(conv\)/,
      ],
      [config(1, { data_format: 'channels_first' }), /channels last of Conv2D/],
      [config(1, { padding: 'causal' }), /padding valid or same of Conv2D/],
      [config(5, { activation: 'selu' }), /activation .*, got selu of Dense \(dense\)/],
      [config(5, { activation: { class_name: 'Own' } }), /got \{"class_name":"Own"\} of Dense/],
      [config(6, { axis: 2 }), /by the last axis of BatchNormalization/],
      [config(4, { renorm: true }), /no attribute renorm of Flatten/],
    ] as const) {
      await assert.rejects(changed(change as (layers: Layer[]) => unknown), (error: Error) => {
        assert.ok(error instanceof UnsupportedError, error.message);
        assert.match(error.message, problem);
        return true;
      });
    }
    const manifest = (_: Layer[], model: Config) =>
      (
        model.weightsManifest as [{ weights: { dtype: string; shape: number[]; name: string }[] }]
      )[0].weights;
    for (const [change, problem] of [
      [
        (_: Layer[], model: Config) => {
          model.format = 'graph-model';
        },
        /a layers model of TensorFlow.js, got a graph model: .*tensorflowjs_converter/,
      ],
      [
        (_: Layer[], model: Config) => {
          model.modelTopology = { node: [] };
        },
        /got a graph model: /,
      ],
      [
        (all: Layer[], model: Config) => {
          manifest(all, model)[0]!.dtype = 'complex64';
        },
        /got complex64 of conv\/kernel/,
      ],
      [
        (all: Layer[], model: Config) => {
          manifest(all, model)[0]!.name = 'other';
        },
        /weights conv\/kernel of its Conv2D, got none/,
      ],
      [
        (all: Layer[], model: Config) => {
          manifest(all, model)[0]!.shape = [2, 2, 2, 2];
        },
        /bytes of weights, got/,
      ],
      [
        (all: Layer[], model: Config) => {
          manifest(all, model)[0]!.shape = [2, 2, 2, 300];
        },
        /the end of its shards/,
      ],
      [
        (_: Layer[], model: Config) => {
          (model.modelTopology as Config).class_name = 'Own';
        },
        /Sequential or Functional model, got Own/,
      ],
    ] as const) {
      await assert.rejects(changed(change), (error: Error) => {
        assert.ok(error instanceof DataError, error.message);
        assert.match(error.message, problem);
        return true;
      });
    }
    await assert.rejects(readNetwork(join(temporary, 'none.json')), DataError);
  });
});
