/** Metrics in SQL on the engines there are. */
import type { Session } from '../driver/index.js';
import type { DuckDbEngine } from '../gpu-executor/cpu/index.js';
import type { SparkBackend } from '../spark-bridge/index.js';
import type { FormulaEngine } from './search/scoring/formulas.js';

export function duckDbFormulas(duckdb: DuckDbEngine): FormulaEngine {
  return {
    check: (formulas, columns) => duckdb.checkAggregates(formulas, columns),
    aggregate: async (run, table, asked) => duckdb.aggregate(await table.in(run).value(), asked),
  };
}

export function sparkFormulas(session: Session, spark: SparkBackend): FormulaEngine {
  return {
    check: async (formulas, columns) => {
      await spark.aggregates(formulas, columns);
    },
    aggregate: async (run, table, asked) => {
      const { aggregateMatrix } = await import('../spark-bridge/index.js');
      return aggregateMatrix(session, run, spark, table.in(run), asked);
    },
  };
}
