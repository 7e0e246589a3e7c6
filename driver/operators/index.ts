/** Every operator, by name. Each key is its operator's name; a name never changes its meaning. */

import type { OpDef } from '../ir/op-def.js';
import { addDiag } from './add-diag.js';
import * as aggregates from './aggregates.js';
import { bestColumns } from './best-columns.js';
import { blockProducts } from './block-products.js';
import { call } from './call.js';
import { cast } from './cast.js';
import { cbind } from './cbind.js';
import * as cells from './cells.js';
import { cholesky } from './cholesky.js';
import { columnMoments } from './column-moments.js';
import { conv2d, conv2dFilterGradient, conv2dInputGradient } from './conv2d.js';
import { coordinateDescent } from './coordinate-descent.js';
import { descentPath } from './descent-path.js';
import { diag } from './diag.js';
import { eigen } from './eigen.js';
import { encode } from './encode.js';
import { fill } from './fill.js';
import { foldElasticNet } from './fold-elastic-net.js';
import { foldLeastNorm } from './fold-least-norm.js';
import { foldRidge } from './fold-ridge.js';
import { frame } from './frame.js';
import { gramLoss } from './gram-loss.js';
import { groupCross } from './group-cross.js';
import { groupGram } from './group-gram.js';
import { groupLoss } from './group-loss.js';
import { groupMode } from './group-mode.js';
import { groupPrecision } from './group-precision.js';
import { groupQuantile } from './group-quantile.js';
import { groupRanks } from './group-ranks.js';
import { groupSilhouette } from './group-silhouette.js';
import { groupSums } from './group-sums.js';
import { heldOut } from './held-out.js';
import { ifelse } from './ifelse.js';
import { innerFolds } from './inner-folds.js';
import { kfold } from './kfold.js';
import { leastNorm } from './least-norm.js';
import { literal } from './literal.js';
import { matmul } from './matmul.js';
import { mergeGroupGram } from './merge-group-gram.js';
import { mmchain } from './mmchain.js';
import { nonnegative } from './nonnegative.js';
import { permuteAxes } from './permute-axes.js';
import { maxPool2d, maxPool2dGradient } from './pool2d.js';
import { rand } from './rand.js';
import { rbind } from './rbind.js';
import { regroupSums } from './regroup-sums.js';
import { repeatCols } from './repeat-cols.js';
import { reshape } from './reshape.js';
import { restack } from './restack.js';
import { bindRuns, sliceRuns } from './runs.js';
import { scalar } from './scalar.js';
import { selectRows } from './select-rows.js';
import { seq } from './seq.js';
import { shuffledAt } from './shuffled-at.js';
import { slice } from './slice.js';
import { slot } from './slot.js';
import { softmax } from './softmax.js';
import { solve } from './solve.js';
import { stackProduct } from './stack-product.js';
import { stackCholesky, stackSolve } from './stack-systems.js';
import { takeRows } from './take-rows.js';
import { topK } from './top-k.js';
import { transpose } from './transpose.js';
import { tsmm } from './tsmm.js';
import { uniformAt } from './uniform-at.js';
import { wcemm } from './wcemm.js';
import { wdivmm } from './wdivmm.js';
import { weightedGram } from './weighted-gram.js';
import { wsloss } from './wsloss.js';

const table = {
  // leaves and sources
  frame,
  encode,
  call,
  literal,
  slot,
  scalar,
  rand,
  uniformAt,
  shuffledAt,
  seq,
  fill,
  innerFolds,
  kfold,
  // element-wise
  ...cells,
  ifelse,
  ...aggregates,
  softmax,
  topK,
  // products and systems
  matmul,
  tsmm,
  mmchain,
  wsloss,
  wcemm,
  wdivmm,
  solve,
  leastNorm,
  coordinateDescent,
  descentPath,
  cholesky,
  eigen,
  // reorganisation
  cast,
  transpose,
  slice,
  rbind,
  cbind,
  selectRows,
  takeRows,
  reshape,
  restack,
  repeatCols,
  bindRuns,
  sliceRuns,
  permuteAxes,
  diag,
  addDiag,
  // images as rows
  conv2d,
  conv2dInputGradient,
  conv2dFilterGradient,
  maxPool2d,
  maxPool2dGradient,
  // batched over folds
  groupGram,
  columnMoments,
  groupCross,
  mergeGroupGram,
  groupSums,
  bestColumns,
  regroupSums,
  groupMode,
  groupQuantile,
  groupRanks,
  groupSilhouette,
  groupPrecision,
  groupLoss,
  heldOut,
  nonnegative,
  gramLoss,
  foldRidge,
  foldLeastNorm,
  foldElasticNet,
  // batched over models
  weightedGram,
  blockProducts,
  stackProduct,
  stackSolve,
  stackCholesky,
} as const satisfies Record<string, OpDef>;

/** Name of an operator; tables have a row for every operator, so a missing row does not compile. */
export type OpName = keyof typeof table;

export const ops: { readonly [Name in OpName]: OpDef } = Object.freeze(table);

/** The operator of that name, for lineage read back from text. */
export function opByName(name: string): OpDef | undefined {
  return Object.hasOwn(ops, name) ? ops[name as OpName] : undefined;
}
