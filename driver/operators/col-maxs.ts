/** Greatest of the cells of each column, 1 x cols; NaN if any of them is NaN. */
import { colAggregate, maxFold } from './aggregate.js';

export const colMaxs = colAggregate('colMaxs', maxFold);
