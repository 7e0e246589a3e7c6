/**
 * Reads the tensors of a PyTorch state dictionary as `torch.save` wrote it up to version 1.5: pickles,
 * then raw storages. Invariant: a pickle is data here; what would call anything but the makers of
 * tensors and ordered dictionaries is refused. Format: torch/serialization.py `_legacy_load`.
 */
import { readFile } from 'node:fs/promises';
import { DataError } from '../../driver/index.js';
import type { Constant } from './graph.js';

/** @throws DataError for a file that is not of this form, or holds more than tensors */
export async function readTensors(path: string): Promise<ReadonlyMap<string, Constant>> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw refused('a file', cause.code === 'ENOENT' ? 'none' : (cause.code ?? 'an error'), path);
  });
  try {
    return tensorsOf(bytes, path);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw refused('whole pickles and storages', 'the end of the file', path);
  }
}

interface Storage {
  readonly type: string;
  readonly key: string;
  readonly count: number;
}

interface Tensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

const BYTES: Readonly<Record<string, number>> = {
  FloatStorage: 4,
  DoubleStorage: 8,
  LongStorage: 8,
};

/** What begins the file, by the source. */
const MAGIC = '119547037146038801333356';

function tensorsOf(bytes: Buffer, path: string): ReadonlyMap<string, Constant> {
  const unpickler = new Unpickler(bytes, path);
  const isZip = bytes.subarray(0, 2).toString() === 'PK';
  if (isZip || unpickler.next() !== MAGIC) {
    const got = isZip ? 'a zip file' : 'another file';
    throw refused('pickles by torch.save(.., _use_new_zipfile_serialization=False)', got, path);
  }
  unpickler.next();
  unpickler.next();
  const named = unpickler.next();
  if (!(named instanceof Map)) throw refused('a dictionary of tensors', String(named), path);
  const keys = unpickler.next() as readonly string[];
  const places = new Map<string, number>();
  let { at } = unpickler;
  const types = new Map<string, string>();
  for (const one of named.values()) if (isTensor(one)) types.set(one.storage.key, one.storage.type);
  for (const key of keys) {
    const count = Number(bytes.readBigInt64LE(at));
    places.set(key, at + 8);
    at += 8 + count * BYTES[types.get(key) ?? '']!;
  }
  if (at !== bytes.length) throw refused('storages of its tensors alone', 'other bytes', path);
  const tensors = new Map<string, Constant>();
  for (const [name, tensor] of named) {
    if (!isTensor(tensor)) throw refused(`a tensor as ${name}`, typeof tensor, path);
    tensors.set(String(name), constantOf(bytes, places.get(tensor.storage.key)!, tensor, path));
  }
  return tensors;
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && 'storage' in value;

/** Cells row by row, from wherever strides say they lie. */
function constantOf(bytes: Buffer, place: number, tensor: Tensor, path: string): Constant {
  const { dims, strides, offset, storage } = tensor;
  const count = dims.reduce((size, one) => size * one, 1);
  const most = dims.reduce((last, size, axis) => last + (size - 1) * strides[axis]!, offset);
  if (count > 0 && most >= storage.count)
    throw refused('tensors within their storage', 'more', path);
  const size = BYTES[storage.type]!;
  const read = {
    FloatStorage: (at: number) => bytes.readFloatLE(at),
    DoubleStorage: (at: number) => bytes.readDoubleLE(at),
    LongStorage: (at: number) => Number(bytes.readBigInt64LE(at)),
  }[storage.type]!;
  const own = new (storage.type === 'FloatStorage' ? Float32Array : Float64Array)(count);
  const index = dims.map(() => 0);
  for (let i = 0, from = offset; i < count; i++) {
    own[i] = read(place + from * size);
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      index[axis]!++;
      if (index[axis]! < dims[axis]!) break;
      from -= strides[axis]! * dims[axis]!;
      index[axis] = 0;
    }
  }
  return { dims, cells: own };
}

const MARK = Symbol('mark');

/** A name of Python, which is never looked up. */
class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Protocol 2 as far as tensors need it. */
class Unpickler {
  readonly #bytes: Buffer;
  readonly #path: string;
  at = 0;

  constructor(bytes: Buffer, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  /** The value of the pickle that begins here. */
  next(): unknown {
    const stack: unknown[] = [];
    const memo: unknown[] = [];
    const pop = (): unknown => stack.pop();
    const marked = (): unknown[] => {
      const from = stack.lastIndexOf(MARK);
      if (from < 0) throw this.#refused('a mark', 'none');
      return stack.splice(from).slice(1);
    };
    for (;;) {
      const code = String.fromCharCode(this.#byte());
      // biome-ignore format: a table of operation codes
      switch (code) {
        case '\x80': this.#byte(); break; // PROTO
        case '.': return stack.at(-1); // STOP
        case '(': stack.push(MARK); break;
        case '}': stack.push(new Map()); break; // EMPTY_DICT
        case ']': stack.push([]); break; // EMPTY_LIST
        case ')': stack.push([]); break; // EMPTY_TUPLE
        case 'N': stack.push(null); break;
        case '\x88': stack.push(true); break;
        case '\x89': stack.push(false); break;
        case 'K': stack.push(this.#byte()); break; // BININT1
        case 'M': stack.push(this.#take(2).readUInt16LE()); break; // BININT2
        case 'J': stack.push(this.#take(4).readInt32LE()); break; // BININT
        case '\x8a': stack.push(this.#long()); break; // LONG1
        case 'X': stack.push(this.#take(this.#take(4).readUInt32LE()).toString('utf8')); break; // BINUNICODE
        case 'q': memo[this.#byte()] = stack.at(-1); break; // BINPUT
        case 'r': memo[this.#take(4).readUInt32LE()] = stack.at(-1); break; // LONG_BINPUT
        case 'h': stack.push(memo[this.#byte()]); break; // BINGET
        case 'j': stack.push(memo[this.#take(4).readUInt32LE()]); break; // LONG_BINGET
        case '\x85': stack.push([pop()]); break; // TUPLE1
        case '\x86': stack.push(stack.splice(-2)); break; // TUPLE2
        case '\x87': stack.push(stack.splice(-3)); break; // TUPLE3
        case 't': stack.push(marked()); break; // TUPLE
        case 'e': { const all = marked(); (stack.at(-1) as unknown[]).push(...all); break; } // APPENDS
        case 's': { const [key, value] = stack.splice(-2); this.#into(stack.at(-1), [key, value]); break; } // SETITEM
        case 'u': { const all = marked(); this.#into(stack.at(-1), all); break; } // SETITEMS
        case 'b': pop(); break; // BUILD: attributes of a dictionary, such as versions of modules
        case 'c': stack.push(new Global(`${this.#line()}.${this.#line()}`)); break; // GLOBAL
        case 'Q': stack.push(this.#storage(pop())); break; // BINPERSID
        case 'R': { const [made, given] = stack.splice(-2); stack.push(this.#made(made, given)); break; } // REDUCE
        default: throw this.#refused('tensors', `operation ${JSON.stringify(code)} of pickle`);
      }
    }
  }

  #into(target: unknown, all: readonly unknown[]): void {
    if (!(target instanceof Map)) throw this.#refused('a dictionary', 'items of another value');
    for (let i = 0; i < all.length; i += 2) target.set(all[i], all[i + 1]);
  }

  #made(made: unknown, given: unknown): unknown {
    const name = made instanceof Global ? made.name : 'a value';
    if (name === 'collections.OrderedDict') return new Map();
    if (name === 'torch._utils._rebuild_parameter') return (given as unknown[])[0];
    if (name !== 'torch._utils._rebuild_tensor_v2')
      throw this.#refused('tensors', `a call of ${name}`);
    const [storage, offset, dims, strides] = given as [Storage, number, number[], number[]];
    return { storage, offset, dims, strides } satisfies Tensor;
  }

  #storage(id: unknown): Storage {
    const [kind, type, key, , count, view] = id as [
      string,
      unknown,
      string,
      string,
      number,
      unknown,
    ];
    const name = type instanceof Global ? type.name.replace(/^torch\./, '') : '';
    const isPlain = kind === 'storage' && view === null;
    if (!isPlain || !(name in BYTES))
      throw this.#refused('storages of floats or integers', name || 'another');
    return { type: name, key, count };
  }

  /** A number below 2^53, or its digits. */
  #long(): number | string {
    let value = 0n;
    for (const [i, byte] of this.#take(this.#byte()).entries())
      value += BigInt(byte) << BigInt(8 * i);
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.at);
    if (end < 0) throw new RangeError('end');
    const text = this.#bytes.toString('latin1', this.at, end);
    this.at = end + 1;
    return text;
  }

  #byte(): number {
    return this.#take(1)[0]!;
  }

  #take(count: number): Buffer {
    if (this.at + count > this.#bytes.length) throw new RangeError('end');
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  #refused(expected: string, got: string): DataError {
    return refused(expected, got, this.#path);
  }
}

function refused(expected: string, got: string, path: string): DataError {
  return new DataError(
    `torch: expected ${expected}, got ${got}: ${path}; save a state dictionary of tensors, or export the network to ONNX`,
    { op: 'torch', path },
  );
}
