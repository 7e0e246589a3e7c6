/** Greatest of the cells of each row, rows x 1; NaN if any of them is NaN. */
import { maxFold, rowAggregate } from './aggregate.js';

export const rowMaxs = rowAggregate('rowMaxs', maxFold);
