/**
 * Lets go of the transients of one execution: each as soon as the last operator of the plan has
 * read it, its memory handed back to the backend that made it. Invariant: memory is handed back
 * only when nothing else can read it: a value that shares its cells with another, travels, or was
 * read by another backend is left to the garbage collector.
 */
import { type CellChain, isFreed, type Plan, type PlanNode } from '../compiler/plan.js';
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix, Value } from '../ir/value.js';

export class TransientValues {
  readonly #plan: Plan;
  readonly #values: Map<Expr, Value>;
  /** Reads to come. Readers over row blocks may read again, so what they read stays. */
  readonly #reads = new Map<Expr, number>();
  /** What making a transient took, from what is kept. @units seconds */
  readonly #seconds = new Map<Expr, number>();
  /** Memory of more than one value. */
  readonly #viewed = new Set<ArrayBufferLike>();
  /** Read by another backend, which may still hold on to them. */
  readonly #travelled = new Set<Expr>();

  /** @param values those of the execution; transients are taken out */
  constructor(plan: Plan, values: Map<Expr, Value>) {
    this.#plan = plan;
    this.#values = values;
    for (const node of plan.nodes) {
      for (const input of node.expr.inputs) {
        if (isFreed(plan.nodeOf.get(input))) {
          this.#reads.set(input, (this.#reads.get(input) ?? 0) + 1);
        }
      }
    }
  }

  /** An operator on whole values is done, or a chain of them. */
  finished(node: PlanNode, value?: Value, chain?: CellChain): void {
    if (this.#reads.size === 0) return;
    const { expr, backend } = node;
    // Element-wise operators write a value of their own; others, as `reshape`, may give a view of
    // what they read.
    if (!expr.op.elementwise && value?.kind === 'dense') this.#noteViews(expr, value);
    for (const { inputs } of chain?.nodes ?? [expr]) {
      for (const input of inputs) {
        const reads = this.#reads.get(input);
        if (reads === undefined) continue;
        const maker = this.#plan.nodeOf.get(input)!;
        if (maker.backend !== backend) this.#travelled.add(input);
        if (reads > 1) this.#reads.set(input, reads - 1);
        else this.#letGo(maker);
      }
    }
  }

  /** What making a value took, with the transients it was made from. @units seconds */
  total(node: PlanNode, seconds: number, chain?: CellChain): number {
    if (this.#seconds.size > 0) {
      for (const input of chain?.inputs ?? node.expr.inputs)
        seconds += this.#seconds.get(input) ?? 0;
    }
    if (isFreed(node)) this.#seconds.set(node.expr, seconds);
    return seconds;
  }

  #noteViews(expr: Expr, value: DenseMatrix): void {
    for (const input of expr.inputs) {
      const read = this.#values.get(input);
      if (read?.kind === 'dense' && read.data.buffer === value.data.buffer) {
        this.#viewed.add(value.data.buffer);
      }
    }
  }

  #letGo({ expr, backend }: PlanNode): void {
    this.#reads.delete(expr);
    const value = this.#values.get(expr);
    // A handle is let go with the execution, by its backend.
    if (value?.kind !== 'dense') return;
    this.#values.delete(expr);
    const isHeld = this.#plan.broadcast?.has(expr) || this.#travelled.has(expr);
    if (!isHeld && !this.#viewed.has(value.data.buffer)) backend.recycle?.(value);
  }
}
