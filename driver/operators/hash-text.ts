/**
 * Text as counts of hashed words, as scikit-learn's `HashingVectorizer` makes them: MurmurHash3
 * (x86, 32 bits, seed 0) of each word or run of words in UTF-8; its size modulo the columns is the
 * column, its sign that of the count. Words and lower case are defined here by code points alone,
 * so that every engine has the same bits whatever version of Unicode it knows (`WORD_RANGES`,
 * `lowered`); the shim follows this file.
 * Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009).
 */
import { CsrBuilder, type CsrMatrix } from '../ir/csr.js';
import type { TextHashing } from '../ir/frame-engine.js';
import { mix32 } from './kfold.js';

/** Code points of words beyond ASCII, whose are letters, digits and the underscore. */
const WORD_RANGES: readonly (readonly [number, number])[] = [
  [0xaa, 0xaa],
  [0xb2, 0xb3],
  [0xb5, 0xb5],
  [0xb9, 0xba],
  [0xbc, 0xbe],
  [0xc0, 0xd6],
  [0xd8, 0xf6],
  [0xf8, 0x2c1],
  [0x370, 0x1fff],
  [0x2c00, 0x2dff],
  [0x3005, 0x3007],
  [0x3041, 0xd7ff],
  [0xf900, 0xfdff],
  [0xfe70, 0xfefe],
  [0xff10, 0xff19],
  [0xff21, 0xff3a],
  [0xff41, 0xff5a],
  [0xff66, 0xffdc],
  [0x10000, 0x1efff],
  [0x20000, 0x3ffff],
];

/** Whether a code point is one of words, which have two at least. */
export function isWordPoint(point: number): boolean {
  if (point < 0x80) {
    const isDigit = point >= 0x30 && point <= 0x39;
    const letter = point | 0x20;
    return isDigit || (letter >= 0x61 && letter <= 0x7a) || point === 0x5f;
  }
  for (const [from, to] of WORD_RANGES) if (point <= to) return point >= from;
  return false;
}

/** The small letter of a capital one: Latin up to U+017F and wide, Greek, Cyrillic. Others stay. */
export function lowered(point: number): number {
  if (point < 0x80) return point >= 0x41 && point <= 0x5a ? point + 32 : point;
  if (point < 0x100) return point >= 0xc0 && point <= 0xde && point !== 0xd7 ? point + 32 : point;
  if (point < 0x180) return loweredLatin(point);
  if (point >= 0x391 && point <= 0x3ab) return point === 0x3a2 ? point : point + 32;
  if (point >= 0x410 && point <= 0x42f) return point + 32;
  if (point >= 0x400 && point <= 0x40f) return point + 80;
  if (point >= 0xff21 && point <= 0xff3a) return point + 32;
  if (point === 0x386) return 0x3ac;
  if (point >= 0x388 && point <= 0x38a) return point + 37;
  if (point === 0x38c) return 0x3cc;
  return point === 0x38e || point === 0x38f ? point + 63 : point;
}

/** Capital and small letters of Latin Extended-A stand beside each other. */
function loweredLatin(point: number): number {
  if (point === 0x130 || point === 0x131 || point === 0x138 || point === 0x149) return point;
  if (point === 0x178) return 0xff;
  if (point === 0x17f) return point;
  const isOddCapital = (point >= 0x139 && point <= 0x148) || point >= 0x179;
  return (point % 2 === 1) === isOddCapital ? point + 1 : point;
}

/** MurmurHash3 x86 32, seed 0, of bytes [from, to); signed. */
export function murmur3(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0;
  const length = to - from;
  const end = from + (length & ~3);
  let at = from;
  for (; at < end; at += 4) {
    let k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let i = (length & 3) - 1; i >= 0; i--) rest = (rest << 8) | bytes[end + i]!;
  if ((length & 3) > 0) {
    rest = Math.imul(rest, 0xcc9e2d51);
    rest = (rest << 15) | (rest >>> 17);
    hash ^= Math.imul(rest, 0x1b873593);
  }
  return mix32(hash ^ length) | 0;
}

const SIGMA = 0x3a3;

/** Hashes texts one by one into the cells of a row. */
export class TextHasher {
  readonly #of: TextHashing;
  readonly #counts: Float64Array;
  /** Whether a column is among those touched. */
  readonly #isTouched: Uint8Array;
  /** Words of the text, each followed by a space. */
  #bytes = new Uint8Array(1024);
  #length = 0;
  /** Where each word begins in them, and where the last ends. */
  #starts: number[] = [];

  constructor(of: TextHashing) {
    this.#of = of;
    this.#counts = new Float64Array(of.columns);
    this.#isTouched = new Uint8Array(of.columns);
  }

  /** For so many rows. */
  newRows(count: number): CsrBuilder {
    const expected = count * hashedCells(this.#of);
    return new CsrBuilder(count, this.#of.columns, 'float64', expected);
  }

  /** Adds the row of a text; none where it is missing. */
  addRow(text: string | null, builder: CsrBuilder): void {
    if (text !== null && text !== '') {
      this.#split(text);
      const touched = this.#count().sort((a, b) => a - b);
      const size = this.#sizeOf(touched);
      for (const column of touched) {
        const count = this.#counts[column]!;
        builder.add(column, size === 0 ? count : count / size);
        this.#counts[column] = 0;
        this.#isTouched[column] = 0;
      }
    }
    builder.endRow();
  }

  #split(text: string): void {
    this.#length = 0;
    this.#starts = [];
    let [start, points, last] = [-1, 0, 0];
    const endWord = (): void => {
      if (start >= 0 && points >= 2) {
        // The small sigma at the end of a word is another letter.
        if (last === SIGMA && this.#of.lowercase) this.#bytes[this.#length - 1] = 0x82;
        this.#starts.push(start);
        this.#put(0x20);
      } else if (start >= 0) this.#length = start;
      [start, points] = [-1, 0];
    };
    for (let i = 0; i < text.length; i++) {
      const point = text.codePointAt(i)!;
      if (point > 0xffff) i++;
      if (!isWordPoint(point)) {
        endWord();
        continue;
      }
      if (start < 0) start = this.#length;
      points++;
      last = point;
      this.#putPoint(this.#of.lowercase ? lowered(point) : point);
    }
    endWord();
    this.#starts.push(this.#length);
  }

  #putPoint(point: number): void {
    if (point < 0x80) this.#put(point);
    else if (point < 0x800) {
      this.#put(0xc0 | (point >> 6));
      this.#put(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
      this.#put(0xe0 | (point >> 12));
      this.#put(0x80 | ((point >> 6) & 0x3f));
      this.#put(0x80 | (point & 0x3f));
    } else {
      this.#put(0xf0 | (point >> 18));
      this.#put(0x80 | ((point >> 12) & 0x3f));
      this.#put(0x80 | ((point >> 6) & 0x3f));
      this.#put(0x80 | (point & 0x3f));
    }
  }

  #put(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }

  /** Counts all runs of words; the columns touched. */
  #count(): number[] {
    const { columns, ngrams, alternate_sign: hasSigns } = this.#of;
    const words = this.#starts.length - 1;
    const touched: number[] = [];
    for (let n = ngrams[0]; n <= ngrams[1]; n++) {
      for (let i = 0; i + n <= words; i++) {
        // Without the space behind the last word.
        const hash = murmur3(this.#bytes, this.#starts[i]!, this.#starts[i + n]! - 1);
        const column = Math.abs(hash) % columns;
        if (this.#isTouched[column] === 0) {
          this.#isTouched[column] = 1;
          touched.push(column);
        }
        this.#counts[column]! += hasSigns && hash < 0 ? -1 : 1;
      }
    }
    return touched;
  }

  #sizeOf(touched: readonly number[]): number {
    let sum = 0;
    if (this.#of.norm === 'none') return 0;
    // Counts are whole, so that the order of the sum does not matter.
    for (const column of touched) {
      const count = this.#counts[column]!;
      sum += this.#of.norm === 'l2' ? count * count : Math.abs(count);
    }
    return this.#of.norm === 'l2' ? Math.sqrt(sum) : sum;
  }
}

/** Cells of a hashed row that are not zero, guessed where nothing is known of the texts. */
export function hashedCells({ columns, ngrams }: TextHashing): number {
  return Math.min(columns, WORDS * (ngrams[1] - ngrams[0] + 1));
}

/** Words of a text, a guess. */
const WORDS = 16;

/** The rows of texts. */
export function hashTexts(texts: readonly (string | null)[], of: TextHashing): CsrMatrix {
  const hasher = new TextHasher(of);
  const builder = hasher.newRows(texts.length);
  for (const text of texts) hasher.addRow(text, builder);
  return builder.value;
}
