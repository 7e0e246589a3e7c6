/**
 * Lets go of the transients of one execution: each as soon as the last operator of the plan has read it, its memory handed
 * back to the backend that made it. Invariant: memory is handed back only when nothing else can read it: a value that
 * shares its cells with another, travels, or was read by another backend is left to the garbage collector.
 */
import type { Plan, PlanNode } from '../compiler/plan.js';
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix, Value } from './value.js';

export class TransientValues {
  readonly #plan: Plan;
  readonly #values: Map<Expr, Value>;
  /** Reads to come. Readers over row blocks may read again, so what they read stays. */
  readonly #reads = new Map<Expr, number>();
  /** What making a transient took, from what is kept. @units seconds */
  readonly #seconds = new Map<Expr, number>();
  /** Memory that more than one value may look at. */
  readonly #shared = new Set<ArrayBufferLike>();

  /** @param values those of the execution; transients are taken out */
  constructor(plan: Plan, values: Map<Expr, Value>) {
    this.#plan = plan;
    this.#values = values;
    for (const node of plan.nodes) {
      for (const input of node.expr.inputs) {
        if (plan.nodeOf.get(input)?.transient) {
          this.#reads.set(input, (this.#reads.get(input) ?? 0) + 1);
        }
      }
    }
  }

  /** An operator on whole values is done. */
  finished(node: PlanNode, value: Value): void {
    if (this.#reads.size === 0) return;
    for (const input of node.expr.inputs) {
      const maker = this.#plan.nodeOf.get(input);
      if (!node.expr.op.elementwise && value.kind === 'dense') this.#noteSharing(input, value);
      if (maker?.transient !== true) continue;
      if (maker.backend !== node.backend) this.#noteSharing(input);
      const reads = this.#reads.get(input)!;
      if (reads > 1) this.#reads.set(input, reads - 1);
      else this.#letGo(maker);
    }
  }

  /** What making a value took, with the transients it was made from. @units seconds */
  total(node: PlanNode, seconds: number): number {
    if (this.#seconds.size > 0) {
      for (const input of node.expr.inputs) seconds += this.#seconds.get(input) ?? 0;
    }
    if (node.transient) this.#seconds.set(node.expr, seconds);
    return seconds;
  }

  /** Element-wise operators always write a value of their own; others may give a view of what they read. */
  #noteSharing(input: Expr, value?: DenseMatrix): void {
    const read = this.#values.get(input);
    if (read?.kind !== 'dense') return;
    const memory = read.data.buffer;
    if (value === undefined || value.data.buffer === memory) this.#shared.add(memory);
  }

  #letGo({ expr, backend, transfer }: PlanNode): void {
    this.#reads.delete(expr);
    const value = this.#values.get(expr);
    // A handle is let go with the execution, by its backend.
    if (value?.kind !== 'dense') return;
    this.#values.delete(expr);
    if (transfer !== undefined) return;
    if (this.#shared.size > 0 && this.#shared.has(value.data.buffer)) return;
    backend.recycle?.(value);
  }
}
