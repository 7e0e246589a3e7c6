/**
 * Small files that unpack to much, nest deep or name what an object inherits (case 37): refused or
 * read as what they are, in bounded memory, by a process that lives on. A Parquet footer that
 * declares 100,000,000 rows: `data`; answers of servers: `livy/http`.
 */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { ConfigError, DataError } from '../../driver/errors.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { readModel } from '../../jobs/model/read-model.js';
import { runJob } from '../../jobs/run-job.js';
import { readAll, temporaryHome } from '../support/frame-data.js';
import { JobFolder } from '../support/job-folder.js';

const MIB = 1024 ** 2;
const DEEP = 100_000;

describe('a bomb', function () {
  this.timeout(120_000);
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let engine: DuckDbEngine;
  let folder: JobFolder;
  beforeEach(async () => {
    home = await temporaryHome();
    engine = createDuckDbEngine({ memoryBytes: 128e6 });
    folder = new JobFolder();
  });
  afterEach(async () => {
    engine.close();
    folder.remove();
    await home.remove();
  });

  /** The rows of a file's numbers, or its error. */
  const read = async (path: string): Promise<number[][] | DataError> => {
    try {
      const description = await engine.describe(path);
      return (await readAll(engine, description, [{ kind: 'number', sql: 'a' }])).columns;
    } catch (error) {
      assert.ok(error instanceof DataError, String((error as Error).stack));
      return error;
    }
  };
  /** Runs `body`; the process may take so much meanwhile. */
  const within = async <T>(bytes: number, body: () => Promise<T>): Promise<T> => {
    const before = process.memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 5);
    try {
      return await body();
    } finally {
      clearInterval(watch);
      most = Math.max(most, process.memoryUsage.rss());
      assert.ok(most - before < bytes, `took ${Math.round((most - before) / MIB)} MiB`);
    }
  };

  it('of one line is refused, plain or packed, wherever the line is', async () => {
    for (const [head, tail] of [
      ['a,y\n1,2\n3,', ''],
      ['a,y\n1,2\n3,', '\n5,6\n'],
      ['a,y\r\n3,', '\r\n'],
      ['a,', '\n5,6\n'],
    ] as const) {
      const text = Buffer.concat([Buffer.from(head), Buffer.alloc(80e6, '1'), Buffer.from(tail)]);
      for (const [name, bytes] of [
        ['line.csv', text],
        ['line.csv.gz', gzipSync(text, { level: 1 })],
      ] as const) {
        const error = await within(300 * MIB, () => read(folder.write(name, bytes)));
        assert.ok(error instanceof DataError, `${name} ${head}: ${JSON.stringify(error)}`);
        assert.ok(error.message.includes(name) && error.message.length < 700, error.message);
      }
    }
  });

  it('of many rows in a packed CSV file is read as a stream', async () => {
    const rows = 3_000_000;
    const path = folder.write('rows.csv.gz', gzipSync(`a,y\n${'7,1\n'.repeat(rows)}`));
    const description = await engine.describe(path);
    let sum = 0;
    await within(400 * MIB, async () => {
      const columns = [{ kind: 'number', sql: 'a' }] as const;
      for await (const chunk of engine.read(description.source, columns, {
        rowsPerChunk: 10_000,
      })) {
        sum += chunk.rows;
      }
    });
    assert.equal(sum, rows);
  });

  it('of nested JSON is refused or read beside, line by line', async () => {
    for (const nested of [
      `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`,
      `${'{"k":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`,
    ]) {
      const beside = `{"a":1,"y":1,"z":${nested}}\n`.repeat(3);
      assert.deepEqual(await read(folder.write('beside.jsonl', beside)), [[1, 1, 1]]);
      for (const [name, text] of [
        ['cell', `{"a":${nested},"y":1}\n`],
        ['line', `${nested}\n`],
      ]) {
        const got = await read(folder.write(`${name}.jsonl`, text!.repeat(3)));
        assert.ok(got instanceof DataError, JSON.stringify(got));
        assert.ok(got.message.length < 700);
      }
    }
  });

  it('of an Arrow file whose footer leads to no rows is refused', async () => {
    const bytes = Buffer.from(tableToIPC(tableFromArrays({ a: [1, 2, 3] }), 'file'));
    // The first message is read as a schema wherever the footer says that it stands.
    bytes.writeInt32LE(0x7ffffff0, 16);
    const error = await read(folder.write('lies.arrow', bytes));
    assert.ok(error instanceof DataError, String(error));
    assert.match(
      error.message,
      /expected a whole Arrow IPC file at .*lies\.arrow, got (no batch|Expected RecordBatch)/,
    );
  });

  it('of nested settings, models and results is refused by name', async () => {
    const nested = `${'{a: '.repeat(DEEP)}1${'}'.repeat(DEEP)}`;
    folder.write('job.yaml', `kind: grid-search\ndata: ${nested}\n`);
    await assert.rejects(readJob(folder.file('job.yaml')), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /expected at most 20 levels of nesting/);
      return true;
    });
    const deep = `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`;
    for (const text of [deep, `{"version":1,"features":${deep}}`, '{"__proto__":{"version":1}}']) {
      await assert.rejects(readModel(folder.write('model.json', text), folder.path), ConfigError);
    }
  });

  it('of names that objects inherit is data like any other', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const rows = Array.from(
      { length: 60 },
      (_, i) =>
        // As an object's own key `__proto__` stands in text only.
        `{${names.map((name, k) => `"${name}":${Math.sin(i * (k + 1))}`).join(',')},"c":"${names[i % 4]}","y":${i}}`,
    );
    folder.write('names.jsonl', `${rows.join('\n')}\n`);
    folder.job({
      data: {
        path: folder.file('names.jsonl'),
        target: 'y',
        features: [...names, { name: 'c', encode: 'onehot' }],
      },
    });
    const job = await readJob(folder.file('job.yaml'));
    const { search } = await runJob(job, { engine: 'local' });
    assert.deepEqual(
      search.model?.columns.toSorted(),
      [...names, ...names.map((name) => `c=${name}`)].toSorted(),
    );
    assert.equal(({} as { version?: unknown }).version, undefined);
  });
});
