/**
 * Compiled loops: a body as a list of calls over one memory, in which each value has its place from
 * the first turn to the last. Invariant: from the second turn on no memory for values is allocated
 * but what kernels keep no hold of; values have the bits of the same kernels run node by node.
 * Source: static memory planning of XLA and TVM (Chen et al., OSDI 2018, section 4).
 */
import type { LoopBody, LoopProgram } from '../../../driver/backend/loop-program.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { memoryShares } from '../../../driver/support/memory.js';
import { formatBytes } from '../../../driver/support/size.js';
import { atOnce } from '../native/at-once.js';
import type { Blas } from '../native/blas.js';
import type { LaneMemory } from '../simd/lane-memory.js';
import type { StreamContext } from '../stream.js';
import { cellUnit, isOnLanes, stretchesOf } from './cell-unit.js';
import { type KernelUnit, kernelUnit } from './kernel-unit.js';
import { type Layout, layoutOf, type Move } from './layout.js';
import { giveMemory, takeMemory } from './loop-memory.js';
import { holderOf, scheduled, type Unit, type ViewOf } from './schedule.js';

type Call = () => void | Promise<void>;

/** @returns the program, or why there is none */
export function compileLoop(body: LoopBody, stream: StreamContext): LoopProgram | string {
  for (const [expr, value] of body.values) {
    if (value.sparse !== undefined) return `${expr.op.name} is held in a compressed form`;
  }
  const made = new Set(body.nodes);
  const known = new Map<Expr, ViewOf>();
  const held = (expr: Expr): ViewOf => {
    let view = known.get(expr);
    if (view === undefined) {
      view = holderOf(expr, (node) => made.has(node));
      known.set(expr, view);
    }
    return view;
  };
  const first = scheduled(
    body.nodes.filter((node) => node.isDeterministic),
    held,
  );
  const turn = scheduled(
    body.nodes.filter((node) => !node.isDeterministic),
    held,
  );
  const brought = [...first, ...turn]
    .filter(isOnLanes)
    .flatMap((unit) => [...stretchesOf(unit).keys()])
    .map((expr) => held(expr).of)
    .filter((expr) => body.values.has(expr));
  const layout = layoutOf(body, held, first, turn, brought);
  const most = memoryShares().materialiseBytes;
  if (layout.bytes > most) {
    return `its values take ${formatBytes(layout.bytes)}, more than ${formatBytes(most)}`;
  }
  return new Program(body, held, first, turn, layout, stream);
}

class Program implements LoopProgram {
  readonly results: readonly DenseMatrix[];
  kernels = 0;
  readonly #body: LoopBody;
  readonly #held: (expr: Expr) => ViewOf;
  readonly #layout: Layout;
  readonly #memory: LaneMemory;
  readonly #stream: StreamContext;
  readonly #units: KernelUnit[] = [];
  readonly #first: readonly Call[];
  readonly #turn: readonly Call[];
  /** Kernels of the first turn alone, and of every turn. */
  readonly #counts: readonly [first: number, turn: number];
  #hasBegun = false;

  constructor(
    body: LoopBody,
    held: (expr: Expr) => ViewOf,
    first: readonly Unit[],
    turn: readonly Unit[],
    layout: Layout,
    stream: StreamContext,
  ) {
    this.#body = body;
    this.#held = held;
    this.#layout = layout;
    this.#stream = stream;
    this.#memory = takeMemory(layout.bytes);
    const blas = atOnce(stream.kernels.blas);
    const callOf = (unit: Unit): Call => this.#callOf(unit, blas);
    const moveOf = (move: Move): Call => this.#moveOf(move);
    this.#first = first.map(callOf);
    const calls = turn.map(callOf);
    this.#turn = [...layout.before.map(moveOf), ...calls, ...layout.after.map(moveOf)];
    const once = body.nodes.filter((node) => node.isDeterministic).length;
    this.#counts = [once, body.nodes.length - once];
    this.results = body.roots.map((root, i) => {
      const place = layout.results[i];
      return place === undefined ? this.#valueOf(root) : this.#at(root, place);
    });
    for (const expr of body.values.keys()) {
      const place = body.slots.includes(expr) ? undefined : layout.places.get(expr);
      if (place !== undefined) this.#at(expr, place).data.set(body.values.get(expr)!.data);
    }
  }

  get bytes(): number {
    return this.#layout.bytes + this.#units.reduce((sum, unit) => sum + unit.bytes(), 0);
  }

  load(state: readonly DenseMatrix[]): void {
    for (const [i, slot] of this.#body.slots.entries()) {
      this.#at(slot, this.#layout.places.get(slot)!).data.set(state[i]!.data);
    }
  }

  turn(): void | Promise<void> {
    if (this.#hasBegun) return this.#run(this.#turn);
    this.#hasBegun = true;
    this.kernels += this.#counts[0];
    return this.#run([...this.#first, ...this.#turn]);
  }

  end(): void {
    giveMemory(this.#memory);
  }

  #run(calls: readonly Call[], from = 0): void | Promise<void> {
    for (let i = from; i < calls.length; i++) {
      const running = calls[i]!();
      if (running !== undefined) return running.then(() => this.#run(calls, i + 1));
    }
    this.kernels += this.#counts[1];
    return undefined;
  }

  #callOf(unit: Unit, blas: Blas): Call {
    const cellsOf = (expr: Expr): DenseMatrix => this.#valueOf(expr);
    if (unit.isCells) {
      const written = this.#layout.written.get(unit)!;
      return cellUnit(unit, written, this.#memory, (expr) => this.#addressOf(expr), cellsOf);
    }
    const [expr] = unit.nodes as [Expr];
    const inputs = expr.inputs.map(cellsOf);
    const one = kernelUnit(expr, inputs, cellsOf(expr), this.#stream, blas);
    this.#units.push(one);
    return one.run;
  }

  #moveOf({ expr, from, to }: Move): Call {
    const target = this.#at(expr, to).data;
    const source = (from === undefined ? this.#valueOf(expr) : this.#at(expr, from)).data;
    return () => target.set(source);
  }

  #addressOf(expr: Expr): number {
    const { of, offset } = this.#held(expr);
    return this.#layout.places.get(of)! + offset * (expr.dtype === 'float32' ? 4 : 8);
  }

  #valueOf(expr: Expr): DenseMatrix {
    const { of, offset } = this.#held(expr);
    if (this.#layout.places.has(of)) return this.#at(expr, this.#addressOf(expr));
    const { rows, cols } = expr;
    const { data } = this.#body.values.get(of)!;
    return dense(rows, cols, data.subarray(offset, offset + rows * cols));
  }

  #at({ rows, cols, dtype }: Expr, place: number): DenseMatrix {
    return dense(rows, cols, this.#memory.cells(dtype, place, rows * cols));
  }
}
