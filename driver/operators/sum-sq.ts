/** Sum of squares of all cells, 1x1. */
import { fullAggregate, sumSqFold } from './aggregate.js';

export const sumSq = fullAggregate('sumSq', sumSqFold);
