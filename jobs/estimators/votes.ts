/**
 * How models vote: what an ensemble answers of its members' decision values, side by side. Soft votes
 * are probabilities, hard ones the class that is predicted; an answer is their weighted mean. Of two
 * classes it is that of the second less a half, so that the sign decides. Source: scikit-learn
 * `VotingClassifier`.
 */
import { eye, foldCols, type Matrix, takeRows } from '../../driver/index.js';

export type Voting = 'soft' | 'hard';

export interface VotingMember {
  /** Columns of its decision values. */
  readonly outputs: number;
  /** How these become probabilities; `margin` where they don't. */
  readonly link: 'logit' | 'softmax' | 'margin';
  readonly weight: number;
}

export interface Votes {
  readonly voting: Voting;
  /** In the order of their decision values; weights add up to 1. */
  readonly members: readonly VotingMember[];
}

/** Columns of an answer: one of two classes, else one a class. */
export function voteWidth(classes: number): number {
  return classes === 2 ? 1 : classes;
}

/** What a member says, before the half is taken off. @shape z: [n, outputs] -> [n, voteWidth] */
export function memberVotes(
  voting: Voting,
  { outputs, link }: Omit<VotingMember, 'weight'>,
  classes: number,
  z: Matrix,
): Matrix {
  if (voting === 'soft') {
    if (link === 'logit') return z.sigmoid();
    const shares = z.softmax(outputs);
    return classes === 2 ? shares.slice(null, 1) : shares;
  }
  const winner = outputs === 1 ? z.gt(0) : foldCols(z, { width: outputs, fold: 'indexMax' });
  return classes === 2 ? winner.cast('float64') : takeRows(winner, eye(z.session, classes));
}

/** @shape z: [n, outputs of all members] -> [n, voteWidth] */
export function votesOf({ voting, members }: Votes, classes: number, z: Matrix): Matrix {
  let from = 0;
  const said = members.map((member) => {
    const own = z.slice(null, [from, from + member.outputs]);
    from += member.outputs;
    return memberVotes(voting, member, classes, own).mul(member.weight);
  });
  const all = said.reduce((sum, one) => sum.add(one));
  return classes === 2 ? all.sub(0.5) : all;
}

/** The same row by row. */
export function votesOfRows(
  { voting, members }: Votes,
  classes: number,
  z: Float64Array,
  rows: number,
): Float64Array {
  const width = voteWidth(classes);
  const outputs = members.reduce((sum, member) => sum + member.outputs, 0);
  const all = new Float64Array(rows * width).fill(classes === 2 ? -0.5 : 0);
  for (let i = 0; i < rows; i++) {
    let from = i * outputs;
    for (const member of members) {
      const own = z.subarray(from, from + member.outputs);
      from += member.outputs;
      const said = voting === 'soft' ? sharesOf(member, own) : votesFor(own);
      if (classes === 2) all[i]! += member.weight * said[1]!;
      else for (let c = 0; c < width; c++) all[i * width + c]! += member.weight * (said[c] ?? 0);
    }
  }
  return all;
}

/** Probabilities of classes, stable where decision values are large. */
function sharesOf({ link }: VotingMember, z: Float64Array): ArrayLike<number> {
  if (link === 'logit') return [1 / (1 + Math.exp(z[0]!)), 1 / (1 + Math.exp(-z[0]!))];
  const top = z.reduce((a, b) => Math.max(a, b));
  const parts = z.map((value) => Math.exp(value - top));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((part) => part / sum);
}

/** 1 for the class that is predicted: the first of the greatest. */
function votesFor(z: Float64Array): ArrayLike<number> {
  if (z.length === 1) return z[0]! > 0 ? [0, 1] : [1, 0];
  const winner = z.reduce((best, value, c) => (value > z[best]! ? c : best), 0);
  return Array.from(z, (_, c) => (c === winner ? 1 : 0));
}
