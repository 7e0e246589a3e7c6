/** Matrices written as files read back the same, wherever rows were, by path and as a table. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, PlanError } from '../../driver/errors.js';
import { AGGREGATES } from '../../driver/frame/sql/table.js';
import {
  type Cells,
  Matrix,
  matrix,
  openFrame,
  rand,
  resolveFeatures,
} from '../../driver/index.js';
import { Session } from '../../driver/runtime/session.js';
import { createCpuBackend, createDuckDbEngine } from '../../gpu-executor/cpu/index.js';
import { aggregateMatrix, type SparkBackend, writeMatrix } from '../../spark-bridge/index.js';
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

  it('are aggregated where they are as DuckDB does, every aggregate of metrics', async () => {
    const duckdb = createDuckDbEngine();
    const cells = rand(session, 40_000, 5, { seed: 5, min: -2, max: 3 });
    const group = cells.slice(null, 0).gt(0).add(cells.slice(null, 1).gt(2.5));
    // Groups 0 and 1; 2 is left out.
    const table = group.cbind(cells.slice(null, [1]), cells.slice(null, 2).gt(1));
    const column = (name: string, cell: number | null, more = {}) => ({ name, cell, ...more });
    const shared = [column('target', 1), column('weight', 4), column('one', null)];
    const classes = { values: ["it's", 'ü'] };
    const views = [2, 3].map((cell) => [
      ...shared,
      column('prediction', cell),
      column('class', 5, classes),
      column('probability_no', cell, { isComplement: true }),
    ]);
    const examples = AGGREGATES.rows.flatMap((row) => row.examples);
    const formulas = [
      ...examples,
      `sum(case when class = 'it''s' then 1 else 2 end) + sum(one) / count(*)`,
      'max(Probability_No)',
      'sum(target::decimal(12, 3)) - avg(weight::int)',
    ].map((sql) => ({ sql }));
    const asked = { formulas, groups: 2, views };
    await duckdb.checkAggregates(formulas, views[0]!);
    const wanted = await duckdb.aggregate(await table.value(), asked);
    const run = session.run();
    const got = await aggregateMatrix(session, run, spark, table.in(run), asked);
    duckdb.close();
    for (const [v, view] of wanted.entries()) {
      for (const [f, values] of view.entries()) {
        for (const [g, value] of values.entries()) {
          const own = got[v]![f]![g]!;
          const what = `${formulas[f]!.sql}, group ${g}: ${own} and ${value}`;
          assert.ok(Math.abs(own - value) <= 1e-9 * Math.max(1, Math.abs(value)), what);
        }
      }
    }
    assert.equal(run.statistics.sparkJobs <= 2, true, 'one job to keep the rows, one for all');
    for (const [sql, message] of [
      ['sum(random())', /depend on the rows alone|one aggregate/],
      ['prediction', /one aggregate over the rows/],
      ['sum(other)', /one over the columns target, weight/],
      ['max(class)', /a value of type string/],
    ] as const) {
      const own = { ...asked, formulas: [{ sql, dialect: 'spark' as const }] };
      await assert.rejects(aggregateMatrix(session, run, spark, table.in(run), own), message);
    }
  });
});
