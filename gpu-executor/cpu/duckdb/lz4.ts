/**
 * Decoder of the LZ4 frame format, which Arrow IPC files (Feather) are compressed with by default;
 * no library for it comes with Node. Every length is checked, so damaged bytes give an error and
 * never a read or write out of bounds. Source: "LZ4 Frame Format Description" 1.6 and "LZ4 Block
 * Format Description" (github.com/lz4/lz4/doc).
 */

const MAGIC = 0x184d2204;
const MIN_MATCH = 4;

/** @throws Error when the bytes are not one whole LZ4 frame, or hold more than `mostBytes` */
export function decodeLz4Frame(input: Uint8Array, mostBytes: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 7 || view.getUint32(0, true) !== MAGIC) throw broken('no frame header');
  const flags = input[4]!;
  if (flags >> 6 !== 1) throw broken(`version ${flags >> 6}`);
  const blockChecksum = (flags & 0x10) !== 0;
  const contentSize = (flags & 0x08) !== 0;
  const dictionary = (flags & 0x01) !== 0;
  if (dictionary) throw broken('a dictionary, which Arrow does not use');
  let at = 6 + (contentSize ? 8 : 0) + 1;
  const output = new Output(Math.max(1024, input.length * 4), mostBytes);
  for (;;) {
    if (at + 4 > input.length) throw broken('no end mark');
    const head = view.getUint32(at, true);
    at += 4;
    if (head === 0) return output.take();
    const size = head & 0x7fffffff;
    if (at + size > input.length) throw broken('a block longer than the data');
    const block = input.subarray(at, at + size);
    if (head >>> 31) output.append(block, 0, size);
    else decodeBlock(block, output);
    at += size + (blockChecksum ? 4 : 0);
  }
}

function decodeBlock(block: Uint8Array, output: Output): void {
  let at = 0;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble !== 15) return total;
    for (;;) {
      const more = block[at++];
      if (more === undefined) throw broken('a length without end');
      total += more;
      if (more !== 255) return total;
    }
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = length(token >> 4);
    if (at + literals > block.length) throw broken('literals longer than the block');
    output.append(block, at, literals);
    at += literals;
    // The last sequence of a block is literals alone.
    if (at === block.length) return;
    if (at + 2 > block.length) throw broken('a match without offset');
    const offset = block[at]! | (block[at + 1]! << 8);
    at += 2;
    output.copy(offset, length(token & 15) + MIN_MATCH);
  }
}

/** Growing buffer; blocks may refer back to bytes of earlier ones. */
class Output {
  readonly #mostBytes: number;
  #data: Uint8Array;
  #size = 0;

  constructor(capacity: number, mostBytes: number) {
    this.#mostBytes = mostBytes;
    this.#data = new Uint8Array(capacity);
  }

  append(source: Uint8Array, from: number, count: number): void {
    this.#reserve(count);
    this.#data.set(source.subarray(from, from + count), this.#size);
    this.#size += count;
  }

  copy(offset: number, count: number): void {
    if (offset === 0 || offset > this.#size) throw broken('a match before the start');
    this.#reserve(count);
    const data = this.#data;
    const end = this.#size + count;
    if (offset >= count)
      data.copyWithin(this.#size, this.#size - offset, this.#size - offset + count);
    else for (let i = this.#size; i < end; i++) data[i] = data[i - offset]!;
    this.#size = end;
  }

  take(): Uint8Array {
    return this.#data.subarray(0, this.#size);
  }

  #reserve(count: number): void {
    if (this.#size + count > this.#mostBytes) throw broken(`more than ${this.#mostBytes} bytes`);
    if (this.#size + count <= this.#data.length) return;
    const grown = new Uint8Array(Math.max(this.#size + count, this.#data.length * 2));
    grown.set(this.#data.subarray(0, this.#size));
    this.#data = grown;
  }
}

function broken(what: string): Error {
  return new Error(`LZ4 data with ${what}`);
}
