/** How files are read: part of what data are, unless nothing was said. */
import assert from 'node:assert/strict';
import { givenOptions, optionsKey } from '../../../../driver/frame/read-options.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';

const job = (data: string) =>
  parseJob(
    'job.yaml',
    `kind: grid-search\ndata: {path: d.csv, target: y, ${data}}\nmodel: {type: ridge}\nsearch: {grid: {lambda: 1}}\n`,
  ).data.read;

describe('read options', () => {
  it('take a file URI for the path it stands for', () => {
    for (const path of [
      'file:///data/a%20b.csv',
      'file:/data/a b.csv',
      'file://localhost/data/a b.csv',
    ]) {
      const text = `kind: grid-search\ndata: {path: "${path}", target: y}\nmodel: {type: ridge}\nsearch: {grid: {lambda: 1}}\n`;
      assert.equal(parseJob('/jobs/job.yaml', text).data.path, '/data/a b.csv');
    }
  });

  it('are none when only defaults are said', () => {
    assert.equal(givenOptions(job("csv: {quote: '\"', header: true, skip: 0}")), undefined);
    assert.equal(givenOptions(job('partitions: true, drop_missing_target: false')), undefined);
    assert.equal(givenOptions(job('format: csv')), undefined);
  });

  it('carry what a job says', () => {
    const given = givenOptions(
      job(
        'csv: {delimiter: ";", null: [x, null, -999, pandas]}, schema: {a: text}, drop_missing_target: true',
      ),
    );
    assert.deepEqual(given?.schema, { a: 'text' });
    assert.equal(given?.dropMissing, 'y');
    assert.equal(given?.csv?.delimiter, ';');
    for (const token of ['x', 'null', '-999', 'N/A']) assert.ok(given?.csv?.null?.includes(token));
  });

  it('have one key whatever the order they are said in', () => {
    const one = optionsKey({ schema: { a: 'text', b: 'date' }, partitions: false });
    assert.equal(one, optionsKey({ partitions: false, schema: { b: 'date', a: 'text' } }));
    assert.notEqual(one, optionsKey({ partitions: false, schema: { b: 'text', a: 'date' } }));
  });

  it('refuse characters that would mean two things', () => {
    assert.throws(
      () => job('csv: {delimiter: "\'", quote: "\'"}'),
      /data.csv.quote: expected another/,
    );
    assert.throws(() => job('csv: {thousands: "."}'), /data.csv.thousands: expected another/);
    assert.throws(
      () => job('csv: {delimiter: ";;"}'),
      /data.csv.delimiter: expected one character/,
    );
    assert.throws(
      () => job('format: parquet, schema: {a: text}'),
      /data.schema: expected no `schema`/,
    );
  });
});
