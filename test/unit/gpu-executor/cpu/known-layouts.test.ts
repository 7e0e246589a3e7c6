/** What earlier processes found out of files: columns, rows, how they are scanned. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FrameDescription } from '../../../../driver/ir/frame-engine.js';
import type { DescribeOptions } from '../../../../driver/ir/read-options.js';
import { createDuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, readAll, temporaryHome } from '../../../support/frame-data.js';

interface Kept {
  readonly files: [string, number, number][];
  readonly counts: [string, number][];
  readonly shapes: unknown[];
}

type Described = FrameDescription & { readonly scans: number };

/** More rows than a sample has: then a file is scanned to its end. */
const LONG = 5000;

describe('layouts of files', () => {
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
  async function describeData(options?: DescribeOptions): Promise<Described> {
    const engine = createDuckDbEngine();
    try {
      const description = await engine.describe(data, options);
      return { ...description, scans: engine.scans };
    } finally {
      engine.close();
    }
  }

  const stored = (): Kept => JSON.parse(readFileSync(kept, 'utf8'));

  it('are kept by content, the columns of equal files once', async () => {
    const first = await describeData();
    assert.deepEqual(
      stored().files.map(([, rows]) => rows),
      [5, 6, 7],
    );
    assert.equal(stored().shapes.length, 1);
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
    [
      'of another form',
      '{"version":3,"shapes":[{"columns":[{"name":3}]}],"files":[["x",-1,0],null]}',
    ],
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

  describe('of text', () => {
    const written: Readonly<Record<string, string>> = {
      'utf-8.csv': `a;b\n${'1;x_1\n2,5;\n'.repeat(LONG)}`,
      'latin.csv': `a;b\n${'3;\u00e9\n4;y\n'.repeat(LONG)}`,
    };
    const options = {
      csv: { delimiter: ';', decimal: ',', encoding: 'latin-1' },
      schema: { b: 'text' },
      dropMissing: 'b',
    } as const;
    beforeEach(async () => {
      await rm(data, { recursive: true });
      await mkdir(data);
      for (const [name, text] of Object.entries(written)) {
        writeFileSync(join(data, name), text, 'latin1');
      }
    });

    it('are found out once, with the rows that have a target; only new files are scanned', async () => {
      const first = await describeData(options);
      assert.ok(first.scans > 0);
      assert.equal(first.rows, 3 * LONG);
      assert.equal(stored().counts.length, 2);
      assert.deepEqual(await describeData(options), { ...first, scans: 0 });
      writeFileSync(join(data, 'new.csv'), `a;b\n${'7;z\n'.repeat(LONG)}`);
      const grown = await describeData(options);
      assert.equal(grown.rows, first.rows + LONG);
      assert.ok(grown.scans > 0 && grown.scans < first.scans);
    });

    it('are of the options they were found with', async () => {
      await describeData(options);
      const csv = { delimiter: ';', encoding: 'latin-1' } as const;
      const other = await describeData({ csv, schema: { a: 'text' } });
      assert.deepEqual(
        other.columns.map(({ type }) => type),
        ['text', 'text'],
      );
    });

    it('are looked for again where the copy that is read is gone', async () => {
      const first = await describeData(options);
      await rm(join(home.folder, 'home', 'text'), { recursive: true });
      const again = await describeData(options);
      assert.deepEqual(again, { ...first, scans: again.scans });
      assert.ok(again.scans > 0);
    });

    it('of JSON lines are kept likewise', async () => {
      await rm(data, { recursive: true });
      await mkdir(data);
      writeFileSync(join(data, 'a.jsonl'), '{"a":1,"A":"x"}\n{"a":2.5}\n');
      const first = await describeData();
      assert.deepEqual(await describeData(), { ...first, scans: 0 });
    });
  });
});
