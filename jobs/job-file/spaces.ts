/** Evenly spaced values by NumPy's steps in `linspace` and `logspace`, so that all bits agree. */

/** `count` values from `from` to `to`, both included. */
export function linspace(from: number, to: number, count: number): number[] {
  const values = new Array<number>(count);
  const step = count > 1 ? (to - from) / (count - 1) : 0;
  for (let i = 0; i < count; i++) values[i] = i * step + from;
  if (count > 1) values[count - 1] = to;
  return values;
}

/** `count` values from 10^from to 10^to, evenly spaced in their logarithm. */
export function logspace(from: number, to: number, count: number): number[] {
  return linspace(from, to, count).map((exponent) => 10 ** exponent);
}
