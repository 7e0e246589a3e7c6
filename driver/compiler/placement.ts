/**
 * Placement: which backend runs each node, which nodes are evaluated by row blocks, and in which
 * pass over the data. A node is *blocked* when it comes row by row from data too large or too far
 * away to hold whole: an `encode` of a frame, a large generated matrix, or a `map` operator over
 * such. A *sink* reduces blocked operands to a small value; all sinks whose other operands are
 * ready together share one pass (one stream, or one Spark job). Where more than one backend could
 * run a node, `choose-backends.ts` decides for the whole plan at once.
 */

import type { Backend } from '../backend/backend.js';
import { UnsupportedError } from '../errors.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import { type Choices, chooseBackends } from './choose-backends.js';
import { collect } from './collect.js';
import { walkHostRows } from './host-rows.js';
import type { Pass, PassContext, PassState } from './pass.js';
import {
  isInside,
  isOverRows,
  KEPT_HERE,
  KEPT_THERE,
  NOWHERE,
  type Plan,
  type PlanNode,
  REDUCE,
  ROWS,
  WHOLE,
} from './plan.js';
import { isHostData, makesMoreThanItReads, rowRuleOn, takesByRows } from './row-blocks.js';
import { walkWideRows } from './wide-rows.js';

/** Generated matrices of at least this size are never made whole without need. @units bytes */
const LARGE_BYTES = 8 * 1024 * 1024;

export const placement: Pass = {
  name: 'placement',
  summary: 'a backend for every node, where the whole plan is expected to take least time',
  run: (state, context) => ({ ...state, plan: place(state, context) }),
};

function place(state: PassState, context: PassContext): Plan {
  const plan = unplaced(state, context);
  const choices = chooseBackends(plan, context);
  markBlocked(plan, choices, context);
  for (const node of plan.nodes) {
    const device = choices?.get(node.expr);
    if (!isOverRows(node) && device !== undefined && context.devices.includes(device)) {
      node.backend = device;
    }
  }
  walkHostRows(plan, context);
  walkWideRows(plan, context);
  if (context.devices.length > 0) markStaying(plan, context);
  numberWaves(plan);
  markNeededWhole(plan);
  persistRoots(plan, context.persisted);
  checkSupported(plan);
  return plan;
}

/** The nodes that have no value yet, all on the local backend. */
function unplaced(state: PassState, context: PassContext): Plan {
  const { missing, available, pending } = collect(state, context);
  const { roots, partial } = state;
  const nodes: PlanNode[] = [];
  const nodeOf = new Map<Expr, PlanNode>();
  for (const expr of missing) {
    const node: PlanNode = {
      expr,
      backend: context.local,
      wave: 0,
      how: WHOLE,
      stays: KEPT_HERE,
      reads: 0,
    };
    nodes.push(node);
    nodeOf.set(expr, node);
  }
  const plan = { roots, nodes, nodeOf, available, pending, targets: [], awaited: new Set<never>() };
  const { resident } = context;
  return { ...plan, ...(partial && { partial }), ...(resident.size > 0 && { resident }) };
}

function markBlocked(plan: Plan, choices: Choices | undefined, context: PassContext): void {
  for (const node of plan.nodes) {
    const at = backendFor(node, choices, context);
    const { expr } = node;
    const rule = rowRuleOn(expr, at);
    const isRemote = at !== context.local;
    if (rule.kind === 'source') {
      const isData = expr.inputs.length > 0 || denseBytes(expr) >= LARGE_BYTES;
      if (isData || (isRemote && choices?.get(expr) === at)) walkByRows(node, at);
    } else if (rule.kind === 'map' || rule.kind === 'reduce') {
      const operands = rowOperands(plan, expr, rule.blocked, at);
      if (rule.kind === 'reduce') {
        // A device takes rows of the host as its memory holds them.
        const isOnDevice = context.devices.includes(choices?.get(expr) ?? at);
        if (operands === 'none' || (operands === 'host' && isOnDevice)) continue;
        node.how = REDUCE;
        node.backend = at;
        continue;
      }
      const isWanted = choices?.get(expr) === at || denseBytes(expr) >= LARGE_BYTES;
      if (operands === 'blocks' || (isRemote && operands === 'host' && isWanted)) {
        walkByRows(node, at);
      }
    }
  }
  blockSmallOperands(plan);
}

function walkByRows(node: PlanNode, at: Backend): void {
  node.how = ROWS;
  node.stays = NOWHERE;
  node.backend = at;
}

function backendFor(
  { expr }: PlanNode,
  choices: Choices | undefined,
  context: PassContext,
): Backend {
  const own = expr.op.rowRule(expr.inputs, expr.attrs);
  const { blocks, local } = context;
  if (own.kind === 'reduce' && makesMoreThanItReads(expr, own.blocked)) return local;
  // What has no kernel there takes its rows here: convolutions and pools.
  if (choices === undefined) return blocks.capabilities.ops.has(expr.op.name) ? blocks : local;
  const chosen = choices.get(expr);
  return chosen === undefined || context.devices.includes(chosen) ? local : chosen;
}

/** What a node on `at` finds where its rule takes rows: row blocks, other row data, or neither. */
function rowOperands(
  plan: Plan,
  expr: Expr,
  byRows: readonly boolean[],
  at: Backend,
): 'blocks' | 'host' | 'none' {
  let found: 'host' | 'none' = 'none';
  for (let i = 0; i < expr.inputs.length; i++) {
    if (!byRows[i]) continue;
    const input = expr.inputs[i]!;
    const below = plan.nodeOf.get(input);
    const value = plan.available.get(input);
    if (
      value?.kind === 'dense' &&
      value.sparse !== undefined &&
      at.capabilities.blocks === 'stream'
    )
      return 'blocks';
    if (below?.how.kind === 'rows' || value?.kind === 'handle') {
      const there =
        below === undefined ? (value as { backend: string }).backend : below.backend.name;
      if (there === at.name) return 'blocks';
      found = 'host';
    } else if (isHostData(input, plan.available.get(input))) found = 'host';
  }
  return found;
}

/** Small generated operands of a blocked consumer (fold numbers) are made with it by blocks. */
function blockSmallOperands(plan: Plan): void {
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const node = plan.nodes[i]!;
    if (!isOverRows(node)) continue;
    const rule = rowRuleOn(node.expr, node.backend);
    if (rule.kind !== 'map' && rule.kind !== 'reduce') continue;
    for (let k = 0; k < node.expr.inputs.length; k++) {
      const input = plan.nodeOf.get(node.expr.inputs[k]!);
      if (!rule.blocked[k] || input === undefined || input.how.kind === 'rows') continue;
      if (input.expr.op.rowRule(input.expr.inputs, input.expr.attrs).kind !== 'source') continue;
      if (!node.backend.capabilities.ops.has(input.expr.op.name)) continue;
      walkByRows(input, node.backend);
    }
  }
}

/** Values of a device stay there for what reads them there, or can take them from there. */
function markStaying(plan: Plan, { devices, resident }: PassContext): void {
  for (const root of resident) {
    const node = plan.nodeOf.get(root);
    if (node !== undefined && devices.includes(node.backend)) node.stays = KEPT_THERE;
  }
  for (const { expr, backend } of plan.nodes) {
    if (!devices.includes(backend)) continue;
    for (const input of expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below === undefined || !devices.includes(below.backend)) continue;
      const isReadThere = below.backend === backend || backend.adopt !== undefined;
      if (isReadThere) below.stays = KEPT_THERE;
    }
  }
}

function numberWaves(plan: Plan): void {
  for (const node of plan.nodes) {
    let wave = 0;
    for (const input of node.expr.inputs) {
      const below = plan.nodeOf.get(input);
      if (below === undefined) continue;
      // A blocked value that is read from outside its segment takes a pass of its own to be written
      // out.
      const written = below.how.kind === 'rows' && !isInside(node, below) ? 1 : 0;
      wave = Math.max(wave, below.wave + written);
    }
    node.wave = node.how.kind === 'reduce' ? wave + 1 : wave;
  }
}

/** Blocked values that are asked for, or read whole or on another backend, are written out. */
function markNeededWhole(plan: Plan): void {
  for (const root of plan.roots) {
    const node = plan.nodeOf.get(root);
    if (node?.how.kind === 'rows') node.stays = KEPT_HERE;
  }
  for (const node of plan.nodes) {
    for (const expr of node.expr.inputs) {
      const input = plan.nodeOf.get(expr);
      if (input?.how.kind !== 'rows') continue;
      const byRows = takesByRows(node.expr, expr, node.backend);
      if (!byRows || !isInside(node, input)) input.stays = KEPT_HERE;
    }
  }
}

/** Roots that are to stay where their row blocks are. */
function persistRoots(plan: Plan, persisted: ReadonlySet<Expr>): void {
  for (const root of persisted) {
    const node = plan.nodeOf.get(root);
    if (node?.how.kind !== 'rows' || node.backend.capabilities.blocks !== 'resident') continue;
    node.stays = KEPT_THERE;
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
