/** `grid`: every combination of values, of every sub-grid. Source: scikit-learn `GridSearchCV`. */
import { gridCandidates } from '../space.js';
import { oneRung, type SearchType } from './strategy.js';

export const grid: SearchType = {
  type: 'grid',
  description: 'Every combination of the values of `grid`.',
  spaces: ['grid'],
  keys: {},
  isAdaptive: () => false,
  begin: (space, _, { models }) => {
    const { candidates, notes } = gridCandidates(space, models);
    return oneRung(candidates, notes);
  },
};
