/**
 * Moments and losses over data of many files from those of each part (a file, or a group of files)
 * by itself, where the data say what each part needs: its own columns, its own folds. What is
 * computed over a part is then the same whatever stands beside it; what depends on all files (which
 * place a part's columns and folds have) stands in the merge.
 */
import type { OpDef } from '../../ir/op-def.js';
import { ops } from '../../operators/index.js';
import { FileParts } from '../file-parts.js';
import type { Rule } from '../rule.js';

export const splitFiles: Rule = {
  name: 'split-files',
  direction: 'up',
  ops: Object.values<OpDef>(ops).filter(({ overParts }) => overParts !== undefined),
  algebra:
    'groupGram(g, rbind(A, B), y) -> mergeGroupGram(groupGram(ga, A, ya), groupGram(gb, B, yb)); groupLoss likewise, added up',
  apply: (expr, context) => new FileParts(context).split(expr),
};
