/**
 * Scores of every fit on the rows its split tests. Squared and absolute losses of plain linear
 * models take the short way of `losses.ts`; all else is measured on held-out decision values, all
 * candidates and splits in one pass. Invariant: what is sorted stands in memory, so candidates are
 * measured in batches where that is much.
 */
import type { DenseMatrix, Expr, Loss, Matrix, Run } from '../../../driver/index.js';
import { memoryShares } from '../../../driver/support/memory.js';
import type { Estimator, Params } from '../../estimators/estimator.js';
import type { TrainingRows } from '../../estimators/linear-design.js';
import { partOutput, type Search, type SearchPart } from '../prepare.js';
import { splitOf, type TestScatter } from '../splits/partition.js';
import {
  type FormulaEngine,
  type FormulaTable,
  formulaTable,
  formulaValues,
  sqlScorers,
} from './formulas.js';
import { HeldOut, type ModelKind } from './held-out.js';
import { lengthWeights, preparingWeights } from './lengths.js';
import { asLosses, heldOutLosses, type LossInputs, lossNode } from './losses.js';
import { type MeasureNode, measureNodes, SORTED } from './measures.js';
import { silhouetteNode } from './silhouettes.js';
import { emptyTally, type Measure, type Tally } from './tally.js';

/** Weights of a partition's fits of some candidates of one kind: [.., splits * candidates * outputs]. */
type WeightsOf = (part: SearchPart, candidates: readonly number[]) => Matrix;

export interface FitsToScore {
  readonly search: Search;
  /** By partition and split. */
  readonly scatter: readonly (readonly TestScatter[])[];
  readonly weights: WeightsOf;
  readonly formulas?: FormulaEngine;
  /** Told the node that a measure is read from. */
  readonly onNode: (name: string, node: Expr) => void;
}

/** Tallies by number of the split among all, then candidate. */
export type TallyOf = (fold: number, candidate: number) => Tally;

export async function scoreFits(run: Run, fits: FitsToScore): Promise<TallyOf> {
  const { search, scatter, weights, onNode } = fits;
  const measures = measuresOf(search);
  const losses = lossesOf(search, measures);
  if (losses === undefined) return measureFits(run, fits, measures);
  const inputs = search.parts.map((part) => lossInputs(search, part, losses, weights));
  const read = await heldOutLosses(run, inputs, (p, node) => onNode(partOutput('losses', p), node));
  const tested = scatter.flat();
  return (fold, candidate) => {
    const sum = read(fold, candidate);
    return { ...emptyTally, ...tested[fold]!, sum: (name) => sum(name as Loss) };
  };
}

/** The nodes that scores are read from; those of losses if their bounds hold. */
export function plannedScores(search: Search, weights: WeightsOf): Expr[] {
  const measures = measuresOf(search);
  const losses = lossesOf(search, measures);
  if (losses !== undefined) {
    return search.parts.map((part) => lossNode(lossInputs(search, part, losses, weights)).expr);
  }
  const kinds = kindsOf(search);
  const asked = askedNodes(search, kinds, measures, weights);
  const tables = askedFormulas(search, kinds, weights).map(({ table }) => table.expr);
  return [...asked.flatMap(({ nodes }) => nodes.map(({ node }) => node.expr)), ...tables];
}

/** The rows that the search's own splits test, by partition, under one candidate's fits. */
export function heldOutOfOne(search: Search, candidate: number, weights: WeightsOf): HeldOut[] {
  const { estimator, candidates, classes, splits } = search;
  const parts = search.parts.slice(0, splits.length);
  const kind = kindOf(estimator, candidates[candidate]!.all, classes.length);
  return parts.map((part) => heldOutOf(search, part, kind, [candidate], weights));
}

function measuresOf({ scoring }: Search): Measure[] {
  return [...new Set(scoring.flatMap(({ needs }) => needs))];
}

/** The measures as losses of plain linear models; undefined when they are more than that. */
function lossesOf(search: Search, measures: readonly Measure[]): readonly Loss[] | undefined {
  const { estimator, scoring } = search;
  if (sqlScorers(scoring).length > 0) return undefined;
  const isPlain = kindsOf(search).every(
    ({ kind }) => kind.link === 'identity' && kind.basis === 'linear' && kind.outputs === 1,
  );
  return estimator.reads === 'moments' && isPlain ? asLosses(measures) : undefined;
}

function lossInputs(
  { X, y, candidates }: Search,
  part: SearchPart,
  losses: readonly Loss[],
  weights: WeightsOf,
): LossInputs {
  const { partition, training } = part;
  return {
    partition,
    gram: training.gram,
    centered: training.centered,
    X,
    y,
    losses,
    candidates: candidates.length,
    weights: weights(
      part,
      candidates.map((_, t) => t),
    ),
  };
}

export function kindOf(estimator: Estimator, params: Params, classes: number): ModelKind {
  return {
    basis: estimator.basis?.(params) ?? 'linear',
    link: estimator.link(params, classes),
    outputs: estimator.outputs(params, classes),
    ranksBy: estimator.ranksBy ?? 'decision',
    projects: estimator.projects?.(params) ?? 'nowhere',
  };
}

interface KindOfCandidates {
  readonly kind: ModelKind;
  /** Numbers of the candidates. */
  readonly candidates: readonly number[];
}

/** Candidates whose decision values are read alike. */
function kindsOf({ estimator, candidates, classes }: Search): KindOfCandidates[] {
  const kinds = new Map<string, { kind: ModelKind; candidates: number[] }>();
  for (const [t, { all }] of candidates.entries()) {
    const kind = kindOf(estimator, all, classes.length);
    const key = JSON.stringify(kind);
    const known = kinds.get(key) ?? { kind, candidates: [] };
    known.candidates.push(t);
    kinds.set(key, known);
  }
  return [...kinds.values()];
}

function heldOutOf(
  { X, y, classes }: Search,
  part: SearchPart,
  kind: ModelKind,
  candidates: readonly number[],
  weights: WeightsOf,
): HeldOut {
  const { partition } = part;
  return new HeldOut({
    kind,
    X,
    y,
    splitOf: splitOf(partition),
    splits: partition.splits.length,
    classes: classes.length,
    models: candidates.length,
    weights: weights(part, candidates),
    lengths: (isAboutMean) => bySplit(part, (training) => lengthWeights(training, isAboutMean)),
    prepare: () => bySplit(part, preparingWeights),
  });
}

/** What follows from the training rows of each split, side by side. */
function bySplit(
  { partition, training }: SearchPart,
  of: (training: TrainingRows) => Matrix,
): Matrix {
  const own = partition.splits.map(({ train }) => of({ ...training, train }));
  return own[0]!.cbind(...own.slice(1));
}

/** Nodes of one partition, and the candidates that they are read of. */
interface AskedNodes {
  readonly p: number;
  /** Of kinds; how many came before. */
  readonly k: number;
  readonly candidates: readonly number[];
  readonly nodes: readonly MeasureNode[];
}

function askedNodes(
  search: Search,
  kinds: readonly KindOfCandidates[],
  measures: readonly Measure[],
  weights: WeightsOf,
): AskedNodes[] {
  const held = kinds.map(({ kind, candidates }) =>
    search.parts.map((part) => heldOutOf(search, part, kind, candidates, weights)),
  );
  const byKind = kinds.flatMap(({ candidates }, k) =>
    held[k]!.map((one, p) => ({ p, k, candidates, nodes: measureNodes(one, measures) })),
  );
  const silhouette = search.scoring.find((scorer) => scorer.silhouette)?.silhouette;
  if (silhouette === undefined) return byKind;
  // Distances are the same whatever the kind.
  const candidates = kinds.flatMap((one) => one.candidates);
  const compared = search.parts.map((_, p) => {
    const own = held.map((parts) => parts[p]!);
    return { p, k: 0, candidates, nodes: [silhouetteNode(own, silhouette)] };
  });
  return [...byKind, ...compared];
}

/** Tables that metrics in SQL are computed from. */
function askedFormulas(
  search: Search,
  kinds: readonly KindOfCandidates[],
  weights: WeightsOf,
): (FormulaTable & {
  readonly p: number;
  readonly k: number;
  readonly candidates: readonly number[];
})[] {
  if (sqlScorers(search.scoring).length === 0) return [];
  return kinds.flatMap(({ kind, candidates }, k) =>
    search.parts.map((part, p) => {
      const held = heldOutOf(search, part, kind, candidates, weights);
      return { ...formulaTable(search, held), p, k, candidates };
    }),
  );
}

async function measureFits(
  run: Run,
  { search, scatter, weights, onNode, formulas }: FitsToScore,
  measures: readonly Measure[],
): Promise<TallyOf> {
  const scorers = sqlScorers(search.scoring);
  const isWhole = scorers.length > 0 || measures.some((measure) => SORTED.includes(measure));
  const kinds = kindsOf(search);
  const batches = isWhole ? kinds.flatMap((one) => batchesOf(one, search.X.rows)) : [kinds];
  const found = search.candidates.map((): Tally[] => []);
  for (const [b, batch] of batches.entries()) {
    const asked = askedNodes(search, batch, measures, weights);
    const exprs = asked.flatMap(({ nodes }) => nodes.map(({ node }) => node.expr));
    const values = (await run.evaluate(exprs)) as DenseMatrix[];
    let at = 0;
    for (const { p, k, candidates, nodes } of asked) {
      const { first } = search.parts[p]!;
      const readers = nodes.map(({ name, node, read }) => {
        onNode(partOutput(placeOf(name, b + k), p), node.expr);
        return read(values[at++]!);
      });
      for (const [split, tested] of scatter[p]!.entries()) {
        for (const [model, t] of candidates.entries()) {
          const own = readers.map((read) => read(split, model));
          const known = found[t]![first + split] ?? emptyTally;
          found[t]![first + split] = Object.assign({}, known, tested, ...own);
        }
      }
    }
    for (const one of askedFormulas(search, batch, weights)) {
      const { p, k, candidates } = one;
      const { first } = search.parts[p]!;
      onNode(partOutput(placeOf('predictions', b + k), p), one.table.expr);
      const values = await formulaValues(run, formulas, one);
      for (const [model, t] of candidates.entries()) {
        for (const split of scatter[p]!.keys()) {
          const own = scorers.map(({ name }, f) => [name, values[model]![f]![split]!] as const);
          const known = found[t]![first + split] ?? { ...emptyTally, ...scatter[p]![split]! };
          found[t]![first + split] = { ...known, formulas: Object.fromEntries(own) };
        }
      }
    }
  }
  return (fold, candidate) => found[candidate]![fold]!;
}

/** The name of an output of the models of one kind, or batch: the first one's has no number. */
function placeOf(name: string, kind: number): string {
  return kind === 0 ? name : `${name} of kind ${kind + 1}`;
}

/** Copies of a row's decision values that sorting holds at once. */
const COPIES = 4;

/** Runs of the candidates whose rows may stand in memory together. */
function batchesOf({ kind, candidates }: KindOfCandidates, rows: number): KindOfCandidates[][] {
  const bytes = rows * kind.outputs * COPIES * Float64Array.BYTES_PER_ELEMENT;
  const most = Math.max(1, Math.floor(memoryShares().materialiseBytes / bytes));
  const batches: KindOfCandidates[][] = [];
  for (let from = 0; from < candidates.length; from += most) {
    batches.push([{ kind, candidates: candidates.slice(from, from + most) }]);
  }
  return batches;
}
