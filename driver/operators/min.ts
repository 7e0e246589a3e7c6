/** Least of all cells, 1x1; NaN if any of them is NaN. */
import { fullAggregate, minFold } from './aggregate.js';

export const min = fullAggregate('min', minFold);
