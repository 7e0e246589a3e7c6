/**
 * Writes Parquet files byte by byte, so that tests can make footers that lie. One column `x` of
 * plain int64, one row group, one page, no compression; every count can be overridden. Thrift
 * compact protocol, after parquet.thrift.
 */

export interface ParquetLies {
  readonly values: readonly number[];
  readonly fileRows?: number;
  readonly groupRows?: number;
  readonly chunkValues?: number;
  readonly pageValues?: number;
  readonly dataPageOffset?: number;
  readonly compressedBytes?: number;
}

/** The bytes of the file. */
export function parquetBytes(lies: ParquetLies): Buffer {
  const { values } = lies;
  const rows = values.length;
  const plain = Buffer.alloc(rows * 8);
  for (const [i, value] of values.entries()) plain.writeBigInt64LE(BigInt(value), i * 8);
  const page = struct([
    [1, i32(0)],
    [2, i32(plain.length)],
    [3, i32(plain.length)],
    [
      5,
      inner([
        [1, i32(lies.pageValues ?? rows)],
        [2, i32(0)],
        [3, i32(3)],
        [4, i32(3)],
      ]),
    ],
  ]);
  const chunk = Buffer.concat([page, plain]);
  const bytes = lies.compressedBytes ?? chunk.length;
  const offset = lies.dataPageOffset ?? 4;
  const column = inner([
    [1, i32(2)],
    [2, list(5, [varint(0n)])],
    [3, list(8, [text('x')])],
    [4, i32(0)],
    [5, i64(lies.chunkValues ?? rows)],
    [6, i64(bytes)],
    [7, i64(bytes)],
    [9, i64(offset)],
  ]);
  const footer = struct([
    [1, i32(1)],
    [
      2,
      list(12, [
        struct([
          [4, binary('schema')],
          [5, i32(1)],
        ]),
        struct([
          [1, i32(2)],
          [3, i32(0)],
          [4, binary('x')],
        ]),
      ]),
    ],
    [3, i64(lies.fileRows ?? rows)],
    [
      4,
      list(12, [
        struct([
          [
            1,
            list(12, [
              struct([
                [2, i64(offset)],
                [3, column],
              ]),
            ]),
          ],
          [2, i64(bytes)],
          [3, i64(lies.groupRows ?? rows)],
        ]),
      ]),
    ],
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([Buffer.from('PAR1'), chunk, footer, length, Buffer.from('PAR1')]);
}

/** A field value: Thrift type and bytes. */
interface Field {
  readonly type: number;
  readonly bytes: Buffer;
}

function struct(fields: readonly (readonly [number, Field])[]): Buffer {
  let last = 0;
  const parts: Buffer[] = [];
  for (const [id, field] of fields) {
    parts.push(Buffer.from([((id - last) << 4) | field.type]), field.bytes);
    last = id;
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function inner(fields: readonly (readonly [number, Field])[]): Field {
  return { type: 12, bytes: struct(fields) };
}

function i32(value: number): Field {
  return { type: 5, bytes: zigzag(value) };
}

function i64(value: number): Field {
  return { type: 6, bytes: zigzag(value) };
}

function binary(value: string): Field {
  return { type: 8, bytes: text(value) };
}

function list(type: number, items: readonly Buffer[]): Field {
  return { type: 9, bytes: Buffer.concat([Buffer.from([(items.length << 4) | type]), ...items]) };
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

function zigzag(value: number): Buffer {
  const n = BigInt(value);
  return varint(n < 0n ? -n * 2n - 1n : n * 2n);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
    if (rest === 0n) return Buffer.from(bytes);
  }
}
