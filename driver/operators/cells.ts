/** Operators on one or two cells, a definition each; `elementwise.ts` says what they share. */
import {
  expm1Program,
  expProgram,
  log1pProgram,
  logProgram,
  sigmoidProgram,
  softplusProgram,
  tanhProgram,
} from './cell-functions.js';
import { binaryOp, programOp, unaryOp } from './elementwise.js';

/** a + b. */
export const add = binaryOp('add', (a, b) => a + b, { commutative: true, zero: 'both' });

/** a - b. */
export const sub = binaryOp('sub', (a, b) => a - b, { zero: 'both' });

/** a * b, cell by cell; `matmul` is the product of matrices. */
export const mul = binaryOp('mul', (a, b) => a * b, { commutative: true, zero: 'either' });

/** a / b; division by zero gives an infinity or NaN as IEEE 754 says. */
export const div = binaryOp('div', (a, b) => a / b);

/** a ** b of ECMAScript and Java: NaN where b is NaN (even a = 1), and for (+-1)^(+-Infinity). */
export const pow = binaryOp('pow', (a, b) => a ** b, { cellFlops: 40 });

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
  { cellFlops: 10 },
);

/** The lesser of two cells; NaN if either is NaN. `min` is the least of all cells. */
export const minimum = binaryOp('minimum', (a, b) => Math.min(a, b), {
  commutative: true,
  zero: 'both',
});

/** The greater of two cells; NaN if either is NaN. `max` is the greatest of all cells. */
export const maximum = binaryOp('maximum', (a, b) => Math.max(a, b), {
  commutative: true,
  zero: 'both',
});

/** 1 where a = b, else 0; NaN equals nothing. */
export const eq = binaryOp('eq', (a, b) => (a === b ? 1 : 0), { commutative: true });

/** 1 where a differs from b, else 0; NaN differs from everything, itself included. */
export const ne = binaryOp('ne', (a, b) => (a !== b ? 1 : 0), { commutative: true, zero: 'both' });

/** 1 where a < b, else 0; 0 where either is NaN. */
export const lt = binaryOp('lt', (a, b) => (a < b ? 1 : 0), { zero: 'both' });

/** 1 where a <= b, else 0; 0 where either is NaN. */
export const le = binaryOp('le', (a, b) => (a <= b ? 1 : 0));

/** 1 where a > b, else 0; 0 where either is NaN. */
export const gt = binaryOp('gt', (a, b) => (a > b ? 1 : 0), { zero: 'both' });

/** 1 where a >= b, else 0; 0 where either is NaN. */
export const ge = binaryOp('ge', (a, b) => (a >= b ? 1 : 0));

/** 1 where both cells are non-zero, else 0; NaN counts as non-zero, as in C and NumPy. */
export const and = binaryOp('and', (a, b) => (a !== 0 && b !== 0 ? 1 : 0), {
  commutative: true,
  zero: 'either',
});

/** 1 where either cell is non-zero, else 0; NaN counts as non-zero, as in C and NumPy. */
export const or = binaryOp('or', (a, b) => (a !== 0 || b !== 0 ? 1 : 0), {
  commutative: true,
  zero: 'both',
});

/** -a. */
export const neg = unaryOp('neg', (a) => -a, { zero: 'either' });

/** Absolute value. */
export const abs = unaryOp('abs', Math.abs, { zero: 'either' });

/** e to the power a. */
export const exp = programOp('exp', expProgram, { cellFlops: 20 });

/** Natural logarithm; -Infinity at 0, NaN below. */
export const log = programOp('log', logProgram, { cellFlops: 20 });

/** e^a - 1, with all its digits near 0. */
export const expm1 = programOp('expm1', expm1Program, { zero: 'either', cellFlops: 25 });

/** log(1 + a), with all its digits near 0; -Infinity at -1, NaN below. */
export const log1p = programOp('log1p', log1pProgram, { zero: 'either', cellFlops: 25 });

/** Square root; NaN below 0. */
export const sqrt = unaryOp('sqrt', Math.sqrt, { zero: 'either', cellFlops: 4 });

/** a * a. */
export const square = unaryOp('square', (a) => a * a, { zero: 'either' });

/** -1, 0 or 1; NaN stays NaN. */
export const sign = unaryOp('sign', Math.sign, { zero: 'either' });

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
  { zero: 'either', cellFlops: 4 },
);

/** Largest whole number not above a. */
export const floor = unaryOp('floor', Math.floor, { zero: 'either' });

/** Least whole number not below a. */
export const ceil = unaryOp('ceil', Math.ceil, { zero: 'either' });

/** Logistic function 1 / (1 + e^-a). */
export const sigmoid = programOp('sigmoid', sigmoidProgram, { cellFlops: 22 });

/** Hyperbolic tangent. */
export const tanh = programOp('tanh', tanhProgram, { zero: 'either', cellFlops: 30 });

/** log(1 + e^a), which neither overflows nor loses digits; the log loss of a decision value. */
export const softplus = programOp('softplus', softplusProgram, { cellFlops: 45 });

/** 1 where the cell is 0, else 0; NaN counts as non-zero. */
export const not = unaryOp('not', (a) => (a === 0 ? 1 : 0));

/** 1 where the cell is NaN, else 0. */
const isNan = unaryOp('isNaN', (a) => (Number.isNaN(a) ? 1 : 0), { zero: 'either' });

/** 1 / a. */
export const recip = unaryOp('recip', (a) => 1 / a, { cellFlops: 4 });

export { isNan as isNaN };
