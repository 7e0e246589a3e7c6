/**
 * What a pass does with each block of rows, as plain data that threads are sent: cells in loops on
 * lanes, every other operator by its kernel, then the reductions. Invariant: where blocks and
 * chunks end follows from the shapes alone, so results do not depend on the number of threads.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import { cellBytes, type Typed } from '../../../driver/ir/dtype.js';
import type { Expr, Meta } from '../../../driver/ir/expr.js';
import { denseBytes } from '../../../driver/ir/expr.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { cellForm } from '../../cell-forms.js';
import { isCsrIn } from '../kernels/csr-estimate.js';
import { stretchOf } from '../kernels/elementwise.js';
import { kernelOf } from '../kernels/index.js';
import type { KernelChoice } from '../providers/kernel-choice.js';
import { type ChainCode, chainModule, type Stretch } from '../simd/chain-code.js';
import { chainCode } from '../simd/chains.js';
import { engine, type WasmModule } from '../simd/wasm.js';
import { type StreamPass, widthOf } from '../stream-pass.js';
import { knownPlan, type PassOperands } from './known-plans.js';
import { laneLayout } from './lane-layout.js';

/** Shape and type of a value. */
export type Form = Meta & Typed;

/** An operator by its kernel over the rows of a block. */
export interface KernelStep {
  readonly kind: 'kernel';
  readonly op: string;
  readonly attrs: Attrs;
  readonly inputs: readonly number[];
  readonly out: Form;
  /** By another library's kernel. */
  readonly isProvided?: true;
}

/** Rows of a table, which are read where they lie. */
export interface TakenRows {
  /** The column of their numbers. */
  readonly numbers: number;
  readonly table: number;
}

/** Cells of one shape in one loop. */
export interface CellStep {
  readonly kind: 'cells';
  readonly module: WasmModule;
  readonly inputs: readonly (number | TakenRows)[];
  /** Of each, the operand in whose memory it is written, which nothing reads after. */
  readonly outs: readonly { readonly form: Form; readonly over: number | undefined }[];
}

export interface Sink {
  readonly op: string;
  readonly attrs: Attrs;
  readonly inputs: readonly number[];
  /** Of the operands as a whole. */
  readonly forms: readonly Form[];
  readonly out: Form;
  readonly isProvided?: true;
}

/** Values are numbers: operands first, then what the steps make, in order. */
export interface RowProgram {
  readonly rows: number;
  readonly blockRows: number;
  readonly chunkRows: number;
  /** Whether each operand is taken by rows. */
  readonly byRows: readonly boolean[];
  readonly steps: readonly (KernelStep | CellStep)[];
  readonly sinks: readonly Sink[];
  /** Values written out whole. */
  readonly kept: readonly number[];
}

/** The program of a pass, and the expressions of its operands. */
export interface RowPlan {
  readonly program: RowProgram;
  readonly operands: readonly Expr[];
  readonly flops: number;
}

/** What a block reads and makes stays in the cache of a core. @units bytes */
const BLOCK_BYTES = 1 << 19;
const MIN_BLOCK_ROWS = 64;
/** Fewer rows than that where they are wide: images. @units bytes */
const MAX_BLOCK_BYTES = 1 << 21;
/** Tables up to this size are copied for each block rather than their rows. @units bytes */
const TABLE_BYTES = BLOCK_BYTES / 8;
/** Blocks begin at multiples, which suit the kernels of products. */
const ROW_STEP = 16;
/** Chunks that threads take one after another: enough to end together. */
const ENOUGH_CHUNKS = 16;
const MAX_CHUNKS = 32;
/** Results of all chunks of compressed rows together. @units bytes */
const SPARSE_RESULT_BYTES = 1 << 28;

/** Undefined for a pass that can't be run so: one that reads a frame, or whose parts are asked. */
export function planRows(pass: StreamPass, choice?: KernelChoice): RowPlan | undefined {
  const isMap = ({ op, inputs, attrs }: Expr): boolean => op.rowRule(inputs, attrs).kind === 'map';
  const isCsr = (expr: Expr): boolean => isCsrIn(pass.values, expr);
  const isThreaded = ({ op }: Expr): boolean => kernelOf.get(op.name)?.isThreaded === true;
  // Sums of compressed rows are loops, which run on all threads here alone.
  const isLoop =
    pass.nodes.some(isMap) ||
    pass.sinks.some((sink) => isThreaded(sink) || sink.inputs.some(isCsr));
  if (!isLoop || pass.sinks.some((sink) => pass.parts.has(sink))) return undefined;
  // Lanes read cells, and kept values are written as cells.
  if (pass.kept.some(isCsr)) return undefined;
  if (pass.nodes.some(({ op, inputs }) => cellForm(op) && inputs.some(isCsr))) return undefined;
  for (const { op, payload } of pass.nodes) {
    if (payload !== undefined || op.source !== 'kernel') return undefined;
    if (kernelOf.get(op.name)?.run === undefined && cellForm(op) === undefined) return undefined;
  }
  const provided = new Set<Expr>();
  for (const expr of [...pass.nodes, ...pass.sinks]) {
    if (choice?.kernelFor(expr) === undefined) continue;
    choice.count(expr);
    provided.add(expr);
  }
  return knownPlan(pass, provided, (operands) => new Planner(pass, operands, provided).plan());
}

/** Steps of one level; cells of one shape are one step. */
interface Group {
  readonly level: number;
  readonly nodes: Expr[];
  readonly isCells: boolean;
}

class Planner {
  readonly #pass: StreamPass;
  /** What another library's kernels run. */
  readonly #provided: ReadonlySet<Expr>;
  readonly #operands: PassOperands;
  readonly #numbers = new Map<Expr, number>();
  /** Rows of small tables that cells alone read. */
  readonly #taken: ReadonlySet<Expr>;
  readonly #steps: (KernelStep | CellStep)[] = [];
  #count = 0;

  constructor(pass: StreamPass, operands: PassOperands, provided: ReadonlySet<Expr>) {
    this.#pass = pass;
    this.#operands = operands;
    this.#provided = provided;
    this.#taken = new Set(pass.nodes.filter((node) => isTakenByCells(node, pass)));
  }

  plan(): Omit<RowPlan, 'operands'> {
    const { rows, nodes, sinks, kept } = this.#pass;
    const { exprs, byRows } = this.#operands;
    this.#count = exprs.length;
    const groups = this.#groups();
    for (const [i, group] of groups.entries()) {
      if (group.isCells) this.#addCells(group, groups.slice(i + 1));
      else for (const node of group.nodes) this.#addKernel(node);
    }
    const made = {
      steps: this.#steps,
      sinks: sinks.map((sink) => this.#sink(sink)),
      kept: kept.map((expr) => this.#numbers.get(expr)!),
    };
    // Of a row.
    let width = laneLayout(...([made, exprs, () => 1, (bytes: number) => bytes] as const)).bytes;
    for (const [i, expr] of exprs.entries()) {
      if (byRows[i]) width += widthOf(this.#pass, expr) * cellBytes(expr);
    }
    const fitting = Math.floor(BLOCK_BYTES / width / ROW_STEP) * ROW_STEP;
    const fewest = Math.min(MIN_BLOCK_ROWS, Math.max(1, Math.floor(MAX_BLOCK_BYTES / width)));
    const blockRows = evenly(rows, Math.max(fewest, fitting));
    // A chunk's results cost memory and adding up: it reads several times as much, or many times
    // where chunks are enough.
    const sums = sinks.reduce((bytes, sink) => bytes + denseBytes(sink), 0) / width;
    const least = Math.max(rows / MAX_CHUNKS, 4 * sums, Math.min(rows / ENOUGH_CHUNKS, 16 * sums));
    const most = this.#isOfCsr() ? rows / sparseChunks(sinks) : Number.POSITIVE_INFINITY;
    const program = {
      rows,
      blockRows,
      chunkRows: Math.max(1, Math.ceil(Math.min(least, most) / blockRows)) * blockRows,
      byRows,
      ...made,
    };
    let flops = 0;
    for (const expr of [...nodes, ...sinks]) flops += expr.op.flops(expr.inputs, expr.attrs, expr);
    return { program, flops };
  }

  #isOfCsr(): boolean {
    const { exprs, byRows } = this.#operands;
    return exprs.some((expr, i) => byRows[i] && isCsrIn(this.#pass.values, expr));
  }

  #number(input: Expr, byRows: boolean): number {
    return this.#operands.numberOf(input, byRows) ?? this.#numbers.get(input)!;
  }

  #inputsOf({ op, inputs, attrs }: Expr): number[] {
    const { blocked } = op.rowRule(inputs, attrs);
    return inputs.map((one, i) => this.#number(one, blocked[i] === true));
  }

  /** In an order in which each follows what it reads. */
  #groups(): Group[] {
    const levels = new Map<Expr, number>();
    const groups = new Map<string, Group>();
    for (const node of this.#pass.nodes) {
      if (this.#taken.has(node)) continue;
      const isCells = cellForm(node.op) !== undefined;
      let level = 0;
      for (const input of node.inputs) {
        const below = levels.get(input);
        if (below === undefined) continue;
        const isJoined = isCells && cellForm(input.op) !== undefined && input.cols === node.cols;
        level = Math.max(level, isJoined ? below : below + 1);
      }
      levels.set(node, level);
      const key = isCells ? `${level},${node.cols},${node.dtype}` : `${level},${groups.size}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { level, nodes: [node], isCells });
      else group.nodes.push(node);
    }
    return [...groups.values()].sort((a, b) => a.level - b.level);
  }

  #addKernel(node: Expr): void {
    const { op, attrs } = node;
    const inputs = this.#inputsOf(node);
    const step = { op: op.name, attrs, inputs, out: formOf(node), ...this.#byWhom(node) };
    this.#steps.push({ kind: 'kernel', ...step });
    this.#numbers.set(node, this.#count++);
  }

  #addCells({ nodes }: Group, later: readonly Group[]): void {
    const { rows } = this.#pass;
    const inside = new Set(nodes);
    const stretches = new Map<Expr, Stretch>();
    const inputs: (number | TakenRows)[] = [];
    for (const node of nodes) {
      const numbers = this.#inputsOf(node);
      for (const [i, input] of node.inputs.entries()) {
        if (inside.has(input) || stretches.has(input)) continue;
        const isTaken = this.#taken.has(input);
        stretches.set(input, isTaken ? 'taken' : stretchOf(input, rows, node.cols));
        inputs.push(isTaken ? this.#takenRows(input) : numbers[i]!);
      }
    }
    const after = [...later.flatMap((group) => group.nodes), ...this.#pass.sinks];
    const isReadAfter = (expr: Expr): boolean =>
      this.#pass.kept.includes(expr) || after.some((node) => node.inputs.includes(expr));
    const outputs = nodes.filter(isReadAfter);
    const free = [...stretches.keys()].filter(
      (expr) =>
        stretches.get(expr) === 'full' && this.#pass.nodes.includes(expr) && !isReadAfter(expr),
    );
    const order = [...stretches.keys()];
    const outs = outputs.map((expr) => {
      const over = free.pop();
      return { form: formOf(expr), over: over && (inputs[order.indexOf(over)] as number) };
    });
    const module = compiled(chainCode(nodes, stretches, outputs)!);
    this.#steps.push({ kind: 'cells', module, inputs, outs });
    for (const expr of outputs) this.#numbers.set(expr, this.#count++);
  }

  #takenRows(expr: Expr): TakenRows {
    const [numbers, table] = this.#inputsOf(expr) as [number, number];
    return { numbers, table };
  }

  #sink(expr: Expr): Sink {
    const { op, attrs, inputs } = expr;
    const forms = inputs.map(formOf);
    const own = { op: op.name, attrs, inputs: this.#inputsOf(expr), forms, out: formOf(expr) };
    return { ...own, ...this.#byWhom(expr) };
  }

  #byWhom(expr: Expr): { readonly isProvided?: true } {
    return this.#provided.has(expr) ? { isProvided: true } : {};
  }
}

/** Blocks of few rows are of like size, and an even number of them, so that two threads end together. */
function evenly(rows: number, blockRows: number): number {
  if (blockRows >= MIN_BLOCK_ROWS) return blockRows;
  return Math.ceil(rows / (2 * Math.ceil(rows / blockRows / 2)));
}

/** Chunks of compressed rows, which take long for their bytes: as many as their results allow. */
function sparseChunks(sinks: readonly Expr[]): number {
  const bytes = sinks.reduce((sum, sink) => sum + denseBytes(sink), 0);
  return Math.max(2, Math.min(ENOUGH_CHUNKS, Math.floor(SPARSE_RESULT_BYTES / Math.max(1, bytes))));
}

/** Whether rows of a small table are read by nothing but cells of their shape. */
function isTakenByCells(node: Expr, { nodes, sinks, kept }: StreamPass): boolean {
  const { op, inputs, cols, dtype } = node;
  const [numbers, table] = inputs as [Expr, Expr];
  if (kernelOf.get(op.name)?.takesRows !== true || denseBytes(table) > TABLE_BYTES) return false;
  if (table.dtype !== dtype || nodes.includes(numbers) || nodes.includes(table)) return false;
  const readers = [...nodes, ...sinks].filter((reader) => reader.inputs.includes(node));
  return (
    !kept.includes(node) &&
    readers.every((one) => cellForm(one.op) && one.cols === cols && one.dtype === dtype)
  );
}

function formOf({ rows, cols, dtype }: Expr): Form {
  return { rows, cols, dtype };
}

const MAX_MODULES = 256;
const modules = new Map<string, WasmModule>();

/** Equal chains share one compiled module. */
function compiled(chain: ChainCode): WasmModule {
  const code = chainModule(chain);
  const key = Buffer.from(code).toString('latin1');
  let module = modules.get(key);
  if (module === undefined) {
    module = new engine.Module(code);
    modules.set(key, module);
    forgetOldest(modules, MAX_MODULES);
  }
  return module;
}
