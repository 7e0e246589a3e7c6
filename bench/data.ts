/** The rivals' data in memory: raw row-major little-endian float64; a JSON file has the shape. */
import { readFileSync } from 'node:fs';
import { DataError } from '../driver/errors.js';
import { type DenseMatrix, dense } from '../driver/ir/value.js';
import { rivalData } from './paths.js';

/** @throws ConfigError if the data are not prepared, DataError if a file does not fit its shape */
export function loadMatrix(name: string): DenseMatrix {
  const shape = JSON.parse(readFileSync(rivalData(`${name}.json`), 'utf8')) as {
    rows: number;
    cols: number;
  };
  const bytes = readFileSync(rivalData(`${name}.bin`));
  if (bytes.byteLength !== shape.rows * shape.cols * 8) {
    throw new DataError(
      `bench data ${name}: expected ${shape.rows * shape.cols * 8} bytes for ${shape.rows}x${shape.cols}, got ${bytes.byteLength}`,
      { name },
    );
  }
  const cells = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  return dense(shape.rows, shape.cols, cells);
}

/** The baselines' penalties: 10^(-3 + 9h/(n-1)), h = 0 .. n-1. */
export function penalties(n: number): number[] {
  return Array.from({ length: n }, (_, h) => 10 ** (-3 + (9 * h) / (n - 1)));
}
