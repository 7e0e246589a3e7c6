/** A network as its file has it, whatever the format: operations over named values. */

/** `onnx`: images have channels first; `layers`, Keras layers of TensorFlow.js: channels last. */
export type NetworkFormat = 'onnx' | 'layers';

/** Numbers that are known before any data are: weights, shapes. */
export interface Constant {
  readonly dims: readonly number[];
  readonly cells: Float64Array | Float32Array;
}

export type Attribute = number | string | Constant | readonly number[] | readonly string[];

export interface NetworkOperation {
  /** Of the node, or of its first output. */
  readonly name: string;
  readonly op: string;
  /** Names of values; empty for one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

export interface GraphInput {
  readonly name: string;
  /** Sizes after the first, null where they are free. */
  readonly dims: readonly (number | null)[];
}

export interface NetworkGraph {
  readonly format: NetworkFormat;
  /** Of ONNX. */
  readonly opset: number;
  /** In an order in which each follows what it reads. */
  readonly operations: readonly NetworkOperation[];
  readonly constants: ReadonlyMap<string, Constant>;
  /** Without constants. */
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly string[];
}
