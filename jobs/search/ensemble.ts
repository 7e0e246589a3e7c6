/**
 * Ensembles: what the best candidates of a search say of rows, added up by weights that score best.
 * Members vote with their probabilities (`soft`) or with the class they predict (`hard`), as in
 * scikit-learn's `VotingClassifier`, or their decision values are summed (`decision`; of regressions
 * `VotingRegressor`), which is linear in the columns and a model as its members are.
 */
import { type Matrix, matrix, type Run } from '../../driver/index.js';
import { openUniform, philox } from '../../driver/operators/philox.js';
import { linearDesign } from '../estimators/linear-design.js';
import { memberVotes, voteWidth } from '../estimators/votes.js';
import {
  type Composition,
  combined,
  compositionOf,
  type EnsembleOptions,
  voteLink,
} from './composition.js';
import { fitAll, weightsOf } from './fits.js';
import { calledBy, momentsOf, type SearchGroup, type SearchPart, withTrials } from './groups.js';
import type { EnsembleResult, TrialResult } from './result.js';
import type { TrialDone } from './rung-state.js';
import type { FormulaEngine } from './scoring/formulas.js';
import { Notes } from './scoring/notes.js';
import { heldOutOfOne, scoreFits } from './scoring/scores.js';
import type { TallyOf } from './scoring/tallies.js';
import { type Partition, splitCount, splitOf, type TestScatter } from './splits/partition.js';
import { tabulate } from './table.js';
import { findBest } from './unscored.js';

/** An ensemble with the members it is of. */
export interface FoundEnsemble {
  readonly result: EnsembleResult;
  readonly members: readonly TrialDone[];
}

interface ScoredTrial {
  readonly trial: TrialDone;
  readonly row: TrialResult;
}

/**
 * The best weights on the search's own splits.
 * @param trials those that may be members, with their rows of the table
 * @returns why there is no ensemble, where there is none
 */
export async function findEnsemble(
  run: Run,
  trials: readonly ScoredTrial[],
  options: EnsembleOptions,
  metric: string,
  formulas: FormulaEngine | undefined,
): Promise<FoundEnsemble | string> {
  const chosen = membersOf(trials, options.members, metric);
  const members = chosen.map(({ trial }) => trial);
  if (members.length < 2) {
    return `no ensemble was made: it takes at least 2 candidates with a score and no failed fit, and there ${members.length === 1 ? 'is 1' : 'are none'}`;
  }
  const all = weightsToTry(members.length, options);
  const of = compositionOf(members, options.voting);
  const group = await ensembleGroup(run, members, of);
  const scatter = scatterOf(members[0]!, group);
  const rows: ScoredWeights[] = [];
  for (const some of batchesOf(group, all, of)) {
    const own = withWeights(group, some.length);
    const tallyOf = await scoreFits(run, {
      group: own,
      scatter,
      weights: (part, places) => {
        const asked = places.map((t) => some[t]!);
        return combinations(part, asked, of);
      },
      ...(formulas ? { formulas } : {}),
      onNode: () => undefined,
    });
    rows.push(...scoredWeights(own, some, tallyOf));
  }
  const table = tabulate(rows, group.scoring.map(({ name }) => name)); // biome-ignore format: a call
  const best = findBest({ trials: table, metric });
  if (best === null) return `no ensemble was made: none has a finite ${metric}`;
  if (best < members.length) {
    return `no ensemble was made: none of ${all.length - members.length} weights of ${members.length} candidates scores better than the best of them alone`;
  }
  const { splitScores, meanScore, stdScore } = table[best]!;
  const result: EnsembleResult = {
    members: members.map(({ number, candidate, open }) => {
      return { trial: number, ...calledBy(open.group, candidate) };
    }),
    voting: of.voting,
    weights: all[best]!,
    tried: all.length,
    ...{ splitScores, meanScore, stdScore },
  };
  return { result, members };
}

type ScoredWeights = Pick<TrialResult, 'params' | 'splitScores'>;

/** Cells of the weights that are scored in one pass, at most. */
const MOST_CELLS = 1 << 23;

/** Weights in runs that are scored together. */
function batchesOf(
  { parts, folds }: SearchGroup,
  all: readonly (readonly number[])[],
  of: Composition,
): (readonly (readonly number[])[])[] {
  const cells = (parts[0]!.X.cols + 1) * folds * outputsOf(of);
  const size = Math.max(1, Math.floor(MOST_CELLS / cells));
  return Array.from({ length: Math.ceil(all.length / size) }, (_, batch) =>
    all.slice(batch * size, (batch + 1) * size),
  );
}

/** The group with a candidate for each set of weights. */
function withWeights(group: SearchGroup, count: number): SearchGroup {
  const candidate = { model: group.model, params: {}, all: {}, steps: [] };
  const trials = Array.from({ length: count }, (_, t) => t);
  return { ...group, candidates: trials.map(() => candidate), trials };
}

/** A row a set of weights. */
function scoredWeights(
  { scoring, folds }: SearchGroup,
  all: readonly (readonly number[])[],
  tallyOf: TallyOf,
): ScoredWeights[] {
  const notes = new Notes();
  const places = Array.from({ length: folds }, (_, f) => f);
  const scoresOf = (t: number): [string, number[]][] =>
    scoring.map(({ name, score }) => [
      name,
      places.map((f) => notes.score(name, (note) => score({ ...tallyOf(f, t), note }))),
    ]);
  return all.map((weights, t) => {
    return { params: { weights }, splitScores: Object.fromEntries(scoresOf(t)) };
  });
}

/** The best trials without a failed fit: of several models the best of each, then others. */
function membersOf(
  trials: readonly ScoredTrial[],
  count: number,
  metric: string,
): readonly ScoredTrial[] {
  const able = trials.filter(
    ({ row }) => Number.isFinite(row.meanScore[metric]) && row.errors === undefined,
  );
  const ranked = able.toSorted((a, b) => b.row.meanScore[metric]! - a.row.meanScore[metric]!);
  const isFirst = ranked.map(
    ({ row }, i) => ranked.findIndex((one) => one.row.model === row.model) === i,
  );
  const others = ranked.filter((_, i) => !isFirst[i]);
  return [...ranked.filter((_, i) => isFirst[i]), ...others].slice(0, count);
}

/** A group of one model whose columns are what members say of the rows they were not fitted on. */
async function ensembleGroup(
  run: Run,
  members: readonly TrialDone[],
  of: Composition,
): Promise<SearchGroup> {
  const { prepared: _, ...group } = members[0]!.open.group;
  const held = await Promise.all(members.map((member) => heldOutOf(run, member)));
  const parts = bySplits(group, (partition, first, p): SearchPart => {
    const said = held.map((own, m) => saidBy(of, m, own[p]!));
    return saidPart(group, partition, first, said[0]!.cbind(...said.slice(1)));
  });
  // Kept, so that other weights take no pass over the data.
  await run.persist(parts.map(({ X }) => X.expr));
  const outputs = outputsOf(of);
  return {
    ...group,
    estimator: { ...combined(members, of), basis: () => 'linear', outputs: () => outputs },
    candidates: [],
    trials: [],
    parts,
    whole: parts[0]!,
    folds: splitCount(group.splits),
    partitions: group.splits,
  };
}

/** For each partition of the search's own splits, whose numbers begin at `first`. */
function bySplits<T>(
  { splits }: Pick<SearchGroup, 'splits'>,
  of: (partition: Partition, first: number, p: number) => T,
): T[] {
  let first = 0;
  return splits.map((partition, p) => {
    const own = of(partition, first, p);
    first += partition.splits.length;
    return own;
  });
}

/** By partition and split, whatever parts the member's group has. */
function scatterOf({ open }: TrialDone, group: SearchGroup): readonly (readonly TestScatter[])[] {
  const all = open.scatter.flat();
  return bySplits(group, ({ splits }, first) => all.slice(first, first + splits.length));
}

/** Columns of an answer. */
function outputsOf({ voting, outputs, classes }: Composition): number {
  return voting === 'decision' ? outputs[0]! : voteWidth(classes);
}

function saidBy({ voting, outputs, links, classes }: Composition, m: number, z: Matrix): Matrix {
  if (voting === 'decision') return z;
  return memberVotes(voting, { outputs: outputs[m]!, link: voteLink(links[m]!) }, classes, z);
}

/** Decision values by part of the search's own splits: [n, outputs]. */
async function heldOutOf(run: Run, { number, open }: TrialDone): Promise<Matrix[]> {
  const group = withTrials(open.group, [number]);
  const fitted = await fitAll(run, group, true, false);
  const held = heldOutOfOne(group, 0, (part, some) => weightsOf(run, group, part, fitted, some));
  const decisions = held.map((one) => one.decisions);
  if (group.prepared === undefined) return decisions;
  // With cleaning steps each split is a part, which answers for its own test rows.
  return bySplits(group, (partition, first) => {
    const tested = splitOf(partition);
    const own = decisions.slice(first, first + partition.splits.length);
    return own.reduce((before, one, split) => tested.eq(split).ifelse(one, before));
  });
}

function saidPart(
  { y }: Pick<SearchGroup, 'y'>,
  partition: Partition,
  first: number,
  X: Matrix,
): SearchPart {
  const gram = momentsOf({ X, partition }, true)([X, y]);
  const { design } = linearDesign(X.session, X.cols, []);
  const { groups } = partition;
  const training = { gram, groups, centered: true, standardize: false, design };
  return { X, partition, first, counted: gram, alongside: [], training };
}

/** Weights of what members say: by split, ensemble and output. */
function combinations(
  { X, partition }: SearchPart,
  all: readonly (readonly number[])[],
  of: Composition,
): Matrix {
  const outputs = outputsOf(of);
  const cols = partition.splits.length * all.length * outputs;
  const cells = new Float64Array((X.cols + 1) * cols);
  // Of two classes the sign of what is above a half decides.
  if (of.voting !== 'decision' && of.classes === 2) cells.fill(-0.5, X.cols * cols);
  for (let split = 0; split < partition.splits.length; split++) {
    for (const [t, weights] of all.entries()) {
      for (const [m, weight] of weights.entries()) {
        for (let k = 0; k < outputs; k++) {
          const col = (split * all.length + t) * outputs + k;
          cells[(m * outputs + k) * cols + col] = weight;
        }
      }
    }
  }
  return matrix(X.session, X.cols + 1, cols, cells);
}

/** Each member alone, all alike, then weights drawn evenly from those that add up to 1. */
function weightsToTry(members: number, { trials, seed }: EnsembleOptions): number[][] {
  const places = Array.from({ length: members }, (_, m) => m);
  const alone = places.map((m) => places.map((one) => (one === m ? 1 : 0)));
  const drawn = Array.from({ length: trials }, (_, trial) => {
    const parts = places.map((m) => {
      const words = Uint32Array.of(m, 0, trial, 0);
      philox(words, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0);
      return -Math.log(openUniform(words[0]!, words[1]!));
    });
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => part / sum);
  });
  return [...alone, places.map(() => 1 / members), ...drawn];
}
