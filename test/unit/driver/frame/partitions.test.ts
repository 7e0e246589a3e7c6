import assert from 'node:assert/strict';
import { DataError } from '../../../../driver/errors.js';
import { compareNumbers } from '../../../../driver/frame/number-text.js';
import {
  fileKey,
  fixedPart,
  withoutOwn,
  withPartitions,
} from '../../../../driver/frame/partitions.js';
import { uniqueNames } from '../../../../gpu-executor/cpu/duckdb/unique-names.js';

function values(root: string, ...folders: readonly string[]): (readonly [string, string | null])[] {
  const files = folders.map((folder) => ({ path: `${root}/${folder}/part.parquet` }));
  return withPartitions(files, root, undefined).map(({ partition }) => {
    return [partition![0]!.type, partition![0]!.value] as const;
  });
}

describe('columns in the names of folders', () => {
  const cases: readonly (readonly [string, readonly string[], readonly unknown[]])[] = [
    [
      'whole numbers, zeros before them left out',
      ['m=01', 'm=-2'],
      [
        ['integer', '1'],
        ['integer', '-2'],
      ],
    ],
    [
      'text where a number is written in two ways',
      ['m=01', 'm=1'],
      [
        ['text', '01'],
        ['text', '1'],
      ],
    ],
    ['text beyond 64 bits', ['m=9223372036854775808'], [['text', '9223372036854775808']]],
    ['dates that exist', ['d=2024-02-29'], [['date', '2024-02-29']]],
    ['text where one does not', ['d=2024-02-30'], [['text', '2024-02-30']]],
    [
      'what was escaped',
      ['k=a%20b%2Fc%3D', 'k=50%'],
      [
        ['text', 'a b/c='],
        ['text', '50%'],
      ],
    ],
    [
      'missing values',
      ['k=__HIVE_DEFAULT_PARTITION__', 'k=7'],
      [
        ['integer', null],
        ['integer', '7'],
      ],
    ],
  ];
  for (const [name, folders, expected] of cases) {
    it(`are ${name}`, () => assert.deepEqual(values('/data', ...folders), expected));
  }

  it('count below what the user named only', () => {
    const files = [{ path: '/run=5/data/year=2024/p.parquet' }];
    const [file] = withPartitions(files, fixedPart('/run=5/data/*/*.parquet'), undefined);
    assert.deepEqual(file?.partition, [{ name: 'year', type: 'integer', value: '2024' }]);
    assert.equal(
      withPartitions(files, '/run=5/data', { partitions: false })[0]?.partition,
      undefined,
    );
  });

  it('are found whatever way the storage spells its own name', () => {
    const [file] = withPartitions([{ path: 'file:/d/a=1/p.csv' }], 'file:///d/', undefined);
    assert.equal(file?.partition?.[0]?.value, '1');
  });

  it('are the same above every file', () => {
    const files = [{ path: '/d/a=1/p.csv' }, { path: '/d/p.csv' }];
    assert.throws(() => withPartitions(files, '/d', undefined), DataError);
  });

  it('tell equal files apart, and give way to columns of the files', () => {
    const files = withPartitions([{ path: '/d/a=1/p' }, { path: '/d/a=2/p' }], '/d', undefined).map(
      (file) => ({ ...file, digest: 'd', bytes: 1, rows: 1 }),
    );
    assert.notEqual(fileKey(files[0]!), fileKey(files[1]!));
    const { files: own, warnings } = withoutOwn(files, ['A']);
    assert.equal(fileKey(own[0]!), fileKey(own[1]!));
    assert.match(warnings[0]!, /a is a column of the files/);
  });
});

it('numbers as text are ordered by every digit', () => {
  const numbers = [
    '1e+20',
    '9007199254740993',
    '-9007199254740993',
    '9007199254740992.5',
    '-1',
    '9007199254740992',
  ];
  assert.deepEqual([...numbers].sort(compareNumbers), [
    '-9007199254740993',
    '-1',
    '9007199254740992',
    '9007199254740992.5',
    '9007199254740993',
    '1e+20',
  ]);
});

it('names of columns are made different by the rule of DuckDB', () => {
  assert.deepEqual(uniqueNames(['a_1', 'a', 'A', 'a']), ['a_1', 'a', 'A_1_1', 'a_2']);
  assert.deepEqual(uniqueNames(['a', 'A', 'a_1', 'A_1']), ['a', 'A_1', 'a_1_1', 'A_1_2']);
});
