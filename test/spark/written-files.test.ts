/** Matrices written as files read back the same, wherever rows were, by path and as a table. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, PlanError } from '../../driver/errors.js';
import {
  type Cells,
  Matrix,
  matrix,
  openFrame,
  rand,
  resolveFeatures,
} from '../../driver/index.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { type SparkBackend, writeMatrix } from '../../spark-bridge/index.js';
import { SharedSpark } from '../support/spark-session.js';

describe('matrices as files', () => {
  let shared: SharedSpark;
  let session: Session;
  let spark: SparkBackend;
  let folder: string;

  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start();
    if (typeof started === 'string') {
      console.warn(`SKIPPED matrices as files: ${started}`);
      this.skip();
    } else shared = started;
    ({ session, spark } = await shared.session());
    folder = mkdtempSync(join(tmpdir(), 'reprise-parquet-'));
  });
  after(async () => {
    await shared?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function readBack(path: string): Promise<Cells> {
    const frame = await openFrame(session, spark.frames, path);
    const names = frame.description.columns.map((column) => column.name);
    const { features, target } = await resolveFeatures(spark.frames, frame.description, {
      target: names.at(-1)!,
    });
    const all = Matrix.of(session, frame.encode([...features, target!]));
    return (await all.value()).data;
  }

  it('writes row blocks from the cluster, in their order', async () => {
    const x = rand(session, 150_000, 12, { seed: 3, sparsity: 0.1 });
    const path = join(folder, 'blocks');
    const written = await writeMatrix(session, spark, x, path);
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
    await writeMatrix(session, spark, x, path, { columns: ['a', 'b c'] });
    const frame = await openFrame(session, spark.frames, path);
    assert.deepEqual(
      frame.description.columns.map((column) => column.name),
      ['a', 'b c'],
    );
    assert.equal(frame.description.rows, 3);
    await assert.rejects(writeMatrix(session, spark, x, path), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, /expected nothing at .*host, got something/);
      return true;
    });
    await assert.rejects(
      writeMatrix(session, spark, x, join(folder, 'names'), { columns: ['a', 'a'] }),
      PlanError,
    );
  });

  it('reads ORC files and tables of files as it reads Parquet', async () => {
    const x = rand(session, 100_000, 11, { seed: 8, min: -1, max: 1 });
    const expected = (await x.value()).data;
    for (const format of ['orc', 'parquet'] as const) {
      const path = join(folder, `table-${format}`);
      await writeMatrix(session, spark, x, path, { format });
      assert.deepEqual(await readBack(path), expected, format);
      const table = `table://${format}.\`${path}\``;
      assert.deepEqual(await readBack(table), expected, `${format} as a table`);
    }
  });

  it('says what is wrong with a table, and with a table on this machine', async () => {
    const frameOf = (name: string): Promise<unknown> =>
      openFrame(session, spark.frames, `table://${name}`);
    await assert.rejects(frameOf('nobody.made_this'), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, /data\.table: expected a table .* called nobody\.made_this/);
      return true;
    });
    const local = await createCpuBackend();
    const here = openFrame(new Session({ local }), local.frames, 'table://sales');
    await assert.rejects(here, /expected engine spark for the table sales.*--engine spark/);
    const orc = join(folder, 'table-orc');
    await assert.rejects(
      openFrame(new Session({ local }), local.frames, orc),
      /got ORC .*run with --engine spark/,
    );
    await local.close();
  });
});
