/** Columns and rows of Parquet files known from earlier processes. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FrameDescription } from '../../../../driver/ir/frame-engine.js';
import { createDuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, readAll, temporaryHome } from '../../../support/frame-data.js';

describe('layouts of Parquet files', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let data: string;
  let kept: string;
  beforeEach(async () => {
    home = await temporaryHome();
    data = join(home.folder, 'data');
    kept = join(home.folder, 'home', 'layouts.json');
    await mkdir(data);
    for (const i of [0, 1, 2]) {
      await copyTo(
        join(data, `${i}.parquet`),
        `SELECT i + ${i} AS a, 'x' AS b FROM range(${5 + i}) t(i)`,
      );
    }
  });
  afterEach(() => home.remove());

  /** By an engine of its own, as another process would. */
  async function describeData(): Promise<FrameDescription> {
    const engine = createDuckDbEngine();
    try {
      return await engine.describe(data);
    } finally {
      engine.close();
    }
  }

  const stored = (): { files: [string, number, number][]; columns: unknown[] } =>
    JSON.parse(readFileSync(kept, 'utf8'));

  it('are kept by content, the columns of equal files once', async () => {
    const first = await describeData();
    assert.deepEqual(
      stored().files.map(([, rows]) => rows),
      [5, 6, 7],
    );
    assert.equal(stored().columns.length, 1);
    const before = readFileSync(kept, 'utf8');
    assert.deepEqual(await describeData(), first);
    assert.equal(readFileSync(kept, 'utf8'), before);
    await copyTo(join(data, '1.parquet'), 'SELECT i AS a, i AS b FROM range(9) t(i)');
    const engine = createDuckDbEngine();
    await assert.rejects(engine.describe(data), /same columns/);
    engine.close();
  });

  for (const [name, text] of [
    ['cut short', '{"version":1,"col'],
    ['of another version', '{"version":99,"columns":[],"files":[]}'],
    ['of another form', '{"version":1,"columns":[[{"name":3}]],"files":[["x",-1,0],null]}'],
  ]) {
    it(`are looked at again when the file that keeps them is ${name}`, async () => {
      const first = await describeData();
      writeFileSync(kept, text!);
      assert.deepEqual(await describeData(), first);
      assert.equal(stored().files.length, 3);
    });
  }

  it('that lie about rows end the read with an error, not with other rows', async () => {
    await describeData();
    const lie = stored();
    for (const file of lie.files) if (file[1] === 6) file[1] = 60;
    writeFileSync(kept, JSON.stringify(lie));
    const engine = createDuckDbEngine();
    const description = await engine.describe(data);
    assert.equal(description.rows, 5 + 60 + 7);
    const columns = [{ kind: 'number', sql: 'a' }] as const;
    await assert.rejects(
      readAll(engine, description, columns),
      /expected 60 rows in .*1\.parquet, got 6/,
    );
    engine.close();
  });
});
