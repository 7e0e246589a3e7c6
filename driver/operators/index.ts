/** Every operator, by name. Invariant: each key is its operator's name, and names are never reused with another meaning. */
import { abs } from './abs.js';
import { add } from './add.js';
import { addDiag } from './add-diag.js';
import { and } from './and.js';
import { call } from './call.js';
import { cbind } from './cbind.js';
import { ceil } from './ceil.js';
import { cholesky } from './cholesky.js';
import { colMaxs } from './col-maxs.js';
import { colMins } from './col-mins.js';
import { colSumSqs } from './col-sum-sqs.js';
import { colSums } from './col-sums.js';
import { diag } from './diag.js';
import { div } from './div.js';
import { encode } from './encode.js';
import { eq } from './eq.js';
import { exp } from './exp.js';
import { fill } from './fill.js';
import { floor } from './floor.js';
import { foldRidge } from './fold-ridge.js';
import { frame } from './frame.js';
import { ge } from './ge.js';
import { gramLoss } from './gram-loss.js';
import { groupCross } from './group-cross.js';
import { groupGram } from './group-gram.js';
import { groupLoss } from './group-loss.js';
import { gt } from './gt.js';
import { ifelse } from './ifelse.js';
import { isNan } from './is-nan.js';
import { kfold } from './kfold.js';
import { le } from './le.js';
import { literal } from './literal.js';
import { log } from './log.js';
import { lt } from './lt.js';
import { matmul } from './matmul.js';
import { max } from './max.js';
import { maximum } from './maximum.js';
import { mergeGroupGram } from './merge-group-gram.js';
import { min } from './min.js';
import { minimum } from './minimum.js';
import { mmchain } from './mmchain.js';
import { mod } from './mod.js';
import { mul } from './mul.js';
import { ne } from './ne.js';
import { neg } from './neg.js';
import { not } from './not.js';
import type { OpDef } from './op-def.js';
import { or } from './or.js';
import { pow } from './pow.js';
import { rand } from './rand.js';
import { rbind } from './rbind.js';
import { recip } from './recip.js';
import { reshape } from './reshape.js';
import { round } from './round.js';
import { rowIndexMax } from './row-index-max.js';
import { rowIndexMin } from './row-index-min.js';
import { rowMaxs } from './row-maxs.js';
import { rowMins } from './row-mins.js';
import { rowSumSqs } from './row-sum-sqs.js';
import { rowSums } from './row-sums.js';
import { scalar } from './scalar.js';
import { selectRows } from './select-rows.js';
import { seq } from './seq.js';
import { sigmoid } from './sigmoid.js';
import { sign } from './sign.js';
import { slice } from './slice.js';
import { solve } from './solve.js';
import { sqrt } from './sqrt.js';
import { square } from './square.js';
import { sub } from './sub.js';
import { sum } from './sum.js';
import { sumSq } from './sum-sq.js';
import { topK } from './top-k.js';
import { transpose } from './transpose.js';
import { tsmm } from './tsmm.js';
import { wdivmm } from './wdivmm.js';
import { wsloss } from './wsloss.js';

const table = {
  // leaves and sources
  frame,
  encode,
  call,
  literal,
  scalar,
  rand,
  seq,
  fill,
  kfold,
  // element-wise
  add,
  sub,
  mul,
  div,
  pow,
  mod,
  minimum,
  maximum,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  and,
  or,
  neg,
  abs,
  exp,
  log,
  sqrt,
  square,
  sign,
  round,
  floor,
  ceil,
  sigmoid,
  not,
  isNaN: isNan,
  recip,
  ifelse,
  // aggregates
  sum,
  rowSums,
  colSums,
  sumSq,
  rowSumSqs,
  colSumSqs,
  min,
  rowMins,
  colMins,
  max,
  rowMaxs,
  colMaxs,
  rowIndexMax,
  rowIndexMin,
  topK,
  // products and systems
  matmul,
  tsmm,
  mmchain,
  wsloss,
  wdivmm,
  solve,
  cholesky,
  // reorganisation
  transpose,
  slice,
  rbind,
  cbind,
  selectRows,
  reshape,
  diag,
  addDiag,
  // batched over folds
  groupGram,
  groupCross,
  mergeGroupGram,
  groupLoss,
  gramLoss,
  foldRidge,
} as const satisfies Record<string, OpDef>;

/** Name of an operator; tables over operators are total over it, so that a missing row does not compile. */
export type OpName = keyof typeof table;

export const ops: { readonly [Name in OpName]: OpDef } = Object.freeze(table);

/** The operator of that name, for lineage read back from text. */
export function opByName(name: string): OpDef | undefined {
  return Object.hasOwn(ops, name) ? ops[name as OpName] : undefined;
}
