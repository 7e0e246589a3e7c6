/**
 * Which files a program of Spark reads. Values kept in the cluster count as read: what is not
 * stored of them, or was let go, Spark makes again from the files. Invariant: every file that a
 * result may depend on is in one of the sources.
 */

import type { Segment } from '../../driver/backend/backend.js';
import { sourceOf } from '../../driver/frame/frame-leaf.js';
import { isRemote } from '../../driver/frame/identity.js';
import { topological } from '../../driver/ir/expr.js';
import type { FrameSource } from '../../driver/ir/frame-engine.js';

/** @param incomplete values in the cluster of which not all was stored */
export function filesRead(
  { nodes, inputs }: Pick<Segment, 'nodes' | 'inputs'>,
  incomplete: ReadonlySet<string>,
): FrameSource[] {
  const direct = nodes.flatMap((node) => node.inputs).flatMap((input) => sourceOf(input) ?? []);
  const kept = [...inputs].filter(([, value]) => value.kind === 'handle');
  const remade = kept.filter(([, value]) => value.kind === 'handle' && incomplete.has(value.id));
  const below = (values: typeof kept): FrameSource[] =>
    topological(values.map(([expr]) => expr)).flatMap((expr) => sourceOf(expr) ?? []);
  // Asking remote storage costs a listing, so it is asked only for what was read for certain.
  const local = below(kept).filter(({ files }) => files.every(({ path }) => !isRemote(path)));
  return [...new Set([...direct, ...below(remade), ...local])];
}
