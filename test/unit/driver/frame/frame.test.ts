/** A frame is named by what its files hold, not by where they lie. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFrame } from '../../../../driver/frame/frame.js';
import { expandGlob } from '../../../../driver/frame/glob.js';
import type { Evaluator } from '../../../../driver/ir/evaluator.js';
import { Interner } from '../../../../driver/ir/intern.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import type { EncodedFeature } from '../../../../driver/operators/encode-block.js';
import {
  createDuckDbEngine,
  type DuckDbEngine,
} from '../../../../gpu-executor/cpu/duckdb/index.js';
import { copyTo, temporaryHome } from '../../../support/frame-data.js';

/** Makes nodes and runs nothing. */
function nodeMaker(): Evaluator {
  const interner = new Interner();
  return {
    intern: (op, inputs, attrs, payload) => interner.intern(op, inputs, attrs, payload),
    evaluate: () => Promise.reject(new Error('not for running')),
    explain: () => '',
  };
}

const FEATURES: EncodedFeature[] = [
  { kind: 'number', name: 'a', sql: 'a', missing: 'error' },
  { kind: 'onehot', name: 'b', sql: 'b', categories: ['x', 'y'], other: true, missing: false },
];

describe('frame', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let engine: DuckDbEngine;
  before(async () => {
    home = await temporaryHome();
    engine = createDuckDbEngine();
    await mkdir(join(home.folder, 'one'));
    await mkdir(join(home.folder, 'two'));
    await copyTo(
      join(home.folder, 'one', 'a.parquet'),
      "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'z'",
    );
    await copyFile(join(home.folder, 'one', 'a.parquet'), join(home.folder, 'two', 'b.parquet'));
  });
  after(async () => {
    engine.close();
    await home.remove();
  });

  it('has one node and one key for the same content under other names', async () => {
    const evaluator = nodeMaker();
    const one = await openFrame(evaluator, engine, join(home.folder, 'one'));
    const two = await openFrame(evaluator, engine, join(home.folder, 'two', 'b.parquet'));
    assert.equal(one.expr, two.expr);
    assert.equal(one.encode(FEATURES), two.encode([...FEATURES]));
    assert.ok(!one.expr.attrsText.includes(home.folder));
    const again = await openFrame(nodeMaker(), createDuckDbEngine(), join(home.folder, 'one'));
    assert.equal(lineageKey(again.encode(FEATURES)), lineageKey(one.encode(FEATURES)));
  });

  it('has another key for other content, other features or another order of files', async () => {
    const evaluator = nodeMaker();
    const folder = join(home.folder, 'pair');
    await mkdir(folder);
    await copyTo(join(folder, '1.parquet'), "SELECT 1 AS a, 'x' AS b");
    await copyTo(join(folder, '2.parquet'), "SELECT 2 AS a, 'y' AS b");
    const pair = await openFrame(evaluator, engine, folder);
    await copyFile(join(folder, '1.parquet'), join(folder, '3.parquet'));
    const swapped = await openFrame(evaluator, engine, join(folder, '[23].parquet'));
    const keys = [pair.expr, swapped.expr, pair.encode(FEATURES), pair.encode(FEATURES.slice(1))];
    assert.equal(new Set(keys.map(lineageKey)).size, keys.length);
  });

  it('knows its shape before anything is read', async () => {
    const frame = await openFrame(nodeMaker(), engine, join(home.folder, 'one'));
    assert.deepEqual([frame.expr.rows, frame.expr.cols], [2, 2]);
    const matrix = frame.encode(FEATURES);
    assert.deepEqual([matrix.rows, matrix.cols], [2, 4]);
    assert.deepEqual(
      frame.columns.map((column) => column.name),
      ['a', 'b'],
    );
  });

  it('refuses files without rows', async () => {
    await writeFile(join(home.folder, 'empty.csv'), 'a,b\n');
    await assert.rejects(
      openFrame(nodeMaker(), engine, join(home.folder, 'empty.csv')),
      /expected rows in .*empty\.csv, got none/,
    );
  });

  it('expands globs as a shell does', async () => {
    const root = join(home.folder, 'globs');
    await mkdir(join(root, 'x', '.hid'), { recursive: true });
    await mkdir(join(root, 'y', 'z'), { recursive: true });
    const files = [
      'a1.csv',
      'a2.csv',
      'b1.csv',
      'x/a1.csv',
      'x/.hid/a1.csv',
      'y/z/c.csv',
      '.a1.csv',
      'a+(1).csv',
    ];
    for (const file of files) await writeFile(join(root, file), '');
    const found = async (pattern: string): Promise<string[]> =>
      (await expandGlob(join(root, pattern))).map((path) => path.slice(root.length + 1));
    assert.deepEqual(await found('*.csv'), ['a+(1).csv', 'a1.csv', 'a2.csv', 'b1.csv']);
    assert.deepEqual(await found('a?.csv'), ['a1.csv', 'a2.csv']);
    assert.deepEqual(await found('[!a]*.csv'), ['b1.csv']);
    assert.deepEqual(await found('{a,b}1.csv'), ['a1.csv', 'b1.csv']);
    assert.deepEqual(await found('**/a1.csv'), ['a1.csv', 'x/a1.csv']);
    assert.deepEqual(await found('**/*.csv'), [
      'a+(1).csv',
      'a1.csv',
      'a2.csv',
      'b1.csv',
      'x/a1.csv',
      'y/z/c.csv',
    ]);
    assert.deepEqual(await found('.a*.csv'), ['.a1.csv']);
    assert.deepEqual(await found('a+(1)*'), ['a+(1).csv']);
    assert.deepEqual(await found('nope/*.csv'), []);
    assert.deepEqual(await found('[a-b]1.*v'), ['a1.csv', 'b1.csv']);
    assert.deepEqual(await found('{x,y/{z,q}}/*.csv'), ['x/a1.csv', 'y/z/c.csv']);
    assert.deepEqual(await found('**/**/**/c.csv'), ['y/z/c.csv']);
    await symlink('a1.csv', join(root, 'to-file.csv'));
    await symlink('x', join(root, 'to-folder.csv'));
    await symlink('nowhere', join(root, 'to-nothing.csv'));
    await mkdir(join(root, 'folder.csv'));
    assert.deepEqual(await found('*o*.csv'), ['to-file.csv']);
  });

  it('takes no pattern that would take for ever', async () => {
    const root = join(home.folder, 'bombs');
    const name = `${'a'.repeat(200)}.csv`;
    await mkdir(join(root, ...'abcdefgh'), { recursive: true });
    await writeFile(join(root, name), '');
    await symlink('.', join(root, 'loop'));
    const began = performance.now();
    const find = (pattern: string): Promise<string[]> => expandGlob(join(root, pattern));
    assert.deepEqual(await find(`${'*a'.repeat(60)}*b.csv`), []);
    assert.deepEqual(await find(`${'*a'.repeat(60)}*.csv`), [join(root, name)]);
    assert.deepEqual(await find(`${'*?'.repeat(60)}[!c]sv`), []);
    assert.deepEqual(await find(`${'**/'.repeat(300)}none`), []);
    assert.deepEqual(await find(`${'**/*/'.repeat(30)}none`), []);
    await assert.rejects(
      find('{a,b}'.repeat(400)),
      /braces stand for at most 1000 others, got far/,
    );
    await assert.rejects(find('{{a,b},{c,d}}'.repeat(9)), /at most 1000 others, got 262144/);
    assert.deepEqual(await find(`${'{'.repeat(500)}a`), []);
    assert.ok(performance.now() - began < 20_000);
  });
});
