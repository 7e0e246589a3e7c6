/** What the importer of one operator is given: operands, attributes, and how it says no. */
import { type Matrix, UnsupportedError } from '../../driver/index.js';
import type { Attribute, Constant, NetworkFormat, NetworkOperation } from './graph.js';
import { type ConstantMatrices, RowsValue } from './rows-value.js';

export type NetworkValue = RowsValue | Constant;

/** Makes the values of the operation's outputs. */
export type Importer = (site: NodeSite) => NetworkValue | readonly NetworkValue[];

/** Of training, or said by the operands, the outputs or other attributes too. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  ...['momentum', 'ratio', 'seed', 'is_test', 'consumed_inputs', 'kernel_shape', 'num_outputs'],
  ...['storage_order', 'saturate', 'round_mode', 'noop_with_empty_axes'],
  ...['cubic_coeff_a', 'exclude_outside', 'extrapolation_value', 'antialias'],
]);

export class NodeSite {
  readonly operation: NetworkOperation;
  readonly format: NetworkFormat;
  /** Of ONNX. */
  readonly opset: number;
  /** Undefined where one is left out. */
  readonly inputs: readonly (NetworkValue | undefined)[];
  readonly matrices: ConstantMatrices;
  readonly #asked = new Set<string>();

  constructor(
    operation: NetworkOperation,
    { format, opset }: { readonly format: NetworkFormat; readonly opset: number },
    inputs: readonly (NetworkValue | undefined)[],
    matrices: ConstantMatrices,
  ) {
    this.operation = operation;
    this.format = format;
    this.opset = opset;
    this.inputs = inputs;
    this.matrices = matrices;
  }

  /** The operand, which follows from data. @throws UnsupportedError for a constant */
  rows(at = 0): RowsValue {
    const value = this.inputs[at];
    return value instanceof RowsValue ? value : this.refuse(`data as operand ${at + 1}`);
  }

  /** An image a row. @throws UnsupportedError */
  images(at = 0): RowsValue {
    const value = this.rows(at);
    return value.isImages ? value : this.refuse(`images, got rows of ${value.dims.join(' x ')}`);
  }

  /** @throws UnsupportedError for an operand that follows from data */
  constant(at: number): Constant {
    return this.optional(at) ?? this.refuse(`operand ${at + 1}`);
  }

  /** Undefined where it is left out. @throws UnsupportedError as `constant` */
  optional(at: number): Constant | undefined {
    const value = this.inputs[at];
    if (value instanceof RowsValue) return this.refuse(`operand ${at + 1} as a constant`);
    return value;
  }

  number(name: string, absent: number): number {
    const value = this.#attribute(name);
    return typeof value === 'number' ? value : absent;
  }

  text(name: string, absent: string): string {
    const value = this.#attribute(name);
    return typeof value === 'string' ? value : absent;
  }

  list(name: string): readonly number[] | undefined {
    const value = this.#attribute(name);
    return Array.isArray(value) ? (value as readonly number[]) : undefined;
  }

  tensor(name: string): Constant | undefined {
    const value = this.#attribute(name);
    return typeof value === 'object' && 'cells' in value ? value : undefined;
  }

  #attribute(name: string): Attribute | undefined {
    this.#asked.add(name);
    return this.operation.attributes.get(name);
  }

  /** @throws UnsupportedError for attributes nobody asked for, which might change the value */
  refuseUnread(): void {
    const names = [...this.operation.attributes.keys()];
    const unread = names.filter((name) => !this.#asked.has(name) && !WITHOUT_EFFECT.has(name));
    if (unread.length > 0) this.refuse(`no attribute ${unread.join(', ')}`);
  }

  /** A list that is an attribute in older files, an operand in newer ones. */
  listOr(name: string, at: number): readonly number[] | undefined {
    const given = this.optional(at);
    return this.list(name) ?? (given && [...given.cells]);
  }

  /** A constant as [1, n], in the dtype of the data. */
  row(constant: Constant, beside: Matrix): Matrix {
    return this.matrices.matrix(beside, constant, [1, constant.cells.length]);
  }

  /** Axes of this value counted from the first after the rows. @throws UnsupportedError for rows */
  axes(given: readonly number[], { dims }: RowsValue): number[] {
    return given.map((axis) => {
      const own = (axis < 0 ? axis + dims.length + 1 : axis) - 1;
      return own >= 0 && own < dims.length ? own : this.refuse(`another axis than ${axis}`);
    });
  }

  /** @throws UnsupportedError */
  refuse(expected: string): never {
    const { op, name } = this.operation;
    throw new UnsupportedError(
      `${this.format}: expected ${expected} of ${op} (${name}), which is not read otherwise; cut the network before it, or export it without`,
      { op: this.format, backend: 'networks', operator: op, node: name },
    );
  }
}
