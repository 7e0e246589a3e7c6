/**
 * Reads the messages of an ONNX file, as far as networks need them, with Buf's protobuf reader:
 * field numbers of `onnx.proto`. Invariant: what it can't read it refuses; no field that changes a
 * value is passed over.
 */
import { readFile } from 'node:fs/promises';
import { BinaryReader, type WireType } from '@bufbuild/protobuf/wire';
import { DataError } from '../../driver/index.js';
import type { Attribute, Constant, GraphInput, NetworkGraph, NetworkOperation } from './graph.js';

/** @throws DataError for a path without a file, a file that is not ONNX or has parts that are not read */
export async function readOnnx(path: string): Promise<NetworkGraph> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const got = cause.code === 'ENOENT' ? 'no such file' : (cause.code ?? 'an unreadable path');
    throw new DataError(
      `onnx: expected a file of an ONNX model, got ${got}: ${path}`,
      { op: 'onnx', path },
      { cause },
    );
  });
  try {
    return graphOf(bytes);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(
      `onnx: expected an ONNX model, got ${path}: ${(cause as Error).message}; export it again`,
      { op: 'onnx', path },
      { cause },
    );
  }
}

type Field = (reader: BinaryReader, wire: WireType) => void;

/** Reads a message; fields without a reader are skipped. */
function fieldsOf(bytes: Uint8Array, fields: Readonly<Record<number, Field>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const read = fields[number];
    if (read === undefined) reader.skip(wire, number);
    else read(reader, wire);
  }
}

/** A number, or a packed run of them. */
function numbers(into: number[], one: (reader: BinaryReader) => number): Field {
  return (reader, wire) => {
    if (wire !== 2) {
      into.push(one(reader));
      return;
    }
    const packed = new BinaryReader(reader.bytes());
    while (packed.pos < packed.len) into.push(one(packed));
  };
}

const int64 = (reader: BinaryReader): number => Number(reader.int64());

function graphOf(bytes: Uint8Array): NetworkGraph {
  let opset = 1;
  let graph: Uint8Array | undefined;
  fieldsOf(bytes, {
    7: (reader) => {
      graph = reader.bytes();
    },
    8: (reader) => {
      let [domain, version] = ['', 1];
      fieldsOf(reader.bytes(), {
        1: (own) => {
          domain = own.string();
        },
        2: (own) => {
          version = int64(own);
        },
      });
      if (domain === '' || domain === 'ai.onnx') opset = version;
    },
  });
  if (graph === undefined) throw refused('a graph', 'none');
  const operations: NetworkOperation[] = [];
  const constants = new Map<string, Constant>();
  const inputs: GraphInput[] = [];
  const outputs: string[] = [];
  fieldsOf(graph, {
    1: (reader) => operations.push(operationOf(reader.bytes())),
    5: (reader) => {
      const { name, constant } = tensorOf(reader.bytes());
      constants.set(name, constant);
    },
    11: (reader) => inputs.push(valueInfoOf(reader.bytes())),
    12: (reader) => outputs.push(valueInfoOf(reader.bytes()).name),
    15: () => {
      throw refused('dense weights', 'sparse ones');
    },
  });
  const own = inputs.filter(({ name }) => !constants.has(name));
  return { format: 'onnx', opset, operations, constants, inputs: own, outputs };
}

function operationOf(bytes: Uint8Array): NetworkOperation {
  const inputs: string[] = [];
  const outputs: string[] = [];
  let [name, op, domain] = ['', '', ''];
  const attributes = new Map<string, Attribute>();
  fieldsOf(bytes, {
    1: (reader) => inputs.push(reader.string()),
    2: (reader) => outputs.push(reader.string()),
    3: (reader) => {
      name = reader.string();
    },
    4: (reader) => {
      op = reader.string();
    },
    5: (reader) => attributes.set(...attributeOf(reader.bytes())),
    7: (reader) => {
      domain = reader.string();
    },
  });
  // Operators of other domains have other meanings under the same names.
  const own = domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`;
  return { name: name || outputs[0]!, op: own, inputs, outputs, attributes };
}

/** By AttributeProto.AttributeType; writers of proto3 leave these out. */
const ABSENT: Readonly<Record<number, Attribute>> = { 1: 0, 2: 0, 3: '' };

function attributeOf(bytes: Uint8Array): [name: string, value: Attribute] {
  let [name, type] = ['', 0];
  let single: Attribute | undefined;
  const list: number[] = [];
  const texts: string[] = [];
  fieldsOf(bytes, {
    1: (reader) => {
      name = reader.string();
    },
    2: (reader) => {
      single = reader.float();
    },
    3: (reader) => {
      single = int64(reader);
    },
    4: (reader) => {
      single = Buffer.from(reader.bytes()).toString('utf8');
    },
    5: (reader) => {
      single = tensorOf(reader.bytes()).constant;
    },
    6: () => {
      throw refused('operators without graphs of their own', `attribute ${name}`);
    },
    7: numbers(list, (reader) => reader.float()),
    8: numbers(list, int64),
    9: (reader) => texts.push(Buffer.from(reader.bytes()).toString('utf8')),
    20: (reader) => {
      type = reader.int32();
    },
  });
  return [name, single ?? ABSENT[type] ?? (texts.length > 0 ? texts : list)];
}

/** TensorProto.DataType of the types that are read, and their cells among raw bytes. */
const RAW: Readonly<Record<number, (bytes: ArrayBuffer) => ArrayLike<number | bigint>>> = {
  1: (bytes) => new Float32Array(bytes),
  2: (bytes) => new Uint8Array(bytes),
  3: (bytes) => new Int8Array(bytes),
  6: (bytes) => new Int32Array(bytes),
  7: (bytes) => new BigInt64Array(bytes),
  9: (bytes) => new Uint8Array(bytes),
  11: (bytes) => new Float64Array(bytes),
};

function tensorOf(bytes: Uint8Array): { readonly name: string; readonly constant: Constant } {
  const dims: number[] = [];
  const given: number[] = [];
  let [name, type] = ['', 0];
  let raw: Uint8Array | undefined;
  fieldsOf(bytes, {
    1: numbers(dims, int64),
    2: (reader) => {
      type = reader.int32();
    },
    4: numbers(given, (reader) => reader.float()),
    5: numbers(given, (reader) => reader.int32()),
    7: numbers(given, int64),
    8: (reader) => {
      name = reader.string();
    },
    9: (reader) => {
      raw = reader.bytes();
    },
    10: numbers(given, (reader) => reader.double()),
    13: () => {
      throw refused('weights within the file', `those of ${name} in another`);
    },
  });
  const read = RAW[type];
  if (read === undefined) {
    throw refused('weights of float, double or whole numbers', `type ${type} of ${name}`);
  }
  const cells = raw === undefined ? given : read(copied(raw));
  const count = dims.reduce((size, one) => size * one, 1);
  if (cells.length !== count) throw refused(`${count} cells of ${name}`, `${cells.length}`);
  const own = new (type === 1 ? Float32Array : Float64Array)(count);
  for (let i = 0; i < count; i++) own[i] = Number(cells[i]);
  return { name, constant: { dims, cells: own } };
}

/** Aligned, as typed arrays need it. */
function copied(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function valueInfoOf(bytes: Uint8Array): GraphInput {
  let name = '';
  const dims: (number | null)[] = [];
  const dimension: Field = (reader) => {
    let size: number | null = null;
    fieldsOf(reader.bytes(), {
      1: (own) => {
        size = int64(own);
      },
    });
    dims.push(size !== null && size > 0 ? size : null);
  };
  const within = (number: number, read: Field): Field => {
    return (reader) => fieldsOf(reader.bytes(), { [number]: read });
  };
  fieldsOf(bytes, {
    1: (reader) => {
      name = reader.string();
    },
    2: within(1, within(2, within(1, dimension))),
  });
  return { name, dims: dims.slice(1) };
}

function refused(expected: string, got: string): DataError {
  return new DataError(
    `onnx: expected ${expected}, got ${got}; export the network with what is read (docs/pretrained-networks.md)`,
    { op: 'onnx' },
  );
}
