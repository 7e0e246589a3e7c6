/**
 * The nodes of a pass over one block of rows, as launches: each over operands of that many rows, and
 * reductions also joined with what the blocks before gave. Invariant: it depends on the number of
 * rows alone, so blocks of as many rows share it.
 */
import type { Segment } from '../../../driver/backend/backend.js';
import { denseBytes, type Expr, topological } from '../../../driver/ir/expr.js';
import { Interner } from '../../../driver/ir/intern.js';
import { mergeResults } from '../../../driver/ir/op-def.js';
import { ops } from '../../../driver/operators/index.js';
import type { DeviceProperties } from '../driver.js';
import { lower } from '../kernels/lower.js';
import { type FusionRule, type LaunchGroup, launchGroups } from '../launch-groups.js';

/** One walk over the rows of some operands. */
export interface PassNodes {
  readonly rows: number;
  /** Inputs before consumers. */
  readonly maps: readonly Expr[];
  readonly sinks: readonly Expr[];
  /** Maps whose rows are wanted on the host. */
  readonly written: readonly Expr[];
}

export interface BlockProgram {
  readonly segment: Segment;
  readonly groups: readonly LaunchGroup[];
  /** Operands taken by rows, and what stands for those of a block. */
  readonly rowLeaves: ReadonlyMap<Expr, Expr>;
  readonly wholeLeaves: ReadonlyMap<Expr, Expr>;
  /** By sink that is joined on the device: what stands for the sum of the blocks before, if any. */
  readonly before: ReadonlyMap<Expr, Expr>;
  /** By sink: the sum with this block, or what this block gives to be joined on the host. */
  readonly sums: ReadonlyMap<Expr, Expr>;
  readonly written: ReadonlyMap<Expr, Expr>;
  /** What results and steps take at most, without operands. @units bytes */
  readonly bytes: number;
}

export class BlockPrograms {
  readonly #pass: PassNodes;
  readonly #properties: DeviceProperties;
  readonly #mayFuse: FusionRule;
  readonly #maker = new Interner();
  readonly #known = new Map<string, BlockProgram>();
  /** Sinks whose results over blocks are joined on the host. */
  readonly joinedOnHost: ReadonlySet<Expr>;

  constructor(pass: PassNodes, properties: DeviceProperties, mayFuse: FusionRule) {
    this.#pass = pass;
    this.#properties = properties;
    this.#mayFuse = mayFuse;
    this.joinedOnHost = new Set(pass.sinks.filter((sink) => !this.#canJoin(sink)));
  }

  /** @throws UnsupportedError where blocks of so many rows have no kernel */
  of(rows: number, isFirst: boolean): BlockProgram {
    const key = `${rows} ${isFirst}`;
    const program = this.#known.get(key) ?? this.#make(rows, isFirst);
    this.#known.set(key, program);
    return program;
  }

  /** Gives a sum the dtype of its node; undefined where it has it. */
  cast(sink: Expr): Expr | undefined {
    if (!this.#isWidened(sink)) return undefined;
    const { rows, cols, dtype } = sink;
    const key = `all ${sink.id}`;
    const leaf = this.#maker.intern(ops.slot, [], { rows, cols, key });
    return this.#maker.intern(ops.cast, [leaf], { dtype });
  }

  #make(rows: number, isFirst: boolean): BlockProgram {
    const { maps, sinks } = this.#pass;
    const block = new BlockNodes(this.#maker, rows);
    for (const expr of maps) block.add(expr);
    const before = new Map<Expr, Expr>();
    const sums = new Map<Expr, Expr>();
    for (const sink of sinks) {
      const own = block.add(sink);
      if (this.joinedOnHost.has(sink)) sums.set(sink, own);
      else if (isFirst) sums.set(sink, this.#widened(own));
      else {
        const sum = this.#widened(own);
        const leaf = leafOf(this.#maker, sum, sum.rows, `before ${sink.id}`);
        before.set(sink, leaf);
        sums.set(sink, mergeResults(sink.op.merge!, own, [leaf, sum], this.#maker));
      }
    }
    const written = new Map(this.#pass.written.map((expr) => [expr, block.nodeOf.get(expr)!]));
    const results = [...new Set([...sums.values(), ...written.values()])];
    const segment = segmentOf(results);
    const groups = launchGroups(segment, this.#properties, this.#mayFuse);
    const taken = groups.flatMap(({ lowered: { outputs, scratchBytes } }) => [
      ...outputs.map(denseBytes),
      ...scratchBytes,
    ]);
    const { rowLeaves, wholeLeaves } = block;
    const bytes = taken.reduce((sum, one) => sum + one, 0);
    return { segment, groups, rowLeaves, wholeLeaves, before, sums, written, bytes };
  }

  #widened(sum: Expr): Expr {
    return this.#isWidened(sum) ? this.#maker.intern(ops.cast, [sum], { dtype: 'float64' }) : sum;
  }

  /** Sums of float32 would lose digits with each block. */
  #isWidened({ op, dtype }: Expr): boolean {
    const { hasFloat64 } = this.#properties;
    return dtype === 'float32' && hasFloat64 && typeof op.merge === 'object';
  }

  /** Whether all that joins two results has kernels. */
  #canJoin(sink: Expr): boolean {
    const { merge } = sink.op;
    if (merge === undefined) return false;
    const block = new BlockNodes(this.#maker, Math.min(2, this.#pass.rows));
    const own = block.add(sink);
    const sum = this.#widened(own);
    const leaf = leafOf(this.#maker, sum, sum.rows, 'before');
    const joined = mergeResults(merge, own, [leaf, sum], this.#maker);
    const nodes = topological([joined], (expr) => expr === own || expr === leaf);
    return nodes.every((e) => e === own || e === leaf || lower(e, this.#properties) !== undefined);
  }
}

/** Nodes of a plan as they are of a block of rows. */
class BlockNodes {
  readonly nodeOf = new Map<Expr, Expr>();
  readonly rowLeaves = new Map<Expr, Expr>();
  readonly wholeLeaves = new Map<Expr, Expr>();
  readonly #maker: Interner;
  readonly #rows: number;

  constructor(maker: Interner, rows: number) {
    this.#maker = maker;
    this.#rows = rows;
  }

  add(expr: Expr): Expr {
    const { op, attrs } = expr;
    const rule = op.rowRule(expr.inputs, attrs);
    const inputs = expr.inputs.map((input, i) => {
      const isByRows = rule.blocked[i] === true;
      if (!isByRows) return this.#leaf(this.wholeLeaves, input, input.rows, 'whole');
      const made = this.nodeOf.get(input);
      return made ?? this.#leaf(this.rowLeaves, input, this.#rows, 'rows');
    });
    const node = this.#maker.intern(op, inputs, attrs);
    this.nodeOf.set(expr, node);
    return node;
  }

  #leaf(leaves: Map<Expr, Expr>, expr: Expr, rows: number, key: string): Expr {
    const leaf = leaves.get(expr) ?? leafOf(this.#maker, expr, rows, `${key} ${expr.id}`);
    leaves.set(expr, leaf);
    return leaf;
  }
}

/** What stands for a value that is there when the block is launched. */
export function leafOf(maker: Interner, { cols, dtype }: Expr, rows: number, key: string): Expr {
  return maker.intern(ops.slot, [], { rows, cols, key, ...(dtype === 'float32' && { dtype }) });
}

/** In the order in which they were made, which is that of the plan. */
function segmentOf(results: readonly Expr[]): Segment {
  const nodes = topological(results).filter(({ op }) => op.source !== 'cells');
  nodes.sort((a, b) => a.id - b.id);
  return { nodes, inputs: new Map(), outputs: [], persist: results, blocked: new Set() };
}
