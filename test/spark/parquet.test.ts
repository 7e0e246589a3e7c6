/** Matrices written as Parquet: what is read back is what was written, wherever the rows were. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, PlanError } from '../../driver/errors.js';
import { Matrix, matrix, openFrame, rand, resolveFeatures } from '../../driver/index.js';
import type { Session } from '../../driver/runtime/session.js';
import { type SparkBackend, writeParquet } from '../../spark-bridge/index.js';
import { SharedSpark } from '../support/spark-session.js';

describe('matrices as Parquet', () => {
  let shared: SharedSpark;
  let session: Session;
  let spark: SparkBackend;
  let folder: string;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED matrices as Parquet: ${started}`);
      this.skip();
    } else shared = started;
    ({ session, spark } = await shared.session());
    folder = mkdtempSync(join(tmpdir(), 'reprise-parquet-'));
  });
  after(async () => {
    await shared?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function readBack(path: string): Promise<Float64Array> {
    const frame = await openFrame(session, spark.frames, path);
    const names = frame.description.columns.map((column) => column.name);
    const { features } = await resolveFeatures(spark.frames, frame.description, {
      target: names.at(-1)!,
    });
    const target = (
      await resolveFeatures(spark.frames, frame.description, { target: names.at(-1)! })
    ).target;
    const all = Matrix.of(session, frame.encode([...features, target]));
    return (await all.value()).data;
  }

  it('writes row blocks from the cluster, in their order', async () => {
    const x = rand(session, 150_000, 12, { seed: 3, sparsity: 0.1 });
    const path = join(folder, 'blocks');
    const written = await writeParquet(session, spark, x, path);
    assert.equal(written.sparkJobs, 1);
    assert.ok(written.files >= 2 && written.bytes > 0);
    assert.deepEqual(await readBack(path), (await x.value()).data);
  });

  it('writes what is on the host, under the given names', async () => {
    const x = matrix(session, [
      [1, -0.5],
      [2, Number.MAX_VALUE],
      [3, 5e-324],
    ]);
    const path = join(folder, 'host');
    await writeParquet(session, spark, x, path, { columns: ['a', 'b c'] });
    const frame = await openFrame(session, spark.frames, path);
    assert.deepEqual(
      frame.description.columns.map((column) => column.name),
      ['a', 'b c'],
    );
    assert.equal(frame.description.rows, 3);
    await assert.rejects(writeParquet(session, spark, x, path), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, /expected nothing at .*host, got something/);
      return true;
    });
    await assert.rejects(
      writeParquet(session, spark, x, join(folder, 'names'), { columns: ['a', 'a'] }),
      PlanError,
    );
  });
});
