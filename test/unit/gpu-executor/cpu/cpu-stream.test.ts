/** The local CPU backend's pass over row blocks: whole values, bounded memory, cancellable. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DataError } from '../../../../driver/errors.js';
import type { Attrs } from '../../../../driver/ir/attrs.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import type { Float64Matrix } from '../../../../driver/ir/value.js';
import type { EncodedFeature } from '../../../../driver/operators/encode-block.js';
import { ops } from '../../../../driver/operators/index.js';
import type { CpuBackend } from '../../../../gpu-executor/cpu/backend.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';
import { hostValue, leaf, node, runNodes, uniform } from '../../../support/cpu-segments.js';

const rand = (rows: number, cols: number, seed: number): Expr =>
  node(ops.rand, [], { rows, cols, seed, distribution: 'uniform', min: 2, max: 4 });

describe('CPU stream', () => {
  let backend: CpuBackend;
  let folder: string;
  before(async () => {
    backend = await createCpuBackend();
    folder = await mkdtemp(join(tmpdir(), 'reprise-stream-'));
  });
  after(async () => {
    await backend.close();
    await rm(folder, { recursive: true });
  });

  it('gives what whole evaluation gives, for maps, reductions and kept nodes', async () => {
    const rows = 70_000;
    const x = rand(rows, 20, 1);
    const y = node(ops.seq, [], { from: 0, by: 0.5, rows });
    const g = node(ops.kfold, [], { rows, folds: 3, shuffle: true, seed: 5 });
    const shift = leaf(uniform(1, 20, 4));
    const z = node(ops.exp, [node(ops.mul, [node(ops.sub, [x, shift]), leaf(uniform(1, 1, 9))])]);
    const sums = node(ops.rowSums, [z]);
    const gram = node(ops.groupGram, [g, z, y], { groups: 3, center: true });
    const product = node(ops.matmul, [z, y], { transposeA: true });
    const all = [x, y, g, z.inputs[0]!.inputs[0]!, z.inputs[0]!, z, sums, gram, product];
    const outputs = [gram, product, sums];
    const streamed = [x, y, g, z.inputs[0]!.inputs[0]!, z.inputs[0]!, z, sums];
    const blocked = await runNodes(backend, all, outputs, streamed);
    const whole = await runNodes(backend, all, outputs);
    for (const expr of outputs) {
      assertClose(hostValue(blocked, expr), hostValue(whole, expr), 1e-10, expr.op.name);
    }
    assert.equal(blocked.passes, 1);
    assert.equal(blocked.kernels, all.length);
  });

  it('makes a second pass only for what needs the result of the first', async () => {
    const rows = 60_000;
    const x = rand(rows, 20, 2);
    const means = node(ops.div, [node(ops.colSums, [x]), node(ops.scalar, [], { value: rows })]);
    const centred = node(ops.sub, [x, means]);
    const gram = node(ops.tsmm, [centred]);
    const nodes = [x, means.inputs[0]!, means.inputs[1]!, means, centred, gram];
    const blocked = await runNodes(backend, nodes, [gram], [x, centred]);
    const whole = await runNodes(backend, nodes, [gram]);
    assertClose(hostValue(blocked, gram), hostValue(whole, gram), 1e-10, 'tsmm');
    assert.equal(blocked.passes, 2);
  });

  it('keeps a 200,000 x 50 stream in bounded memory', async () => {
    const rows = 200_000;
    const x = rand(rows, 50, 3);
    const y = rand(rows, 1, 4);
    const g = node(ops.kfold, [], { rows, folds: 5, shuffle: true, seed: 1 });
    const gram = node(ops.groupGram, [g, x, y], { groups: 5, center: true });
    let most = 0;
    let calls = 0;
    // What tests before left behind is neither to be counted nor to go meanwhile.
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    const before = process.memoryUsage().arrayBuffers;
    const context = {
      onProgress: (): void => {
        calls++;
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      },
    };
    const result = await runNodes(backend, [x, y, g, gram], [gram], [x, y, g], context);
    assert.equal(hostValue(result, gram).rows, 5 * 52);
    assert.ok(calls > 1, 'expected progress');
    // The matrix is 80 MB. Two blocks, two gathered buffers and what awaits collection stay well
    // below.
    assert.ok(most < 72e6, `expected less than 72 MB of buffers, got ${(most / 1e6).toFixed(0)}`);
  }).timeout(30_000);

  it('reports progress up to 1 and stops at a signal', async () => {
    const x = rand(200_000, 50, 5);
    const gram = node(ops.tsmm, [x]);
    const controller = new AbortController();
    const seen: number[] = [];
    const onProgress = (fraction: number): void => {
      seen.push(fraction);
      if (fraction > 0.3) controller.abort();
    };
    const context = { signal: controller.signal, onProgress };
    await assert.rejects(runNodes(backend, [x, gram], [gram], [x], context), {
      name: 'AbortError',
    });
    assert.ok(seen.at(-1)! < 0.5, `expected to stop early, got to ${seen.at(-1)}`);
    const full: number[] = [];
    const small = node(ops.colSums, [rand(50_000, 50, 6)]);
    await runNodes(backend, [small.inputs[0]!, small], [small], [small.inputs[0]!], {
      onProgress: (fraction) => full.push(fraction),
    });
    assert.equal(full.at(-1), 1);
  }).timeout(30_000);

  async function csvFrame(name: string, lines: readonly string[]): Promise<Expr> {
    const path = join(folder, name);
    await writeFile(path, `${lines.join('\n')}\n`);
    const { source, rows, columns } = await backend.frames.describe(path);
    const files = source.files.map(({ digest, rows: count }) => ({ digest, rows: count }));
    const attrs: Attrs = { format: source.format, files, rows, cols: columns.length };
    return node(ops.frame, [], attrs, source);
  }

  const encode = (frame: Expr, features: readonly EncodedFeature[]): Expr =>
    node(ops.encode, [frame], { features: features as unknown as Attrs['features'] } as Attrs);

  it('reads a frame once for all encodings over it, in row order', async () => {
    const rows = 30_000;
    const lines = Array.from({ length: rows }, (_, i) => `${i},${i % 7 === 0 ? '' : `c${i % 5}`}`);
    const frame = await csvFrame('a.csv', ['n,c', ...lines]);
    const x = encode(frame, [
      { kind: 'number', name: 'n', sql: 'n', missing: 'error' },
      { kind: 'onehot', name: 'c', sql: 'c', categories: ['c0', 'c3'], other: true, missing: true },
    ]);
    const y = encode(frame, [{ kind: 'number', name: 'twice', sql: 'n * 2', missing: 'zero' }]);
    const product = node(ops.matmul, [x, y], { transposeA: true });
    const result = await runNodes(backend, [frame, x, y, product], [x, product], [x, y]);
    assert.equal(result.passes, 1);
    const kept = hostValue(result, x);
    const expected = new Float64Array(5);
    for (let i = 0; i < rows; i++) {
      const category = i % 7 === 0 ? 4 : i % 5 === 0 ? 1 : i % 5 === 3 ? 2 : 3;
      assert.equal(kept.data[i * 5], i);
      assert.equal(kept.data[i * 5 + category], 1);
      expected[0]! += i * i * 2;
      expected[category]! += i * 2;
    }
    for (const [j, want] of expected.entries()) {
      const got = hostValue(result, product).data[j]!;
      assert.ok(Math.abs(got - want) <= 1e-12 * want, `expected ${want}, got ${got}`);
    }
  }).timeout(30_000);

  it('gives the moments of one-hot rows that stay coded, and of cells that are kept', async () => {
    const lines = Array.from({ length: 3000 }, (_, i) => `${(i * 7) % 40},${i % 3}`);
    const frame = await csvFrame('codes.csv', ['n,m', ...lines]);
    const categories = Array.from({ length: 40 }, (_, i) => String(i));
    const x = encode(frame, [
      { kind: 'number', name: 'm', sql: 'm', missing: 'zero' },
      { kind: 'onehot', name: 'n', sql: 'n', categories, other: false, missing: false },
    ]);
    const g = node(ops.kfold, [], { rows: 3000, folds: 3, shuffle: true, seed: 5 });
    const gram = node(ops.groupGram, [g, x], { groups: 3, center: true });
    const nodes = [frame, x, g, gram];
    const coded = await runNodes(backend, nodes, [gram], [x, g]);
    const kept = await runNodes(backend, nodes, [gram, x], [x, g]);
    const expected = ops.groupGram.reference(
      [ops.kfold.reference([], g.attrs, g), hostValue(kept, x) as Float64Matrix],
      gram.attrs,
      gram,
    );
    assertClose(hostValue(coded, gram), expected, 1e-11, 'coded');
    assertClose(hostValue(kept, gram), expected, 1e-11, 'kept');
  });

  it('names feature and row of a missing value that may not be', async () => {
    const lines = Array.from({ length: 500 }, (_, i) => (i === 321 ? '"",1' : `${i},1`));
    const frame = await csvFrame('b.csv', ['n,m', ...lines]);
    const x = encode(frame, [{ kind: 'number', name: 'size', sql: 'n', missing: 'error' }]);
    const sums = node(ops.colSums, [x]);
    await assert.rejects(runNodes(backend, [frame, x, sums], [sums], [x]), (error: unknown) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, /`size`.*row 322/);
      return true;
    });
    // The backend is as good as new afterwards.
    const fine = encode(frame, [{ kind: 'number', name: 'm', sql: 'm', missing: 'error' }]);
    const total = node(ops.colSums, [fine]);
    const result = await runNodes(backend, [frame, fine, total], [total], [fine]);
    assert.equal(hostValue(result, total).data[0], 500);
  });
});
