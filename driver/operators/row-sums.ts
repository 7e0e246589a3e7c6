/** Sum of the cells of each row, rows x 1. */
import { rowAggregate, sumFold } from './aggregate.js';

export const rowSums = rowAggregate('rowSums', sumFold);
