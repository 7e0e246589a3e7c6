/**
 * Tensors of PyTorch's pickles, and EfficientNet-Lite0 of them, against PyTorch's values
 * (`test/fixtures/networks/generate-torch.py`); what is no tensor is refused and nothing is called.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, Images, matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { efficientNetLite0 } from '../../../../jobs/networks/efficientnet-lite.js';
import { Network } from '../../../../jobs/networks/network.js';
import { readTensors } from '../../../../jobs/networks/read-torch.js';

const folder = 'test/fixtures/networks';
const { shapes, values } = JSON.parse(readFileSync(join(folder, 'efficientnet.json'), 'utf8')) as {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly values: Readonly<Record<string, Fixture>>;
};
interface Fixture {
  readonly dims: readonly number[];
  readonly at: readonly number[];
  readonly cells: readonly number[];
  readonly squares: number;
}

/** Weights of `generate-torch.py`. */
function cellsOf(name: string, dims: readonly number[]): Float32Array {
  const count = dims.reduce((size, one) => size * one, 1);
  const cells = new Float32Array(count);
  const factor = 3 / Math.sqrt(count / dims[0]!);
  for (let i = 0; i < count; i++) {
    const cell = ((i * 7919) % 1000) / 1000;
    cells[i] = dims.length > 1 ? (cell - 0.5) * factor : cell + (name.endsWith('var') ? 0.5 : 0);
  }
  return cells;
}

describe('tensors of PyTorch', () => {
  it('are read as they lie in their storages', async () => {
    const tensors = await readTensors(join(folder, 'tensors.pth'));
    const read = Object.fromEntries(
      [...tensors].map(([name, { dims, cells }]) => [name, [dims, [...cells]]]),
    );
    const cells = Array.from({ length: 12 }, (_, i) => i / 8);
    assert.deepEqual(read, {
      first: [[3, 4], cells],
      part: [[2, 4], cells.slice(4)],
      other: [
        [2, 1],
        [0.5, -1.25],
      ],
      turned: [[2, 3, 2], [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11].map((i) => i / 8)],
      count: [[], [7]],
      none: [[0], []],
    });
  });

  it('are refused with anything else beside them', async () => {
    const temporary = await mkdtemp(join(tmpdir(), 'reprise-torch-'));
    const path = join(temporary, 'other.pth');
    const bytes = readFileSync(join(folder, 'tensors.pth'));
    const replaced = (from: string, to: string): Buffer =>
      Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1');
    try {
      for (const [content, problem] of [
        [replaced('collections\nOrderedDict', 'os\nsystem'), /a call of os.system/],
        [replaced('torch\nLongStorage', 'torch\nHalfStorage'), /got HalfStorage/],
        [bytes.subarray(0, 300), /got the end of the file/],
        [bytes.subarray(0, bytes.length - 1), /got the end of the file|got other bytes/],
        [Buffer.concat([bytes, bytes]), /got other bytes/],
        [Buffer.from('PK\u0003\u0004'), /got a zip file/],
        [Buffer.from('\u0080\u0002K\u0001.', 'latin1'), /got another file/],
        [Buffer.from('I1\n.'), /operation "I" of pickle/],
      ] as const) {
        await writeFile(path, content);
        await assert.rejects(readTensors(path), (error: Error) => {
          assert.ok(error instanceof DataError, error.stack);
          assert.match(error.message, problem);
          return true;
        });
      }
      const tensors = await readTensors(join(folder, 'tensors.pth'));
      assert.throws(() => efficientNetLite0(tensors, path), /_conv_stem.weight of 32 x 3 x 3 x 3/);
    } finally {
      await rm(temporary, { recursive: true });
    }
  });

  it('are EfficientNet-Lite0 as PyTorch has it', async () => {
    const tensors = Object.entries(shapes).map(
      ([name, dims]) => [name, { dims, cells: cellsOf(name, dims) }] as const,
    );
    const network = new Network(efficientNetLite0(new Map(tensors), 'weights'));
    const session = new Session({ local: await createCpuBackend() });
    try {
      const cells = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) =>
        Math.sin(1 + (i + 1) ** 2),
      );
      const shape = { height: 32, width: 32, channels: 3 };
      const images = Images.ofChannelsFirst(matrix(session, 2, 3 * 32 * 32, cells), shape);
      const names = Object.keys(values);
      for (const [i, cut] of network.apply(images, names).entries()) {
        const name = names[i]!;
        const own = values[name]!;
        assert.deepEqual([...cut.dims], own.dims, name);
        const { data } = await cut.matrix.value();
        const squares = Float64Array.from(data, (cell) => cell * cell).reduce(
          (sum, one) => sum + one,
        );
        const near = (got: number, expected: number): void =>
          assert.ok(
            Math.abs(got - expected) < 2e-5 * (1 + Math.abs(expected)),
            `${name}: ${got}, ${expected}`,
          );
        near(squares / data.length, own.squares);
        for (const [k, at] of own.at.entries()) near(data[at]!, own.cells[k]!);
      }
    } finally {
      await session.close();
    }
  });
});
