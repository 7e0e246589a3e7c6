/** Least of the cells of each column, 1 x cols; NaN if any of them is NaN. */
import { colAggregate, minFold } from './aggregate.js';

export const colMins = colAggregate('colMins', minFold);
