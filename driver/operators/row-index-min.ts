/** Zero-based column of the first least cell of each row, rows x 1; of the first NaN where there is one. */
import { rowIndexAggregate } from './aggregate.js';

export const rowIndexMin = rowIndexAggregate('rowIndexMin', (cell, best) => cell < best);
