/** An ONNX graph as it is put together: nodes and constants under names of their own. */
import { type OnnxNode, type Tensor, type TensorType, TYPES } from './onnx-messages.js';

/** Collects nodes and constants under names of their own. */
export class Graph {
  readonly nodes: OnnxNode[] = [];
  readonly constants: Tensor[] = [];

  node(op: string, inputs: readonly string[], attributes?: Record<string, number>): string {
    const output = `v${this.nodes.length}`;
    this.nodes.push({ op, inputs, output, ...(attributes ? { attributes } : {}) });
    return output;
  }

  /** The same value under the name of an output. */
  name(value: string, output: string): void {
    this.nodes.push({ op: 'Identity', inputs: [value], output });
  }

  cast(value: string, type: TensorType): string {
    return this.node('Cast', [value], { to: TYPES[type] });
  }

  doubles(values: ArrayLike<number>, dims: readonly number[]): string {
    return this.#constant({ type: 'double', values, dims });
  }

  ints(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#constant({ type: 'int64', values, dims });
  }

  bools(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#constant({ type: 'bool', values, dims });
  }

  texts(values: readonly string[], dims: readonly number[] = [values.length]): string {
    return this.#constant({ type: 'string', values, dims });
  }

  #constant(tensor: DistributiveOmit<Tensor, 'name'>): string {
    const name = `c${this.constants.length}`;
    this.constants.push({ ...tensor, name });
    return name;
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
