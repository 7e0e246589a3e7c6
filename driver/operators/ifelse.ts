/** b where the condition a is non-zero, else c, by cell, broadcasting; NaN counts as non-zero. */

import type { Cell } from '../ir/cell-program.js';
import { defineOp, type OpDef } from '../ir/op-def.js';
import { dense } from '../ir/value.js';
import {
  applyCells,
  batchCells,
  broadcast,
  broadcastColSplits,
  broadcastRowRule,
  cellGradient,
} from './elementwise.js';

const cell: Cell = (a, b, c) => (a !== 0 ? b : c);

export const ifelse: OpDef = defineOp({
  name: 'ifelse',
  arity: 3,
  elementwise: true,
  cell,
  infer: (inputs) => broadcast('ifelse', inputs),
  rowRule: broadcastRowRule,
  colSplits: broadcastColSplits,
  batch: batchCells,
  gradient: cellGradient([
    () => undefined,
    ({ g, a, make }) => make(ifelse, [a, g, 0]),
    ({ g, a, make }) => make(ifelse, [a, 0, g]),
  ]),
  reference: (inputs) => applyCells('ifelse', cell, inputs),
  cases: [
    {
      name: 'equal shapes, NaN in each place',
      inputs: [
        dense(2, 3, Float64Array.of(0, 1, NaN, -1, 0, 0)),
        dense(2, 3, Float64Array.of(1, 2, 3, NaN, 5, 6)),
        dense(2, 3, Float64Array.of(-1, -2, -3, -4, NaN, -Infinity)),
      ],
    },
    {
      name: 'condition column, scalar and row vector',
      inputs: [
        dense(4, 1, Float64Array.of(0, 1, 0, 1)),
        dense(1, 1, Float64Array.of(7)),
        dense(1, 3, Float64Array.of(1, 2, 3)),
      ],
    },
    {
      name: 'matrix condition, scalar branches',
      inputs: [
        dense(3, 2, Float64Array.of(0, 1, 0, 1, 1, 0)),
        dense(1, 1, Float64Array.of(1)),
        dense(1, 1, Float64Array.of(-1)),
      ],
    },
    { name: '1x1', inputs: [0, 8, 9].map((x) => dense(1, 1, Float64Array.of(x))) },
  ],
});
