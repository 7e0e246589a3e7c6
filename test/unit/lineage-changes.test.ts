/** What differs between two settings, attributes or lists of files, in words. */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { changes, changeText, fileChanges } from '../../jobs/lineage/value-changes.js';

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
