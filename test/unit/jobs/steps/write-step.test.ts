/** Writing data for others: files, folders that are replaced and folders that grow. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { writeStep } from '../../../../jobs/steps/write-step.js';
import { copyTo, duckdb, temporaryHome } from '../../../support/frame-data.js';
import { StepBench } from '../../../support/step-run.js';

describe('write step', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let bench: StepBench;
  const at = (name: string): string => `${home.folder}/${name}`;

  before(async () => {
    home = await temporaryHome();
    bench = new StepBench(home.folder);
    await copyTo(at('a-1.parquet'), 'SELECT i AS id, nullif(i % 3, 1) AS k FROM range(3) t(i)');
    await copyTo(at('a-2.parquet'), 'SELECT i AS id, nullif(i % 3, 1) AS k FROM range(3, 5) t(i)');
    await writeFile(at('c.csv'), 'id;k\n1;2,5\n');
  });
  after(async () => {
    await bench.close();
    await home.remove();
  });

  it('writes CSV as it is told to', async () => {
    const { result } = await bench.run(writeStep, {
      write: 'a-*.parquet',
      to: 'out/all.csv',
      csv: { delimiter: ';', null: 'NA' },
    });
    assert.deepEqual(result.rows, { data: 5 });
    assert.equal(await readFile(at('out/all.csv'), 'utf8'), 'id;k\n0;0\n1;NA\n2;2\n3;0\n4;NA\n');
    await bench.run(writeStep, {
      write: 'a-1.parquet',
      to: 'out/one.csv.gz',
      csv: { header: false },
    });
    assert.equal(gunzipSync(await readFile(at('out/one.csv.gz'))).toString(), '0,0\n1,\n2,2\n');
  });

  it('hands one Parquet file on as it is, and makes one of several', async () => {
    await bench.run(writeStep, { write: 'a-1.parquet', to: 'out/one.parquet' });
    assert.deepEqual(await readFile(at('out/one.parquet')), await readFile(at('a-1.parquet')));
    await bench.run(writeStep, { write: 'a-*.parquet', to: 'out/all.parquet' });
    const rows = await duckdb(`SELECT id FROM '${at('out/all.parquet')}'`);
    assert.deepEqual(rows.flat(), [0n, 1n, 2n, 3n, 4n]);
  });

  it('reads text as it is told to', async () => {
    await bench.run(writeStep, {
      write: { path: 'c.csv', csv: { decimal: ',' } },
      to: 'out/c.parquet',
    });
    assert.deepEqual(await duckdb(`SELECT * FROM '${at('out/c.parquet')}'`), [[1n, 2.5]]);
  });

  it('replaces a folder, or adds to it, once for the same data', async () => {
    const write = (name: string, mode?: 'append') =>
      bench.run(writeStep, { write: name, to: 'out/days', ...(mode ? { mode } : {}) });
    const rows = async (): Promise<number> =>
      Number((await duckdb(`SELECT count(*) FROM '${at('out/days')}/*.parquet'`))[0]![0]);
    await write('a-1.parquet');
    await write('a-2.parquet');
    assert.equal(await rows(), 2);
    await write('a-1.parquet', 'append');
    await write('a-1.parquet', 'append');
    assert.equal(await rows(), 5);
    await assert.rejects(
      write('c.csv', 'append'),
      /steps\.it\.to: expected the columns of the files there \(id BIGINT, k BIGINT\), got id BIGINT, k VARCHAR/,
    );
    const names = await readdir(at('out/days'));
    assert.equal(names.filter((name) => name.startsWith('.')).length, 0);
    assert.equal(names.filter((name) => name.startsWith('data-')).length, 1);
  });

  it('refuses places and options that do not fit', async () => {
    const bind = (document: object) => bench.bind(writeStep, { write: 'a-1.parquet', ...document });
    await assert.rejects(bind({ to: 'a.xlsx' }), /steps\.it\.to: expected a \.parquet, /);
    await assert.rejects(
      bind({ to: 'a.csv', mode: 'append' }),
      /steps\.it\.mode: .* a\.csv; remove it/,
    );
    await assert.rejects(
      bind({ to: 'a.parquet', csv: { header: false } }),
      /steps\.it\.csv: .*a\.parquet/,
    );
  });
});
