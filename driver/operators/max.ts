/** Greatest of all cells, 1x1; NaN if any of them is NaN. */
import { fullAggregate, maxFold } from './aggregate.js';

export const max = fullAggregate('max', maxFold);
