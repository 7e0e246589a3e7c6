/** Arithmetic. Whole-number overflow and arguments outside the domain fail on both engines. */
import { refuse } from '../refusal.js';
import { as, constantWhole, type Print, requireTypes, type SqlFunction } from '../row.js';
import { type SqlCall, type SqlNode, type SqlType, typeName } from '../tree.js';
import { BITS, digitsOf, isFloating, isWholeType, sparkType } from '../types.js';
import { dateArithmetic } from './intervals.js';

const isNumber = ({ id }: SqlType): boolean =>
  id === 'DECIMAL' ||
  isWholeType({ id, width: 0, scale: 0 }) ||
  isFloating({ id, width: 0, scale: 0 });

function cast(call: SqlCall, text: string): string {
  return `CAST(${text} AS ${sparkType(call.type)})`;
}

/** `+` and `-` with one or two operands; dates and intervals have rows of their own. */
const sum: SqlFunction['spark'] = (call, print) => {
  if (!call.args.every(({ type }) => isNumber(type))) return dateArithmetic(call, print);
  const sign = call.name === '+' || call.name === 'add' ? '+' : '-';
  const args = call.args.map(print);
  if (args.length === 1) return sign === '+' ? args[0]! : cast(call, `(- ${args[0]})`);
  if (call.type.id === 'DECIMAL') requireDigits(call, widest(call) + 1);
  return cast(call, `(${args.join(` ${sign} `)})`);
};

/** A product is exact in Spark while the operands' digits fit, so widening casts are left out. */
const product: SqlFunction['spark'] = (call, print) => {
  requireTypes(call, (id) => isNumber({ id, width: 0, scale: 0 }), 'numbers');
  if (call.type.id !== 'DECIMAL') return cast(call, `(${call.args.map(print).join(' * ')})`);
  const [a, b] = call.args.map(narrow);
  requireDigits(call, digitsOf(a!.type) + digitsOf(b!.type) + 1);
  const operand = (node: SqlNode): string =>
    isWholeType(node.type)
      ? `CAST(${print(node)} AS DECIMAL(${digitsOf(node.type)},0))`
      : print(node);
  return cast(call, `(${operand(a!)} * ${operand(b!)})`);
};

function narrow(node: SqlNode): SqlNode {
  if (node.kind !== 'cast' || node.type.id !== 'DECIMAL') return node;
  const { child } = node;
  const isExact =
    (isWholeType(child.type) || child.type.id === 'DECIMAL') &&
    child.type.scale === node.type.scale;
  return isExact && digitsOf(child.type) < node.type.width ? child : node;
}

function widest({ args }: SqlCall): number {
  const scale = Math.max(...args.map(({ type }) => type.scale));
  return scale + Math.max(...args.map(({ type }) => type.width - type.scale));
}

function requireDigits(call: SqlCall, digits: number): void {
  if (digits <= 38) return;
  const types = call.args.map(({ type }) => typeName(type)).join(' and ');
  throw refuse(`${call.name} of ${types}, which needs ${digits} digits`, 'cast one to double');
}

const quotient: SqlFunction['spark'] = (call, print) => {
  requireTypes(call, (id) => isFloating({ id, width: 0, scale: 0 }), 'numbers');
  const [a, b] = call.args.map((arg) => `CAST(${print(arg)} AS DOUBLE)`);
  return cast(call, `duckdb_divide(${a}, ${b})`);
};

const isWholeOnBoth = (id: string): boolean =>
  id in BITS || /^U(TINYINT|SMALLINT|INTEGER)$/.test(id);

const wholeQuotient: SqlFunction['spark'] = (call, print) => {
  if (call.args.every(({ type }) => isFloating(type))) return quotient(call, print);
  // Spark holds unsigned numbers of 64 bits as decimals, of which `//` is another one.
  requireTypes(call, isWholeOnBoth, 'whole numbers up to bigint, or doubles');
  return guarded(call, print, (a, b) => `(${a} div ${b})`);
};

const remainder: SqlFunction['spark'] = (call, print) => {
  requireTypes(call, (id) => isNumber({ id, width: 0, scale: 0 }), 'numbers');
  if (call.args.every(({ type }) => isFloating(type))) {
    const [a, b] = call.args.map((arg) => `CAST(${print(arg)} AS DOUBLE)`);
    return cast(call, `duckdb_remainder(${a}, ${b})`);
  }
  return guarded(call, print, (a, b) => `(${a} % ${b})`);
};

/** Division of whole numbers by zero is NULL. */
function guarded(call: SqlCall, print: Print, divide: (a: string, b: string) => string): string {
  const [a, b] = call.args.map(print);
  return cast(call, `(CASE WHEN ${b} = 0 THEN NULL ELSE ${divide(a!, b!)} END)`);
}

/** A function of doubles, computed by the shim as C's is. */
function ofDoubles(name: string): SqlFunction['spark'] {
  return (call, print) => {
    requireTypes(call, (id) => isNumber({ id, width: 0, scale: 0 }), 'numbers');
    return cast(call, `${name}(${call.args.map((a) => `CAST(${print(a)} AS DOUBLE)`).join(', ')})`);
  };
}

/** ceil, floor, trunc and round, which keep decimals decimal. */
function rounding(name: string, ofDecimal: (x: string) => string): SqlFunction['spark'] {
  return (call, print) => {
    const [x] = call.args;
    if (!isNumber(x!.type))
      throw refuse(`${call.name} of ${typeName(x!.type)}`, 'it takes numbers');
    const text = print(x!);
    if (call.args.length === 2) return roundingTo(call, name, text);
    if (isWholeType(x!.type)) return cast(call, text);
    if (x!.type.id === 'DECIMAL') return cast(call, ofDecimal(text));
    return cast(call, `duckdb_${name}(CAST(${text} AS DOUBLE))`);
  };
}

function roundingTo(call: SqlCall, name: string, text: string): string {
  const places = constantWhole(call, 1, 'a number of places');
  const { type } = call.args[0]!;
  if (type.id === 'DOUBLE') return `duckdb_${name}_to(${text}, ${places})`;
  if (type.id === 'FLOAT') throw refuse(`${name} of FLOAT to places`, 'cast it to double');
  if (name !== 'round') throw refuse(`${name} of ${typeName(type)} to places`, 'use round');
  return cast(call, places >= type.scale && type.scale > 0 ? text : `round(${text}, ${places})`);
}

function ofWhole(template: string): SqlFunction['spark'] {
  return (call, print) => {
    requireTypes(call, (id) => id in BITS, 'whole numbers with a sign');
    return cast(call, as(template)(call, print));
  };
}

/** Bits are counted, and fall out, at the width of the type. */
const shift: SqlFunction['spark'] = (call, print) => {
  requireTypes(call, (id) => id in BITS, 'whole numbers with a sign');
  const [a, b] = call.args.map((arg) => `CAST(${print(arg)} AS BIGINT)`);
  const name = call.name === '<<' ? 'duckdb_shift_left' : 'duckdb_shift_right';
  return cast(call, `${name}(${a}, ${b}, ${BITS[call.type.id]})`);
};

const bitCount: SqlFunction['spark'] = (call, print) => {
  requireTypes(call, (id) => id in BITS, 'whole numbers with a sign');
  const bits = BITS[call.args[0]!.type.id]!;
  const value = `CAST(${print(call.args[0]!)} AS BIGINT)`;
  return cast(
    call,
    `bit_count(${bits === 64 ? value : `(${value} & ${2n ** BigInt(bits) - 1n}L)`})`,
  );
};

const floatTest: SqlFunction['spark'] = (call, print) => {
  requireTypes(call, (id) => id === 'DOUBLE' || id === 'FLOAT', 'doubles');
  return `duckdb_${call.name}(CAST(${print(call.args[0]!)} AS DOUBLE))`;
};

/** Rows of one argument, a double, whose domain is checked by the shim. */
const ROWS: readonly (readonly [names: string, means: string])[] = [
  ['sqrt', 'an error for negatives'],
  ['ln', 'natural logarithm; an error from 0 down'],
  ['log10', 'an error from 0 down'],
  ['log2', 'an error from 0 down'],
  ['cbrt', ''],
  ['exp', ''],
  ['sin', 'an error for infinities'],
  ['cos', 'an error for infinities'],
  ['tan', 'an error for infinities'],
  ['asin', 'an error outside [-1, 1]'],
  ['acos', 'an error outside [-1, 1]'],
  ['atan', ''],
  ['sinh', ''],
  ['cosh', ''],
  ['tanh', ''],
  ['degrees', ''],
  ['radians', ''],
  ['even', 'away from zero to an even number'],
];

/** Arguments inside the domain, whatever the row. */
const DOMAIN: Readonly<Record<string, string>> = {
  sqrt: 'sqrt(abs(x))',
  ln: 'ln(abs(x) + 1)',
  log10: 'log10(abs(x) + 1)',
  log2: 'log2(abs(x) + 1)',
  sin: 'sin(u)',
  cos: 'cos(u)',
  tan: 'tan(u)',
  asin: 'asin(u / 1000)',
  acos: 'acos(u / 1000)',
};

export const numbers: readonly SqlFunction[] = [
  {
    names: ['+', 'add', '-', 'subtract'],
    usage: 'a + b, a - b, -a',
    means: 'whole numbers keep their type; an overflow is an error',
    examples: [
      'i + 1',
      'x - y',
      '-m',
      'm + i',
      'm - x',
      'l + i',
      '-x',
      'f + 1',
      'w + 1',
      'm + 1.25',
    ],
    spark: sum,
  },
  {
    names: ['*', 'multiply'],
    usage: 'a * b',
    means: 'as `+`; decimals up to 38 digits',
    examples: ['i * 2', 'm * m', 'm * i', 'x * 1.005', 'm * 1.5', 'w * 2', 'f * f'],
    spark: product,
  },
  {
    names: ['/'],
    usage: 'a / b',
    means: 'always a double; by zero infinite or NaN',
    examples: ['i / 2', 'x / y', 'm / 3', 'i / nullif(i, 3)', 'f / 3'],
    spark: quotient,
  },
  {
    names: ['//', 'divide'],
    usage: 'a // b',
    means: 'whole numbers: toward zero, NULL by zero; doubles: as `/`',
    examples: ['i // 2', 'x // 2', 'i // (i - 3)', 'l // -7', 'm // 2', 'divide(i, 4)'],
    spark: wholeQuotient,
  },
  {
    names: ['%', 'mod'],
    usage: 'a % b, mod(a, b)',
    means: 'has the sign of a; by zero NULL (whole numbers) or NaN',
    examples: ['i % 3', 'x % 2.5', 'm % 3', 'i % (i - 3)', 'mod(l, -7)', 'x % 0'],
    spark: remainder,
  },
  {
    names: ['**', '^', 'pow', 'power'],
    usage: 'a ** b, a ^ b, pow(a, b)',
    means: 'always a double',
    examples: ['i ** 2', 'x ^ 0.5', 'pow(u, 3)', 'pow(1, x)'],
    spark: ofDoubles('duckdb_pow'),
  },
  {
    names: ['abs', '@'],
    usage: 'abs(a), @a',
    means: '',
    examples: ['abs(x)', 'abs(i)', '@m'],
    spark: (call, print) => {
      requireTypes(call, (id) => isNumber({ id, width: 0, scale: 0 }), 'numbers');
      return cast(call, `abs(${print(call.args[0]!)})`);
    },
  },
  {
    names: ['sign'],
    usage: 'sign(a)',
    means: '-1, 0 or 1; 0 for NaN',
    examples: ['sign(x)', 'sign(i)', 'sign(m)'],
    spark: ofDoubles('duckdb_sign'),
  },
  {
    names: ['ceil', 'ceiling'],
    usage: 'ceil(a)',
    means: '',
    examples: ['ceil(x)', 'ceiling(m)', 'ceil(i)'],
    spark: rounding('ceil', (x) => `ceil(${x})`),
  },
  {
    names: ['floor'],
    usage: 'floor(a)',
    means: '',
    examples: ['floor(x)', 'floor(m)'],
    spark: rounding('floor', (x) => `floor(${x})`),
  },
  {
    names: ['trunc'],
    usage: 'trunc(a), trunc(a, places)',
    means: 'toward zero; places of doubles only',
    examples: ['trunc(x)', 'trunc(m)', 'trunc(x, 1)'],
    spark: rounding('trunc', (x) => `(CASE WHEN ${x} < 0 THEN ceil(${x}) ELSE floor(${x}) END)`),
  },
  {
    names: ['round'],
    usage: 'round(a), round(a, places)',
    means:
      'half away from zero; a double times 10^places is what is rounded, so round(1.005, 2) is 1',
    examples: [
      'round(x)',
      'round(x * 1.005, 2)',
      'round(m, 1)',
      'round(m)',
      'round(i, -1)',
      'round(x, -1)',
    ],
    spark: rounding('round', (x) => `round(${x}, 0)`),
  },
  {
    names: ['log'],
    usage: 'log(a), log(base, a)',
    means: 'to base ten; an error from 0 down',
    examples: ['log(abs(x) + 1)', 'log(2, abs(i) + 1)'],
    spark: (call, print) =>
      ofDoubles(call.args.length === 1 ? 'duckdb_log10' : 'duckdb_log')(call, print),
  },
  ...ROWS.map(
    ([name, means]): SqlFunction => ({
      names: [name],
      usage: `${name}(a)`,
      means,
      examples: [DOMAIN[name] ?? `${name}(u)`],
      spark: ofDoubles(`duckdb_${name}`),
    }),
  ),
  {
    names: ['atan2'],
    usage: 'atan2(y, x)',
    means: '',
    examples: ['atan2(x, y)'],
    spark: ofDoubles('duckdb_atan2'),
  },
  { names: ['pi'], usage: 'pi()', means: '', examples: ['pi() * i'], spark: () => 'pi()' },
  {
    names: ['isnan', 'isinf', 'isfinite'],
    usage: 'isnan(a), isinf(a), isfinite(a)',
    means: 'of doubles',
    examples: ['isnan(x)', 'isinf(x)', 'isfinite(x)', 'isnan(f)'],
    spark: floatTest,
  },
  {
    names: ['&', '|', 'xor', '~'],
    usage: 'a & b, a | b, xor(a, b), ~a',
    means: 'of whole numbers',
    examples: ['i & 3', 'i | 8', 'xor(i, 5)', '~i'],
    spark: (call, print) =>
      ofWhole(call.name === '~' ? '(~ $1)' : `($1 ${call.name === 'xor' ? '^' : call.name} $2)`)(
        call,
        print,
      ),
  },
  {
    names: ['<<', '>>'],
    usage: 'a << b, a >> b',
    means: '`<<` of a negative, or past the type, is an error; `>>` keeps the sign',
    examples: ['i >> 1', 'abs(i) << 2', 'l >> 40'],
    spark: shift,
  },
  {
    names: ['bit_count'],
    usage: 'bit_count(a)',
    means: "at the type's width: -1 of an integer has 32",
    examples: ['bit_count(i)', 'bit_count(w)', 'bit_count(l)'],
    spark: bitCount,
  },
  {
    names: ['gcd', 'greatest_common_divisor', 'lcm', 'least_common_multiple'],
    usage: 'gcd(a, b), lcm(a, b)',
    means: 'never negative',
    examples: ['gcd(i, 12)', 'lcm(i, 4)'],
    spark: (call, print) => {
      requireTypes(call, (id) => id === 'BIGINT', 'whole numbers up to 64 bits');
      const name = /^(gcd|greatest)/.test(call.name) ? 'gcd' : 'lcm';
      return `duckdb_${name}(${call.args.map(print).join(', ')})`;
    },
  },
];
