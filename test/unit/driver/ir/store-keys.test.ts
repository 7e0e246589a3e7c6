/** Keys of stored results: equal on all machines and for ever, for what means the same. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Attrs, type AttrValue, canonicalAttr } from '../../../../driver/ir/attrs.js';
import { Interner } from '../../../../driver/ir/intern.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import { matrix } from '../../../../driver/matrix/create.js';
import { ops } from '../../../../driver/operators/index.js';
import { referenceEvaluator } from '../../../support/plan.js';

const keyOf = (attrs: Attrs): string => lineageKey(new Interner().intern(ops.fill, [], attrs));
const fill = (value: number): string => keyOf({ rows: 2, cols: 3, value });

/** An attribute value and its other spelling: field order, Unicode form, -0 for 0. */
const spellings = fc.letrec<{ pair: readonly [AttrValue, AttrValue] }>((tie) => {
  const name = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.constantFrom(
      '\u00e9',
      'e\u0301',
      '\u212b',
      '\u00c5',
      'A\u030a',
      'f',
      'z',
      '\uac00',
      '1',
      '10',
    ),
  );
  const text = name.map((s) => [s.normalize('NFD'), s.normalize('NFC')] as const);
  const number = fc
    .oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, 1, 2 ** 53, 2 ** 53 + 2, 5e-324))
    .map((x) => [x, x === 0 ? -x : x] as const);
  const list = fc
    .array(tie('pair'), { maxLength: 3 })
    .map((pairs) => [pairs.map(([a]) => a), pairs.map(([, b]) => b)] as const);
  const record = fc
    .uniqueArray(fc.tuple(text, tie('pair')), { selector: ([[, nfc]]) => nfc, maxLength: 5 })
    .chain((fields) =>
      fc
        .shuffledSubarray(fields, { minLength: fields.length })
        .map(
          (shuffled) =>
            [
              Object.fromEntries(fields.map(([[nfd], [a]]) => [nfd, a])),
              Object.fromEntries(shuffled.map(([[, nfc], [, b]]) => [nfc, b])),
            ] as const,
        ),
    );
  return { pair: fc.oneof({ depthSize: 'small' }, text, number, list, record) };
});

describe('keys of stored results', () => {
  it('are one for every spelling of the same attributes', () => {
    fc.assert(
      fc.property(spellings.pair, ([a, b]) => {
        assert.equal(canonicalAttr(a), canonicalAttr(b));
        assert.equal(
          keyOf({ rows: 1, cols: 1, value: 1, a }),
          keyOf({ a: b, value: 1.0, cols: 1, rows: 1 }),
        );
      }),
      { seed: 11, numRuns: 400 },
    );
  });

  it('are different for numbers that differ in the last bit, and for a number and its text', () => {
    const numbers = [1, 1 + 2 ** -52, 2 ** 53, 2 ** 53 + 2, 0, 5e-324, -5e-324, Number.NaN, 1e300];
    assert.equal(new Set(numbers.map(fill)).size, numbers.length);
    const values: AttrValue[] = [2 ** 53, '9007199254740992', '9007199254740993', [2 ** 53], true];
    assert.equal(
      new Set(values.map((value) => keyOf({ rows: 1, cols: 1, value: 0, a: value }))).size,
      values.length,
    );
  });

  it('are what they were when the first results were stored', () => {
    // SHA-256 over `operator@version`, attributes and input keys, each on a line, computed apart in
    // Python.
    const pinned: readonly (readonly [number, string])[] = [
      [1.0, '105145a3c04015a587e4559889e03d244588dd619dfc6805dad8a029bc8d12fa'],
      [-0, 'dfb3de718033d234cce06517a0a8186bc697336e70d20dd2e38c6344c7bfb337'],
      [Number.NaN, '7cadd631348125796221612986024e951d7c50f13b1fd7c1281485414764c0b9'],
      [0.1, 'ea5f2dfcc6aa5f7f4d5de7919c0ca414241835cf7b81f4e4964d5ad8277eaa1e'],
      [2 ** 53, '620c6e77d7692c8750a7c06cf91e23e5aeefaeff8d298ee6c5036579ea2a840a'],
      [1e21, '4c92523361db475f4cf12c40f8bb9de54f30f3982561d3851031f4531f544627'],
      [5e-324, '1ec931f7494b77052ca8f9bcdca759cd7d42ea776c8328ecfdf4ee6a8cdd4ecd'],
      [-Infinity, 'c3c0e3aa03c5f2a03f996076d7c6dd78ad8ff6cfc53e591ad5707d0a06fc307d'],
    ];
    for (const [value, key] of pinned) assert.equal(fill(value), key, String(value));
    // 2^53 + 1 is no double: it is read as 2^53 and shares its key.
    assert.equal(fill(Number('9007199254740993')), fill(2 ** 53));
    const s = referenceEvaluator();
    const X = matrix(s, 2, 2, Float64Array.of(1, -0, 2 ** 53 + 2, 0.1));
    assert.equal(
      lineageKey(X.t().matmul(X).expr),
      'c237d0fe3012f50db1765d2d79d83b418315bb7dc0bde31c219566ec12f98f7f',
    );
  });
});
