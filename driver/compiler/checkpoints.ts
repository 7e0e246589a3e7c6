/**
 * Checkpoints: which blocked values are kept where they are made, because several passes of this
 * plan, or plans expected after it, would make them again. A value is kept when the time saved
 * exceeds that of writing it and reading it back; walking from the consumers down puts the
 * checkpoint after the last shared operator, so a cheap map over a kept value is not kept too. On a
 * streaming backend keeping means a whole value on the host, on a resident one a persisted value.
 * Source: MEMPHIS (EDBT 2025) 5.2, with a cost test in place of its rule of two readers.
 */
import { heldBytes } from '../backend/backend.js';
import type { Expr } from '../ir/expr.js';
import type { Pass, PassContext } from './pass.js';
import {
  type Checkpoint,
  isInside,
  isOverRows,
  isTarget,
  KEPT_HERE,
  KEPT_THERE,
  NOWHERE,
  type Plan,
  type PlanNode,
  ROWS,
} from './plan.js';
import { takesByRows } from './row-blocks.js';

/** Writing or reading a kept value. @units bytes/s */
const KEEP_BYTES_PER_SECOND = 4e9;
/** Longer chains of row-block operators without a kept value are cut on a resident backend. */
const MAX_CHAIN = 64;

export const checkpoints: Pass = {
  name: 'checkpoints',
  summary: 'keeps row blocks that would be made again, where that costs more than keeping them',
  run: (state, context) => {
    const { plan } = state;
    if (!plan?.nodes.some(({ how }) => how.kind === 'rows')) return state;
    new CheckpointRun(plan, context).mark();
    return { ...state };
  },
};

/** The pass that writes a blocked value: in a stream, that of sums of it. */
function writtenIn({ wave, backend }: PlanNode): number {
  return backend.capabilities.blocks === 'stream' ? wave + 1 : wave;
}

class CheckpointRun {
  readonly #plan: Plan;
  readonly #context: PassContext;
  /** Time of the chain that makes a blocked value from what is there. @units seconds */
  readonly #chain = new Map<PlanNode, number>();
  readonly #length = new Map<PlanNode, number>();
  readonly #readers = new Map<PlanNode, PlanNode[]>();
  /** Passes in which a blocked node is evaluated. */
  readonly #waves = new Map<PlanNode, ReadonlySet<number>>();

  constructor(plan: Plan, context: PassContext) {
    this.#plan = plan;
    this.#context = context;
  }

  mark(): void {
    for (const node of this.#plan.nodes) this.#measure(node);
    const kept: { readonly node: PlanNode; readonly checkpoint: Checkpoint }[] = [];
    for (let i = this.#plan.nodes.length - 1; i >= 0; i--) {
      const node = this.#plan.nodes[i]!;
      if (node.how.kind !== 'rows') continue;
      const checkpoint = this.#decide(node);
      if (checkpoint === undefined) continue;
      kept.push({ node, checkpoint });
      this.#keep(node, checkpoint);
    }
    this.#fitMemory(kept);
  }

  #measure(node: PlanNode): void {
    if (!isOverRows(node)) return;
    let below = 0;
    let length = 0;
    for (const input of new Set(node.expr.inputs)) {
      const source = this.#plan.nodeOf.get(input);
      if (source === undefined || !isInside(node, source)) continue;
      const readers = this.#readers.get(source);
      if (readers === undefined) this.#readers.set(source, [node]);
      else readers.push(node);
      // The longest branch, not the sum: branches that meet again must not be counted twice.
      below = Math.max(below, this.#chain.get(source) ?? 0);
      length = Math.max(length, this.#length.get(source) ?? 0);
    }
    this.#chain.set(node, below + this.#workOf(node));
    this.#length.set(node, length + 1);
  }

  /** In a stream cells are steps of a loop over a block. @units seconds */
  #workOf({ backend, expr }: PlanNode): number {
    const isStream = backend.capabilities.blocks === 'stream';
    const inLoop = isStream ? backend.estimate(expr).chainSeconds : undefined;
    return inLoop ?? this.#context.costs.work(backend, expr).seconds;
  }

  #decide(node: PlanNode): Checkpoint | undefined {
    const readers = this.#readers.get(node) ?? [];
    const waves = new Set<number>();
    if (isTarget(node)) waves.add(writtenIn(node));
    let readLater = readers.length === 0;
    for (const reader of readers) {
      const isSum = reader.how.kind === 'reduce';
      if (isSum) waves.add(reader.wave);
      else for (const wave of this.#waves.get(reader) ?? []) waves.add(wave);
      if (isSum || reader.stays.at === 'nowhere') readLater = true;
    }
    this.#waves.set(node, waves);
    const isRead = readLater && node.expr.isDeterministic;
    const later = isRead ? this.#later(node) : 0;
    const bytes = heldBytes(node.backend, node.expr);
    const move = bytes / KEEP_BYTES_PER_SECOND;
    const reads = Math.max(1, waves.size) + later;
    const savedSeconds = (reads - 1) * (this.#chain.get(node)! - move) - move;
    if (savedSeconds > 0 && bytes <= this.#limit(node)) {
      return { reason: waves.size > 1 ? 'shared' : 'repeated', reads, savedSeconds };
    }
    const isResident = node.backend.capabilities.blocks === 'resident';
    const length = this.#length.get(node)!;
    return isResident && length % MAX_CHAIN === 0
      ? { reason: 'lineage', reads, savedSeconds: 0 }
      : undefined;
  }

  /**
   * Later reads to keep a value for. Where keeping means to write it out (1 GB/s and its memory),
   * data of files are kept from the second reading on: most searches read them once.
   */
  #later({ backend, expr }: PlanNode): number {
    const { history } = this.#context;
    const isFirst = backend.capabilities.blocks === 'resident' && history.reads(expr) === 0;
    return isFirst ? history.foreseen(expr) : history.expected(expr);
  }

  #keep(node: PlanNode, checkpoint: Checkpoint): void {
    node.how = { kind: 'rows', checkpoint };
    // A value that is written out on the host is there for every later reader.
    if (node.stays.at === 'host') return;
    if (node.backend.capabilities.blocks === 'resident') {
      // What earlier plans read is noted by the backend's own tier, which delays keeping it.
      if (checkpoint.reason !== 'shared' && this.#context.history.reads(node.expr) > 0) return;
      if (checkpoint.reason === 'lineage') return;
      node.stays = KEPT_THERE;
    } else if (checkpoint.reason !== 'lineage') node.stays = KEPT_HERE;
    else return;
    this.#waves.set(node, new Set([Math.min(writtenIn(node), ...this.#waves.get(node)!)]));
  }

  #limit(node: PlanNode): number {
    return node.backend.capabilities.blocks === 'resident'
      ? (node.backend.costs?.memoryBytes ?? Infinity)
      : this.#context.materialiseBytes;
  }

  /** Together they may take twice what one may; what saves least a byte goes first. */
  #fitMemory(kept: readonly { readonly node: PlanNode; readonly checkpoint: Checkpoint }[]): void {
    const byWorth = [...kept].sort(
      (a, b) =>
        b.checkpoint.savedSeconds / heldBytes(b.node.backend, b.node.expr) -
        a.checkpoint.savedSeconds / heldBytes(a.node.backend, a.node.expr),
    );
    const used = new Map<string, number>();
    const needed = new Set<Expr>(this.#plan.roots);
    for (const { node, checkpoint } of byWorth) {
      const total = (used.get(node.backend.name) ?? 0) + heldBytes(node.backend, node.expr);
      const isForced = needed.has(node.expr) || this.#isReadOutside(node);
      if (total <= 2 * this.#limit(node) || isForced || checkpoint.reason === 'lineage') {
        used.set(node.backend.name, total);
        continue;
      }
      node.stays = NOWHERE;
      node.how = ROWS;
    }
  }

  #isReadOutside(node: PlanNode): boolean {
    return this.#plan.nodes.some(
      (reader) =>
        reader.expr.inputs.includes(node.expr) &&
        (!isInside(reader, node) || !takesByRows(reader.expr, node.expr, reader.backend)),
    );
  }
}
