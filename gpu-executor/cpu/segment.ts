/**
 * Runs a segment: whole operators as their operands come, and passes over row blocks for what is
 * streamed. Invariant: a pass holds every reduction that could run by then, so data are read once
 * for all of them.
 */

import type { Segment, SegmentPart, SegmentResult } from '../../driver/backend/backend.js';
import { InternalError } from '../../driver/errors.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { DenseMatrix, Value } from '../../driver/ir/value.js';
import { isCsrIn } from './kernels/csr-estimate.js';
import { requireRoom } from './kernels/csr-form.js';
import { planRows } from './rows/row-program.js';
import { runRows } from './rows/run-rows.js';
import { isScanned, runInTurn, type StreamContext, scanCount } from './stream.js';
import type { StreamPass } from './stream-pass.js';
import { evaluateAsync } from './whole.js';

/** Host values of at least this size are data: reducing them is a pass. @units bytes */
const DATA_BYTES = 32 * 1024;

/** @throws AbortError, DataError, ExecutionError, SingularError */
export async function runSegment(segment: Segment, context: StreamContext): Promise<SegmentResult> {
  return new SegmentRun(segment, context).run();
}

class SegmentRun {
  readonly #segment: Segment;
  readonly #context: StreamContext;
  readonly #values = new Map<Expr, DenseMatrix>();
  readonly #streamed = new Set<Expr>();
  /** Operators over whole values still to run, in order. */
  #whole: Expr[] = [];
  /** Reductions over row blocks and streamed nodes needed whole, still to run. */
  #targets: Expr[] = [];
  #passes = 0;
  #kernels = 0;

  constructor(segment: Segment, context: StreamContext) {
    this.#segment = segment;
    this.#context = context;
    for (const [expr, value] of segment.inputs) this.#values.set(expr, onHost(expr, value));
    for (const expr of segment.nodes) {
      if (expr.op.source === 'files' || this.#values.has(expr)) continue;
      this.#kernels++;
      if (this.#isStreamed(expr)) this.#streamed.add(expr);
      else if (!segment.isWhole && this.#isSink(expr)) this.#targets.push(expr);
      else this.#whole.push(expr);
    }
    const readers = new Map<Expr, Expr[]>();
    for (const reader of segment.nodes) {
      if (reader.op.source === 'files') continue;
      for (const input of reader.inputs) {
        const known = readers.get(input);
        if (known === undefined) readers.set(input, [reader]);
        else known.push(reader);
      }
    }
    const asked = new Set([...segment.outputs, ...segment.persist]);
    for (const expr of this.#streamed) {
      const isWhole = asked.has(expr) || this.#isReadWhole(expr, readers.get(expr) ?? []);
      if (isWhole) this.#targets.push(expr);
    }
  }

  async run(): Promise<SegmentResult> {
    while (this.#whole.length > 0 || this.#targets.length > 0) {
      this.#context.signal?.throwIfAborted();
      const ran = await this.#runWhole();
      const targets = this.#targets.filter((expr) => this.#closure(expr) !== undefined);
      if (targets.length > 0) await this.#runPasses(this.#sharedRows(targets));
      else if (!ran) throw new InternalError('segment: expected a node that can run, got none');
    }
    const values = new Map<Expr, Value>();
    for (const expr of [...this.#segment.outputs, ...this.#segment.persist]) {
      const value = this.#values.get(expr);
      if (value === undefined) {
        throw new InternalError(`segment: expected ${expr.op.name} among the nodes it runs`);
      }
      values.set(expr, value);
    }
    for (const parts of this.#segment.parts?.values() ?? []) {
      for (const { expr } of parts) {
        const value = this.#values.get(expr);
        if (value !== undefined) values.set(expr, value);
      }
    }
    return { values, kernels: this.#kernels, passes: this.#passes, sparkJobs: 0 };
  }

  #isStreamed(expr: Expr): boolean {
    const { kind } = expr.op.rowRule(expr.inputs, expr.attrs);
    return (
      isScanned(expr) || (this.#segment.blocked.has(expr) && (kind === 'source' || kind === 'map'))
    );
  }

  #isSink(expr: Expr): boolean {
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    if (rule.kind !== 'reduce') return false;
    return expr.inputs.some(
      (input, i) =>
        rule.blocked[i] && (this.#streamed.has(input) || denseBytes(input) >= DATA_BYTES),
    );
  }

  #isReadWhole(expr: Expr, readers: readonly Expr[]): boolean {
    return readers.some((reader) => {
      if (!this.#streamed.has(reader) && !this.#targets.includes(reader)) return true;
      const rule = reader.op.rowRule(reader.inputs, reader.attrs);
      return reader.inputs.some((input, i) => input === expr && !rule.blocked[i]);
    });
  }

  async #runWhole(): Promise<boolean> {
    const waiting: Expr[] = [];
    for (const expr of this.#whole) {
      const inputs = expr.inputs.map((input) => this.#values.get(input));
      if (inputs.some((input) => input === undefined)) waiting.push(expr);
      else {
        this.#context.signal?.throwIfAborted();
        this.#values.set(expr, await evaluateAsync(expr, inputs as DenseMatrix[], this.#context));
      }
    }
    const ran = waiting.length < this.#whole.length;
    this.#whole = waiting;
    return ran;
  }

  /** Streamed nodes a target needs, inputs first; undefined while it waits for a value. */
  #closure(target: Expr): Expr[] | undefined {
    const order: Expr[] = [];
    const seen = new Set<Expr>();
    const visit = (expr: Expr): boolean => {
      if (seen.has(expr)) return true;
      seen.add(expr);
      const rule = expr.op.rowRule(expr.inputs, expr.attrs);
      for (const [i, input] of expr.inputs.entries()) {
        if (this.#values.has(input) || input.op.source === 'files') continue;
        const isBlock = rule.blocked[i] && this.#streamed.has(input);
        if (!isBlock || !visit(input)) return false;
      }
      order.push(expr);
      return true;
    };
    return visit(target) ? order : undefined;
  }

  /**
   * The targets by the rows they read: those that share a frame go together, and those that read
   * none join others of equally many rows. Parts of one data set (its files) are frames of their
   * own, so each is read by itself.
   */
  #sharedRows(targets: readonly Expr[]): StreamPass[] {
    let groups: SharedRows[] = [];
    for (const target of targets) {
      const scanned = this.#closure(target)!.filter(isScanned);
      const frames = new Set(scanned.map((expr) => expr.inputs[0]!));
      const rows = blockedRows(target, this.#streamed);
      const sharing = groups.filter(
        (group) => group.rows === rows && [...frames].some((frame) => group.frames.has(frame)),
      );
      const near = groups.find(
        (group) => group.rows === rows && (frames.size === 0 || group.frames.size === 0),
      );
      const joined = sharing.length > 0 || near === undefined ? sharing : [near];
      groups = groups.filter((group) => !joined.includes(group));
      groups.push({
        rows,
        frames: new Set([...joined.flatMap((group) => [...group.frames]), ...frames]),
        targets: [...joined.flatMap((group) => group.targets), target],
      });
    }
    return groups.map(({ rows, targets: together }) => {
      const needed = new Set(together.flatMap((expr) => this.#closure(expr)!));
      return {
        rows,
        nodes: [...needed].filter((expr) => this.#streamed.has(expr)),
        sinks: together.filter((expr) => !this.#streamed.has(expr)),
        kept: together.filter((expr) => this.#streamed.has(expr)),
        values: this.#values,
        parts: this.#segment.parts ?? noParts,
      };
    });
  }

  /** Walks every row the targets need once: one pass, over however many files. */
  async #runPasses(passes: readonly StreamPass[]): Promise<void> {
    const streamed: StreamPass[] = [];
    for (const pass of passes) {
      checkKept(pass);
      const plan = planRows(pass, this.#context.kernels.choice);
      if (plan === undefined) streamed.push(pass);
      else this.#keep(await runRows(pass, plan, this.#context));
    }
    this.#keep(await runInTurn(streamed, this.#context));
    this.#passes += Math.max(1, ...passes.map(scanCount));
    const ran = new Set(passes.flatMap((pass) => [...pass.sinks, ...pass.kept]));
    this.#targets = this.#targets.filter((expr) => !ran.has(expr));
  }

  #keep(results: ReadonlyMap<Expr, DenseMatrix>): void {
    for (const [expr, value] of results) this.#values.set(expr, value);
  }
}

/**
 * What is made of compressed rows may be far larger than they are.
 * @throws ResourceError where cells to be written out would not fit
 */
function checkKept({ nodes, sinks, kept, values }: StreamPass): void {
  const isOfCsr = [...nodes, ...sinks].some(({ inputs }) => inputs.some((e) => isCsrIn(values, e)));
  if (!isOfCsr) return;
  for (const expr of kept) if (!isCsrIn(values, expr)) requireRoom(expr.op.name, expr);
}

const noParts: ReadonlyMap<Expr, readonly SegmentPart[]> = new Map();

/** Targets that one stream of rows serves. */
interface SharedRows {
  readonly rows: number;
  readonly frames: ReadonlySet<Expr>;
  readonly targets: readonly Expr[];
}

/** Rows of the blocks a target is made from. */
function blockedRows(expr: Expr, streamed: ReadonlySet<Expr>): number {
  if (streamed.has(expr)) return expr.rows;
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  return expr.inputs[Math.max(rule.blocked.indexOf(true), 0)]!.rows;
}

function onHost(expr: Expr, value: Value): DenseMatrix {
  if (value.kind === 'dense') return value;
  throw new InternalError(
    `segment: expected host values, got a handle of ${value.backend} for ${expr.op.name}`,
  );
}
