/** Operators on one or two cells, a definition each; `elementwise.ts` says what they share. */

import type { Expr } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import {
  erfProgram,
  expm1Program,
  expProgram,
  log1pProgram,
  logProgram,
  sigmoidProgram,
  softplusProgram,
  tanhProgram,
} from './cell-functions.js';
import { binaryOp, type CellPartial, type CellTerms, programOp, unaryOp } from './elementwise.js';
import { ifelse } from './ifelse.js';

/** a + b. */
export const add = binaryOp('add', (a, b) => a + b, {
  commutative: true,
  zero: 'both',
  partials: [({ g }) => g, ({ g }) => g],
});

/** a - b. */
export const sub = binaryOp('sub', (a, b) => a - b, {
  zero: 'both',
  partials: [({ g }) => g, ({ g, make }) => make(neg, [g])],
});

/** a * b, cell by cell; `matmul` is the product of matrices. */
export const mul = binaryOp('mul', (a, b) => a * b, {
  commutative: true,
  zero: 'either',
  partials: [({ g, b, make }) => make(mul, [g, b]), ({ g, a, make }) => make(mul, [g, a])],
});

/** a / b; division by zero gives an infinity or NaN as IEEE 754 says. */
export const div = binaryOp('div', (a, b) => a / b, {
  zero: 'first',
  partials: [
    ({ g, b, make }) => make(div, [g, b]),
    ({ g, b, result, make }) => make(neg, [make(div, [make(mul, [g, result]), b])]),
  ],
});

/** b a^(b - 1); 0 for 0^0, whose factors would be 0 and Infinity. */
const byBase: CellPartial = ({ g, a, b, make }) => {
  const slope = make(mul, [b, make(pow, [a, make(sub, [b, 1])])]);
  return make(mul, [g, make(ifelse, [make(or, [a, b]), slope, 0])]);
};

/** a^b log a; 0 for a = 0, where it tends to that. */
const byExponent: CellPartial = ({ g, a, result, make }) => {
  const slope = make(mul, [result, make(log, [a])]);
  return make(mul, [g, make(ifelse, [a, slope, 0])]);
};

/** a ** b of ECMAScript and Java: NaN where b is NaN (even a = 1), and for (+-1)^(+-Infinity). */
export const pow = binaryOp('pow', (a, b) => a ** b, {
  cellFlops: 40,
  partials: [byBase, byExponent],
});

/**
 * Remainder with the sign of the divisor, as in R, Python and NumPy: -7 mod 3 = 2, 7 mod -3 = -2.
 * NaN for a divisor of 0 or an infinite dividend. The C-like remainder comes first because it is
 * exact.
 */
export const mod = binaryOp(
  'mod',
  (a, b) => {
    const remainder = a % b;
    return remainder !== 0 && remainder < 0 !== b < 0 ? remainder + b : remainder;
  },
  {
    cellFlops: 10,
    partials: [
      ({ g }) => g,
      ({ g, a, b, make }) => make(neg, [make(mul, [g, make(floor, [make(div, [a, b])])])]),
    ],
  },
);

/**
 * The derivative by the chosen one of two cells. Of two alike each has half, as in JAX and PyTorch;
 * beside a number none, so that max(x, 0) has the derivative 0 at 0.
 */
function ofChosen(
  isChosen: OpDef,
  own: Expr,
  other: Expr,
  { g, make }: Pick<CellTerms, 'g' | 'make'>,
): Expr {
  const chosen = make(ifelse, [make(isChosen, [own, other]), g, 0]);
  if (other.op.constant !== undefined) return chosen;
  return make(add, [chosen, make(ifelse, [make(eq, [own, other]), make(mul, [g, 0.5]), 0])]);
}

/** The lesser of two cells; NaN if either is NaN. `min` is the least of all cells. */
export const minimum = binaryOp('minimum', (a, b) => Math.min(a, b), {
  commutative: true,
  zero: 'both',
  partials: [
    ({ a, b, ...terms }) => ofChosen(lt, a, b, terms),
    ({ a, b, ...terms }) => ofChosen(lt, b, a, terms),
  ],
});

/** The greater of two cells; NaN if either is NaN. `max` is the greatest of all cells. */
export const maximum = binaryOp('maximum', (a, b) => Math.max(a, b), {
  commutative: true,
  zero: 'both',
  partials: [
    ({ a, b, ...terms }) => ofChosen(gt, a, b, terms),
    ({ a, b, ...terms }) => ofChosen(gt, b, a, terms),
  ],
});

/** 1 where a = b, else 0; NaN equals nothing. */
export const eq = binaryOp('eq', (a, b) => (a === b ? 1 : 0), { commutative: true, partials: [] });

/** 1 where a differs from b, else 0; NaN differs from everything, itself included. */
export const ne = binaryOp('ne', (a, b) => (a !== b ? 1 : 0), {
  commutative: true,
  zero: 'both',
  partials: [],
});

/** 1 where a < b, else 0; 0 where either is NaN. */
export const lt = binaryOp('lt', (a, b) => (a < b ? 1 : 0), { zero: 'both', partials: [] });

/** 1 where a <= b, else 0; 0 where either is NaN. */
export const le = binaryOp('le', (a, b) => (a <= b ? 1 : 0), { partials: [] });

/** 1 where a > b, else 0; 0 where either is NaN. */
export const gt = binaryOp('gt', (a, b) => (a > b ? 1 : 0), { zero: 'both', partials: [] });

/** 1 where a >= b, else 0; 0 where either is NaN. */
export const ge = binaryOp('ge', (a, b) => (a >= b ? 1 : 0), { partials: [] });

/** 1 where both cells are non-zero, else 0; NaN counts as non-zero, as in C and NumPy. */
export const and = binaryOp('and', (a, b) => (a !== 0 && b !== 0 ? 1 : 0), {
  commutative: true,
  zero: 'either',
  partials: [],
});

/** 1 where either cell is non-zero, else 0; NaN counts as non-zero, as in C and NumPy. */
export const or = binaryOp('or', (a, b) => (a !== 0 || b !== 0 ? 1 : 0), {
  commutative: true,
  zero: 'both',
  partials: [],
});

/** -a. */
export const neg = unaryOp('neg', (a) => -a, {
  zero: 'either',
  partials: [({ g, make }) => make(neg, [g])],
});

/** Absolute value. */
export const abs = unaryOp('abs', Math.abs, {
  zero: 'either',
  partials: [({ g, a, make }) => make(mul, [g, make(sign, [a])])],
});

/** e to the power a. */
export const exp = programOp('exp', expProgram, {
  cellFlops: 20,
  partials: [({ g, result, make }) => make(mul, [g, result])],
});

/** Natural logarithm; -Infinity at 0, NaN below. */
export const log = programOp('log', logProgram, {
  cellFlops: 20,
  partials: [({ g, a, make }) => make(div, [g, a])],
});

/** e^a - 1, with all its digits near 0. */
export const expm1 = programOp('expm1', expm1Program, {
  zero: 'either',
  cellFlops: 25,
  partials: [({ g, result, make }) => make(mul, [g, make(add, [result, 1])])],
});

/** log(1 + a), with all its digits near 0; -Infinity at -1, NaN below. */
export const log1p = programOp('log1p', log1pProgram, {
  zero: 'either',
  cellFlops: 25,
  partials: [({ g, a, make }) => make(div, [g, make(add, [a, 1])])],
});

/** Square root; NaN below 0. */
export const sqrt = unaryOp('sqrt', Math.sqrt, {
  zero: 'either',
  cellFlops: 4,
  partials: [({ g, result, make }) => make(div, [g, make(mul, [result, 2])])],
});

/** a * a. */
export const square = unaryOp('square', (a) => a * a, {
  zero: 'either',
  partials: [({ g, a, make }) => make(mul, [g, make(mul, [a, 2])])],
});

/** -1, 0 or 1; NaN stays NaN. */
export const sign = unaryOp('sign', Math.sign, { zero: 'either', partials: [] });

/** Nearest whole number, ties to even (IEEE 754), as NumPy's `rint` and the JVM's `Math.rint`. */
export const round = unaryOp(
  'round',
  (a) => {
    const below = Math.floor(a);
    const rest = a - below;
    if (rest < 0.5) return below;
    if (rest > 0.5) return below + 1;
    // NaN and infinities have a NaN rest; both stay as they are.
    return rest === 0.5 ? below + (Math.abs(below) % 2) : a;
  },
  { zero: 'either', cellFlops: 4, partials: [] },
);

/** Largest whole number not above a. */
export const floor = unaryOp('floor', Math.floor, { zero: 'either', partials: [] });

/** Least whole number not below a. */
export const ceil = unaryOp('ceil', Math.ceil, { zero: 'either', partials: [] });

/** Logistic function 1 / (1 + e^-a). */
export const sigmoid = programOp('sigmoid', sigmoidProgram, {
  cellFlops: 22,
  partials: [({ g, result, make }) => make(mul, [g, make(mul, [result, make(sub, [1, result])])])],
});

/** Hyperbolic tangent. */
export const tanh = programOp('tanh', tanhProgram, {
  zero: 'either',
  cellFlops: 30,
  partials: [({ g, result, make }) => make(mul, [g, make(sub, [1, make(square, [result])])])],
});

/** The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to a. */
export const erf = programOp('erf', erfProgram, {
  zero: 'either',
  cellFlops: 80,
  partials: [
    ({ g, a, make }) => {
      const bell = make(exp, [make(neg, [make(square, [a])])]);
      return make(mul, [g, make(mul, [bell, 2 / Math.sqrt(Math.PI)])]);
    },
  ],
});

/** log(1 + e^a), which neither overflows nor loses digits; the log loss of a decision value. */
export const softplus = programOp('softplus', softplusProgram, {
  cellFlops: 45,
  partials: [({ g, a, make }) => make(mul, [g, make(sigmoid, [a])])],
});

/** 1 where the cell is 0, else 0; NaN counts as non-zero. */
export const not = unaryOp('not', (a) => (a === 0 ? 1 : 0), { partials: [] });

/** 1 where the cell is NaN, else 0. */
const isNan = unaryOp('isNaN', (a) => (Number.isNaN(a) ? 1 : 0), { zero: 'either', partials: [] });

/** 1 / a. */
export const recip = unaryOp('recip', (a) => 1 / a, {
  cellFlops: 4,
  partials: [({ g, result, make }) => make(neg, [make(mul, [g, make(square, [result])])])],
});

export { isNan as isNaN };
