/**
 * One compiled loop for each form of cell chain: each operand is read once a cell, what lies
 * between the steps stays in registers. Invariant: cells are computed by the same functions in the
 * same order as one step after the other would, so values are the same to the last bit.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import { type Cells, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { chainCode, paysOnLanes } from '../simd/chains.js';
import { type CellLoop, fitsTiles, tiledLoop } from '../simd/tiles.js';
import { stretchOf } from './elementwise.js';
import type { KernelContext } from './kernel.js';
import { scriptLoop } from './script-loop.js';

/** What a loop saves a cell and step: a load and a store; measured. @units seconds */
const SAVED_PER_CELL = 0.5e-9;
/** What it saves a step: starting a kernel and its bookkeeping; measured. @units seconds */
const SAVED_PER_STEP = 1e-6;
/** Compiling a loop, and running it until the engine has optimised it; measured. @units seconds */
const COMPILE_SECONDS = 2e-3;
const MAX_FORMS = 1024;

interface Form {
  /** What a loop would have saved so far. @units seconds */
  missed: number;
  loop?: CellLoop;
}

/** The loops of a backend, by form. */
export class CellChainKernels {
  readonly #forms = new Map<string, Form>();
  readonly #compileSeconds: number;

  constructor(compileSeconds = COMPILE_SECONDS) {
    this.#compileSeconds = compileSeconds;
  }

  /**
   * The value of the last node; undefined while loops of this form would have saved less than one
   * costs to compile, so that a form seen once costs nothing.
   */
  run(
    nodes: readonly Expr[],
    inputs: ReadonlyMap<Expr, DenseMatrix>,
    context: KernelContext,
  ): DenseMatrix | undefined {
    const { rows, cols, dtype } = nodes.at(-1)!;
    const key = keyOf(nodes, inputs);
    let form = this.#forms.get(key);
    if (form === undefined) {
      form = { missed: 0 };
      this.#forms.set(key, form);
      forgetOldest(this.#forms, MAX_FORMS);
    }
    if (form.loop === undefined) {
      form.missed += nodes.length * (SAVED_PER_STEP + rows * cols * SAVED_PER_CELL);
      if (form.missed < this.#compileSeconds) return undefined;
      form.loop = loopOf(nodes, inputs);
    }
    const operands: Cells[] = [];
    for (const { data } of inputs.values()) operands.push(data);
    const cells = context.allocate(rows * cols, dtype);
    form.loop(cells, rows, cols, operands);
    return dense(rows, cols, cells);
  }
}

/** Operators, what each reads, and how operands are stretched: all the loop depends on. */
function keyOf(nodes: readonly Expr[], inputs: ReadonlyMap<Expr, DenseMatrix>): string {
  const { rows, cols, dtype } = nodes.at(-1)!;
  const numbers = new Map<Expr, number>();
  let key = `${dtype}${fitsTiles(rows, cols)}`;
  for (const [input, value] of inputs) {
    numbers.set(input, numbers.size);
    key += stretchOf(value, rows, cols)[0];
  }
  for (const node of nodes) {
    key += `|${node.op.id}`;
    for (const input of node.inputs) key += `,${numbers.get(input)}`;
    numbers.set(node, numbers.size);
  }
  return key;
}

/** On lanes where that is faster: copying costs more than a few instructions a cell. */
function loopOf(nodes: readonly Expr[], inputs: ReadonlyMap<Expr, DenseMatrix>): CellLoop {
  const last = nodes.at(-1)!;
  const { rows, cols } = last;
  const stretches = new Map([...inputs].map(([e, value]) => [e, stretchOf(value, rows, cols)]));
  const isOnLanes = paysOnLanes(nodes) && fitsTiles(rows, cols);
  const chain = isOnLanes ? chainCode(nodes, stretches, [last]) : undefined;
  if (chain !== undefined) return tiledLoop(chain);
  const loop = scriptLoop(nodes, stretches, [last]);
  return (out, ...rest) => loop([out], ...rest);
}
