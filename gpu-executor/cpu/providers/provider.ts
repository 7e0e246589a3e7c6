/**
 * Another library's kernels beside our own. Invariant: a provider gives the operator's value for
 * float32 cells within that type's tolerance, for every cell, NaN included; what it can't it lacks.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import type { Typed } from '../../../driver/ir/dtype.js';
import type { Meta } from '../../../driver/ir/expr.js';
import type { Cells } from '../../../driver/ir/value.js';
import type { Kernel } from '../kernels/kernel.js';

/** A node, as far as a provider is asked about it. */
export interface ProvidedForm {
  readonly op: string;
  readonly attrs: Attrs;
  readonly inputs: readonly (Meta & Typed)[];
  readonly out: Meta & Typed;
}

export interface KernelProvider {
  /** What its costs are learned under. */
  readonly name: string;
  /** For `doctor` and a run's record. */
  readonly description: string;
  /** Of one call. */
  readonly threads: number;
  /** Tensors it holds: as many after a call as before. */
  readonly held: () => number;
  /** Whether it can. */
  has(form: ProvidedForm): boolean;
  readonly kernelOf: ReadonlyMap<string, Kernel<Cells>>;
}
