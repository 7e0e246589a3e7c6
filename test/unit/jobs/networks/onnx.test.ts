/**
 * ONNX files as expressions, against onnxruntime's values (`test/fixtures/networks`): outputs and
 * values inside, in both dtypes; what is reused between cuts; what is refused, by name.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  DataError,
  type DType,
  dense,
  gradient,
  Images,
  lineageKey,
  type Matrix,
  matrix,
  Session,
  UnsupportedError,
} from '../../../../driver/index.js';
import { topological } from '../../../../driver/ir/expr.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { Attribute, Constant, NetworkOperation } from '../../../../jobs/networks/graph.js';
import { Network, READ_OPERATORS, readNetwork } from '../../../../jobs/networks/network.js';
import { readOnnx } from '../../../../jobs/networks/read-onnx.js';
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
const { networks } = JSON.parse(readFileSync(join(folder, 'onnx.json'), 'utf8')) as {
  readonly networks: readonly Fixture[];
};

/** The input of `generate-onnx.py`. */
function inputOf(session: Session, { dims, rows }: Fixture, dtype: DType): Images | Matrix {
  const cols = dims.reduce((size, one) => size * one, 1);
  const cells = Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(1 + (i + 1) ** 2));
  const x = matrix(session, rows, cols, dtype === 'float32' ? cells : Float64Array.from(cells));
  if (dims.length !== 3) return x;
  const [channels, height, width] = dims as [number, number, number];
  return Images.ofChannelsFirst(x, { channels, height, width });
}

describe('networks of ONNX files', () => {
  let session: Session;
  beforeEach(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  afterEach(() => session.close());

  for (const test of networks) {
    for (const dtype of ['float64', 'float32'] as const) {
      it(`${test.file} as onnxruntime has it, in ${dtype}`, async () => {
        const network = await readNetwork(join(folder, test.file));
        const names = Object.keys(test.values);
        const values = network.apply(inputOf(session, test, dtype), names, test.dims);
        for (const [i, name] of names.entries()) {
          const { dims, cells } = test.values[name]!;
          assert.deepEqual([...values[i]!.dims], [...dims], name);
          const got = await values[i]!.matrix.value();
          const expected = dense(test.rows, got.cols, Float64Array.from(cells));
          assertClose(got, expected, 3e-6, name);
        }
      });
    }
  }

  it('reads every operator it names in these', async () => {
    const graphs = await Promise.all(networks.map(({ file }) => readOnnx(join(folder, file))));
    const used = new Set(graphs.flatMap(({ operations }) => operations.map(({ op }) => op)));
    // Of constants and lists, and older files; tried on whole networks in the bench.
    const others = 'Cast Constant ConstantOfShape Gather Shape Unsqueeze Upsample'.split(' ');
    assert.deepEqual(
      READ_OPERATORS.filter((name) => !used.has(name)),
      others,
    );
  });

  it('names values by content: the file read again is the same node, in another session the same key', async () => {
    const [test] = networks as [Fixture];
    const other = new Session({ local: await createCpuBackend() });
    try {
      const keys = [];
      for (const own of [session, other]) {
        const network = await readNetwork(join(folder, test.file));
        const last = network.apply(inputOf(own, test, 'float32')).at(-1);
        keys.push(lineageKey(last!.matrix.expr));
      }
      assert.equal(keys[0], keys[1]);
    } finally {
      await other.close();
    }
  });

  it('makes the same nodes again, of computed constants too', async () => {
    const operation = { attributes: new Map(), name: 'one' };
    const network = new Network({
      format: 'onnx',
      opset: 17,
      operations: [
        { ...operation, op: 'ConstantOfShape', inputs: ['shape'], outputs: ['weights'] },
        { ...operation, op: 'MatMul', inputs: ['x', 'weights'], outputs: ['y'] },
      ],
      constants: new Map([['shape', { dims: [2], cells: Float64Array.of(100, 60) }]]),
      inputs: [{ name: 'x', dims: [100] }],
      outputs: ['y'],
    });
    const x = matrix(session, 2, 100, new Float32Array(200));
    const [first, second] = [0, 1].map(() => network.apply(x)[0]!.matrix);
    assert.equal(first!.expr, second!.expr);
  });

  describe('of operations', () => {
    type Step = readonly [op: string, inputs: string, attributes?: NetworkOperation['attributes']];
    const numbers = (...cells: readonly number[]): Constant => ({
      dims: [cells.length],
      cells: Float64Array.from(cells),
    });
    const named = (attributes: Readonly<Record<string, Attribute>>) =>
      new Map(Object.entries(attributes));
    /** One after the other, each of which makes the value of its place: '0', '1', .. */
    const networkOf = (
      steps: readonly Step[],
      constants: Readonly<Record<string, Constant>> = {},
      opset = 17,
    ): Network => {
      const operations = steps.map(([op, inputs, attributes = new Map()], at) => {
        return { name: op, op, inputs: inputs.split(' '), outputs: [`${at}`], attributes };
      });
      const inputs = [{ name: 'x', dims: [] }];
      const outputs = [`${steps.length - 1}`];
      return new Network({
        format: 'onnx',
        opset,
        operations,
        constants: new Map(Object.entries(constants)),
        inputs,
        outputs,
      });
    };
    const images = (rows: number, channels: number, height: number, width: number): Images => {
      const cells = Float64Array.from({ length: rows * channels * height * width }, (_, i) => i);
      const x = matrix(session, rows, cells.length / rows, cells);
      return Images.ofChannelsFirst(x, { channels, height, width });
    };

    it('reads the sizes of each input, not those of the one before', async () => {
      const sizes = [
        ['Shape', 'x'],
        ['Gather', '0 rows'],
        ['Concat', '1 rest'],
        ['Reshape', 'x 2'],
      ] as const;
      const network = networkOf(sizes, { rows: numbers(0), rest: numbers(-1) });
      for (const [rows, channels] of [
        [2, 3],
        [5, 4],
      ] as const) {
        const [flat] = network.apply(images(rows, channels, 2, 2));
        assert.deepEqual(flat!.dims, [4 * channels]);
        assert.equal(flat!.matrix.rows, rows);
      }
    });

    it('convolves once for a value that is read twice, and takes in what is read once', async () => {
      const constants = {
        w: { dims: [1, 1, 1, 1], cells: Float64Array.of(2) },
        scale: { dims: [1, 1, 1], cells: Float64Array.of(10) },
        three: numbers(3),
      };
      const steps = [
        ['Conv', 'x w', named({ kernel_shape: [1, 1] })],
        ['Mul', '0 scale'],
        ['Add', '1 three'],
        ['Mul', '1 2'],
      ] as const;
      const [made] = networkOf(steps, constants).apply(images(1, 1, 2, 2));
      const { data } = await made!.matrix.value();
      assert.deepEqual(
        [...data],
        [0, 1, 2, 3].map((x) => 20 * x * (20 * x + 3)),
      );
      const names = topological([made!.matrix.expr]).map(({ op }) => op.name);
      assert.deepEqual(
        names.filter((name) => name !== 'literal'),
        ['conv2d', 'scalar', 'add', 'mul'],
      );
    });

    it('reads the part of a shape that is asked for', () => {
      const shape = ['Shape', 'x', named({ start: -2 })] as const;
      const network = networkOf([shape, ['Concat', 'first 0'], ['Reshape', 'x 1']], {
        first: numbers(0, -1),
      });
      assert.deepEqual(network.apply(images(2, 3, 4, 5))[0]!.dims, [3, 4, 5]);
    });

    it('takes softmax of older files over all cells of an image, where they lie', async () => {
      const network = networkOf([['Softmax', 'x']], {}, 11);
      const x = images(2, 3, 2, 2);
      const [value] = network.apply(x);
      const expected = await x.channelsFirst().softmax().value();
      assertClose(await value!.matrix.value(), expected, 1e-15, 'cells');
    });

    it('repeats pixels only where that is what the modes of an enlargement say', async () => {
      const resized = (modes: Readonly<Record<string, string>>, down: number, across: number) => {
        const scales = { scales: numbers(1, 1, down, across) };
        return networkOf([['Resize', 'x  scales', named(modes)]], scales).apply(images(1, 2, 2, 3));
      };
      const asymmetric = { coordinate_transformation_mode: 'asymmetric' };
      for (const [modes, down] of [
        [{}, 3],
        [{ nearest_mode: 'round_prefer_ceil' }, 2],
        [asymmetric, 2],
        [{ ...asymmetric, nearest_mode: 'floor' }, 3],
      ] as const) {
        const { data } = await resized(modes, down, 1)[0]!.matrix.value();
        const column = [...Array(down).fill(0), ...Array(down).fill(3)];
        assert.deepEqual(
          column.map((_, y) => data[y * 3]),
          column,
        );
      }
      for (const [modes, down] of [
        [{ nearest_mode: 'floor' }, 2],
        [asymmetric, 3],
        [{ ...asymmetric, nearest_mode: 'ceil' }, 2],
        [{ coordinate_transformation_mode: 'align_corners' }, 2],
      ] as const) {
        assert.throws(() => resized(modes, down, 1), UnsupportedError);
      }
      const channels = networkOf([['Resize', 'x  scales']], { scales: numbers(1, 2, 2, 2) });
      assert.throws(() => channels.apply(images(1, 2, 2, 3)), UnsupportedError);
    });

    it('refuses attributes that it does not read, and passes over those of training', () => {
      const x = images(1, 2, 2, 3);
      const applied = (step: Step) => () => networkOf([step]).apply(x);
      assert.throws(applied(['Exp', 'x', named({ base: 2 })]), /no attribute base of Exp/);
      assert.throws(applied(['Relu', 'x', named({ axis: 1, broadcast: 1 })]), /axis, broadcast/);
      assert.doesNotThrow(applied(['Dropout', 'x', named({ ratio: 0.5, seed: 3 })]));
      const shaped = networkOf([['Reshape', 'x shape', named({ allowzero: 1 })]], {
        shape: numbers(0, -1),
      });
      assert.throws(() => shaped.apply(x), UnsupportedError);
    });

    it('refuses to bind constants that are no lists', () => {
      const table = { dims: [2, 1, 1], cells: Float64Array.of(1, 2) };
      const network = networkOf(
        [
          ['Concat', 'table table', named({ axis: 0 })],
          ['Add', 'x 0'],
        ],
        { table },
      );
      assert.throws(() => network.apply(images(1, 4, 1, 4)), UnsupportedError);
    });
  });

  it('runs what two cuts share once, with the values of each alone', async () => {
    const [test] = networks as [Fixture];
    const network = await readNetwork(join(folder, test.file));
    const x = inputOf(session, test, 'float32');
    const [inner, , total] = Object.keys(test.values) as [string, string, string];
    const [cut] = network.apply(x, [total]);
    const before = await cut!.matrix.value();
    const kernels = session.statistics.kernels;
    const [again] = (await readNetwork(join(folder, test.file))).apply(x, [total]);
    assertClose(await again!.matrix.value(), before, 0, 'again');
    assert.equal(session.statistics.kernels, kernels, 'nothing runs for a cut that is there');
    const last = network.apply(x).at(-1);
    const warm = await last!.matrix.value();
    const added = session.statistics.kernels - kernels;
    const cold = new Session({ local: await createCpuBackend(), reuse: 'off' });
    try {
      const own = network.apply(inputOf(cold, test, 'float32')).at(-1);
      assertClose(warm, await own!.matrix.value(), 0, 'warm and cold');
      assert.ok(added < cold.statistics.kernels / 2, `${added} of ${cold.statistics.kernels}`);
    } finally {
      await cold.close();
    }
    assert.ok(network.values.includes(inner));
  });

  it('has gradients through a network', async () => {
    const [test] = networks as [Fixture];
    const network = await readNetwork(join(folder, test.file));
    const x = inputOf(session, test, 'float64') as Images;
    const loss = (images: Images) => network.apply(images).at(-1)!.matrix.square().sum();
    const [by] = gradient(loss(x), [x.matrix]) as [Matrix];
    const step = by.div(by.sumSq().sqrt()).mul(1e-4);
    const [up, down] = [x.map((m) => m.add(step)), x.map((m) => m.sub(step))].map(loss);
    const slope = (await up!.sub(down!).value()) / 2e-4;
    const length = await by.sumSq().sqrt().value();
    assert.ok(Math.abs(slope - length) < 1e-5 * length, `${slope} and ${length}`);
  });

  it('reads numbers that are 0 as files of proto3 have them, which is not at all', async () => {
    const message = (write: (writer: BinaryWriter) => unknown): Uint8Array => {
      const writer = new BinaryWriter();
      write(writer);
      return writer.finish();
    };
    const attribute = (name: string, type: number) =>
      message((own) => own.tag(1, 2).string(name).tag(20, 0).int32(type));
    const operation = message((own) => {
      own.tag(2, 2).string('y').tag(4, 2).string('ReduceMean');
      own.tag(5, 2).bytes(attribute('keepdims', 2)).tag(5, 2).bytes(attribute('alpha', 1));
      own.tag(5, 2).bytes(attribute('mode', 3)).tag(5, 2).bytes(attribute('axes', 7));
    });
    const graph = message((own) => own.tag(1, 2).bytes(operation));
    const temporary = await mkdtemp(join(tmpdir(), 'reprise-onnx-'));
    try {
      const path = join(temporary, 'zeros.onnx');
      await writeFile(
        path,
        message((own) => own.tag(7, 2).bytes(graph)),
      );
      const { attributes } = (await readOnnx(path)).operations[0]!;
      const expected = { keepdims: 0, alpha: 0, mode: '', axes: [] };
      assert.deepEqual(Object.fromEntries(attributes), expected);
    } finally {
      await rm(temporary, { recursive: true });
    }
  });

  it('refuses what it can not read, by name', async () => {
    const temporary = await mkdtemp(join(tmpdir(), 'reprise-onnx-'));
    try {
      const path = join(temporary, 'not.onnx');
      await writeFile(path, 'not a network');
      await assert.rejects(readNetwork(path), DataError);
      const absent = `onnx: expected a file of an ONNX model, got no such file: ${temporary}/none.onnx`;
      await assert.rejects(readNetwork(join(temporary, 'none.onnx')), { message: absent });
      await assert.rejects(readNetwork(temporary), /expected a file of an ONNX model, got EISDIR/);
    } finally {
      await rm(temporary, { recursive: true });
    }
    const graph = await readOnnx(join(folder, 'mobile.onnx'));
    const operations = graph.operations.map((one) =>
      one.op === 'HardSwish' ? { ...one, op: 'Einsum' } : one,
    );
    const x = inputOf(session, networks[0]!, 'float64');
    assert.throws(
      () => new Network({ ...graph, operations }).apply(x),
      (error: Error) => error instanceof UnsupportedError && /Einsum \(n\d+\)/.test(error.message),
    );
    assert.throws(() => new Network(graph).apply(x, ['no such value']), /no such value/);
  });
});
