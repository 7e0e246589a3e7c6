/** Sum of all cells, 1x1. */
import { fullAggregate, sumFold } from './aggregate.js';

export const sum = fullAggregate('sum', sumFold);
