/** float32 beside float64: what mixes, what a number becomes, what is kept, and how large it is. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DTypeError } from '../../../../driver/errors.js';
import {
  createReferenceBackend,
  DurableStore,
  type Matrix,
  matrix,
  ones,
  rand,
  reusable,
  Session,
  scalar,
} from '../../../../driver/index.js';
import { denseBytes } from '../../../../driver/ir/expr.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import { converted, type DenseMatrix } from '../../../../driver/ir/value.js';
import { deserializeLineage, serializeLineage } from '../../../../driver/lineage/serialize.js';
import { readSpillFile, writeSpillFile } from '../../../../driver/reuse/spill-file.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';

const open = (): Session => new Session({ local: createReferenceBackend() });
const single = (s: Session): Matrix => matrix(s, 2, 2, Float32Array.of(0.1, 2, 3, 4));

describe('dtype', () => {
  it('follows from the cells, and operators keep it', async () => {
    const s = open();
    const x = single(s);
    assert.equal(x.dtype, 'float32');
    assert.equal(denseBytes(x.expr), 16);
    assert.equal(matrix(s, [[1]]).dtype, 'float64');
    assert.equal(rand(s, 3, 3, { seed: 1, dtype: 'float32' }).exp().t().dtype, 'float32');
    const sum = await x.matmul(ones(s, 2, 1, { dtype: 'float32' })).value();
    assert.ok(sum.data instanceof Float32Array);
    assert.deepEqual([...sum.data], [Math.fround(Math.fround(0.1) + 2), 7]);
    assert.equal(x.rowIndexMax().dtype, 'float64', 'positions need more digits than float32 has');
    assert.equal(x.topK(1).dtype, 'float64');
  });

  it('takes a number into float32, rounded, and nothing that was computed', async () => {
    const s = open();
    const x = single(s);
    for (const y of [x.mul(0.1), scalar(s, 1).sub(x), x.addDiag(2), x.gt(1).ifelse(x, 0)]) {
      assert.equal(y.dtype, 'float32');
    }
    const scaled = await x.mul(0.1).value();
    assert.equal(scaled.data[1], Math.fround(2 * Math.fround(0.1)));
    assert.equal(x.mean().dtype, 'float32');
    assert.equal(
      await scalar(s, 1 / 3)
        .mul(3)
        .sub(1)
        .value(),
      0,
      'numbers alone are float64',
    );
    const other = matrix(s, [
      [1, 2],
      [3, 4],
    ]);
    const isMixed = (error: unknown): boolean => {
      assert.ok(error instanceof DTypeError);
      assert.match(
        error.message,
        /^(matmul|add|mul): expected operands of one dtype, got float\d\d and float\d\d; cast one: x\.cast\('float32'\) \(at .*dtype\.test/,
      );
      return true;
    };
    assert.throws(() => other.matmul(x), isMixed);
    assert.throws(() => x.add(other), isMixed);
    assert.throws(() => x.mul(other.sum()), isMixed);
    assert.equal(other.cast('float32').matmul(x).dtype, 'float32');
    assert.throws(() => x.cast('float16' as 'float32'), /cast: expected dtype float64 or float32/);
    assert.throws(() => rand(s, 1, 1, { seed: 1, dtype: 'int8' as 'float32' }), DTypeError);
  });

  it('is cast by rounding, and casting to the same dtype is the matrix itself', async () => {
    const s = open();
    const x = matrix(s, [[0.1, 1e39]]);
    assert.equal(x.cast('float64'), x);
    const back = x.cast('float32').cast('float64');
    assert.deepEqual([...(await back.value()).data], [Math.fround(0.1), Infinity]);
  });

  it('gives nodes and keys of their own, those of float64 unchanged', async () => {
    const run = open().run();
    const program = (dtype: 'float64' | 'float32'): Matrix =>
      rand(run, 40, 3, { seed: 4, dtype }).mul(2).tsmm();
    const [wide, narrow] = [program('float64'), program('float32')];
    assert.notEqual(wide, narrow);
    assert.notEqual(lineageKey(wide.expr), lineageKey(narrow.expr));
    const first = await wide.value();
    const { kernels } = run.statistics;
    const second = await narrow.value();
    assert.equal(run.statistics.kernels, 2 * kernels, 'neither is answered from the other');
    assert.deepEqual([first.dtype, second.dtype], ['float64', 'float32']);
    assertClose(converted(second, 'float64'), first, 1e-5, 'tsmm');
    await Promise.all([program('float64').value(), program('float32').value()]);
    assert.equal(run.statistics.kernels, 2 * kernels, 'each is reused by itself');
    const cells = matrix(run, 1, 1, Float32Array.of(1));
    assert.notEqual(lineageKey(cells.expr), lineageKey(matrix(run, [[1]]).expr));
  });

  it('goes through a lineage and back', async () => {
    const s = open();
    const x = single(s)
      .mul(3)
      .cast('float64')
      .add(rand(s, 2, 2, { seed: 1 }));
    const other = open();
    const [root] = deserializeLineage(
      JSON.parse(JSON.stringify(serializeLineage([x.expr]))),
      other,
    ).roots;
    assert.equal(lineageKey(root!), lineageKey(x.expr));
    const [value] = await other.evaluate([root!]);
    assert.deepEqual(value, await x.value());
  });

  it('is what a reusable function takes and gives', async () => {
    const s = open();
    let runs = 0;
    const twice = reusable('dtype-twice', '1', (x: Matrix) => {
      runs++;
      return x.mul(2);
    });
    const outputs = [];
    for (let i = 0; i < 2; i++) {
      outputs.push(await twice(single(s)), await twice(single(s).cast('float64')));
    }
    assert.equal(runs, 2);
    const dtypes = outputs.map(({ dtype }) => dtype);
    assert.deepEqual(dtypes, ['float32', 'float64', 'float32', 'float64']);
  });

  describe('on disk', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'reprise-test-'));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it('is stored in four bytes a cell', async () => {
      const value = converted(await rand(open(), 50, 20, { seed: 3 }).value(), 'float32');
      const store = await DurableStore.open(folder);
      const key = 'a'.repeat(64);
      await store.put(key, value, { op: 'x', seconds: 1, createdAt: new Date().toISOString() });
      const found = await (await DurableStore.open(folder)).get(key);
      assert.deepEqual(found?.value, value);
      assert.equal(found?.header.dtype, 'float32');
    });

    it('comes back from a spill file', async () => {
      const value = converted(await rand(open(), 50, 20, { seed: 3 }).value(), 'float32');
      const file = await writeSpillFile(join(folder, 'x'), 1, value);
      assert.equal(file.bytes, 4000);
      assert.deepEqual(await readSpillFile(file), value);
    });
  });

  it('computes on the CPU in chains, streams and products what the reference says', async () => {
    const cpu = new Session({ local: await createCpuBackend() });
    const program = (s: Session): readonly Matrix[] => {
      const x = rand(s, 3000, 40, { seed: 5, dtype: 'float32' });
      const centred = x.sub(x.colMeans()).div(2).add(0.5).square();
      const gram = centred.tsmm();
      const w = gram.addDiag(1).solve(centred.t().matmul(x.col(0)), { assume: 'spd' });
      return [centred.sum().asMatrix(), gram, w, gram.cholesky(), centred.mmchain(w), x.rowSums()];
    };
    const expected = await Promise.all(program(open()).map((m) => m.value()));
    const got = await Promise.all(program(cpu).map((m) => m.value()));
    for (const [i, value] of got.entries()) {
      assert.equal(value.dtype, 'float32');
      assertClose(value, expected[i] as DenseMatrix, 1e-4, `value ${i}`);
    }
    await cpu.close();
  });
});
