/** Sum of the cells of each column, 1 x cols. */
import { colAggregate, sumFold } from './aggregate.js';

export const colSums = colAggregate('colSums', sumFold);
