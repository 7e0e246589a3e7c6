/**
 * The order of numbers that are given as text. Identities are compared as what they are: two
 * numbers that one float64 stands for (ids beyond 2^53, long decimals) are compared digit by digit.
 */

const PLAIN = /^(-?)(\d+)(?:\.(\d+))?$/;

/** Negative, zero or positive as `a` is below, equal to or above `b`: texts of finite numbers. */
export function compareNumbers(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  if (difference !== 0 || a === b) return difference;
  const [left, right] = [PLAIN.exec(a), PLAIN.exec(b)];
  if (left === null || right === null) return 0;
  const places = Math.max(left[3]?.length ?? 0, right[3]?.length ?? 0);
  const exact = scaled(left, places) - scaled(right, places);
  return exact < 0n ? -1 : exact > 0n ? 1 : 0;
}

function scaled([, sign, whole, fraction = '']: RegExpExecArray, places: number): bigint {
  return BigInt(`${sign}${whole}${fraction.padEnd(places, '0')}`);
}
