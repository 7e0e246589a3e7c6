/** What differs between two settings, attributes or lists of files, in words. */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { dense } from '../../../../driver/ir/value.js';
import { compareKept } from '../../../../jobs/lineage/kept-values.js';
import { changes, changeText, fileChanges } from '../../../../jobs/lineage/value-changes.js';

const texts = (before: unknown, after: unknown): string[] => changes(before, after).map(changeText);

describe('changes between plain values', () => {
  it('are named by their place', () => {
    assert.deepEqual(
      texts({ cv: { seed: 7, folds: 5 }, refit: true }, { cv: { seed: 8, folds: 5 }, refit: true }),
      ['cv.seed 7 -> 8'],
    );
    assert.deepEqual(texts({ a: 1 }, { a: 1, b: [2] }), ['b (none) -> [2]']);
    assert.deepEqual(texts({ a: 1, b: 'x' }, { a: 1 }), ['b x -> (none)']);
    assert.deepEqual(texts({ a: Number.NaN, b: [{}] }, { b: [{}], a: Number.NaN }), []);
    assert.deepEqual(texts({ a: null }, { a: {} }), ['a null -> {}']);
  });

  it('follow named things wherever they stand', () => {
    const a = { name: 'a', top: 5 };
    const b = { name: 'b', sql: 'x' };
    assert.deepEqual(texts({ features: [a, b] }, { features: [b, { ...a, top: 6 }] }), [
      'features[a].top 5 -> 6',
    ]);
    assert.match(texts({ features: [a, b] }, { features: [b, a] }).join(), /^features \(order\) /);
    // A name alone is the thing itself, as in a job file.
    assert.deepEqual(texts({ features: ['c', a] }, { features: [{ ...a, top: 6 }, 'c'] }), [
      'features[a].top 5 -> 6',
    ]);
    assert.deepEqual(texts({ features: ['c', a] }, { features: [a] }), [
      'features[c] {"name":"c"} -> (none)',
    ]);
    assert.deepEqual(texts({ features: ['c', a] }, { features: [{ name: 'c', sql: 'x' }, a] }), [
      'features[c].sql (none) -> x',
    ]);
  });

  it('follow sub-grids by their model, models and steps by name or type', () => {
    const net = { model: 'net', alpha: [0.1] };
    assert.deepEqual(
      texts(
        { grid: [{ model: 'ridge', lambda: 1 }, net] },
        { grid: [net, { model: 'ridge', lambda: 2 }] },
      ),
      ['grid[ridge].lambda 1 -> 2'],
    );
    assert.deepEqual(texts({ p: [{ step: 'pca', n: 2 }] }, { p: [{ step: 'pca', n: 3 }] }), [
      'p[pca].n 2 -> 3',
    ]);
    // Two of one model are told apart by nothing but their content.
    assert.equal(texts({ grid: [net, net] }, { grid: [net, { ...net, alpha: [1] }] }).length, 1);
  });

  it('of long lists say what came and went', () => {
    const list = ['a', 'b', 'c', 'd', 'e', 'f'];
    assert.deepEqual(texts({ x: list }, { x: [...list.slice(1), 'g', 'h', 'i', 'j'] }), [
      'x 6 -> 9 values ("g", "h", "i" and 1 more added; "a" removed)',
    ]);
    assert.deepEqual(texts({ x: list }, { x: list.toReversed() }), [
      'x 6 -> 6 values (another order)',
    ]);
  });
});

describe('values of a store', () => {
  it('differ from values computed again relative to the largest cell', () => {
    const kept = new Map([['gram', dense(2, 2, Float64Array.of(1e12, 1, 1, 2e12))]]);
    const now = (cells: readonly number[]) =>
      new Map([['gram', dense(2, 2, Float64Array.from(cells))]]);
    const [close] = compareKept(kept, now([1e12, 1.001, 1, 2e12]), 1e-8);
    assert.deepEqual([close?.what, close?.agrees, close?.count], ['gram in the store', true, 4]);
    const [far] = compareKept(kept, now([1e12, 1, 1e6, 2e12]), 1e-8);
    assert.deepEqual([far?.agrees, far?.where], [false, 'row 1, column 0']);
    const [broken] = compareKept(kept, now([1e12, 1, 1, Number.NaN]), 1e-8);
    assert.deepEqual([broken?.agrees, broken?.where], [false, 'row 1, column 1']);
    assert.deepEqual(compareKept(kept, new Map(), 1e-8), []);
  });
});

describe('changes between data files', () => {
  const source = (files: Readonly<Record<string, string>>) => ({
    format: 'csv' as const,
    files: Object.entries(files).map(([name, digest]) => ({
      path: resolve(name),
      digest,
      bytes: 1,
      rows: 1,
    })),
  });
  const cases: readonly (readonly [object, object, readonly string[]])[] = [
    [{ a: '1', b: '2' }, { a: '1', b: '3' }, ['data file b: content changed']],
    [{ a: '1' }, { a: '1', b: '2' }, ['data file b: added']],
    [{ a: '1', b: '2' }, { b: '2' }, ['data file a: removed']],
    [{ a: '1', b: '2' }, { b: '2', c: '1' }, ['data files: another order or other rows']],
  ];
  for (const [before, after, expected] of cases)
    it(`${JSON.stringify(before)} -> ${JSON.stringify(after)}`, () => {
      const [old, now] = [before, after] as [Record<string, string>, Record<string, string>];
      assert.deepEqual(fileChanges(source(old), source(now)), expected);
    });
});
