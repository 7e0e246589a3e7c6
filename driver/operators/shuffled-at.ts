/**
 * Which row stands at a position of a shuffled order: a random permutation of 0..count-1 evaluated
 * where it is asked for, so that a mini-batch neither sorts all rows nor carries their order, and
 * the epochs of a loop are one expression. inputs: p (n x 1 or n x k, positions from 0), seeds (1 x k,
 * whole numbers from 0), counts (1 x k). output: n x k, float64, a column for each seed and count; -1
 * for positions that are not below the count.
 *
 * A Feistel network over the pairs (l, r) of a x b >= count, b = ceil(count / a), a = ceil(sqrt(count)),
 * each round adding a hash of one half to the other modulo its size; a result from count on goes
 * through again. Sources: Black and Rogaway, "Ciphers with arbitrary finite domains" (CT-RSA 2002):
 * cycle walking and the generalised network; the hash is the finaliser of MurmurHash3 (Appleby),
 * keyed by words of Philox.
 */
import { defineOp } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { philox } from './philox.js';
import { shapeError } from './shape-check.js';

export const ROUNDS = 8;
/** Not used by `rand`. */
export const STREAM = 2;
const WORD = 2 ** 32;
/** Halves then stay below 2^21, and products with a word exact. */
export const MAX_COUNT = 2 ** 42;

/** The row at a position of one order. */
export function shuffleOf(seed: number, count: number): (position: number) => number {
  const isOrder =
    Number.isSafeInteger(seed) && seed >= 0 && Number.isSafeInteger(count) && count <= MAX_COUNT;
  if (!isOrder) return () => Number.NaN;
  const keys = roundKeys(seed);
  const left = Math.ceil(Math.sqrt(count));
  const right = Math.ceil(count / left);
  return (position) => {
    if (!(Number.isSafeInteger(position) && position >= 0 && position < count)) return -1;
    let at = position;
    do {
      let l = at % left;
      let r = Math.floor(at / left);
      for (let round = 0; round < ROUNDS; round += 2) {
        l = (l + scaled(hash(r ^ keys[round]!), left)) % left;
        r = (r + scaled(hash(l ^ keys[round + 1]!), right)) % right;
      }
      at = r * left + l;
    } while (at >= count);
    return at;
  };
}

function roundKeys(seed: number): Uint32Array {
  const keys = new Uint32Array(ROUNDS);
  for (let at = 0; at < ROUNDS; at += 4) {
    const words = Uint32Array.of(at / 4, STREAM, 0, 0);
    philox(words, seed >>> 0, Math.floor(seed / WORD) >>> 0);
    keys.set(words, at);
  }
  return keys;
}

function hash(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A whole number below `size`, as a word is a share of all words. */
function scaled(word: number, size: number): number {
  return Math.floor((word * size) / WORD);
}

export const shuffledAt = defineOp({
  name: 'shuffledAt',
  arity: 3,
  infer: (inputs) => {
    const [positions, seeds, counts] = inputs;
    const isRow = seeds!.rows === 1 && counts!.rows === 1 && seeds!.cols === counts!.cols;
    if (!isRow || (positions!.cols !== 1 && positions!.cols !== seeds!.cols)) {
      throw shapeError(
        'shuffledAt',
        'rows of seeds and counts, and a column of positions for all or for each',
        inputs,
      );
    }
    return { rows: positions!.rows, cols: seeds!.cols };
  },
  dtype: () => 'float64',
  batch: ({ one, operands: [positions, seeds, counts], maker, columns }) => {
    const isOne = positions!.layout === 'shared' && positions!.cols === 1;
    if (!isOne && positions!.cols !== seeds!.cols) return undefined;
    const own = isOne ? positions!.expr : columns(positions!);
    const inputs = [own, columns(seeds!), columns(counts!)];
    return { layout: 'columns', expr: maker.intern(one.op, inputs) };
  },
  flops: (_inputs, _attrs, out) => 100 * out.rows * out.cols,
  reference: ([positions, seeds, counts]) => {
    const { rows, data } = positions!;
    const { cols } = seeds!;
    const step = positions!.cols === 1 ? 0 : 1;
    const out = new Float64Array(rows * cols);
    for (let k = 0; k < cols; k++) {
      const rowAt = shuffleOf(seeds!.data[k]!, counts!.data[k]!);
      for (let i = 0; i < rows; i++)
        out[i * cols + k] = rowAt(data[i * positions!.cols + k * step]!);
    }
    return dense(rows, cols, out);
  },
  cases: [
    {
      name: 'all positions and some of none',
      inputs: [
        dense(9, 1, Float64Array.of(0, 1, 2, 3, 4, 5, 6, -1, NaN)),
        dense(1, 2, Float64Array.of(3, 4)),
        dense(1, 2, Float64Array.of(6, 7)),
      ],
      tolerance: 0,
    },
    {
      name: 'many, no seed and no count',
      inputs: [
        dense(3, 1, Float64Array.of(0, 123_456, 59_999)),
        dense(1, 4, Float64Array.of(2 ** 40 + 5, 0, -1, 1)),
        dense(1, 4, Float64Array.of(1e6, 60_000, 5, 0.5)),
      ],
      tolerance: 0,
    },
    {
      name: 'positions of each',
      inputs: [
        dense(2, 2, Float64Array.of(0, 1, 2, 3)),
        dense(1, 2, Float64Array.of(9, 9)),
        dense(1, 2, Float64Array.of(10, 10)),
      ],
      tolerance: 0,
    },
    {
      name: '1x1',
      inputs: [0, 7, 1].map((cell) => dense(1, 1, Float64Array.of(cell))),
      tolerance: 0,
    },
  ],
});
