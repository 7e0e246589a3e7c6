/** Every `search.type`: the schema of `search` is made from this list. */
import { grid } from './grid.js';
import { halving } from './halving.js';
import { hyperband } from './hyperband.js';
import { random } from './random.js';
import { stepWise } from './step-wise.js';
import type { SearchType } from './strategy.js';

export const searchTypes: readonly SearchType[] = [grid, random, halving, hyperband, stepWise];
