/**
 * Text files on both engines: what a file holds is found out twice, by DuckDB's SQL and by the
 * shim, and read twice. They say the same of every nasty text, or both refuse it.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../../driver/errors.js';
import type { ColumnProfile, FrameEngine } from '../../driver/ir/frame-engine.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';
import type { SparkBackend } from '../../spark-bridge/index.js';
import { NASTY, type NastyText } from '../support/nasty-text.js';
import { createTestSpark, TINY_CHUNKS } from '../support/spark.js';
import { temporaryFolder } from './folder.js';

interface Told {
  readonly columns: readonly string[];
  readonly rows: number;
  readonly files: readonly number[];
  readonly isUniform: boolean;
  readonly warnings: readonly string[];
  readonly dropped: number;
  readonly values: readonly Partial<ColumnProfile>[];
}

describe('text files on both engines', function () {
  this.timeout(120_000);
  let spark: SparkBackend;
  let duckdb: DuckDbEngine;
  const asked: Promise<[Told | string, Told | string]>[] = [];
  let home: Awaited<ReturnType<typeof temporaryFolder>>;

  before(async function () {
    const found = await createTestSpark({ conf: TINY_CHUNKS });
    if (typeof found === 'string') return this.skip();
    spark = found;
    duckdb = createDuckDbEngine();
    home = await temporaryFolder();
  });
  after(async () => {
    duckdb?.close();
    await spark?.close();
    await home?.remove();
  });

  for (const [i, nasty] of NASTY.entries()) {
    it(nasty.name, async () => {
      // Spark takes longer to begin than to read such a file, so a few are asked for ahead.
      for (let k = i; k < Math.min(i + 6, NASTY.length); k++) asked[k] ??= ask(k);
      const [local, remote] = await asked[i]!;
      assert.deepEqual(remote, local);
    });
  }

  function ask(i: number): Promise<[Told | string, Told | string]> {
    const nasty = NASTY[i]!;
    const path = join(home.folder, String(i));
    mkdirSync(path);
    for (const [name, text] of Object.entries(nasty.files)) writeFileSync(join(path, name), text);
    const both = Promise.all([told(duckdb, path, nasty), told(spark.frames!, path, nasty)]);
    both.catch(() => undefined);
    return both;
  }
});

/** Everything an engine says of the files, or that it refuses them. */
async function told(
  engine: FrameEngine,
  path: string,
  { options }: NastyText,
): Promise<Told | string> {
  try {
    const found = await engine.describe(path, options);
    const read = found.columns.filter((column) => column.type !== 'other');
    const values = await engine.profile(
      found.source,
      read.map(({ name }) => ({ sql: `"${name.replaceAll('"', '""')}"`, top: 50, quantiles: [] })),
    );
    return {
      columns: found.columns.map(({ name, type }) => `${name} ${type}`),
      rows: found.rows,
      files: found.source.files.map((file) => file.rows),
      isUniform: found.isUniform ?? true,
      warnings: found.warnings ?? [],
      dropped: found.dropped ?? 0,
      values: values.map(({ missing, infinite, top, min, max }) => ({
        missing,
        infinite,
        top,
        min,
        max,
      })),
    };
  } catch (error) {
    assert.ok(error instanceof DataError, String((error as Error).stack));
    // The words of a schema's misfit and of files that differ are the driver's own.
    return /^data.schema|the files to have/.test(error.message) ? error.message : 'refused';
  }
}
