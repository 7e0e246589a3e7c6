/**
 * A segment of which parts are computed by row blocks: what is whole as its operands come, and
 * passes over rows, each with every reduction that could run by then. Invariant: values that nobody
 * reads after the segment are released with its end, or with its failure; what reads rows that have
 * no value is not computed.
 */
import type { Segment, SegmentEnd, SegmentResult } from '../../../driver/backend/backend.js';
import { InternalError } from '../../../driver/errors.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { rowOperandsOf } from '../../../driver/ir/op-def.js';
import type { Handle, Value } from '../../../driver/ir/value.js';
import { failReaders } from '../device-values.js';
import type { PassNodes } from './block-program.js';
import type { StreamedNodes } from './stream-plan.js';

export interface SegmentParts {
  /** Nodes whose operands all have values, whole. */
  whole(segment: Segment): Promise<SegmentResult>;
  /** Rows for the host that follow from what has no value are not among the values. */
  pass(pass: PassNodes, segment: Segment): Promise<SegmentResult>;
  release(handle: Handle): void;
}

export class StreamedSegment {
  readonly #segment: Segment;
  readonly #streamed: StreamedNodes;
  readonly #parts: SegmentParts;
  readonly #values: Map<Expr, Value>;
  readonly #made: Handle[] = [];
  readonly #kept: ReadonlySet<Expr>;
  /** Without a value: why, the ends of the passes say. */
  readonly #failed = new Set<Expr>();
  readonly #ends: Promise<SegmentEnd>[] = [];
  #kernels = 0;
  #passes = 0;

  constructor(segment: Segment, streamed: StreamedNodes, parts: SegmentParts) {
    this.#segment = segment;
    this.#streamed = streamed;
    this.#parts = parts;
    this.#values = new Map(segment.inputs);
    const isLeftOut = (expr: Expr): boolean =>
      streamed.maps.has(expr) && segment.spare?.has(expr) === true;
    const kept = segment.persist.filter((expr) => !isLeftOut(expr));
    this.#kept = new Set([...kept, ...segment.outputs]);
  }

  async run(): Promise<SegmentResult> {
    let isDone = false;
    try {
      await this.#runAll();
      isDone = true;
      const made = [...this.#kept].filter((expr) => !this.#failed.has(expr));
      const values = new Map(made.map((expr) => [expr, this.#values.get(expr)!]));
      const counts = { kernels: this.#kernels, passes: this.#passes, sparkJobs: 0 };
      return { values, ...counts, ended: endOf(this.#segment, this.#ends) };
    } finally {
      const kept = new Set([...this.#kept].map((expr) => this.#values.get(expr)));
      for (const handle of this.#made) {
        if (!isDone || !kept.has(handle)) this.#parts.release(handle);
      }
    }
  }

  async #runAll(): Promise<void> {
    const { maps, sinks } = this.#streamed;
    let whole = this.#segment.nodes.filter((expr) => !maps.has(expr) && !sinks.has(expr));
    let targets = [...sinks, ...[...maps].filter((expr) => this.#isNeededWhole(expr))];
    while (whole.length + targets.length > 0) {
      const batch = this.#ready(whole);
      if (batch.length > 0) await this.#runWhole(batch);
      const asked = targets.filter((expr) => this.#closure(expr) !== undefined);
      for (const pass of this.#passesOf(asked)) await this.#runPass(pass);
      whole = whole.filter((expr) => this.#isOpen(expr) && !batch.includes(expr));
      targets = targets.filter((expr) => this.#isOpen(expr));
      if (batch.length + asked.length > 0) continue;
      throw new InternalError('device stream: expected a node that can run, got none');
    }
  }

  #isOpen(expr: Expr): boolean {
    return !this.#values.has(expr) && !this.#failed.has(expr);
  }

  /** Wanted after the segment, or read by what does not take it by rows. */
  #isNeededWhole(expr: Expr): boolean {
    if (this.#kept.has(expr)) return true;
    const { maps, sinks } = this.#streamed;
    return this.#segment.nodes.some((reader) => {
      if (!reader.inputs.includes(expr)) return false;
      const isByRows = maps.has(reader) || sinks.has(reader);
      return !isByRows || !takesOnlyRows(reader, expr);
    });
  }

  /** Those that can run one after another from what is there. */
  #ready(whole: readonly Expr[]): readonly Expr[] {
    const made = new Set<Expr>();
    for (const expr of whole) {
      if (expr.inputs.every((input) => made.has(input) || this.#values.has(input))) made.add(expr);
    }
    return [...made];
  }

  /** Maps that a target needs, inputs first and itself last; undefined while it waits. */
  #closure(target: Expr): readonly Expr[] | undefined {
    const order: Expr[] = [];
    const seen = new Set<Expr>();
    const visit = (expr: Expr): boolean => {
      if (seen.has(expr)) return true;
      seen.add(expr);
      for (const input of expr.inputs) {
        if (this.#values.has(input)) continue;
        const isRows = this.#streamed.maps.has(input) && takesOnlyRows(expr, input);
        if (!isRows || !visit(input)) return false;
      }
      order.push(expr);
      return true;
    };
    return visit(target) ? order : undefined;
  }

  /** One for all targets over equally many rows. */
  #passesOf(targets: readonly Expr[]): readonly PassNodes[] {
    const byRows = new Map<number, Expr[]>();
    for (const expr of targets) {
      const { rows } = rowOperandsOf(expr)[0]!;
      byRows.set(rows, [...(byRows.get(rows) ?? []), expr]);
    }
    return [...byRows].map(([rows, together]) => {
      const needed = new Set(together.flatMap((expr) => this.#closure(expr)!));
      const nodes = this.#segment.nodes.filter((expr) => needed.has(expr));
      return {
        rows,
        maps: nodes.filter((expr) => this.#streamed.maps.has(expr)),
        sinks: nodes.filter((expr) => this.#streamed.sinks.has(expr)),
        written: together.filter((expr) => this.#streamed.maps.has(expr)),
      };
    });
  }

  async #runWhole(nodes: readonly Expr[]): Promise<void> {
    const inside = new Set(nodes);
    const others = this.#segment.nodes.filter((expr) => !inside.has(expr));
    const readLater = new Set(others.flatMap(({ inputs }) => inputs));
    const persist = nodes.filter((expr) => this.#kept.has(expr) || readLater.has(expr));
    this.#take(await this.#parts.whole(this.#part(nodes, persist)));
  }

  async #runPass(pass: PassNodes): Promise<void> {
    const persist = [...pass.sinks, ...pass.written];
    const result = await this.#parts.pass(pass, this.#part([...pass.maps, ...pass.sinks], persist));
    this.#passes++;
    this.#take(result);
    for (const expr of persist) if (!this.#values.has(expr)) this.#failed.add(expr);
    for (const node of this.#segment.nodes) {
      if (node.inputs.some((input) => this.#failed.has(input))) this.#failed.add(node);
    }
  }

  #part(nodes: readonly Expr[], persist: readonly Expr[]): Segment {
    const inside = new Set(nodes);
    const inputs = new Map<Expr, Value>();
    for (const input of nodes.flatMap((expr) => expr.inputs)) {
      const value = this.#values.get(input);
      if (value !== undefined && !inside.has(input)) inputs.set(input, value);
    }
    return { nodes, inputs, outputs: [], persist, blocked: new Set() };
  }

  #take({ values, kernels, ended }: SegmentResult): void {
    this.#kernels += kernels;
    if (ended !== undefined) this.#ends.push(ended);
    for (const [expr, value] of values) {
      this.#values.set(expr, value);
      if (value.kind === 'handle') this.#made.push(value);
    }
  }
}

function takesOnlyRows(reader: Expr, operand: Expr): boolean {
  const rule = reader.op.rowRule(reader.inputs, reader.attrs);
  return reader.inputs.every((input, i) => input !== operand || rule.blocked[i] === true);
}

async function endOf(
  { nodes }: Segment,
  ends: readonly Promise<SegmentEnd>[],
): Promise<SegmentEnd> {
  const all = await Promise.all(ends);
  const failures = new Map(all.flatMap((end) => [...end.failures]));
  failReaders(nodes, failures);
  const seconds = all.reduce((sum, end) => sum + end.seconds, 0);
  return { failures, seconds, isFirst: all.some(({ isFirst }) => isFirst === true) };
}
