/** Comparisons, conditions and what chooses among values. */
import { refuse } from '../refusal.js';
import { as, type SqlFunction } from '../row.js';
import type { SqlCall } from '../tree.js';

const COMPARABLE =
  /^(BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|HUGEINT|DECIMAL|FLOAT|DOUBLE|VARCHAR|DATE|TIMESTAMP.*)$/;

/** @throws SqlRefusal for operands of a type that is not compared alike */
function comparable(template: string): SqlFunction['spark'] {
  return (call, print) => {
    const bad = call.args.find(({ type }) => !COMPARABLE.test(type.id));
    if (bad !== undefined) throw refuse(`a comparison of ${bad.type.id}`);
    return as(template)(call, print);
  };
}

function joined(sign: string): SqlFunction['spark'] {
  return (call, print) => `(${call.args.map(print).join(sign)})`;
}

/** Spark wants two operands at least. */
function choice(name: string): SqlFunction['spark'] {
  return (call, print) => {
    const args = call.args.map(print);
    return args.length === 1 ? args[0]! : `${name}(${args.join(', ')})`;
  };
}

function conditional(call: SqlCall, print: Parameters<SqlFunction['spark']>[1]): string {
  const args = call.args.map(print);
  const whens: string[] = [];
  for (let at = 0; at + 1 < args.length; at += 2) {
    whens.push(`WHEN ${args[at]} THEN ${args[at + 1]}`);
  }
  return `(CASE ${whens.join(' ')} ELSE ${args.at(-1)} END)`;
}

const member: SqlFunction['spark'] = (call, print) => {
  const [value, ...list] = call.args.map(print);
  if (call.args.some(({ type }) => !COMPARABLE.test(type.id) && type.id !== 'NULL')) {
    throw refuse('a list that is not written out', "write IN ('a', 'b')");
  }
  return `(${value} ${call.name === 'in' ? 'IN' : 'NOT IN'} (${list.join(', ')}))`;
};

export const logic: readonly SqlFunction[] = [
  {
    names: ['=', '<>', '<', '<=', '>', '>='],
    usage: 'a = b, a <> b, a < b, ..',
    means: 'NaN equals NaN and is greater than any number; texts compare by code point',
    examples: ['x = y', 'x < i', 's < t', 'm >= i', 'd < ts', 'ts > tz', "s <> 'a'", 'f = y'],
    spark: (call, print) => comparable(`($1 ${call.name} $2)`)(call, print),
  },
  {
    names: ['is distinct from', 'is not distinct from'],
    usage: 'a is [not] distinct from b',
    means: 'as `=`, NULL being equal to NULL',
    examples: ['x is distinct from y', 's is not distinct from t', 'b is true'],
    spark: (call, print) =>
      comparable(call.name === 'is distinct from' ? '(NOT ($1 <=> $2))' : '($1 <=> $2)')(
        call,
        print,
      ),
  },
  {
    names: ['between'],
    usage: 'a between b and c',
    means: '`a >= b and a <= c`',
    examples: ['i between -3 and x', 's not between t and s'],
    spark: comparable('($1 BETWEEN $2 AND $3)'),
  },
  {
    names: ['in', 'not in'],
    usage: 'a [not] in (b, c, ..)',
    means: 'NULL where it is not found and the list has a NULL',
    examples: ["s in ('a', 'é')", 'i in (1, 2.5)', 'i not in (1, null)'],
    spark: member,
  },
  {
    names: ['and', 'or'],
    usage: 'a and b, a or b',
    means: 'three-valued',
    examples: ['b and x > 1', 'b or i < 0'],
    spark: (call, print) => joined(call.name === 'and' ? ' AND ' : ' OR ')(call, print),
  },
  { names: ['not'], usage: 'not a', means: '', examples: ['not b'], spark: as('(NOT $1)') },
  {
    names: ['is null', 'is not null'],
    usage: 'a is [not] null',
    means: 'NaN is not NULL',
    examples: ['x is null', 's is not null'],
    spark: (call, print) => `(${print(call.args[0]!)} ${call.name.toUpperCase()})`,
  },
  {
    names: ['case'],
    usage: 'case when a then b else c end; if(a, b, c); nullif(a, b)',
    means: '',
    examples: [
      'case when b then i else m end',
      "case s when 'a' then 1 when 'é' then 2 end",
      'if(i > 0, x, y)',
      'nullif(i, 3)',
    ],
    spark: conditional,
  },
  {
    names: ['coalesce'],
    usage: 'coalesce(a, b, ..), ifnull(a, b)',
    means: 'the first that is not NULL; NaN is not NULL',
    examples: ['coalesce(i, x)', "ifnull(s, 'none')"],
    spark: (call, print) => `coalesce(${call.args.map(print).join(', ')})`,
  },
  {
    names: ['greatest', 'least'],
    usage: 'greatest(a, b, ..), least(a, b, ..)',
    means: 'NULLs are skipped; NaN is the greatest number',
    examples: ['greatest(x, i, 3)', 'least(x, y)', "greatest(s, 'b')", 'least(d, ts)'],
    spark: (call, print) => choice(call.name)(call, print),
  },
];
