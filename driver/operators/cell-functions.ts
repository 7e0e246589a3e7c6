/**
 * The transcendental cells, as programs of basic operations. Errors are measured in
 * `test/unit/driver/operators/cell-functions.test.ts` and stand with each. Sources: argument
 * reduction of Cody and Waite (1980); `log` is that of FreeBSD's msun (`e_log.c`); `log1p` adds the
 * rounding error of 1 + a, as Hewlett-Packard's calculators did (Higham, "Accuracy and Stability",
 * 1.14).
 */
import type { CellArithmetic, CellProgram } from '../ir/cell-program.js';

/** log 2 in two parts; the first has 21 zero bits at its end, so that k times it is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/**
 * (e^r - 1 - r) / r^2 for |r| <= log(2) / 2, interpolated at Chebyshev's points: the error of e^r
 * is 2e-17.
 */
const EXP_TAIL = [
  ...[0.5000000000000001, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039],
  ...[0.0013888888917367081, 0.00019841269863171557, 2.4801521057868204e-5],
  ...[2.7557268276905696e-6, 2.7620201591031547e-7, 2.5100472505694996e-8],
];

/** (d - 2 + r) / r^2 where e^r = (d + 2 r) / d, in powers of r^2, from msun's `e_exp.c`. */
const EXP_RATIO = [
  ...[0.16666666666666602, -0.0027777777777015593, 6.613756321437934e-5],
  ...[-1.6533902205465252e-6, 4.1381367970572385e-8],
];

/** log((1 + s) / (1 - s)) - 2 s = s * (s^2 * .. ), the even and the odd powers of s^4. */
const LOG_EVEN = [0.3999999999940942, 0.22222198432149784, 0.15313837699209373];
const LOG_ODD = [
  ...[0.6666666666666735, 0.2857142874366239, 0.1818357216161805],
  0.14798198605116586,
];

/** The polynomial by pairs (Estrin): a chain of few steps, which overlap between cells. */
function polynomial<T, C>(m: CellArithmetic<T, C>, x: T, coefficients: readonly number[]): T {
  let terms = coefficients.map((one) => m.constant(one));
  let power = x;
  while (terms.length > 1) {
    const pairs: T[] = [];
    for (let i = 0; i < terms.length; i += 2) {
      const next = terms[i + 1];
      pairs.push(next === undefined ? terms[i]! : m.add(terms[i]!, m.mul(next, power)));
    }
    terms = pairs;
    if (terms.length > 1) power = m.mul(power, power);
  }
  return terms[0]!;
}

/** k and r of a = k log 2 + r. */
function reduced<T, C>(m: CellArithmetic<T, C>, a: T): { readonly k: T; readonly r: T } {
  const k = m.nearest(m.mul(a, m.constant(Math.LOG2E)));
  const high = m.sub(a, m.mul(k, m.constant(LN2_HIGH)));
  return { k, r: m.sub(high, m.mul(k, m.constant(LN2_LOW))) };
}

/** k and e^r - 1. */
function reduceExp<T, C>(m: CellArithmetic<T, C>, a: T): { readonly k: T; readonly tail: T } {
  const { k, r } = reduced(m, a);
  return { k, tail: m.add(r, m.mul(m.mul(r, r), polynomial(m, r, EXP_TAIL))) };
}

/** a within [low, high]; NaN stays. */
function within<T, C>(m: CellArithmetic<T, C>, a: T, low: number, high: number): T {
  return m.atMost(m.atLeast(a, m.constant(low)), m.constant(high));
}

/** e^a; 1 ulp. In two factors, so that subnormal results are right. */
export const expProgram: CellProgram = (m, a) => {
  const { k, tail } = reduceExp(m, within(m, a, -746, 710));
  const half = m.floor(m.mul(k, m.constant(0.5)));
  const scaled = m.mul(m.add(m.constant(1), tail), m.pow2(half));
  return m.mul(scaled, m.pow2(m.sub(k, half)));
};

/** e^a - 1; 2 ulp. */
export const expm1Program: CellProgram = (m, a) => {
  const { k, tail } = reduceExp(m, within(m, a, -40, 710));
  const half = m.pow2(m.sub(k, m.constant(1)));
  const sum = m.add(m.mul(half, tail), m.sub(half, m.constant(0.5)));
  return m.select(m.eq(k, m.constant(0)), tail, m.add(sum, sum));
};

/**
 * 1 / (1 + e^-a); 2 ulp, and 0 below -709.4. With e^r = (d + 2 r) / d, one division does for both:
 * the result is d / (d + 2^k (d + 2 r)).
 */
export const sigmoidProgram: CellProgram = (m, a) => {
  const { k, r } = reduced(m, within(m, m.neg(a), -708, 710));
  const square = m.mul(r, r);
  const d = m.add(m.constant(2), m.sub(m.mul(square, polynomial(m, square, EXP_RATIO)), r));
  return m.div(d, m.add(d, m.mul(m.pow2(k), m.add(d, m.add(r, r)))));
};

/** The hyperbolic tangent, as (e^2a - 1) / (e^2a + 1); 4 ulp. */
export const tanhProgram: CellProgram = (m, a, b, c) => {
  const least = expm1Program(m, m.mul(m.constant(2), within(m, a, -20, 20)), b, c);
  return m.div(least, m.add(least, m.constant(2)));
};

/** erf(a) / a below ERF_NEAR: powers of a^2, from the highest. */
export const ERF_NEAR = 0.46875;
export const ERF_OVER = [
  ...[
    0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302,
    3209.3775891384694,
  ],
];
export const ERF_UNDER = [
  1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171,
];
/** erfc(a) e^(a^2) from there on: powers of a, from the highest. */
export const ERFC_OVER = [
  ...[2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163],
  ...[298.6351381974001, 881.9522212417691, 1712.0476126340707, 2051.0783778260716],
  1230.3393547979972,
];
export const ERFC_UNDER = [
  ...[1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903],
  ...[3290.7992357334597, 4362.619090143247, 3439.3676741437216, 1230.3393548037495],
];

/** The polynomial with these powers, from the highest (Horner). */
function horner<T, C>(m: CellArithmetic<T, C>, x: T, powers: readonly number[]): T {
  const [first, ...others] = powers.map((one) => m.constant(one));
  return others.reduce((sum, one) => m.add(m.mul(sum, x), one), first!);
}

/**
 * The error function; 3 ulp. Source: Cody, "Rational Chebyshev approximations for the error
 * function" (1969); his second range goes on to 6, as 1 - erfc needs few digits there.
 */
export const erfProgram: CellProgram = (m, a) => {
  const size = m.abs(a);
  const square = m.mul(a, a);
  const near = m.div(m.mul(a, horner(m, square, ERF_OVER)), horner(m, square, ERF_UNDER));
  const y = m.atMost(size, m.constant(6));
  const share = m.div(horner(m, y, ERFC_OVER), horner(m, y, ERFC_UNDER));
  const bell = expProgram(m, m.neg(m.mul(y, y)), a, a);
  const far = m.sub(m.constant(1), m.mul(bell, share));
  const signed = m.select(m.lt(a, m.constant(0)), m.neg(far), far);
  return m.select(m.le(size, m.constant(ERF_NEAR)), near, signed);
};

/** log a for a normal a above 0. */
function logOfNormal<T, C>(m: CellArithmetic<T, C>, a: T, shift: T): T {
  const raw = m.significand(a);
  const isLarge = m.lt(m.constant(Math.SQRT2), raw);
  const significand = m.select(isLarge, m.mul(raw, m.constant(0.5)), raw);
  const k = m.add(m.add(m.exponent(a), shift), m.truth(isLarge));
  const f = m.sub(significand, m.constant(1));
  const s = m.div(f, m.add(m.constant(2), f));
  const z = m.mul(s, s);
  const w = m.mul(z, z);
  const even = m.mul(w, polynomial(m, w, LOG_EVEN));
  const odd = m.mul(z, polynomial(m, w, LOG_ODD));
  const square = m.mul(m.mul(m.constant(0.5), f), f);
  const tail = m.add(m.mul(s, m.add(square, m.add(even, odd))), m.mul(k, m.constant(LN2_LOW)));
  return m.sub(m.mul(k, m.constant(LN2_HIGH)), m.sub(m.sub(square, tail), f));
}

/** log a; 1 ulp. -Infinity at 0, NaN below. */
export const logProgram: CellProgram = (m, a) => {
  const zero = m.constant(0);
  const isTiny = m.lt(a, m.constant(2 ** -1022));
  const normal = m.select(isTiny, m.mul(a, m.constant(2 ** 54)), a);
  const result = logOfNormal(m, normal, m.select(isTiny, m.constant(-54), zero));
  const above = m.select(m.lt(a, m.constant(Number.POSITIVE_INFINITY)), result, a);
  const nothing = m.constant(Number.NaN);
  const below = m.select(m.eq(a, zero), m.constant(Number.NEGATIVE_INFINITY), nothing);
  return m.select(m.lt(zero, a), above, below);
};

/** log(1 + a) of a in [0, 1]. */
function log1pOfPart<T, C>(m: CellArithmetic<T, C>, a: T): T {
  const one = m.constant(1);
  const sum = m.add(one, a);
  const lost = m.sub(a, m.sub(sum, one));
  return m.add(logOfNormal(m, sum, m.constant(0)), m.div(lost, sum));
}

/** log(1 + a); 2 ulp. -Infinity at -1, NaN below. */
export const log1pProgram: CellProgram = (m, a, b, c) => {
  const one = m.constant(1);
  const sum = m.add(one, a);
  const log = logProgram(m, sum, b, c);
  const exact = m.add(log, m.div(m.sub(a, m.sub(sum, one)), sum));
  const isInside = m.both(m.lt(m.constant(-1), a), m.lt(a, m.constant(Number.POSITIVE_INFINITY)));
  return m.select(isInside, exact, log);
};

/** log(1 + e^a); 2 ulp. */
export const softplusProgram: CellProgram = (m, a, b, c) => {
  const small = expProgram(m, m.neg(m.abs(a)), b, c);
  return m.add(m.atLeast(a, m.constant(0)), log1pOfPart(m, small));
};
