/**
 * Placement: which nodes are evaluated by row blocks, on which backend, and in which pass over the data.
 * A node is *blocked* when it comes row by row from data too large or too far away to hold whole: an `encode` of a
 * frame, a large generated matrix, or a `map` operator over such. A *sink* reduces blocked operands to a small value;
 * all sinks whose other operands are ready together share one pass (one stream, or one Spark job).
 */

import { UnsupportedError } from '../errors.js';
import { isFrameData } from '../frame/frame-data.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import { frame } from '../operators/frame.js';
import type { Backend } from '../runtime/backend.js';
import type { Value } from '../runtime/value.js';
import type { Plan, PlanNode } from './plan.js';

export interface PlacementOptions {
  /** Runs operators on whole host values. */
  readonly local: Backend;
  /** Runs row blocks: the same backend, or Spark. */
  readonly blocks: Backend;
  /** A blocked value of at most this size, needed by more than one pass, is kept whole on the host. @units bytes */
  readonly materialiseBytes: number;
}

/** Generated matrices and literals of at least this size count as data. @units bytes */
const DATA_BYTES = 32 * 1024;
/** Generated matrices of at least this size are never made whole without need. @units bytes */
const LARGE_BYTES = 8 * 1024 * 1024;

export function place(
  order: readonly Expr[],
  roots: readonly Expr[],
  available: ReadonlyMap<Expr, Value>,
  pending: ReadonlySet<Expr>,
  options: PlacementOptions,
): Plan {
  const nodeOf = new Map<Expr, PlanNode>();
  const nodes: PlanNode[] = [];
  for (const expr of order) {
    if (available.has(expr) || pending.has(expr) || expr.op === frame) continue;
    const node: PlanNode = {
      expr,
      backend: options.local,
      blocked: false,
      sink: false,
      wave: 0,
      materialise: false,
      persist: false,
    };
    nodes.push(node);
    nodeOf.set(expr, node);
  }
  const plan: Plan = { roots, nodes, nodeOf, available, pending };
  markBlocked(plan, options);
  numberWaves(plan);
  markKept(plan, options);
  checkSupported(plan);
  return plan;
}

function isBlockedValue(value: Value | undefined): boolean {
  return value?.kind === 'handle';
}

/** Data that exists whole on the host but is walked by rows all the same. */
function isHostData(expr: Expr, plan: Plan): boolean {
  const value = plan.available.get(expr);
  if (value?.kind !== 'dense' || expr.rows === 1) return false;
  return denseBytes(value) >= DATA_BYTES || isFrameData(expr);
}

function markBlocked(plan: Plan, options: PlacementOptions): void {
  const remote = options.blocks !== options.local;
  for (const node of plan.nodes) {
    const { expr } = node;
    const rule = expr.op.rowRule(expr.inputs, expr.attrs);
    // What the row-block backend has no kernel for takes its operands whole, on the host.
    if (remote && !options.blocks.capabilities.ops.has(expr.op.name)) continue;
    if (rule.kind === 'source') {
      node.blocked = expr.inputs.length > 0 || denseBytes(expr) >= LARGE_BYTES;
    } else if (rule.kind === 'map' || rule.kind === 'reduce') {
      let blocked = false;
      let hostData = false;
      for (let i = 0; i < expr.inputs.length; i++) {
        if (!rule.blocked[i]) continue;
        const input = expr.inputs[i]!;
        if (plan.nodeOf.get(input)?.blocked || isBlockedValue(plan.available.get(input)))
          blocked = true;
        else if (isHostData(input, plan)) hostData = true;
      }
      if (rule.kind === 'map')
        node.blocked = blocked || (remote && hostData && denseBytes(expr) >= LARGE_BYTES);
      else node.sink = blocked || hostData;
    }
    if (node.blocked || node.sink) node.backend = options.blocks;
  }
  // Small generated operands (fold numbers, say) of a blocked consumer are made block by block with it.
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!node.blocked && !node.sink) continue;
    const rule = node.expr.op.rowRule(node.expr.inputs, node.expr.attrs);
    if (rule.kind !== 'map' && rule.kind !== 'reduce') continue;
    for (let k = 0; k < node.expr.inputs.length; k++) {
      const input = plan.nodeOf.get(node.expr.inputs[k]!);
      if (!rule.blocked[k] || input === undefined || input.blocked) continue;
      if (input.expr.op.rowRule(input.expr.inputs, input.expr.attrs).kind === 'source') {
        input.blocked = true;
        input.backend = options.blocks;
      }
    }
  }
}

function numberWaves(plan: Plan): void {
  for (const node of plan.nodes) {
    let wave = 0;
    for (const input of node.expr.inputs) wave = Math.max(wave, plan.nodeOf.get(input)?.wave ?? 0);
    node.wave = node.sink ? wave + 1 : wave;
  }
}

/** Decides which blocked values are written out: those needed whole, and those worth not computing twice. */
function markKept(plan: Plan, options: PlacementOptions): void {
  const wavesReading = new Map<PlanNode, Set<number>>();
  const neededWhole = new Set<PlanNode>();
  for (const root of plan.roots) {
    const node = plan.nodeOf.get(root);
    if (node?.blocked) neededWhole.add(node);
  }
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    const rule = node.expr.op.rowRule(node.expr.inputs, node.expr.attrs);
    const inBlocks = node.blocked || node.sink;
    for (let k = 0; k < node.expr.inputs.length; k++) {
      const input = plan.nodeOf.get(node.expr.inputs[k]!);
      if (!input?.blocked) continue;
      const takesBlocks =
        rule.kind === 'source' ||
        (inBlocks && (rule.kind === 'map' || rule.kind === 'reduce') && rule.blocked[k]);
      if (!takesBlocks) neededWhole.add(input);
      else {
        const waves = wavesReading.get(input) ?? new Set<number>();
        wavesReading.set(input, waves);
        if (node.sink) waves.add(node.wave);
        else for (const wave of wavesReading.get(node) ?? []) waves.add(wave);
      }
    }
  }
  for (const node of plan.nodes) {
    if (!node.blocked) continue;
    const resident = node.backend.capabilities.blocks === 'resident';
    // A run that reads data once now will read it again when scores follow, so sources over frames are kept if they fit.
    const isSource = node.expr.inputs[0]?.op === frame;
    const readTwice = (wavesReading.get(node)?.size ?? 0) > 1;
    if (resident) node.persist = isSource || readTwice;
    else if (isSource || readTwice) {
      node.materialise = denseBytes(node.expr) <= options.materialiseBytes;
    }
    if (neededWhole.has(node)) node.materialise = true;
  }
}

function checkSupported(plan: Plan): void {
  for (const { expr, backend } of plan.nodes) {
    if (backend.capabilities.ops.has(expr.op.name)) continue;
    throw new UnsupportedError(
      `${expr.op.name}: expected a backend with a kernel for it, got \`${backend.name}\``,
      { op: expr.op.name, backend: backend.name },
    );
  }
}
