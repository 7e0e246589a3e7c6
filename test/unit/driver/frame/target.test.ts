/** Targets that are classes: their numbers, and what no classes can be made of. */
import assert from 'node:assert/strict';
import { leaks, resolveTarget, type TargetSpec } from '../../../../driver/frame/target.js';
import type { ColumnProfile } from '../../../../driver/ir/frame-engine.js';

function profileOf(
  type: ColumnProfile['type'],
  counts: Readonly<Record<string, number>>,
  more: Partial<ColumnProfile> = {},
): ColumnProfile {
  const top = Object.entries(counts).map(([value, count]) => ({ value, count }));
  const rows = top.reduce((sum, { count }) => sum + count, 0);
  const none = { missing: 0, infinite: 0, min: null, max: null, quantiles: [] };
  return { type, rows, top, distinct: top.length, ...none, ...more };
}

const spec: TargetSpec = { name: 'k', text: { sql: 'k' }, column: 'k', kind: 'class' };

function classesOf(type: ColumnProfile['type'], ...texts: readonly string[]) {
  const counts = Object.fromEntries(texts.map((text) => [text, 5]));
  const { classes, feature } = resolveTarget(spec, profileOf(type, counts));
  assert.ok(feature.kind === 'map');
  return { classes, categories: feature.categories, values: feature.values };
}

describe('class targets', () => {
  it('are in the order of numpy.unique', () => {
    const text = classesOf('text', 'b', '10', 'ä', 'B', '9', '\u{1f600}', '\uffee');
    assert.deepEqual(text.classes, ['10', '9', 'B', 'b', 'ä', '\uffee', '\u{1f600}']);
    assert.deepEqual(text.values, [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(classesOf('number', '10', '-1', '9.0').classes, [-1, 9, 10]);
    assert.deepEqual(classesOf('boolean', 'true', 'false').classes, [false, true]);
  });

  it('are one class for one number, and text beyond what doubles hold', () => {
    const zero = classesOf('number', '1', '-0.0', '0.0');
    assert.deepEqual(
      [zero.classes, zero.values],
      [
        [0, 1],
        [0, 0, 1],
      ],
    );
    const ids = classesOf('number', '9007199254740993', '9007199254740992');
    assert.deepEqual(ids.classes, ['9007199254740992', '9007199254740993']);
  });

  const cases: [string, ColumnProfile, RegExp][] = [
    ['numbers with decimals', profileOf('number', { 1: 9, '1.5': 2 }), /target k: expected classes .*, got the number 1.5; predict it by a regression model/],
    ['times', profileOf('timestamp', { a: 2, b: 3 }), /got timestamps/],
    ['one class', profileOf('text', { a: 4 }), /expected at least two classes, got a in every row/],
    ['missing classes', profileOf('text', { a: 4, b: 1 }, { missing: 2 }), /a class in every row, got 2 missing/],
    ['too many', profileOf('text', { a: 4 }, { distinct: 10_001 }), /at most 10000 classes, got 10001/],
  ]; // biome-ignore format: a case a line
  for (const [what, profile, message] of cases) {
    it(`cannot be ${what}`, () => {
      const resolve = () => resolveTarget(spec, profile);
      assert.throws(resolve, message);
    });
  }

  it('are warned of when there are nearly as many as rows', () => {
    const ids = profileOf('text', { a: 1, b: 1, c: 1 });
    const { warnings } = resolveTarget(spec, ids);
    assert.match(warnings.join(), /3 classes are more than half as many as rows \(3\)/);
  });
});

describe('a target that is an expression', () => {
  const late: TargetSpec = {
    ...spec,
    name: 'late',
    text: { sql: '"a b" > 15 or f(delay) = \'x\'' },
  };
  const { column: _, ...made } = late;

  it('is told when features are columns it is made of', () => {
    const features = ['delay', '"a b"', 'lay', 'delay + 1', 'f'].map((sql) => ({ sql }));
    const said = leaks(made, features);
    assert.deepEqual(
      said.map((text) => /made of (\S+|"a b"), which is a feature/.exec(text)?.[1]),
      ['delay', '"a b"', 'f'],
    );
    assert.deepEqual(leaks(late, features), []);
  });
});
