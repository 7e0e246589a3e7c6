/** Aggregates in Spark SQL over a matrix, from where its rows are. */
import { randomBytes } from 'node:crypto';
import { sparkValue } from '../../driver/frame/sql/coded-values.js';
import { dtypeAttr } from '../../driver/ir/dtype.js';
import type {
  AggregateValues,
  TableAggregates,
  TableColumn,
} from '../../driver/ir/table-aggregates.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import type { Run } from '../../driver/runtime/run.js';
import type { Session } from '../../driver/runtime/session.js';
import { cellsToBytes, toNumber } from '../channel/frame-codec.js';
import type { SparkBackend } from './spark-backend.js';
import { located } from './write-matrix.js';

/**
 * Computes the table and what is asked of it; row blocks stay where they are.
 * @param run the work is counted in it
 * @throws DataError with the `expression` that is refused, or that a value stops
 */
export async function aggregateMatrix(
  session: Session,
  run: Run,
  spark: SparkBackend,
  table: Matrix,
  { formulas, groups, views }: TableAggregates,
): Promise<AggregateValues> {
  const value = await located(session, spark, table, run);
  const { result } = await spark.channel.call(
    'aggregateMatrix',
    {
      run: `aggregate-${randomBytes(6).toString('hex')}`,
      handle: value.kind === 'handle' ? value.id : null,
      rows: table.rows,
      cols: table.cols,
      ...dtypeAttr(value.dtype),
      groups,
      formulas: await spark.aggregates(formulas, views[0]!),
      views: views.map((view) =>
        view.map((column) => ({ name: column.name, sql: cellSql(column) })),
      ),
    },
    value.kind === 'dense' ? [cellsToBytes(value.data)] : [],
    run.scope.signal === undefined ? {} : { signal: run.scope.signal },
  );
  run.statistics.sparkJobs += result.sparkJobs;
  return result.values.map((view) => view.map((formula) => formula.map(toNumber)));
}

function cellSql({ cell, values, isComplement }: TableColumn): string {
  if (cell === null) return '1.0D';
  if (values !== undefined) return sparkValue(values, `c${cell}`);
  return isComplement ? `(1.0D - c${cell})` : `c${cell}`;
}
