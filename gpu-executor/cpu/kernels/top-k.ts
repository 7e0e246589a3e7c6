/**
 * The first k rows of a ranking in one pass. Invariant: at most 2k rows are held; when they are
 * full, the worst half goes and the k-th row is the bar that later rows must pass, so most rows
 * cost one comparison.
 */

import { dense } from '../../../driver/ir/value.js';
import { compareRanked, rankingOf, topK } from '../../../driver/operators/top-k.js';
import type { Kernel, Reducer } from './kernel.js';

export const topKKernel: Kernel = {
  op: topK,
  reducer: ({ inputs: [x], attrs }): Reducer => {
    const { by, descending, k } = rankingOf(attrs);
    const { rows, cols } = x!;
    const keep = Math.min(k, rows);
    const room = Math.min(rows, 2 * keep);
    const ranks = new Float64Array(room);
    const numbers = new Float64Array(room);
    const cells = new Float64Array(room * cols);
    /** Slots in use; from `cut` on in order. */
    let order: Uint32Array = new Uint32Array(0);
    let held = 0;
    let bar: number | undefined;
    const free: number[] = [];

    const sort = (): void => {
      const slots = Uint32Array.from({ length: room }, (_, i) => i);
      const unused = new Set(free);
      order = slots
        .filter((slot) => slot < held + free.length && !unused.has(slot))
        .sort((a, b) => compareRanked(ranks[a]!, ranks[b]!, numbers[a]!, numbers[b]!, descending));
    };
    /** Drops all but the first `keep`. */
    const cut = (): void => {
      sort();
      for (let i = keep; i < order.length; i++) free.push(order[i]!);
      order = order.subarray(0, keep);
      held = order.length;
      bar = ranks[order[held - 1]!]!;
    };
    return {
      add: ([block], { rowOffset }) => {
        const { data } = block!;
        for (let i = 0; i < block!.rows; i++) {
          const rank = data[i * cols + by]!;
          // A later row that ties with the bar comes after it.
          if (bar !== undefined && compareRanked(rank, bar, 1, 0, descending) > 0) continue;
          const slot = free.pop() ?? held;
          ranks[slot] = rank;
          numbers[slot] = i + rowOffset;
          cells.set(data.subarray(i * cols, (i + 1) * cols), slot * cols);
          if (++held === room && keep < room) cut();
        }
      },
      result: () => {
        if (held > 0) sort();
        const out = new Float64Array(keep * (cols + 1));
        for (let r = 0; r < keep; r++) {
          const slot = order[r]!;
          out[r * (cols + 1)] = numbers[slot]!;
          out.set(cells.subarray(slot * cols, (slot + 1) * cols), r * (cols + 1) + 1);
        }
        return dense(keep, cols + 1, out);
      },
    };
  },
};
