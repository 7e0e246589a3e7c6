/** Bad data files give one `DataError` that names the file: no crash, hang or wrong number. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { DataError } from '../../driver/errors.js';
import type { RawColumn } from '../../driver/ir/frame-engine.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, readAll, temporaryHome } from '../support/frame-data.js';
import { type ParquetLies, parquetBytes } from '../support/parquet-writer.js';

const X: RawColumn = { kind: 'number', sql: 'x' };

describe('bad data', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let engine: DuckDbEngine;
  const at = (...names: string[]): string => join(home.folder, ...names);

  before(async () => {
    home = await temporaryHome();
    engine = createDuckDbEngine({ memoryBytes: 128e6 });
  });
  after(async () => {
    engine.close();
    await home.remove();
  });

  /** Describes, profiles and reads; the error of whichever fails first. */
  async function fault(path: string): Promise<DataError> {
    try {
      const description = await engine.describe(path);
      await engine.profile(description.source, [{ sql: 'x', top: 3, quantiles: [] }]);
      await readAll(engine, description, [X]);
    } catch (error) {
      assert.ok(error instanceof DataError, String((error as Error).stack));
      return error;
    }
    throw new Error(`expected a DataError for ${path}, got none`);
  }

  async function faultOf(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(at(name), content);
    const { message } = await fault(at(name));
    assert.ok(message.includes(at(name)), `names the file: ${message}`);
    assert.ok(message.length < 700, `is short: ${message}`);
    return message;
  }

  describe('Parquet', () => {
    it('is read when the footer tells the truth', async () => {
      await writeFile(at('true.parquet'), parquetBytes({ values: [3, -1, 2 ** 40] }));
      const description = await engine.describe(at('true.parquet'));
      const read = await readAll(engine, description, [X]);
      assert.deepEqual(read.columns, [[3, -1, 2 ** 40]]);
    });

    it('of 124 bytes that declares 100,000,000 rows is refused before a page is read', async () => {
      const rows = 1e8;
      const bomb = parquetBytes({
        values: [1, 2, 3],
        fileRows: rows,
        groupRows: rows,
        chunkValues: rows,
        pageValues: rows,
      });
      assert.ok(bomb.length < 318);
      const before = process.memoryUsage().rss;
      const message = await faultOf('bomb.parquet', bomb);
      assert.match(message, /at most 65536 rows a byte of data .* got 100000000 rows in \d+ bytes/);
      assert.ok(process.memoryUsage().rss - before < 100e6);
    });

    const lies: [string, Partial<ParquetLies>, RegExp][] = [
      [
        'row counts of file and row groups that differ',
        { fileRows: 1000 },
        /expected 1000 rows, as the footer says, .* got 3/,
      ],
      [
        'fewer values than rows',
        { fileRows: 5, groupRows: 5 },
        /expected 5 values a column in row group 0 .* got 3/,
      ],
      [
        'more values than rows',
        { fileRows: 2, groupRows: 2 },
        /expected 2 values a column in row group 0 .* got 3/,
      ],
      ['more rows than the page holds', { fileRows: 5, groupRows: 5, chunkValues: 5 }, /./],
      [
        'a page that claims rows it has not',
        { fileRows: 5, groupRows: 5, chunkValues: 5, pageValues: 5 },
        /./,
      ],
      ['a page that claims fewer rows', { pageValues: 2 }, /./],
      ['data outside the file', { dataPageOffset: 1e9 }, /column data within its \d+ bytes/],
      ['data before the file', { dataPageOffset: -5 }, /column data within its \d+ bytes/],
      ['data longer than the file', { compressedBytes: 1e9 }, /column data within its \d+ bytes/],
      ['a negative row count', { fileRows: -1, groupRows: -1 }, /negative|row count/],
      [
        'a row count beyond 2^53',
        { fileRows: 2 ** 62, groupRows: 2 ** 62, chunkValues: 2 ** 62 },
        /row count from 0 to 2\^53/,
      ],
    ];
    for (const [what, lie, pattern] of lies) {
      it(`with ${what}`, async () => {
        const name = `${what.replaceAll(/\W/g, '-')}.parquet`;
        assert.match(await faultOf(name, parquetBytes({ values: [1, 2, 3], ...lie })), pattern);
      });
    }

    it('cut short anywhere', async () => {
      await copyTo(at('whole.parquet'), "SELECT i AS x, 'k' || i % 9 AS s FROM range(5000) r(i)");
      const whole = await readFile(at('whole.parquet'));
      for (const size of [0, 3, 11, 40, Math.floor(whole.length / 2), whole.length - 1]) {
        const message = await faultOf('cut.parquet', whole.subarray(0, size));
        assert.match(message, /do not begin with PAR1|expected .* to end with a Parquet footer/);
      }
    });

    it('with flipped bits gives an error or rows, never another fault', async () => {
      await copyTo(
        at('good.parquet'),
        "SELECT i AS x, 'k' || i % 9 AS s FROM range(3000) r(i)",
        "CODEC 'zstd'",
      );
      const good = await readFile(at('good.parquet'));
      let state = 20;
      const next = (below: number): number => {
        state = (Math.imul(state, 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
        return Math.floor(((state ^ (state >>> 15)) >>> 0) % below);
      };
      let errors = 0;
      for (let round = 0; round < 60; round++) {
        const bytes = Buffer.from(good);
        const from = round % 2 === 0 ? bytes.length - 600 : 4;
        bytes[from + next(bytes.length - from - 8)]! ^= 1 << next(8);
        await writeFile(at('flip.parquet'), bytes);
        try {
          const description = await engine.describe(at('flip.parquet'));
          const read = await readAll(engine, description, [X]);
          assert.equal(read.columns[0]?.length, description.rows);
        } catch (error) {
          assert.ok(error instanceof DataError, String((error as Error).stack));
          errors++;
        }
      }
      assert.ok(errors > 5, `${errors} of 60 noticed`);
    });

    it('that is another format under the name', async () => {
      assert.match(
        await faultOf('csv.parquet', 'a,b\n1,2\n3,4\n5,6\n'),
        /do not begin with PAR1; say data.format/,
      );
    });
  });

  describe('text and Arrow', () => {
    const cases: [string, string | Uint8Array, RegExp][] = [
      [
        'ragged.csv',
        'x,b\n1,2\n1,2,3\n4,5\n',
        /CSV Error on Line: 3 .*Expected Number of Columns: 2 Found: 3/,
      ],
      ['open-quote.csv', 'x,b\n1,"abc\n2,3\n', /CSV Error on Line: 2/],
      ['none.csv', '', /expected a header line with column names .* it is empty/],
      ['blank.csv', '\n\n', /begins with a blank line/],
      [
        'binary.csv',
        Uint8Array.from({ length: 2000 }, (_, i) => (i * 37) % 256),
        /expected text .* got binary data/,
      ],
      ['cut.jsonl', '{"x":1}\n{"x":\n', /Malformed JSON .* in line \d/],
      ['array.jsonl', '[1,2]\n[3,4]\n', /expected one JSON object a line .* begins with "\[1,2\]"/],
      [
        'text.arrow',
        'hello world, this is text',
        /expected an Arrow IPC file or stream .* begin with "hello "/,
      ],
      ['none.arrow', '', /got an empty file/],
    ];
    for (const [name, content, pattern] of cases) {
      it(name, async () => {
        assert.match(await faultOf(name, content), pattern);
      });
    }

    it('Arrow files and streams cut short', async () => {
      const table = tableFromArrays({ x: Float64Array.from({ length: 4000 }, (_, i) => i) });
      for (const [name, kind] of [
        ['cut.arrow', 'file'],
        ['cut.arrows', 'stream'],
      ] as const) {
        const whole = tableToIPC(table, kind);
        for (const size of [100, 400, 20_000]) {
          assert.match(
            await faultOf(name, whole.subarray(0, size)),
            /expected a whole Arrow IPC file/,
          );
        }
      }
    });

    it('CSV with text in a number column says so where the number is asked for', async () => {
      await writeFile(at('text.csv'), 'x\n1\n2\nabc\n');
      const description = await engine.describe(at('text.csv'));
      assert.equal(description.columns[0]?.type, 'text');
    });
  });

  describe('paths', () => {
    it('that are not there', async () => {
      assert.match((await fault(at('no', 'such.parquet'))).message, /found nothing there/);
      assert.match(
        (await fault(at('no-*.parquet'))).message,
        /expected files that match .* found none/,
      );
    });

    it('of folders without data', async () => {
      await mkdir(at('void'));
      assert.match(
        (await fault(at('void'))).message,
        /in the folder .*void, found none among 0 entries/,
      );
      await mkdir(at('parts', 'year=2001'), { recursive: true });
      assert.match((await fault(at('parts'))).message, /in the folder .*parts, found none/);
    });

    it('of no known format, or of several', async () => {
      await writeFile(at('data.txt'), 'x\n1\n');
      assert.match((await fault(at('data.txt'))).message, /got .*data\.txt; say data\.format/);
      assert.equal((await engine.describe(at('data.txt'), { format: 'csv' })).rows, 1);
      await mkdir(at('mixed'));
      await writeFile(at('mixed', 'a.csv'), 'x\n1\n');
      await writeFile(at('mixed', 'b.jsonl'), '{"x":1}\n');
      assert.match(
        (await fault(at('mixed'))).message,
        /files of one format in .*mixed, got csv .* and jsonl/,
      );
    });

    it('that may not be read', async function () {
      if (process.getuid?.() === 0) this.skip();
      await writeFile(at('locked.csv'), 'x\n1\n');
      await chmod(at('locked.csv'), 0o000);
      assert.match((await fault(at('locked.csv'))).message, /permission denied/);
    });

    it('of files whose columns differ', async () => {
      await mkdir(at('differ'));
      await copyTo(at('differ', '1.parquet'), 'SELECT 1 AS x, 2 AS y');
      await copyTo(at('differ', '2.parquet'), 'SELECT 1 AS x, 3 AS z');
      const missing = await fault(at('differ'));
      assert.match(
        missing.message,
        /got INTEGER for "y" in .*1\.parquet and no such column in .*2\.parquet/,
      );
      await copyTo(at('differ', '2.parquet'), "SELECT 'a' AS x, 3 AS y");
      assert.match(
        (await fault(at('differ'))).message,
        /got INTEGER for "x" .* and VARCHAR in .*2\.parquet/,
      );
      await copyTo(at('differ', '2.parquet'), 'SELECT 1 AS x, 3 AS y, 4 AS more');
      assert.match(
        (await fault(at('differ'))).message,
        /got no such column for "more" .* and INTEGER in/,
      );
    });
  });

  it('that changes between describing and reading is noticed', async () => {
    await copyTo(at('change.parquet'), 'SELECT i AS x FROM range(100) r(i)');
    const description = await engine.describe(at('change.parquet'));
    await copyTo(at('change.parquet'), 'SELECT i + 1 AS x FROM range(100) r(i)');
    await assert.rejects(readAll(engine, description, [X]), /changed while being read/);
    await assert.rejects(
      engine.profile(description.source, [{ sql: 'x', top: 0, quantiles: [] }]),
      /changed while being read/,
    );
  });

  it('leaves the engine in order for good data', async () => {
    await copyTo(at('fine.parquet'), 'SELECT 1 AS x');
    const read = await readAll(engine, await engine.describe(at('fine.parquet')), [X]);
    assert.deepEqual(read.columns, [[1]]);
  });
});
