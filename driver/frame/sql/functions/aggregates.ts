/**
 * Aggregates of metrics in SQL. `filter (where ..)` is part of the arguments when a row is printed:
 * rows it leaves out have NULL.
 */
import { refuse } from '../refusal.js';
import type { SqlFunction } from '../row.js';
import { type SqlCall, typeName } from '../tree.js';
import { isWholeType, sparkType } from '../types.js';

const NUMBER = /^(BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|HUGEINT|DECIMAL|FLOAT|DOUBLE)$/;

function numeric(template: string): SqlFunction['spark'] {
  return (call, print) => {
    const bad = call.args.find(({ type }) => !NUMBER.test(type.id));
    if (bad !== undefined)
      throw refuse(`${call.name} of ${typeName(bad.type)}`, 'it takes numbers');
    const args = call.args.map((arg) => `CAST(${print(arg)} AS DOUBLE)`);
    return template.replace(/\$(\d)/g, (_, n) => args[Number(n) - 1]!);
  };
}

const sum: SqlFunction['spark'] = (call, print) => {
  const [arg] = call.args;
  const { type } = arg!;
  if (isWholeType(type)) return `CAST(sum(CAST(${print(arg!)} AS DECIMAL(38,0))) AS DECIMAL(38,0))`;
  if (type.id !== 'DECIMAL') return numeric('sum($1)')(call, print);
  return `CAST(sum(CAST(${print(arg!)} AS DECIMAL(38,${type.scale}))) AS ${sparkType(call.type)})`;
};

function extreme(call: SqlCall, print: Parameters<SqlFunction['spark']>[1]): string {
  if (call.args.length !== 1) throw refuse(`${call.name} of several values`, 'give it one');
  return `${call.name}(${print(call.args[0]!)})`;
}

export const aggregates: readonly SqlFunction[] = [
  {
    names: ['sum'],
    usage: 'sum(a)',
    means: 'NULL without rows; numbers alone',
    examples: ['sum(prediction)', 'sum(case when prediction > 0.5 then target else -1 end)'],
    spark: sum,
  },
  {
    names: ['avg', 'mean'],
    usage: 'avg(a), mean(a)',
    means: 'a double',
    examples: ['avg(abs(prediction - target))', 'mean(target) filter (where weight > 1)'],
    spark: numeric('avg($1)'),
  },
  {
    names: ['count'],
    usage: 'count(a)',
    means: 'rows in which it is not NULL',
    examples: ['count(nullif(target, 1))'],
    spark: (call, print) => `count(${call.args.map(print).join(', ')})`,
  },
  {
    names: ['count_star'],
    usage: 'count(*)',
    means: 'all rows',
    examples: ['count(*)', 'count(*) filter (where prediction > target)'],
    spark: () => 'count(1)',
  },
  {
    names: ['min', 'max'],
    usage: 'min(a), max(a)',
    means: 'NaN is greater than any number',
    examples: ['max(prediction) - min(prediction)'],
    spark: extreme,
  },
  {
    names: ['stddev_pop', 'stddev_samp', 'stddev', 'var_pop', 'var_samp', 'variance'],
    usage: 'stddev_pop(a), stddev_samp(a), var_pop(a), var_samp(a)',
    means: '`stddev` and `variance` are those of samples: NULL for one row',
    examples: ['stddev_pop(prediction - target)', 'variance(prediction)'],
    spark: (call, print) => numeric(`${call.name}($1)`)(call, print),
  },
  {
    names: ['median'],
    usage: 'median(a)',
    means: 'a double; between the two in the middle',
    examples: ['median(abs(prediction - target))'],
    spark: numeric('percentile($1, 0.5D)'),
  },
  {
    names: ['corr', 'covar_pop', 'covar_samp'],
    usage: 'corr(a, b), covar_pop(a, b), covar_samp(a, b)',
    means: 'over rows in which neither is NULL',
    examples: ['corr(prediction, target)'],
    spark: (call, print) => numeric(`${call.name}($1, $2)`)(call, print),
  },
];
