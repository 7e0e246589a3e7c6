/** Moments of one-hot features on Spark, summed without their zeros, against those of the cells. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Interner } from '../../driver/ir/intern.js';
import { type DenseMatrix, dense, type Float64Matrix } from '../../driver/ir/value.js';
import {
  type EncodedFeature,
  encodeBlock,
  encodedWidth,
  featureWidth,
  rawColumn,
} from '../../driver/operators/encode-block.js';
import { ops } from '../../driver/operators/index.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { copyTo } from '../support/frame-data.js';
import { createTestSpark, TINY_CHUNKS } from '../support/spark.js';
import { temporaryFolder } from './folder.js';

const ROWS = 1000;
const TABLE = `SELECT i AS id, (i * 7) % 23 AS code,
  CASE WHEN i % 5 = 0 THEN NULL ELSE 1e4 + sin(i) END AS real,
  CASE WHEN i % 11 = 0 THEN NULL ELSE 'k' || (i % 9) END AS kind,
  (i % 4) / 2.0 AS weight FROM range(0, ${ROWS}) t(i)`;
const texts = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

const features: readonly EncodedFeature[] = [
  { kind: 'number', name: 'real', sql: 'real', missing: 'zero' },
  { kind: 'missing', name: 'real', sql: 'real' },
  {
    kind: 'onehot',
    name: 'code',
    sql: 'code',
    categories: texts('', 20),
    other: true,
    missing: false,
  },
  {
    kind: 'onehot',
    name: 'kind',
    sql: 'kind',
    categories: texts('k', 6),
    other: false,
    missing: true,
  },
  { kind: 'bin', name: 'bins', sql: 'id', edges: [0, 100, 400, 900], missing: false },
];
const target: readonly EncodedFeature[] = [
  { kind: 'number', name: 'id', sql: 'id', missing: 'error' },
];
const weights: readonly EncodedFeature[] = [
  { kind: 'number', name: 'weight', sql: 'weight', missing: 'error' },
];

describe('moments of one-hot features on Spark', () => {
  let spark: SparkBackend;
  let duckdb: DuckDbEngine;
  let path: string;
  let remove: () => Promise<void>;

  before(async function () {
    this.timeout(600_000);
    const made = await createTestSpark({ conf: TINY_CHUNKS });
    if (typeof made === 'string') {
      console.warn(`SKIPPED moments on Spark: ${made}`);
      this.skip();
    }
    spark = made;
    duckdb = createDuckDbEngine();
    const temporary = await temporaryFolder();
    remove = temporary.remove;
    path = join(temporary.folder, 'data.parquet');
    await copyTo(path, TABLE, 'format parquet');
  });
  after(async () => {
    duckdb?.close();
    await spark?.close();
    await remove?.();
  });

  async function encoded(wanted: readonly EncodedFeature[]): Promise<Float64Matrix> {
    const { source } = await duckdb.describe(path);
    const width = encodedWidth(wanted);
    const out = new Float64Array(ROWS * width);
    let row = 0;
    for await (const chunk of duckdb.read(source, wanted.map(rawColumn), { rowsPerChunk: ROWS })) {
      assert.equal(encodeBlock(wanted, chunk, out, width, row), undefined);
      row += chunk.rows;
    }
    return dense(ROWS, width, out);
  }

  for (const weighted of [false, true]) {
    for (const center of [false, true]) {
      const what = [weighted ? 'weighted' : 'unweighted', center ? 'centred' : 'plain'].join(', ');
      it(`are those of the cells: ${what}`, async () => {
        const description = await duckdb.describe(path);
        const interner = new Interner();
        const files = description.source.files.map(({ digest, rows }) => ({ digest, rows }));
        const of = { format: description.source.format, files, rows: ROWS, cols: 1 };
        const source = interner.intern(ops.frame, [], of, description.source);
        const folds = { rows: ROWS, folds: 3, shuffle: true, seed: 5 };
        const all = [features, target, ...(weighted ? [weights] : [])];
        const attrs = { groups: 3, center, ...(weighted && { weighted }) };
        const nodes = [
          interner.intern(ops.kfold, [], folds),
          ...all.map((wanted) => interner.intern(ops.encode, [source], { features: wanted })),
        ];
        const gram = interner.intern(ops.groupGram, nodes, attrs);
        const segment = {
          nodes: [...nodes, gram],
          inputs: new Map(),
          outputs: [gram],
          persist: [],
          blocked: new Set([...nodes, gram]),
        };
        const { values } = await spark.run(segment, {});
        const g = ops.kfold.reference([], folds, { rows: ROWS, cols: 1 });
        const cells = [g, ...(await Promise.all(all.map(encoded)))];
        const expected = ops.groupGram.reference(cells, attrs, gram);
        const moments = values.get(gram) as DenseMatrix;
        assertClose(moments, expected, 1e-11, 'groupGram');
        if (center && !weighted) assertCounted(moments, features);
      });
    }
  }
});

/** Zeros are not summed: what indicators have are counts, whose centred squares are rounded once. */
function assertCounted({ data, cols: side }: DenseMatrix, of: readonly EncodedFeature[]): void {
  const isOne = of.flatMap((feature) =>
    Array.from({ length: featureWidth(feature) }, () => feature.kind !== 'number'),
  );
  for (let g = 0; g < 3; g++) {
    const cell = (i: number, j: number): number => data[(g * side + i) * side + j]!;
    for (const [j, isCounted] of isOne.entries()) {
      const count = Math.round(cell(0, j + 1) * cell(0, 0));
      if (isCounted) assert.equal(cell(j + 1, j + 1), count - (count * count) / cell(0, 0));
    }
  }
}
