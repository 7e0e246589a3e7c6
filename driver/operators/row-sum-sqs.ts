/** Sum of squares of the cells of each row, rows x 1. */
import { rowAggregate, sumSqFold } from './aggregate.js';

export const rowSumSqs = rowAggregate('rowSumSqs', sumSqFold);
