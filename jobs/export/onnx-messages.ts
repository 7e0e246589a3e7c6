/**
 * The messages of an ONNX file, as far as models of ours need them, on Buf's protobuf writer. Field
 * numbers are those of `onnx.proto` (onnx 1.14, IR version 9).
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** `TensorProto.DataType` */
export const TYPES = { float: 1, int64: 7, string: 8, bool: 9, double: 11 } as const;
export type TensorType = keyof typeof TYPES;

export type Tensor = {
  readonly name: string;
  readonly dims: readonly number[];
} & (
  | { readonly type: 'double' | 'int64' | 'bool'; readonly values: ArrayLike<number> }
  | { readonly type: 'string'; readonly values: readonly string[] }
);

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Whole numbers only. */
  readonly attributes?: Readonly<Record<string, number>>;
}

/** An input or output: rows are free, `columns` fixed; null for a vector. */
export interface OnnxValue {
  readonly name: string;
  readonly type: TensorType;
  readonly columns: number | null;
  readonly doc?: string;
}

export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly Tensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly doc: string;
  readonly producerVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const IR_VERSION = 9;
/** Since which texts compare. */
const OPSET = 19;

export function onnxBytes(model: OnnxModel): Uint8Array {
  const out = new BinaryWriter();
  int(out, 1, IR_VERSION);
  text(out, 2, 'reprise');
  text(out, 3, model.producerVersion);
  text(out, 6, model.doc);
  message(out, 7, (graph) => {
    for (const node of model.nodes) message(graph, 1, (own) => writeNode(own, node));
    text(graph, 2, 'model');
    for (const tensor of model.constants) message(graph, 5, (own) => writeTensor(own, tensor));
    for (const value of model.inputs) message(graph, 11, (own) => writeValue(own, value));
    for (const value of model.outputs) message(graph, 12, (own) => writeValue(own, value));
  });
  message(out, 8, (opset) => {
    text(opset, 1, '');
    int(opset, 2, OPSET);
  });
  for (const [key, value] of Object.entries(model.metadata)) {
    message(out, 14, (entry) => {
      text(entry, 1, key);
      text(entry, 2, value);
    });
  }
  return out.finish();
}

function writeNode(out: BinaryWriter, { op, inputs, output, attributes = {} }: OnnxNode): void {
  for (const input of inputs) text(out, 1, input);
  text(out, 2, output);
  text(out, 3, output);
  text(out, 4, op);
  for (const [name, value] of Object.entries(attributes)) {
    message(out, 5, (attribute) => {
      text(attribute, 1, name);
      int(attribute, 3, value);
      int(attribute, 20, 2);
    });
  }
}

function writeTensor(out: BinaryWriter, tensor: Tensor): void {
  for (const size of tensor.dims) int(out, 1, size);
  int(out, 2, TYPES[tensor.type]);
  if (tensor.type === 'string') for (const value of tensor.values) text(out, 6, value);
  text(out, 8, tensor.name);
  if (tensor.type !== 'string') bytes(out, 9, rawCells(tensor.type, tensor.values));
}

/** Cells as `raw_data` has them, little-endian. */
function rawCells(type: 'double' | 'int64' | 'bool', values: ArrayLike<number>): Uint8Array {
  if (type === 'bool') return Uint8Array.from(values);
  const view = new DataView(new ArrayBuffer(values.length * 8));
  for (let i = 0; i < values.length; i++) {
    if (type === 'double') view.setFloat64(i * 8, values[i]!, true);
    else view.setBigInt64(i * 8, BigInt(values[i]!), true);
  }
  return new Uint8Array(view.buffer);
}

function writeValue(out: BinaryWriter, { name, type, columns, doc }: OnnxValue): void {
  text(out, 1, name);
  message(out, 2, (own) =>
    message(own, 1, (tensor) => {
      int(tensor, 1, TYPES[type]);
      message(tensor, 2, (shape) => {
        message(shape, 1, (rows) => text(rows, 2, 'rows'));
        if (columns !== null) message(shape, 1, (size) => int(size, 1, columns));
      });
    }),
  );
  if (doc !== undefined) text(out, 3, doc);
}

function message(out: BinaryWriter, field: number, write: (inner: BinaryWriter) => void): void {
  out.tag(field, WireType.LengthDelimited).fork();
  write(out);
  out.join();
}

function text(out: BinaryWriter, field: number, value: string): void {
  out.tag(field, WireType.LengthDelimited).string(value);
}

function bytes(out: BinaryWriter, field: number, value: Uint8Array): void {
  out.tag(field, WireType.LengthDelimited).bytes(value);
}

function int(out: BinaryWriter, field: number, value: number): void {
  out.tag(field, WireType.Varint).int64(value);
}
