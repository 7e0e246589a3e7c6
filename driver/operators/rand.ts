/**
 * A matrix of random numbers, counter-based: the bits of a cell depend on the seed and its position
 * only (`philox.ts` has the exact rule). attrs: rows, cols, seed (whole, >= 0), distribution
 *   'uniform': min + uniform * (max - min)
 *   'normal':  mean + normal * std
 * and optionally sparsity in (0, 1]: the cell is kept where the uniform of stream 1 is below it,
 * else 0.
 */
import { PlanError } from '../errors.js';
import type { Attrs } from '../ir/attrs.js';
import { defineOp, sourceRule } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import { inverseNormal } from './inverse-normal.js';
import { forEachCell, openUniform, uniform } from './philox.js';
import { choiceAttr, finiteAttr, sizeAttr, wholeAttr } from './shape-check.js';

/** Draws rows `first .. first+count-1` into a fresh row-major array that kernels may use as is. */
export function randomRows(attrs: Attrs, first: number, count: number): Float64Array {
  const cols = attrs.cols as number;
  const seed = attrs.seed as number;
  const data = new Float64Array(count * cols);
  const normal = attrs.distribution === 'normal';
  const shift = (normal ? attrs.mean : attrs.min) as number;
  const scale = normal ? (attrs.std as number) : (attrs.max as number) - (attrs.min as number);
  const sparsity = attrs.sparsity as number | undefined;
  for (let i = 0; i < count; i++) {
    const base = i * cols;
    forEachCell(seed, 0, first + i, cols, (j, high, low) => {
      const unit = normal ? inverseNormal(openUniform(high, low)) : uniform(high, low);
      data[base + j] = shift + unit * scale;
    });
    if (sparsity === undefined || sparsity >= 1) continue;
    forEachCell(seed, 1, first + i, cols, (j, high, low) => {
      if (uniform(high, low) >= sparsity) data[base + j] = 0;
    });
  }
  return data;
}

const base = { rows: 7, cols: 5, seed: 42 };

export const rand = defineOp({
  name: 'rand',
  arity: 0,
  infer: (_inputs, attrs) => {
    const rows = sizeAttr('rand', attrs, 'rows');
    const cols = sizeAttr('rand', attrs, 'cols');
    wholeAttr('rand', attrs, 'seed', 0);
    const kind = choiceAttr('rand', attrs, 'distribution', ['uniform', 'normal']);
    for (const name of kind === 'normal' ? ['mean', 'std'] : ['min', 'max']) {
      finiteAttr('rand', attrs, name);
    }
    if (attrs.sparsity === undefined) return { rows, cols };
    const sparsity = finiteAttr('rand', attrs, 'sparsity');
    if (!(sparsity > 0 && sparsity <= 1)) {
      throw new PlanError(`rand: expected sparsity above 0 and at most 1, got ${sparsity}`, {
        op: 'rand',
        sparsity,
      });
    }
    return { rows, cols, nnz: rows * cols * sparsity };
  },
  rowRule: () => sourceRule,
  flops: (_inputs, attrs, out) =>
    out.rows * out.cols * (attrs.distribution === 'normal' ? 100 : 50),
  reference: (_inputs, attrs, out, block) => {
    const count = block?.rows ?? out.rows;
    const data = randomRows(attrs, block?.rowOffset ?? 0, count);
    return dense(count, attrs.cols as number, data);
  },
  // Tolerance 0: every backend must give the same bits.
  cases: [
    {
      name: 'uniform',
      inputs: [],
      attrs: { ...base, distribution: 'uniform', min: -1, max: 3 },
      tolerance: 0,
    },
    {
      name: 'normal with tails',
      inputs: [],
      attrs: { ...base, rows: 700, distribution: 'normal', mean: 10, std: 0.5 },
      tolerance: 0,
    },
    {
      name: 'sparse, seed beyond 32 bits',
      inputs: [],
      attrs: {
        ...base,
        seed: 2 ** 40 + 12345,
        distribution: 'normal',
        mean: 0,
        std: 1,
        sparsity: 0.3,
      },
      tolerance: 0,
    },
    {
      name: '1x1',
      inputs: [],
      attrs: { rows: 1, cols: 1, seed: 0, distribution: 'uniform', min: 0, max: 1 },
      tolerance: 0,
    },
  ],
});
