/** Hashed text has the very numbers of scikit-learn's `HashingVectorizer`, word by word. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TextHashing } from '../../../../driver/ir/frame-engine.js';
import {
  hashTexts,
  isWordPoint,
  lowered,
  murmur3,
} from '../../../../driver/operators/hash-text.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Fixture {
  readonly texts: readonly string[];
  readonly cases: readonly {
    readonly options: TextHashing;
    readonly rows: readonly (readonly (readonly [number, number])[])[];
  }[];
}

const path = join(sklearnFolder, 'hashing.json');
const { texts, cases } = JSON.parse(readFileSync(path, 'utf8')) as Fixture;

describe('hashed text', () => {
  it('is MurmurHash3, signed', () => {
    const hashOf = (text: string): number => {
      const bytes = Buffer.from(`..${text}..`);
      return murmur3(bytes, 2, bytes.length - 2);
    };
    // Of scikit-learn's murmurhash3_32, seed 0.
    assert.deepEqual(
      ['', 'foo', 'bar', 'hello', 'straße'].map(hashOf),
      [0, -156908512, 1158584717, 613153351, 2095602437],
    );
  });

  for (const { options, rows } of cases) {
    it(`has the cells of HashingVectorizer: ${JSON.stringify(options)}`, () => {
      const X = hashTexts([...texts, null], options);
      const { rowStarts, columns, values } = X;
      for (const [i, expected] of [...rows, []].entries()) {
        const got = Array.from({ length: rowStarts[i + 1]! - rowStarts[i]! }, (_, k) => {
          const at = rowStarts[i]! + k;
          return [columns[at]!, values[at]!];
        });
        assert.deepEqual(got, expected, `row ${i}: ${texts[i] ?? 'missing'}`);
      }
    });
  }

  it('knows letters as Unicode does, for the scripts it says', () => {
    const ranges = [
      [0x20, 0x24f],
      [0x388, 0x3ce],
      [0x400, 0x481],
      [0x4e00, 0x4eff],
      [0xac00, 0xacff],
    ] as const;
    for (const [from, to] of ranges) {
      for (let point = from; point <= to; point++) {
        const text = String.fromCodePoint(point);
        if (!/\p{Assigned}/u.test(text)) continue;
        const isWord = /[\p{L}\p{N}_]/u.test(text);
        assert.equal(isWordPoint(point), isWord, `U+${point.toString(16)}`);
        const isKnown = point < 0x180 || (point >= 0x391 && point <= 0x45f);
        const small = text.toLowerCase();
        if (isKnown && small.length === 1) {
          assert.equal(lowered(point), small.codePointAt(0), `U+${point.toString(16)}`);
        }
      }
    }
  });
});
