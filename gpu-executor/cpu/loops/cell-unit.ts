/**
 * A unit of cells as one call: on lanes, straight in the loop's memory, or as a script where it is
 * small or lanes have no form of a step. Invariant: compiled once for each form, however many loops
 * have it.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import type { DenseMatrix } from '../../../driver/ir/value.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { cellForm } from '../../cell-forms.js';
import { stretchOf } from '../kernels/elementwise.js';
import { type ScriptLoop, scriptLoop } from '../kernels/script-loop.js';
import { chainModule, type Stretch } from '../simd/chain-code.js';
import { chainCode } from '../simd/chains.js';
import type { LaneMemory } from '../simd/lane-memory.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import { SMALL_CELLS, type Unit } from './schedule.js';

const MAX_FORMS = 1024;
const modules = new Map<string, WasmModule>();
const scripts = new Map<string, ScriptLoop>();

/** How the nodes of a unit meet what they read from outside, each once. */
function stretchesOf({ nodes }: Unit): Map<Expr, Stretch> {
  const own = new Set(nodes);
  const stretches = new Map<Expr, Stretch>();
  for (const { inputs, rows, cols } of nodes) {
    for (const input of inputs) {
      if (!own.has(input)) stretches.set(input, stretchOf(input, rows, cols));
    }
  }
  return stretches;
}

export function isOnLanes({ isCells, nodes }: Unit): boolean {
  const [{ rows, cols }] = nodes as [Expr];
  return isCells && rows * cols > SMALL_CELLS && nodes.every(({ op }) => cellForm(op));
}

/**
 * @param written the nodes whose values are wanted
 */
export function cellUnit(
  unit: Unit,
  written: readonly Expr[],
  memory: LaneMemory,
  addressOf: (expr: Expr) => number,
  cellsOf: (expr: Expr) => DenseMatrix,
): () => void {
  const { nodes } = unit;
  const [{ rows, cols }] = nodes as [Expr];
  const stretches = stretchesOf(unit);
  const key = formKey(nodes, stretches, written);
  if (isOnLanes(unit)) {
    let module = modules.get(key);
    if (module === undefined) {
      module = new engine.Module(chainModule(chainCode(nodes, stretches, written)!));
      modules.set(key, module);
      forgetOldest(modules, MAX_FORMS);
    }
    const run = memory.function(module);
    const addresses = [...stretches.keys(), ...written].map(addressOf);
    return () => run(rows, cols, ...addresses);
  }
  let loop = scripts.get(key);
  if (loop === undefined) {
    loop = scriptLoop(nodes, stretches, written);
    scripts.set(key, loop);
    forgetOldest(scripts, MAX_FORMS);
  }
  const script = loop;
  const outs = written.map((expr) => cellsOf(expr).data);
  const operands = [...stretches.keys()].map((expr) => cellsOf(expr).data);
  return () => script(outs, rows, cols, operands);
}

/** Operators, what each reads and how operands are stretched: all the code depends on. */
function formKey(
  nodes: readonly Expr[],
  stretches: ReadonlyMap<Expr, Stretch>,
  written: readonly Expr[],
): string {
  const numbers = new Map([...stretches.keys()].map((expr, i) => [expr, i]));
  const steps = nodes.map((node) => {
    const inputs = node.inputs.map((input) => numbers.get(input));
    numbers.set(node, numbers.size);
    return [node.op.id, node.dtype, ...inputs].join();
  });
  const outs = written.map((expr) => numbers.get(expr)).join();
  return [[...stretches.values()].join(), ...steps, outs].join('|');
}
