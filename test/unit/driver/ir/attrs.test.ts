import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Attrs,
  type AttrValue,
  canonicalAttrs,
  equalAttrs,
  hashAttrs,
  noAttrs,
} from '../../../../driver/ir/attrs.js';

/** Letters with two Unicode forms, numbers with two spellings, and names of object fields. */
const texts = fc.constantFrom('', 'a', 'b', 'rows', 'constructor', '\u00e9', 'e\u0301');
const numbers = fc.constantFrom(0, -0, 1, -1, 0.1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 40);
const { attrs } = fc.letrec<{ attrs: Attrs; value: AttrValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    numbers,
    texts,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('attrs'),
  ),
  attrs: fc.dictionary(texts, tie('value'), { maxKeys: 3, noNullPrototype: true }),
}));

describe('attributes', () => {
  it('are equal exactly when their texts are, and then have equal hashes', () => {
    let equal = 0;
    fc.assert(
      fc.property(attrs, attrs, (a, b) => {
        const same = canonicalAttrs(a) === canonicalAttrs(b);
        assert.equal(equalAttrs(a, b), same);
        if (same) {
          equal++;
          assert.equal(hashAttrs(a), hashAttrs(b));
        }
      }),
      { numRuns: 20_000, seed: 5 },
    );
    assert.ok(equal > 100, `${equal} equal pairs`);
  });

  it('are the texts of their items where they are lists, however long', () => {
    const items = [
      fc.array(fc.oneof(texts, fc.string({ unit: 'binary' })), { maxLength: 60 }),
      fc.array(fc.oneof(numbers, fc.double(), fc.integer()), { maxLength: 60 }),
      fc.array(fc.oneof(numbers, texts, fc.boolean()), { maxLength: 60 }),
    ];
    fc.assert(
      fc.property(fc.oneof(...(items as fc.Arbitrary<AttrValue[]>[])), (list) => {
        const one = list.map((item) => canonicalAttrs({ item }).slice('{"item":'.length, -1));
        assert.equal(canonicalAttrs({ list }), `{"list":[${one.join(',')}]}`);
        assert.equal(hashAttrs({ list }), hashAttrs({ list: [...list] }));
      }),
      { numRuns: 2000, seed: 8 },
    );
  });

  it('do not depend on the order of fields', () => {
    const [a, b] = [
      { rows: [1, 2], cols: 'x' },
      { cols: 'x', rows: [1, 2] },
    ];
    assert.ok(equalAttrs(a, b));
    assert.equal(hashAttrs(a), hashAttrs(b));
  });

  it('differ in hash for the numbers of a loop', () => {
    const hashes = new Set<number>();
    for (let i = 0; i < 10_000; i++) hashes.add(hashAttrs({ value: 1 / (i + 10) }));
    for (let i = 0; i < 10_000; i++) hashes.add(hashAttrs({ value: i }));
    // A birthday paradox over 2^32 expects 0.05 collisions among twenty thousand.
    assert.ok(hashes.size > 19_980, `${hashes.size} of 20000`);
  });

  it('tell none from an empty record', () => {
    assert.ok(!equalAttrs(noAttrs, {}));
    assert.ok(equalAttrs({}, {}));
  });
});
