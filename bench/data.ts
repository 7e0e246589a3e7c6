/**
 * The rivals' data: in memory from raw row-major little-endian float64, of which a JSON file has the
 * shape; on Spark from Parquet files made of these.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../driver/errors.js';
import { type Backend, Matrix, openFrame, resolveFeatures, type Session } from '../driver/index.js';
import { type DenseMatrix, dense } from '../driver/ir/value.js';
import { baselineHome, benchFile, rivalData, rivalPython } from './paths.js';

/** @throws ConfigError if the data are not prepared, DataError if a file does not fit its shape */
export function loadMatrix(name: string): DenseMatrix {
  const shape = JSON.parse(readFileSync(rivalData(`${name}.json`), 'utf8')) as {
    rows: number;
    cols: number;
  };
  return loadCells(name, shape.rows, shape.cols);
}

/** The same of a file that only its reader knows the shape of. */
export function loadCells(name: string, rows: number, cols: number): DenseMatrix {
  const bytes = readFileSync(rivalData(`${name}.bin`));
  if (bytes.byteLength !== rows * cols * 8) {
    throw new DataError(
      `bench data ${name}: expected ${rows * cols * 8} bytes for ${rows}x${cols}, got ${bytes.byteLength}`,
      { name },
    );
  }
  const cells = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  return dense(rows, cols, cells);
}

/** The rivals' data as a Parquet file with a column a feature; written once beside them. */
export function matrixParquet(name: string): string {
  const folder = join(baselineHome(), 'data');
  const path = join(folder, `reprise_${name}.parquet`);
  rivalData(`${name}_X.bin`);
  if (!existsSync(path)) {
    const script = benchFile('rivals/matrix-parquet.py');
    execFileSync(rivalPython(), [script, folder, name, path]);
  }
  return path;
}

/** Features and target of such a file, persisted in Spark. */
export async function persistedRows(
  session: Session,
  spark: Backend,
  parquet: string,
): Promise<{ readonly X: Matrix; readonly y: Matrix }> {
  const frame = await openFrame(session, spark.frames!, parquet);
  const resolved = await resolveFeatures(spark.frames!, frame.description, { target: 'y' });
  const X = Matrix.of(session, frame.encode(resolved.features));
  const y = Matrix.of(session, frame.encode([resolved.target!]));
  await session.persist([X.expr, y.expr]);
  return { X, y };
}

/** The baselines' penalties: 10^(-3 + 9h/(n-1)), h = 0 .. n-1. */
export function penalties(n: number): number[] {
  return Array.from({ length: n }, (_, h) => 10 ** (-3 + (9 * h) / (n - 1)));
}
