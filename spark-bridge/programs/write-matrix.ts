/**
 * Writes a matrix as a folder of Parquet or ORC files from where its rows are: row blocks that
 * Spark holds are written by their executors, values of this process are sent. Invariant: the
 * folder's files are named in row order, so it reads back as written.
 */

import { randomBytes } from 'node:crypto';
import { isAbsolute, resolve } from 'node:path';
import { PlanError } from '../../driver/errors.js';
import { dtypeAttr } from '../../driver/ir/dtype.js';
import type { Value } from '../../driver/ir/value.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import type { Run } from '../../driver/runtime/run.js';
import type { Session } from '../../driver/runtime/session.js';
import { cellsToBytes } from '../channel/frame-codec.js';
import type { SparkBackend } from './spark-backend.js';

export interface WriteMatrixOptions {
  /** Default parquet. */
  readonly format?: 'parquet' | 'orc';
  /** Names of the columns. Default x0, x1, .. */
  readonly columns?: readonly string[];
  /** Spark SQL of what is written, by the cells c0, c1, .. of a row. Default: the cells. */
  readonly select?: readonly { readonly name: string; readonly sql: string }[];
  /** The work before writing is counted in it. Default: the session. */
  readonly run?: Run;
  readonly signal?: AbortSignal;
}

export interface WrittenMatrix {
  readonly files: number;
  /** @units bytes */
  readonly bytes: number;
  readonly sparkJobs: number;
}

/**
 * Computes a matrix and writes it; a matrix that is held already is not computed again.
 * @param path a folder that does not exist yet, a URI the cluster can write to, or `table://NAME`, a
 *   table of its catalog that does not exist yet
 * @throws PlanError when the number of names is not that of columns, DataError when something is at
 *   `path`
 */
export async function writeMatrix(
  session: Session,
  spark: SparkBackend,
  matrix: Matrix,
  path: string,
  options: WriteMatrixOptions = {},
): Promise<WrittenMatrix> {
  const { rows, cols } = matrix;
  const { select, run = session } = options;
  const letter = select === undefined ? 'x' : 'c';
  const columns = options.columns ?? Array.from({ length: cols }, (_, i) => `${letter}${i}`);
  if (columns.length !== cols || new Set(columns).size !== cols) {
    throw new PlanError(
      `writeMatrix: expected ${cols} different column names, got ${new Set(columns).size} of ${columns.length}`,
      { op: 'writeMatrix', columns: columns.length, expected: cols },
    );
  }
  const value = await located(session, spark, matrix, run);
  const table = /^table:\/\//i.test(path) ? path.slice('table://'.length) : null;
  const held = value.kind === 'handle' ? value.id : null;
  const { result } = await spark.channel.call(
    'writeMatrix',
    {
      run: `write-${randomBytes(6).toString('hex')}`,
      handle: held,
      rows,
      columns,
      ...dtypeAttr(value.dtype),
      format: options.format ?? 'parquet',
      select: select ?? null,
      table,
      path: isUri(path) || isAbsolute(path) ? path : resolve(path),
    },
    value.kind === 'dense' ? [cellsToBytes(value.data)] : [],
    options.signal === undefined ? {} : { signal: options.signal },
  );
  return result;
}

/** The value where its rows are, computed when it must be. */
export async function located(
  session: Session,
  spark: SparkBackend,
  matrix: Matrix,
  run: Run = session,
): Promise<Value> {
  await run.persist([matrix.expr]);
  for (const expr of [matrix.expr, session.simplified(matrix.expr)]) {
    const value = session.cache.probe(expr)?.value;
    if (value?.kind === 'dense' || (value?.kind === 'handle' && value.backend === spark.name)) {
      return value;
    }
  }
  return matrix.in(run).value();
}

function isUri(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path);
}
