/** Least of the cells of each row, rows x 1; NaN if any of them is NaN. */
import { minFold, rowAggregate } from './aggregate.js';

export const rowMins = rowAggregate('rowMins', minFold);
