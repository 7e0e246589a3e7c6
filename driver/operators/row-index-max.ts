/** Zero-based column of the first greatest cell of each row, rows x 1; of the first NaN where there is one. */
import { rowIndexAggregate } from './aggregate.js';

export const rowIndexMax = rowIndexAggregate('rowIndexMax', (cell, best) => cell > best);
