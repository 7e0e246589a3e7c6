/**
 * Unshuffled splits train and test on scikit-learn's rows (fixtures of `splits.py`), among all rows
 * and among some; shuffled ones on sets of the same sizes.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Matrix, matrix, Session } from '../../../../../driver/index.js';
import { createCpuBackend } from '../../../../../gpu-executor/cpu/index.js';
import { makeNested } from '../../../../../jobs/search/splits/nested-splits.js';
import type { Splits } from '../../../../../jobs/search/splits/partition.js';
import {
  makeSplits,
  type SplitRows,
  type SplitRule,
} from '../../../../../jobs/search/splits/resolve.js';
import { Members } from '../../../../../jobs/search/splits/strata.js';
import { sklearnFolder } from '../../../../support/sklearn-fixtures.js';

interface SplitCase {
  readonly type: SplitRule['type'];
  readonly rows: number;
  readonly folds?: number;
  readonly test_size?: number;
  readonly gap?: number;
  readonly max_train_size?: number;
  readonly column?: readonly number[];
  /** A letter a row. */
  readonly classes?: string;
  readonly groups?: string;
  /** A character a row: t trains, T tests. */
  readonly splits: readonly string[];
}

const { cases } = JSON.parse(readFileSync(join(sklearnFolder, 'splits.json'), 'utf8')) as {
  readonly cases: readonly SplitCase[];
};

function ruleOf(given: SplitCase, other: Partial<SplitRule> = {}): SplitRule {
  return {
    type: given.type,
    folds: given.folds ?? 2,
    repeats: 1,
    shuffle: false,
    seed: 0,
    ...(given.test_size ? { testSize: given.test_size } : {}),
    ...(given.gap ? { gap: given.gap } : {}),
    ...(given.max_train_size ? { maxTrainSize: given.max_train_size } : {}),
    ...other,
  };
}

/** Numbers of letters in order, as `numpy.unique` gives. */
function numbered(letters: string): { numbers: number[]; counts: number[] } {
  const values = [...new Set(letters)].sort();
  const numbers = [...letters].map((letter) => values.indexOf(letter));
  return { numbers, counts: values.map((value) => letters.split(value).length - 1) };
}

describe('splits', () => {
  let session: Session;

  before(async () => {
    session = new Session({ local: await createCpuBackend() });
  });
  after(() => session.close());

  const column = (values: readonly number[]): Matrix =>
    matrix(session, values.length, 1, Float64Array.from(values));

  const rowsOf = ({ rows, classes, groups, column: given }: SplitCase): SplitRows => {
    const folds = [...new Set(given)].filter((fold) => fold >= 0).sort((a, b) => a - b);
    const numbers = given?.map((fold) => (fold < 0 ? folds.length : folds.indexOf(fold))) ?? [];
    const [strata, grouped] = [classes, groups].map((letters) => numbered(letters ?? ''));
    return {
      rows,
      ...(classes
        ? {
            strata: {
              column: 'y',
              classOf: column(strata!.numbers),
              classes: strata!.counts.length,
            },
          }
        : {}),
      ...(groups
        ? {
            groups: {
              column: 'g',
              groupOf: column(grouped!.numbers),
              counts: grouped!.counts,
              foldOf: (foldOf) => column(grouped!.numbers.map((group) => foldOf[group]!)),
            },
          }
        : {}),
      ...(given ? { given: { groupOf: column(numbers), folds: folds.length } } : {}),
      foldsByFile: () => undefined,
    };
  };

  /** As the fixtures have them; rows that are in no group are `-`. */
  const marksOf = async (splits: Splits): Promise<string[]> => {
    const marks = await Promise.all(
      splits.map(async (partition) => {
        const groups = [...(await partition.groupOf.value()).data];
        return partition.splits.map(({ train, test }) =>
          groups.map((g) => (train.includes(g) ? 't' : test.includes(g) ? 'T' : '-')).join(''),
        );
      }),
    );
    return marks.flat();
  };

  const warnings: string[] = [];
  const split = (rule: SplitRule, data: SplitRows, among?: Matrix): Promise<Splits> =>
    makeSplits(session, rule, data, (message) => warnings.push(message), among);

  for (const [i, one] of cases.entries()) {
    const { type, rows, folds, splits } = one;
    it(`are scikit-learn's rows: ${i}, ${type} of ${rows} rows, ${folds ?? 'given'} folds`, async () => {
      assert.deepEqual(await marksOf(await split(ruleOf(one), rowsOf(one))), splits);
      // Every other row is not there, nor is the class of those.
      const spread = (text: string): string => [...text].map((mark) => `-${mark}`).join('');
      const twice = <T>(values: readonly T[] | undefined): T[] | undefined =>
        values?.flatMap((value) => [values[0]!, value]);
      const wide: SplitCase = {
        ...one,
        rows: 2 * rows,
        ...(one.classes ? { classes: [...one.classes].map((own) => `0${own}`).join('') } : {}),
        ...(one.groups ? { groups: twice([...one.groups])!.join('') } : {}),
        ...(one.column ? { column: twice(one.column)! } : {}),
      };
      const among = column(Array.from({ length: 2 * rows }, (_, row) => row % 2));
      const own = await marksOf(await split(ruleOf(one), rowsOf(wide), among));
      assert.deepEqual(own, splits.map(spread));
    });
  }

  it('warn of classes with fewer rows than folds', async () => {
    warnings.length = 0;
    const few = cases.find(({ classes }) => classes === 'aabaaaabaaaaacaaaa')!;
    await split(ruleOf(few), rowsOf(few));
    assert.deepEqual(warnings, [
      'stratify y: the least populated class has only 1 row, which is less than the 3 folds; some test sets have none of it',
    ]);
    await assert.rejects(
      split(ruleOf(few, { folds: 18 }), rowsOf(few)),
      /a class of at least 18 rows/,
    );
  });

  it('find cuts by chunks of rows as by single ones, in order and shuffled', async () => {
    const rows = 600;
    const classOf = Array.from({ length: rows }, (_, row) =>
      (row * row) % 7 === 0 ? -1 : (row * 13) % 4,
    );
    const strata = { rows, classOf: column(classOf), classes: 4 };
    for (const seed of [undefined, 5]) {
      const found = await Promise.all(
        [1 << 18, 90, 17].map(async (cells) => {
          const members = await Members.of(session, strata, seed, cells);
          const sizes = members.counts.map((n) => [
            3,
            0,
            Math.floor(n / 2),
            n - 3 - Math.floor(n / 2),
          ]);
          const groups = await (await members.groups(sizes)).value();
          return { counts: members.counts, order: await members.order(), groups: [...groups.data] };
        }),
      );
      assert.deepEqual(found[1], found[0]);
      assert.deepEqual(found[2], found[0]);
      const [{ groups, counts }] = found as [(typeof found)[0]];
      assert.ok(groups.every((group, row) => (group === 4) === (classOf[row] === -1)));
      const third = groups.filter((group, row) => group === 2 && classOf[row] === 1).length;
      assert.equal(third, Math.floor(counts[1]! / 2));
      if (seed === undefined)
        assert.deepEqual(
          found[0]!.order,
          [...new Set(classOf)].filter((c) => c >= 0),
        );
    }
  });

  it('shuffled ones have the sizes of unshuffled ones, by class and repeat', async () => {
    const one = cases.find(({ type, rows }) => type === 'stratified' && rows > 60)!;
    const data = rowsOf(one);
    const rule = ruleOf(one, { shuffle: true, repeats: 2, seed: 3 });
    const splits = await split(rule, data);
    const marks = await marksOf(splits);
    assert.equal(splits.length, 2);
    assert.equal(new Set(marks).size, marks.length);
    const sizes = (mark: string): number => mark.split('T').length - 1;
    assert.deepEqual(marks.map(sizes).slice(0, 5).sort(), one.splits.map(sizes).sort());
    for (const mark of marks) {
      const rare = [...mark].filter((m, row) => m === 'T' && one.classes![row] === 'b').length;
      const least = Math.floor(one.classes!.split('b').length / 5) - 1;
      assert.ok(rare >= least, `${rare} rows of a class, expected ${least} at least`);
    }
    const again = await marksOf(await split({ ...rule, repeats: 1, seed: 4 }, data));
    assert.deepEqual(again, marks.slice(5));
  });

  it('are drawn with the sizes asked for, in proportion to classes', async () => {
    const one = cases.find(({ type, rows }) => type === 'stratified' && rows > 60)!;
    const data = rowsOf(one);
    for (const type of ['shuffle', 'stratified-shuffle'] as const) {
      const rule = ruleOf(one, { type, folds: 3, testSize: 0.25, trainSize: 20 });
      const marks = await marksOf(await split(rule, data));
      assert.equal(new Set(marks).size, 3);
      for (const mark of marks) {
        assert.equal(mark.split('T').length - 1, Math.ceil(one.rows / 4));
        assert.equal(mark.split('t').length - 1, 20);
        const common = [...mark].filter((m, row) => m === 't' && one.classes![row] === 'a').length;
        const exact = (20 * (one.classes!.split('a').length - 1)) / one.rows;
        if (type === 'stratified-shuffle') assert.ok(Math.abs(common - exact) < 1);
      }
    }
  });

  it('keep groups together when they are shuffled', async () => {
    const one = cases.find(({ type }) => type === 'stratified-group')!;
    for (const type of ['group', 'stratified-group'] as const) {
      const marks = await marksOf(
        await split(ruleOf(one, { type, shuffle: true, seed: 9 }), rowsOf(one)),
      );
      for (const mark of marks) {
        const tested = new Set([...one.groups!].filter((_, row) => mark[row] === 'T'));
        assert.ok(
          [...one.groups!].every((group, row) => tested.has(group) === (mark[row] === 'T')),
        );
      }
    }
  });

  it('nest: inner ones split the training rows of outer ones as if there were no others', async () => {
    const [ordered, series] = [cases[1]!, cases.find(({ type }) => type === 'time-series')!];
    const one = cases.find(({ type, rows }) => type === 'stratified' && rows > 60)!;
    const rules: [SplitCase, Partial<SplitRule>, Partial<SplitRule>][] = [
      [{ ...ordered, rows: 31 }, {}, { folds: 4 }],
      [{ ...series, rows: 31 }, {}, { type: 'kfold' }],
      [one, {}, { folds: 3 }],
      [one, { type: 'kfold' }, { type: 'shuffle', testSize: 5 }],
    ];
    for (const [given, outer, inner] of rules) {
      const data = rowsOf(given);
      const nested = { outer: ruleOf(given, outer), inner: ruleOf(given, inner) };
      const { outer: outerSplits, inner: innerSplits } = await makeNested(
        session,
        nested,
        data,
        () => undefined,
      );
      const outerMarks = await marksOf(outerSplits);
      assert.deepEqual(outerMarks, await marksOf(await split(nested.outer, data)));
      assert.equal(innerSplits.length, outerMarks.length);
      for (const [o, mark] of outerMarks.entries()) {
        const rows = [...mark].flatMap((m, row) => (m === 't' ? [row] : []));
        const letters = given.classes && rows.map((row) => given.classes![row]).join('');
        const alone = { ...given, rows: rows.length, ...(letters ? { classes: letters } : {}) };
        const marks = await marksOf(innerSplits[o]!);
        const own = marks.map((text) => rows.map((row) => text[row]).join(''));
        if (inner.type !== 'shuffle')
          assert.deepEqual(own, await marksOf(await split(nested.inner, rowsOf(alone))));
        assert.ok(
          marks.every((text) => [...text].every((m, row) => m === '-' || mark[row] === 't')),
        );
      }
    }
  });
});
