/**
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw (SC'11), and the
 * numbers made of it. The bits of cell (row, col) depend on the seed and (row, col) only, so any
 * partitioning and any backend gives the same.
 *
 * key     = (seed mod 2^32, floor(seed / 2^32))
 * counter = (floor(col / 2), stream, row mod 2^32, floor(row / 2^32)); stream 0 for values, 1 for
 * the sparsity choice
 * words   = output words 0 and 1 for even columns, 2 and 3 for odd ones: (high, low)
 * uniform = ((high >>> 5) * 2^26 + (low >>> 6)) * 2^-53, in [0, 1), as MT19937's genrand_res53
 * open    = ((high >>> 6) * 2^26 + (low >>> 6) + 0.5) * 2^-52, in (0, 1), exactly representable
 * normal  = the inverse normal distribution of `open` (`inverse-normal.ts`). One uniform each, and
 *           correctly rounded operations only, so bits agree; Box-Muller needs a bit-exact sine.
 */
export type Words = Uint32Array;

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High 32 bits of the 64-bit product of two unsigned 32-bit words. */
export function mulHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const low = a0 * b1 + (middle & 0xffff);
  // Each sum stays below 2^33, exact in a double; the divisions take the carry that `>>>` would
  // lose.
  return (a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(low / 0x10000)) >>> 0;
}

/** Ten rounds over `counter`, in place. */
export function philox(counter: Words, key0: number, key1: number): void {
  let c0 = counter[0]!;
  let c1 = counter[1]!;
  let c2 = counter[2]!;
  let c3 = counter[3]!;
  let k0 = key0;
  let k1 = key1;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0);
    const low0 = Math.imul(M0, c0);
    const high1 = mulHigh(M1, c2);
    const low1 = Math.imul(M1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** Visits the cells of one row, two words a cell. */
export function forEachCell(
  seed: number,
  stream: number,
  row: number,
  cols: number,
  visit: (col: number, high: number, low: number) => void,
): void {
  const words = new Uint32Array(4);
  const key0 = seed >>> 0;
  const key1 = Math.floor(seed / 0x100000000) >>> 0;
  for (let col = 0; col < cols; col += 2) {
    words[0] = col / 2;
    words[1] = stream;
    words[2] = row;
    words[3] = Math.floor(row / 0x100000000);
    philox(words, key0, key1);
    visit(col, words[0]!, words[1]!);
    if (col + 1 < cols) visit(col + 1, words[2]!, words[3]!);
  }
}

/** 53 random bits as a double in [0, 1). */
export function uniform(high: number, low: number): number {
  return ((high >>> 5) * 0x4000000 + (low >>> 6)) * 2 ** -53;
}

/** 52 random bits as a double strictly between 0 and 1. */
export function openUniform(high: number, low: number): number {
  return ((high >>> 6) * 0x4000000 + (low >>> 6) + 0.5) * 2 ** -52;
}
