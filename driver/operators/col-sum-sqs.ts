/** Sum of squares of the cells of each column, 1 x cols. */
import { colAggregate, sumSqFold } from './aggregate.js';

export const colSumSqs = colAggregate('colSumSqs', sumSqFold);
