/**
 * `LineageKey`: the 256-bit name of a value that is the same in every process, machine and version
 * of Node. It is SHA-256 over operator name and version, canonical attributes and the inputs' keys,
 * computed once per node and only when a tier that outlives the process (durable store, Spark
 * names, reports) asks for it.
 */
import { createHash, hash as oneShotHash } from 'node:crypto';
import { CsrMatrix, csrToBytes } from './csr.js';
import { type Expr, topological } from './expr.js';
import type { DenseMatrix } from './value.js';

/** Hexadecimal SHA-256. */
export type LineageKey = string;

/** The stable key of a node. Iterative; linear in the part of the lineage not keyed yet. */
export function lineageKey(expr: Expr): LineageKey {
  if (expr.lineage !== undefined) return expr.lineage;
  for (const node of topological([expr], (e) => e.lineage !== undefined)) {
    if (node.lineage !== undefined) continue;
    const own =
      node.op.source === 'cells' ? contentDigest(node.payload as DenseMatrix) : node.attrsText;
    let text = `${node.op.name}@${node.op.version}\n${own}`;
    for (const input of node.inputs) text += `\n${input.lineage}`;
    node.lineage = oneShotHash('sha256', text, 'hex');
  }
  return expr.lineage as unknown as LineageKey;
}

/**
 * SHA-256 over shape, dtype and cells of a matrix; -0 and NaN payloads are kept. Of compressed rows
 * over what is held: a dense matrix of the same cells has another digest.
 */
export function contentDigest(matrix: DenseMatrix): string {
  const { rows, cols, dtype } = matrix;
  const shape = `${rows}x${cols}${dtype === 'float64' ? '' : dtype}:`;
  if (matrix instanceof CsrMatrix) {
    const text = `csr:${matrix.nnz}:${shape}`;
    return createHash('sha256').update(text).update(csrToBytes(matrix)).digest('hex');
  }
  const { data } = matrix;
  return createHash('sha256')
    .update(shape)
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}
