/**
 * The inverse of the standard normal distribution function: Wichura's algorithm AS 241, PPND16
 * (Applied Statistics 37, 1988), relative accuracy about 1e-16. It needs `log` in the tails only;
 * that is fdlibm's e_log.c written out, the one `StrictMath.log` of the JVM is defined to be,
 * because the bits must be the same on every backend.
 */
const A = [
  3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
  67265.7709270087, 33430.57558358813, 2509.0809287301227,
] as const;
const B = [
  1, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
  28729.085735721943, 5226.495278852546,
] as const;
const C = [
  1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
  0.2417807251774506, 0.022723844989269184, 0.0007745450142783414,
] as const;
const D = [
  1, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008,
  0.015198666563616457, 0.0005475938084995345, 1.0507500716444169e-9,
] as const;
const E = [
  6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487,
  0.026532189526576124, 0.0012426609473880784, 2.7115555687434876e-5, 2.0103343992922881e-7,
] as const;
const F = [
  1, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
  1.8463183175100548e-5, 1.421511758316446e-7, 2.0442631033899397e-15,
] as const;

/** Numerator and denominator about 0, in the tails, and far in them. */
export const CENTRE = [A, B] as const;
export const TAIL = [C, D] as const;
export const FAR_TAIL = [E, F] as const;

/** Horner's rule, highest power first; the order of operations is part of the definition. */
function polynomial(coefficients: readonly number[], x: number): number {
  let value = coefficients[7]!;
  for (let i = 6; i >= 0; i--) value = value * x + coefficients[i]!;
  return value;
}

/** The z with P(Z <= z) = p for a standard normal Z; p strictly between 0 and 1. */
export function inverseNormal(p: number): number {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(A, r)) / polynomial(B, r);
  }
  const tail = q < 0 ? p : 1 - p;
  let r = Math.sqrt(-strictLog(tail));
  let value: number;
  if (r <= 5) {
    r -= 1.6;
    value = polynomial(C, r) / polynomial(D, r);
  } else {
    r -= 5;
    value = polynomial(E, r) / polynomial(F, r);
  }
  return q < 0 ? -value : value;
}

/** log 2 in two parts. */
export const LN2_PARTS = [0.6931471803691238, 1.9082149292705877e-10] as const;
const [LN2_HIGH, LN2_LOW] = LN2_PARTS;
export const LOG_TERMS = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784,
  0.1818357216161805, 0.15313837699209373, 0.14798198605116586,
] as const;
const [LG1, LG2, LG3, LG4, LG5, LG6, LG7] = LOG_TERMS;

const bits = new DataView(new ArrayBuffer(8));

/** fdlibm's natural logarithm for a positive normal double, bit for bit. */
export function strictLog(x: number): number {
  bits.setFloat64(0, x);
  let high = bits.getInt32(0);
  let k = (high >> 20) - 1023;
  high &= 0x000fffff;
  const i = (high + 0x95f64) & 0x100000;
  bits.setInt32(0, high | (i ^ 0x3ff00000));
  k += i >> 20;
  const f = bits.getFloat64(0) - 1;
  if ((0x000fffff & (2 + high)) < 3) return logNearOne(f, k);
  const s = f / (2 + f);
  const z = s * s;
  const w = z * z;
  const t1 = w * (LG2 + w * (LG4 + w * LG6));
  const t2 = z * (LG1 + w * (LG3 + w * (LG5 + w * LG7)));
  const r = t2 + t1;
  if (((high - 0x6147a) | (0x6b851 - high)) > 0) {
    const half = 0.5 * f * f;
    if (k === 0) return f - (half - s * (half + r));
    return k * LN2_HIGH - (half - (s * (half + r) + k * LN2_LOW) - f);
  }
  if (k === 0) return f - s * (f - r);
  return k * LN2_HIGH - (s * (f - r) - k * LN2_LOW - f);
}

/** The case |f| < 2^-20 of fdlibm, where a cubic is enough. */
function logNearOne(f: number, k: number): number {
  if (f === 0) return k === 0 ? 0 : k * LN2_HIGH + k * LN2_LOW;
  const r = f * f * (0.5 - 0.3333333333333333 * f);
  if (k === 0) return f - r;
  return k * LN2_HIGH - (r - k * LN2_LOW - f);
}
