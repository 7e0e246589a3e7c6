/**
 * Compiled loops: a body as a list of calls over one memory, in which each value has its place from
 * the first turn to the last. Invariant: from the second turn on no memory for values is allocated
 * but what kernels keep no hold of; values have the bits of the same kernels run node by node.
 * Source: static memory planning of XLA and TVM (Chen et al., OSDI 2018, section 4).
 */
import type { LoopBody, LoopPass, LoopProgram } from '../../../driver/backend/loop-program.js';
import { cellBytes } from '../../../driver/ir/dtype.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { memoryShares } from '../../../driver/support/memory.js';
import { formatBytes } from '../../../driver/support/size.js';
import { codedBytes } from '../kernels/coded-rows.js';
import { csrNodeBytes } from '../kernels/csr-estimate.js';
import { atOnce } from '../native/at-once.js';
import type { Blas } from '../native/blas.js';
import type { LaneMemory } from '../simd/lane-memory.js';
import type { StreamContext } from '../stream.js';
import { cellUnit, isOnLanes } from './cell-unit.js';
import { type KernelUnit, kernelUnit, type Now } from './kernel-unit.js';
import { type Layout, layoutOf, type Move } from './layout.js';
import { giveMemory, takeMemory } from './loop-memory.js';
import { passUnit } from './pass-unit.js';
import { holderOf, joinedBy, scheduled, type Unit, unitReads, type ViewOf } from './schedule.js';

type Call = () => void | Promise<void>;

/** @returns the program, or why there is none */
export function compileLoop(body: LoopBody, stream: StreamContext): LoopProgram | string {
  const made = new Set(body.steps.flatMap((step) => ('outputs' in step ? step.outputs : [step])));
  for (const expr of made) {
    const isSparse = csrNodeBytes(expr) !== undefined || codedBytes(expr) !== undefined;
    if (isSparse) return `${expr.op.name} makes a compressed form`;
  }
  const known = new Map<Expr, ViewOf>();
  const isSparse = (expr: Expr | undefined): boolean =>
    expr !== undefined && body.values.get(expr)?.sparse !== undefined;
  const held = (expr: Expr): ViewOf => {
    let view = known.get(expr);
    if (view === undefined) {
      view = holderOf(expr, (node) => made.has(node) && !isSparse(node.inputs[0]));
      known.set(expr, view);
    }
    return view;
  };
  const [fixed, repeated] = stepsByTurn(body.steps);
  const first = scheduled(fixed, held);
  const turn = scheduled(repeated, held);
  const brought: Expr[] = [];
  for (const unit of [...first, ...turn]) {
    if (!unit.isCells) continue;
    const outside = unitReads(unit)
      .map(([, input]) => held(input).of)
      .filter((expr) => body.values.has(expr));
    const sparse = outside.find(isSparse);
    if (sparse !== undefined) return `cells of ${sparse.op.name} are compressed`;
    if (isOnLanes(unit)) brought.push(...outside);
  }
  const layout = layoutOf(body, held, first, turn, brought);
  const most = memoryShares().materialiseBytes;
  if (layout.bytes > most) {
    return `its values take ${formatBytes(layout.bytes)}, more than ${formatBytes(most)}`;
  }
  const memory = takeMemory(layout.bytes);
  if (memory === undefined) return `the engine has no memory of ${formatBytes(layout.bytes)} left`;
  const counts = [countsOf(fixed), countsOf(repeated)] as const;
  return new Program(body, held, first, turn, counts, layout, stream, memory);
}

type Steps = readonly (Expr | LoopPass)[];

/**
 * Steps that are the same in every turn, and the others. What a pass makes beside what turns change
 * is made in each, and so is what reads it.
 */
function stepsByTurn(steps: Steps): readonly [fixed: Steps, repeated: Steps] {
  const changing = new Set<Expr>();
  const [fixed, repeated]: [(Expr | LoopPass)[], (Expr | LoopPass)[]] = [[], []];
  for (const step of steps) {
    const [reads, outputs] =
      'outputs' in step ? [step.operands, step.outputs] : [step.inputs, [step]];
    const isFixed =
      outputs.every((expr) => expr.isDeterministic) && !reads.some((expr) => changing.has(expr));
    if (isFixed) fixed.push(step);
    else {
      repeated.push(step);
      for (const expr of outputs) changing.add(expr);
    }
  }
  return [fixed, repeated];
}

/** Kernels and passes of some steps. */
interface Counts {
  readonly kernels: number;
  readonly passes: number;
}

function countsOf(steps: Steps): Counts {
  let [kernels, passes] = [0, 0];
  for (const step of steps) {
    kernels += 'outputs' in step ? step.nodes.length : 1;
    if ('outputs' in step) passes++;
  }
  return { kernels, passes };
}

class Program implements LoopProgram {
  readonly results: readonly DenseMatrix[];
  kernels = 0;
  passes = 0;
  readonly #body: LoopBody;
  readonly #held: (expr: Expr) => ViewOf;
  readonly #layout: Layout;
  readonly #memory: LaneMemory;
  readonly #stream: StreamContext;
  readonly #units: KernelUnit[] = [];
  readonly #first: readonly Call[];
  readonly #turn: readonly Call[];
  /** Of the first turn alone, and of every turn. */
  readonly #counts: readonly [first: Counts, turn: Counts];
  #hasBegun = false;

  constructor(
    body: LoopBody,
    held: (expr: Expr) => ViewOf,
    first: readonly Unit[],
    turn: readonly Unit[],
    counts: readonly [first: Counts, turn: Counts],
    layout: Layout,
    stream: StreamContext,
    memory: LaneMemory,
  ) {
    this.#body = body;
    this.#held = held;
    this.#layout = layout;
    this.#stream = stream;
    this.#memory = memory;
    const blas = atOnce(stream.kernels.blas);
    const callOf = (unit: Unit): Call => this.#callOf(unit, blas);
    const moveOf = (move: Move): Call => this.#moveOf(move);
    this.#first = first.map(callOf);
    const calls = turn.map(callOf);
    this.#turn = [...layout.before.map(moveOf), ...calls, ...layout.after.map(moveOf)];
    this.#counts = counts;
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
    this.#count(this.#counts[0]);
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
    this.#count(this.#counts[1]);
    return undefined;
  }

  #count({ kernels, passes }: Counts): void {
    this.kernels += kernels;
    this.passes += passes;
  }

  #callOf(unit: Unit, blas: Blas): Call {
    const cellsOf = (expr: Expr): DenseMatrix => this.#valueOf(expr);
    if (unit.isCells) {
      const written = this.#layout.written.get(unit)!;
      return cellUnit(unit, written, this.#memory, (expr) => this.#addressOf(expr), cellsOf);
    }
    if (unit.pass !== undefined) {
      const pass = passUnit(unit.pass, cellsOf, (input) => this.#nowOf(input), this.#stream);
      this.#units.push(pass);
      return pass.run;
    }
    const [expr] = unit.nodes as [Expr];
    const joined = joinedBy(expr);
    if (joined !== undefined) return this.#joining(expr, joined);
    const inputs = expr.inputs.map((input) => this.#nowOf(input));
    const one = kernelUnit(expr, inputs, cellsOf(expr), this.#stream, blas);
    this.#units.push(one);
    return one.run;
  }

  /**
   * What lies in the loop's memory is another matrix each time, though its cells are the same
   * memory: kernels keep what they found out about an operand, such as that it has no NaN, by the
   * object.
   */
  #nowOf(expr: Expr): Now {
    const value = this.#valueOf(expr);
    if (!this.#layout.places.has(this.#held(expr).of)) return () => value;
    const { rows, cols, data } = value;
    return () => dense(rows, cols, data);
  }

  /** Copies what does not lie in its place yet. */
  #joining(expr: Expr, joined: readonly (readonly [Expr, offset: number])[]): Call {
    const { data } = this.#valueOf(expr);
    const copies = joined.flatMap(([input, offset]) => {
      const source = this.#valueOf(input).data;
      const target = data.subarray(offset, offset + source.length);
      const isThere = source.buffer === target.buffer && source.byteOffset === target.byteOffset;
      return isThere ? [] : [() => target.set(source)];
    });
    return () => {
      for (const copy of copies) copy();
    };
  }

  #moveOf({ expr, from, to }: Move): Call {
    const target = this.#at(expr, to).data;
    const source = (from === undefined ? this.#valueOf(expr) : this.#at(expr, from)).data;
    return () => target.set(source);
  }

  #addressOf(expr: Expr): number {
    const { of, offset } = this.#held(expr);
    return this.#layout.places.get(of)! + offset * cellBytes(expr);
  }

  #valueOf(expr: Expr): DenseMatrix {
    const { of, offset } = this.#held(expr);
    if (this.#layout.places.has(of)) return this.#at(expr, this.#addressOf(expr));
    const { rows, cols } = expr;
    const value = this.#body.values.get(of)!;
    if (of === expr) return value;
    return dense(rows, cols, value.data.subarray(offset, offset + rows * cols));
  }

  #at({ rows, cols, dtype }: Expr, place: number): DenseMatrix {
    return dense(rows, cols, this.#memory.cells(dtype, place, rows * cols));
  }
}
