/** Features encoded by each engine, and whether the cells are the same. */
import assert from 'node:assert/strict';
import type { FrameDescription } from '../../driver/ir/frame-engine.js';
import { Interner } from '../../driver/ir/intern.js';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import { encode } from '../../driver/operators/encode.js';
import {
  type EncodedFeature,
  encodeBlock,
  featureWidth,
  rawColumn,
} from '../../driver/operators/encode-block.js';
import { frame } from '../../driver/operators/frame.js';
import type { DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import type { SparkBackend } from '../../spark-bridge/index.js';

export async function encodeHere(
  engine: DuckDbEngine,
  description: FrameDescription,
  wanted: readonly EncodedFeature[],
): Promise<DenseMatrix> {
  const width = wanted.reduce((sum, feature) => sum + featureWidth(feature), 0);
  const out = new Float64Array(description.rows * width);
  let row = 0;
  const columns = wanted.map(rawColumn);
  for await (const chunk of engine.read(description.source, columns, { rowsPerChunk: 333 })) {
    assert.equal(encodeBlock(wanted, chunk, out, width, row), undefined);
    row += chunk.rows;
  }
  return dense(description.rows, width, out);
}

export async function encodeOnSpark(
  spark: SparkBackend,
  description: FrameDescription,
  wanted: readonly EncodedFeature[],
): Promise<DenseMatrix> {
  const interner = new Interner();
  const files = description.source.files.map(({ digest, rows }) => ({ digest, rows }));
  const attrs = { format: description.source.format, files, rows: description.rows, cols: 1 };
  const source = interner.intern(frame, [], attrs, description.source);
  const node = interner.intern(encode, [source], { features: wanted });
  const { values } = await spark.run(
    {
      nodes: [node],
      inputs: new Map(),
      outputs: [node],
      persist: [],
      blocked: new Set([node]),
    },
    {},
  );
  return values.get(node) as DenseMatrix;
}

/** Cells equal up to the last bits of functions such as `log`. */
export function assertSameCells(
  actual: DenseMatrix,
  expected: DenseMatrix,
  wanted: readonly EncodedFeature[],
): void {
  assert.deepEqual([actual.rows, actual.cols], [expected.rows, expected.cols]);
  const owners = wanted.flatMap((feature) => Array(featureWidth(feature)).fill(feature.name));
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [actual.data[i]!, expected.data[i]!];
    if (a === b || Math.abs(a - b) <= 1e-12 * Math.abs(b)) continue;
    const row = Math.floor(i / expected.cols);
    assert.fail(`${owners[i % expected.cols]}: row ${row}: got ${a}, expected ${b}`);
  }
}
