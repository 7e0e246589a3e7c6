/**
 * Scores of every fit on the rows its split tests. Squared and absolute losses of plain linear
 * models take the short way of `losses.ts`; all else is measured on held-out decision values, all
 * candidates and splits in one pass. Invariant: what is sorted stands in memory, so candidates are
 * measured in batches where that is much.
 */
import type { DenseMatrix, Expr, Loss, Matrix, Run } from '../../../driver/index.js';
import { memoryShares } from '../../../driver/support/memory.js';
import type { Params } from '../../estimators/estimator.js';
import { columnsOf, type TrainingRows } from '../../estimators/linear-design.js';
import { packedColumns } from '../../estimators/networks/layers.js';
import { ownParts, type SearchGroup, type SearchPart } from '../groups.js';
import { partOutput } from '../prepare.js';
import { splitOf, type TestScatter } from '../splits/partition.js';
import {
  type FormulaEngine,
  type FormulaTable,
  formulaTable,
  formulaValues,
  readFormulas,
  sqlScorers,
} from './formulas.js';
import { HeldOut, type ModelKind } from './held-out.js';
import { lengthWeights, preparingWeights } from './lengths.js';
import { asLosses, heldOutLosses, type LossInputs, lossNode, lossOutput } from './losses.js';
import { type MeasureName, readMeasure } from './measure-readers.js';
import { type MeasureNode, measureNodes, SORTED } from './measures.js';
import { silhouetteNode } from './silhouettes.js';
import { type ScoreOutput, Tallies, type TallyOf } from './tallies.js';
import { emptyTally, type Measure } from './tally.js';

/** Weights of a partition's fits of some candidates of one kind: [.., splits * candidates * outputs]. */
type WeightsOf = (part: SearchPart, candidates: readonly number[]) => Matrix;

export interface FitsToScore {
  readonly group: SearchGroup;
  /** By partition and split. */
  readonly scatter: readonly (readonly TestScatter[])[];
  readonly weights: WeightsOf;
  readonly formulas?: FormulaEngine;
  /** Told the node that a measure is read from, and what of it where others may read it so. */
  readonly onNode: (name: string, node: Expr, scores?: ScoreOutput) => void;
}

export async function scoreFits(run: Run, fits: FitsToScore): Promise<TallyOf> {
  const { group, scatter, weights, onNode } = fits;
  const measures = measuresOf(group);
  const losses = lossesOf(group, measures);
  if (losses === undefined) return measureFits(run, fits, measures);
  const inputs = group.parts.map((part) => lossInputs(group, part, losses, weights));
  const all = group.candidates.map((_, t) => t);
  const read = await heldOutLosses(run, inputs, (p, node) => {
    const output = lossOutput(partOutput('losses', p), node, p, all);
    onNode(output.output, node, output);
  });
  const tested = scatter.flat();
  return (fold, candidate) => {
    const sum = read(fold, candidate);
    return { ...emptyTally, ...tested[fold]!, sum: (name) => sum(name as Loss) };
  };
}

/** The nodes that scores are read from; those of losses if their bounds hold. */
export function plannedScores(group: SearchGroup, weights: WeightsOf): Expr[] {
  const measures = measuresOf(group);
  const losses = lossesOf(group, measures);
  if (losses !== undefined) {
    return group.parts.map((part) => lossNode(lossInputs(group, part, losses, weights)).expr);
  }
  const kinds = kindsOf(group);
  const asked = askedNodes(group, kinds, measures, weights);
  const tables = askedFormulas(group, kinds, weights).map(({ table }) => table.expr);
  return [...asked.map(({ node }) => node.expr), ...tables];
}

/** The rows that the group's own splits test, by partition, under one candidate's fits. */
export function heldOutOfOne(group: SearchGroup, candidate: number, weights: WeightsOf): HeldOut[] {
  const { all } = group.candidates[candidate]!;
  return ownParts(group).map((part) => {
    const kind = kindOf(group, part, all);
    return heldOutOf(group, part, kind, [candidate], weights);
  });
}

function measuresOf({ scoring }: SearchGroup): Measure[] {
  return [...new Set(scoring.flatMap(({ needs }) => needs))];
}

/** The measures as losses of plain linear models; undefined when they are more than that. */
function lossesOf(group: SearchGroup, measures: readonly Measure[]): readonly Loss[] | undefined {
  const { estimator, scoring } = group;
  if (sqlScorers(scoring).length > 0) return undefined;
  const isPlain = kindsOf(group).every(
    ({ kind }) => kind.link === 'identity' && kind.basis === 'linear' && kind.outputs === 1,
  );
  return estimator.reads === 'moments' && isPlain ? asLosses(measures) : undefined;
}

function lossInputs(
  { y, candidates }: SearchGroup,
  part: SearchPart,
  losses: readonly Loss[],
  weights: WeightsOf,
): LossInputs {
  const { X, partition, training } = part;
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

export function kindOf(
  { estimator, classes: { length: classes } }: Pick<SearchGroup, 'estimator' | 'classes'>,
  { X, training: { design } }: Pick<SearchPart, 'X' | 'training'>,
  params: Params,
): ModelKind {
  const columns = columnsOf(design);
  const nonnegative = estimator.nonnegative?.(params, X.cols);
  const network = estimator.network?.(params, classes, columns);
  const outputs = estimator.outputs(params, classes, columns);
  return {
    basis: estimator.basis?.(params) ?? 'linear',
    link: estimator.link(params, classes),
    outputs,
    columns: network ? packedColumns(network, X.cols + 1) : outputs,
    ...(network ? { network } : {}),
    ranksBy: estimator.ranksBy ?? 'decision',
    projects: estimator.projects?.(params) ?? 'nowhere',
    ...(nonnegative ? { nonnegative } : {}),
  };
}

interface KindOfCandidates {
  readonly kind: ModelKind;
  /** Numbers of the candidates. */
  readonly candidates: readonly number[];
}

/** Candidates whose decision values are read alike. */
function kindsOf(group: SearchGroup): KindOfCandidates[] {
  const kinds = new Map<string, { kind: ModelKind; candidates: number[] }>();
  for (const [t, { all }] of group.candidates.entries()) {
    const kind = kindOf(group, group.parts[0]!, all);
    const key = JSON.stringify(kind);
    const known = kinds.get(key) ?? { kind, candidates: [] };
    known.candidates.push(t);
    kinds.set(key, known);
  }
  return [...kinds.values()];
}

function heldOutOf(
  { y, classes }: SearchGroup,
  part: SearchPart,
  kind: ModelKind,
  candidates: readonly number[],
  weights: WeightsOf,
): HeldOut {
  const { X, partition } = part;
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

/** A measure's node of one partition, and what is read from it. */
interface AskedNode {
  readonly node: Matrix;
  readonly output: ScoreOutput & { readonly measure: MeasureName };
}

/** @param before kinds that came before, in other batches */
function askedNodes(
  group: SearchGroup,
  kinds: readonly KindOfCandidates[],
  measures: readonly Measure[],
  weights: WeightsOf,
  before = 0,
): AskedNode[] {
  const held = kinds.map(({ kind, candidates }) =>
    group.parts.map((part) => heldOutOf(group, part, kind, candidates, weights)),
  );
  const asked = (
    partition: number,
    k: number,
    candidates: readonly number[],
    nodes: readonly MeasureNode[],
  ): AskedNode[] =>
    nodes.map(({ name, node, shape }) => {
      const output = partOutput(placeOf(name, before + k), partition);
      return { node, output: { output, partition, candidates, measure: name, shape } };
    });
  const byKind = kinds.flatMap(({ candidates }, k) =>
    held[k]!.flatMap((one, p) => asked(p, k, candidates, measureNodes(one, measures))),
  );
  const silhouette = group.scoring.find((scorer) => scorer.silhouette)?.silhouette;
  if (silhouette === undefined) return byKind;
  // Distances are the same whatever the kind.
  const candidates = kinds.flatMap((one) => one.candidates);
  const compared = group.parts.flatMap((_, p) => {
    const own = held.map((parts) => parts[p]!);
    return asked(p, 0, candidates, [silhouetteNode(own, silhouette)]);
  });
  return [...byKind, ...compared];
}

interface AskedFormulas extends FormulaTable {
  readonly output: ScoreOutput & { readonly measure: 'predictions' };
}

/** Tables that metrics in SQL are computed from. */
function askedFormulas(
  group: SearchGroup,
  kinds: readonly KindOfCandidates[],
  weights: WeightsOf,
  before = 0,
): AskedFormulas[] {
  if (sqlScorers(group.scoring).length === 0) return [];
  return kinds.flatMap(({ kind, candidates }, k) =>
    group.parts.map((part, partition) => {
      const made = formulaTable(group, heldOutOf(group, part, kind, candidates, weights));
      const output = partOutput(placeOf('predictions', before + k), partition);
      const { predicted } = made;
      return {
        ...made,
        output: { output, partition, candidates, measure: 'predictions', predicted },
      };
    }),
  );
}

async function measureFits(
  run: Run,
  { group, scatter, weights, onNode, formulas }: FitsToScore,
  measures: readonly Measure[],
): Promise<TallyOf> {
  const scorers = sqlScorers(group.scoring);
  const isWhole = scorers.length > 0 || measures.some((measure) => SORTED.includes(measure));
  const kinds = kindsOf(group);
  const batches = isWhole ? batchesOf(kinds, group.X.rows) : [kinds];
  const tallies = new Tallies(scatter);
  let before = 0;
  for (const batch of batches) {
    const asked = askedNodes(group, batch, measures, weights, before);
    const values = (await run.evaluate(
      asked.map(({ node }) => node.expr),
      'score',
    )) as DenseMatrix[];
    for (const [i, { node, output }] of asked.entries()) {
      onNode(output.output, node.expr, output);
      tallies.add(output, readMeasure(output.measure, output.shape, values[i]!));
    }
    for (const one of askedFormulas(group, batch, weights, before)) {
      onNode(one.output.output, one.table.expr, one.output);
      const found = await formulaValues(run, formulas, one);
      tallies.add(one.output, readFormulas(scorers, found));
    }
    before += batch.length;
  }
  return tallies.of;
}

/** The name of an output of the models of one kind, or batch: the first one's has no number. */
function placeOf(name: string, kind: number): string {
  return kind === 0 ? name : `${name} of kind ${kind + 1}`;
}

/** Copies of a row's decision values that sorting holds at once. */
const COPIES = 4;

/** Runs of the candidates whose rows may stand in memory together. */
function batchesOf(kinds: readonly KindOfCandidates[], rows: number): KindOfCandidates[][] {
  const limit = memoryShares().materialiseBytes;
  const batches: { kind: ModelKind; candidates: number[] }[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const { kind, candidates } of kinds) {
    const own = rows * kind.outputs * COPIES * Float64Array.BYTES_PER_ELEMENT;
    for (const candidate of candidates) {
      bytes += own;
      if (bytes > limit) {
        batches.push([]);
        bytes = own;
      }
      const batch = batches.at(-1)!;
      const last = batch.at(-1);
      if (last?.kind === kind) last.candidates.push(candidate);
      else batch.push({ kind, candidates: [candidate] });
    }
  }
  return batches;
}
