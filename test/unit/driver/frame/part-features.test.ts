/** What parts need of features: the same whether or not it was asked before, whatever is kept. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodedParts } from '../../../../driver/frame/part-features.js';
import type { FileGroup } from '../../../../driver/frame/parts.js';
import type { ColumnProfile } from '../../../../driver/ir/frame-engine.js';
import type { EncodedFeature } from '../../../../driver/operators/encode-block.js';

const CATEGORIES = Array.from({ length: 40 }, (_, i) => `c${i}`);

function profileOf({ files }: FileGroup): ColumnProfile {
  const counts = new Map<string, number>();
  for (const value of files.flatMap(({ path }) => path.split(' '))) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const top = [...counts].map(([value, count]) => ({ value, count }));
  top.sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
  const rows = top.reduce((sum, { count }) => sum + count, 0);
  return { type: 'text', rows, missing: 0, infinite: 0, min: null, max: null, top, distinct: top.length, quantiles: [] }; // biome-ignore format: a table
}

/** Files named by their categories. */
function treeOf(tables: readonly (readonly string[])[]): FileGroup[] {
  const leaves = tables.map((values) => {
    const path = values.join(' ');
    return { files: [{ path, digest: path, bytes: 1, rows: values.length }], isClosed: true };
  });
  const groups: FileGroup[] = [];
  for (let at = 0; at < leaves.length; at += 3) {
    const parts = leaves.slice(at, at + 3);
    groups.push({
      files: parts.flatMap(({ files }) => files),
      parts,
      isClosed: parts.length === 3,
    });
  }
  return groups;
}

const oneHot = (categories: readonly string[]): EncodedFeature => {
  return { kind: 'onehot', name: 'c', sql: 'c', categories, other: true, missing: false };
};

describe('parts of data by the features they need', () => {
  it('are what they are without what is remembered of closed groups, as kept categories change', () => {
    const file = fc.array(fc.constantFrom(...CATEGORIES), { minLength: 1, maxLength: 30 });
    const kept = fc.uniqueArray(fc.constantFrom(...CATEGORIES), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(
        fc.array(file, { minLength: 4, maxLength: 9 }),
        fc.array(kept, { minLength: 2, maxLength: 4 }),
        (tables, nights) => {
          const tree = treeOf(tables);
          for (const categories of nights) {
            const features = [oneHot(categories)];
            const remembered = encodedParts(features, tree, profileOf, { scope: 'test' });
            assert.deepEqual(remembered, encodedParts(features, tree, profileOf));
          }
        },
      ),
      { numRuns: 200, seed: 42 },
    );
  });

  it('of a short list do not depend on the categories that are kept; of a long one a part does where a kept one is rare', () => {
    const short = treeOf([['c0', 'c1', 'c1'], ['c2'], ['c3', 'c0']]);
    const of = (tree: FileGroup[], ...categories: string[]) => {
      const [group] = encodedParts([oneHot(categories)], tree, profileOf);
      return { own: group!.features, leaf: group!.parts![0]!.features };
    };
    assert.deepEqual(
      [of(short, 'c0', 'c1').leaf, of(short, 'c0', 'c1').own].map(([one]) => one?.kind === 'onehot' && one.categories), // biome-ignore format: short
      [
        ['c0', 'c1'],
        ['c0', 'c1', 'c2', 'c3'],
      ],
    );
    assert.deepEqual(of(short, 'c0', 'c1').own, of(short, 'c2', 'c3').own);
    // Twelve of twenty have columns of their own: twice the kept ones and eight.
    const long = CATEGORIES.slice(0, 20).flatMap((value, i) => Array<string>(20 - i).fill(value));
    const rare = treeOf([long, ['c0'], ['c1']]);
    assert.deepEqual(of(rare, 'c0', 'c1').leaf, of(rare, 'c2', 'c5').leaf);
    assert.notDeepEqual(of(rare, 'c0', 'c1').leaf, of(rare, 'c0', 'c19').leaf);
  });
});
