/**
 * Decision values by row, so that a model decides once on rows that are equal: what Clipper (NSDI
 * 2017) has as its prediction cache, here for the rows that one call scores. Invariants: values are
 * those computed for an equal row, to the bit; memory is bounded, and rows asked for longest ago go
 * first, a generation at a time. A cache that finds little is not asked any more.
 */
import type { RawChunk } from '../../driver/ir/frame-engine.js';

/** Of both generations. @units bytes */
const CACHE_BYTES = 1 << 26;
/** An entry beside its key and values, measured. @units bytes */
const ENTRY_BYTES = 120;
/** Rows after which it is known what the cache finds. */
const TRIAL_ROWS = 1 << 14;
/** A cache that finds less than this part of the rows takes longer than it saves. */
const LEAST_SHARE = 1 / 8;

export class RowCache {
  readonly #most: number;
  #young = new Map<string, Float64Array>();
  #old: ReadonlyMap<string, Float64Array> = new Map();
  #bytes = 0;
  #asked = 0;
  #found = 0;

  /** @param most of memory. @units bytes */
  constructor(most = CACHE_BYTES) {
    this.#most = most;
  }

  /** Whether it finds enough rows, as far as that is known. */
  get pays(): boolean {
    return this.#asked < TRIAL_ROWS || this.#found >= LEAST_SHARE * this.#asked;
  }

  /**
   * Decision values of rows by their keys: those known, and once for all equal others what is computed.
   * @param compute values of these rows, one after the other; each row the first of its key
   */
  decide(
    keys: readonly string[],
    compute: (rows: readonly number[]) => Float64Array,
  ): Float64Array {
    const first = new Map<string, number>();
    const rows: number[] = [];
    /** By row: its values, or the place of the first equal one among those that are computed. */
    const found = keys.map((key, i): Float64Array | number => {
      const known = this.#get(key) ?? first.get(key);
      if (known !== undefined) return known;
      first.set(key, rows.length);
      return rows.push(i) - 1;
    });
    this.#asked += keys.length;
    this.#found += keys.length - rows.length;
    const made = rows.length === 0 ? new Float64Array(0) : compute(rows);
    const known = found.find((one) => typeof one !== 'number');
    const outputs = known?.length ?? made.length / rows.length;
    const places = rows.map((_, place) => made.slice(place * outputs, (place + 1) * outputs));
    const z = new Float64Array(keys.length * outputs);
    for (const [i, one] of found.entries()) {
      z.set(typeof one === 'number' ? places[one]! : one, i * outputs);
    }
    for (const [place, row] of rows.entries()) this.#put(keys[row]!, places[place]!);
    return z;
  }

  #get(key: string): Float64Array | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.#put(key, old);
    return old;
  }

  #put(key: string, values: Float64Array): void {
    const bytes = key.length + values.byteLength + ENTRY_BYTES;
    if (this.#bytes + bytes > this.#most / 2) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bytes = 0;
    }
    this.#young.set(key, values);
    this.#bytes += bytes;
  }
}

/** What each row of a chunk is known by: its cells as they were read, bit for bit. */
export function rowKeys({ rows, columns, hashed }: RawChunk): string[] {
  const buffer = Buffer.allocUnsafe(columns.length * 8 + mostHashed(hashed) * 12);
  return Array.from({ length: rows }, (_, i) => {
    let end = 0;
    for (const [f, column] of columns.entries()) {
      const texts = hashed?.[f];
      if (texts === undefined) {
        end = buffer.writeDoubleLE(column[i]!, end);
        continue;
      }
      const [from, to] = [texts.rowStarts[i]!, texts.rowStarts[i + 1]!];
      end = buffer.writeInt32LE(to - from, end);
      for (let k = from; k < to; k++) {
        end = buffer.writeInt32LE(texts.columns[k]!, end);
        end = buffer.writeDoubleLE(texts.values[k]!, end);
      }
    }
    return buffer.toString('latin1', 0, end);
  });
}

/** Cells of the longest row. */
function mostHashed(hashed: RawChunk['hashed']): number {
  let sum = 0;
  for (const texts of hashed ?? []) {
    let most = 0;
    for (let i = 0; i < (texts?.rows ?? 0); i++) {
      most = Math.max(most, texts!.rowStarts[i + 1]! - texts!.rowStarts[i]!);
    }
    sum += most;
  }
  return sum;
}
