/**
 * The form of a loop: its start and its step over leaves by number, so that loops of one form over
 * the same values are one loop, in every process. Invariant: nodes of equal texts compute the same
 * from equal leaves; which slots a step was traced over stands in no text.
 */
import { hash } from 'node:crypto';
import { type Expr, shapeText, topological } from '../ir/expr.js';
import { contentDigest } from '../ir/lineage-key.js';
import type { DenseMatrix } from '../ir/value.js';

export interface LoopForm {
  /** Hexadecimal SHA-256. */
  readonly text: string;
  /** The leaves, in the order of their numbers. */
  readonly leaves: readonly Expr[];
}

/**
 * @param names of the state, in the order of `slots`, which the step reads it from
 * @param roots the start, then what a step makes
 * @param isLeaf whether a node stands for a value that is known otherwise
 */
export function loopForm(
  names: readonly string[],
  slots: readonly Expr[],
  roots: readonly Expr[],
  isLeaf: (expr: Expr) => boolean,
): LoopForm {
  const leaves: Expr[] = [];
  const texts = new Map(slots.map((slot, i) => [slot, `state ${i}`]));
  for (const node of topological(roots, (expr) => texts.has(expr) || isLeaf(expr))) {
    if (texts.has(node)) continue;
    if (isLeaf(node)) {
      texts.set(node, `leaf ${leaves.length}`);
      leaves.push(node);
    } else texts.set(node, hash('sha256', nodeText(node, texts), 'hex'));
  }
  const state = slots.map((slot, i) => `${names[i]} ${shapeText(slot)} ${slot.dtype}`);
  const text = [...state, ...roots.map((root) => texts.get(root)!)].join('\n');
  return { text: hash('sha256', text, 'hex'), leaves };
}

function nodeText({ op, attrsText, inputs, payload }: Expr, texts: Map<Expr, string>): string {
  const own = op.source === 'cells' ? contentDigest(payload as DenseMatrix) : attrsText;
  return [`${op.name}@${op.version}`, own, ...inputs.map((input) => texts.get(input)!)].join('\n');
}
