/**
 * A segment as groups of nodes that launches compute together: cell-wise steps of one shape, also
 * with an aggregate behind them, and every other node alone. Invariants: groups come inputs before
 * consumers; a group writes what is read outside of it or kept, and nothing else.
 */
import type { Segment } from '../../driver/backend/backend.js';
import { UnsupportedError } from '../../driver/errors.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { OpDef } from '../../driver/ir/op-def.js';
import type { DeviceProperties } from './driver.js';
import { type CompressedOf, lowerCompressed } from './kernels/csr.js';
import { lower, lowerChain } from './kernels/lower.js';
import type { Lowered } from './kernels/lowered.js';

export interface LaunchGroup {
  readonly nodes: readonly Expr[];
  readonly lowered: Lowered;
}

/** What may be fused: asked for each group that could be. */
export type FusionRule = (nodes: readonly Expr[], fused: Lowered) => boolean;

/** Values between steps are held in registers; the arguments of a kernel are limited too. */
const MAX_NODES = 24;

/** Cells of the host: they have no launches, and are copied when a kernel reads them. */
export function isFromHost({ source }: OpDef): boolean {
  return source === 'cells' || source === 'number';
}

/**
 * @param compressedOf which operands are compressed rows, for nodes with kernels over such
 * @throws UnsupportedError for a node without kernels on this device
 */
export function launchGroups(
  segment: Pick<Segment, 'nodes' | 'persist' | 'outputs'>,
  properties: DeviceProperties,
  mayFuse: FusionRule,
  compressedOf: CompressedOf = () => undefined,
): readonly LaunchGroup[] {
  const nodes = segment.nodes.filter(({ op }) => !isFromHost(op));
  const kept = new Set([...segment.persist, ...segment.outputs]);
  const readers = readersOf(nodes);
  const fused = (run: readonly Expr[], outputs: readonly Expr[]): Lowered | undefined => {
    const lowered = run.length > 1 ? lowerChain(run, outputs, properties) : undefined;
    return lowered !== undefined && mayFuse(run, lowered) ? lowered : undefined;
  };
  const groups: LaunchGroup[] = [];
  const runs = runsOf(nodes);
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i]!;
    const folded = [...run, ...foldOf(run, runs[i + 1])];
    const isFolded = folded.length > run.length && outputsOf(folded, readers, kept).length === 1;
    const whole = isFolded ? fused(folded, folded.slice(-1)) : undefined;
    if (whole !== undefined) {
      groups.push({ nodes: folded, lowered: whole });
      i++;
      continue;
    }
    const lowered = fused(run, outputsOf(run, readers, kept));
    if (lowered !== undefined) groups.push({ nodes: run, lowered });
    else {
      for (const node of run) {
        const single = lowerCompressed(node, compressedOf) ?? alone(node, properties);
        groups.push({ nodes: [node], lowered: single });
      }
    }
  }
  return groups;
}

function alone(node: Expr, properties: DeviceProperties): Lowered {
  const lowered = lower(node, properties);
  if (lowered !== undefined) return lowered;
  throw new UnsupportedError(
    `${node.op.name}: expected a kernel for ${node.dtype} on ${properties.name}, got none; leave the operator to the processor`,
    { op: node.op.name, dtype: node.dtype, backend: properties.driver },
  );
}

/** Cell-wise neighbours in the segment's order, each of which reads one before it in the run. */
function runsOf(nodes: readonly Expr[]): readonly (readonly Expr[])[] {
  const runs: Expr[][] = [];
  let inside = new Set<Expr>();
  for (const node of nodes) {
    const run = runs.at(-1);
    const first = run?.[0];
    const isNext =
      node.op.elementwise &&
      first?.op.elementwise === true &&
      isSameShape(first, node) &&
      inside.size < MAX_NODES &&
      node.inputs.some((input) => inside.has(input));
    if (isNext) run!.push(node);
    else runs.push([node]);
    inside = isNext ? inside.add(node) : new Set([node]);
  }
  return runs;
}

/** What may fold the cells of a run right behind it: an operator over its last step alone. */
function foldOf(run: readonly Expr[], next: readonly Expr[] = []): readonly Expr[] {
  const [node] = next;
  if (node === undefined || node.op.elementwise || !run[0]!.op.elementwise) return [];
  return node.inputs.length === 1 && node.inputs[0] === run.at(-1) ? [node] : [];
}

function isSameShape(a: Expr, b: Expr): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.dtype === b.dtype;
}

function readersOf(nodes: readonly Expr[]): ReadonlyMap<Expr, readonly Expr[]> {
  const readers = new Map<Expr, Expr[]>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      const known = readers.get(input);
      if (known === undefined) readers.set(input, [node]);
      else known.push(node);
    }
  }
  return readers;
}

/** Of a run: what is kept, or read outside of it. */
function outputsOf(
  run: readonly Expr[],
  readers: ReadonlyMap<Expr, readonly Expr[]>,
  kept: ReadonlySet<Expr>,
): readonly Expr[] {
  const inside = new Set(run);
  const isReadOutside = (node: Expr): boolean =>
    readers.get(node)?.some((reader) => !inside.has(reader)) ?? false;
  return run.filter((node) => kept.has(node) || isReadOutside(node));
}
