/**
 * Groups: candidates of one search that are fitted alike, by one estimator on the same prepared
 * columns. Groups share rows, splits and, because expressions are interned, all sums that two of them
 * ask for. Invariant: nothing is computed; the splits of a group's parts are those of the search, in
 * order.
 */
import { type Attrs, Matrix, matrix, ops } from '../../driver/index.js';
import type { Estimator } from '../estimators/estimator.js';
import { linearDesign, type TrainingRows } from '../estimators/linear-design.js';
import type { Columns } from '../prepare/columns.js';
import { joinedSteps, stepsKey } from '../prepare/preparation.js';
import { limited, onBudget, type RungFacts, type SampledRows, sampledRows } from './budgets.js';
import { type Candidate, hasSteps, type SearchModel } from './candidates.js';
import { chooseFit, fitShape } from './choose-fit.js';
import type { Search } from './prepare.js';
import { type PreparedPart, preparedParts } from './prepared-groups.js';
import type { TrialResult } from './result.js';
import { type Partition, splitCount } from './splits/partition.js';

/** A candidate on the budget of its rung: one row of the table. */
export interface SearchTrial {
  /** From 0, through all rungs. */
  readonly number: number;
  readonly candidate: Candidate;
}

export interface SearchGroup extends Search {
  /** Absent where all have all there is. */
  readonly rung?: RungFacts;
  /** What fits: as was asked for, or the same by rows. */
  readonly estimator: Estimator;
  /** No products of columns are made. */
  readonly isByRows: boolean;
  /** Why so, where there was a choice. */
  readonly why?: string;
  readonly model: SearchModel;
  readonly candidates: readonly Candidate[];
  /** Numbers of the trials that the candidates are, ascending. */
  readonly trials: readonly number[];
  readonly parts: readonly SearchPart[];
  /** What the best is fitted on again: all rows. */
  readonly whole: Pick<SearchPart, 'X' | 'partition' | 'training'>;
  readonly columns: readonly string[];
  /** Which of them are imputed. */
  readonly imputed: readonly number[];
  /** What cleaning steps made of the columns of all rows; absent without steps. */
  readonly prepared?: Columns;
}

/** What a group knows of one partition. */
export interface SearchPart {
  /** The columns that its fits read: [n, encoded]. */
  readonly X: Matrix;
  readonly partition: Partition;
  /** What fits by rows read in place of all rows, where they see a sample. */
  readonly sample?: SampledRows;
  /** Moments by group with the target last: of all columns, or of the target where that will do. */
  readonly counted: Matrix;
  /** What else is computed in the same pass. */
  readonly alongside: readonly Matrix[];
  /** The number of its first split among those of all partitions. */
  readonly first: number;
  /** The rows of a fit, but for which groups of them it trains on. */
  readonly training: Omit<TrainingRows, 'train'>;
}

/** Parts of the search's own splits; those of nested ones come after. */
export function ownParts({ parts, splits }: SearchGroup): readonly SearchPart[] {
  return parts.filter(({ first }) => first < splitCount(splits));
}

/** What people know a candidate by: its model only where there are several. */
export function calledBy(
  { namesModels }: Search,
  { model, params }: Candidate,
): Pick<TrialResult, 'model' | 'params'> {
  return { ...(namesModels ? { model: model.name } : {}), params };
}

/** The group with some of its trials only. */
export function withTrials(group: SearchGroup, trials: readonly number[]): SearchGroup {
  const places = new Map(group.trials.map((number, place) => [number, place]));
  const candidates = trials.map((number) => group.candidates[places.get(number)!]!);
  return { ...group, trials, candidates };
}

/**
 * The trials of a rung in groups, in the order of their first trials.
 * @throws ConfigError for parameters that the columns do not allow
 */
export function searchGroups(
  search: Search,
  trials: readonly SearchTrial[],
  rung?: RungFacts,
): SearchGroup[] {
  const alike = new Map<SearchModel, Map<string, SearchTrial[]>>();
  for (const trial of trials) {
    const { model, steps } = trial.candidate;
    const bySteps = alike.get(model) ?? new Map<string, SearchTrial[]>();
    alike.set(model, bySteps);
    const key = stepsKey(steps);
    const known = bySteps.get(key);
    if (known === undefined) bySteps.set(key, [trial]);
    else known.push(trial);
  }
  const seen = onBudget(search, rung);
  const joined = joinedSteps(trials.map(({ candidate }) => candidate.steps));
  const groups = [...alike].flatMap(([model, bySteps]) =>
    [...bySteps.values()].map((own) =>
      hasSteps(own[0]!.candidate)
        ? preparedGroup(seen, model, own, { rung, joined })
        : groupOf(seen, model, own, rung),
    ),
  );
  return groups.sort((a, b) => a.trials[0]! - b.trials[0]!);
}

/** A group whose candidates have cleaning steps: a part a split, each with columns of its own. */
function preparedGroup(
  search: Search,
  model: SearchModel,
  trials: readonly SearchTrial[],
  {
    rung,
    joined,
  }: { readonly rung: RungFacts | undefined; readonly joined: ReturnType<typeof joinedSteps> },
): SearchGroup {
  const candidates = trials.map(({ candidate }) => limited(candidate, rung));
  const steps = joined(candidates[0]!.steps);
  const { parts, whole, columns } = preparedParts(search, steps, model.estimator, candidates.map(({ all }) => all)); // biome-ignore format: a call
  const { X } = whole;
  // What steps make is of float64, whatever the data are.
  const y = search.y.cast('float64');
  const own: Search = { ...search, X, y, imputations: [], border: [], names: undefined };
  const partitions = parts.map(({ partition }) => partition);
  const choice = choiceOf({ X, partitions }, candidates, rung);
  const { design } = linearDesign(X.session, X.cols, [], mayBeWide(choice));
  const shared = { centered: true, standardize: search.standardize, design };
  const readyOf = (part: PreparedPart): SearchPart => {
    const { X: columns, partition, first, training } = part;
    const sample = sampledRows(own, part, rung);
    const of = { X: columns, partition, first, ...(sample ? { sample } : {}) };
    if (choice.isByRows) return columnPart(own, of, shared);
    return { ...of, counted: training.gram, alongside: [], training: { ...training, design } };
  };
  return {
    ...own,
    ...choice,
    model,
    candidates,
    trials: trials.map(({ number }) => number),
    parts: parts.map(readyOf),
    whole: readyOf(whole),
    ...(rung ? { rung } : {}),
    columns: columns.map.names ?? Array.from({ length: X.cols }, (_, j) => `x${j}`),
    imputed: [],
    prepared: columns,
  };
}

function mayBeWide({ estimator, isByRows }: Pick<SearchGroup, 'estimator' | 'isByRows'>): boolean {
  return estimator.reads === 'moments' || isByRows;
}

function groupOf(
  search: Search,
  model: SearchModel,
  trials: readonly SearchTrial[],
  rung: RungFacts | undefined,
): SearchGroup {
  const { X, partitions, imputations } = search;
  const candidates = trials.map(({ candidate }) => limited(candidate, rung));
  const choice = choiceOf(search, candidates, rung);
  const { estimator, isByRows } = choice;
  const { design, kept } = linearDesign(X.session, X.cols, imputations, mayBeWide(choice));
  const centered = centers(search, estimator, candidates);
  const shared = { centered, standardize: search.standardize, design };
  let first = 0;
  const parts = partitions.map((partition): SearchPart => {
    const sample = sampledRows(search, { X, partition }, rung);
    const part = { X, partition, first, ...(sample ? { sample } : {}) };
    first += partition.splits.length;
    return isByRows ? columnPart(search, part, shared) : productPart(search, part, shared, estimator.reads); // biome-ignore format: a choice
  });
  return {
    ...search,
    ...choice,
    model,
    candidates,
    trials: trials.map(({ number }) => number),
    parts,
    whole: parts[0]!,
    ...(rung ? { rung } : {}),
    columns: search.names ?? kept.map((column) => `x${column}`),
    imputed: imputations.map(({ column }) => kept.indexOf(column)),
  };
}

/** What fits candidates of one model. @throws ConfigError for parameters that the columns do not allow */
function choiceOf(
  { X, partitions }: Pick<Search, 'X' | 'partitions'>,
  candidates: readonly Candidate[],
  rung: RungFacts | undefined,
): ReturnType<typeof chooseFit> {
  const { estimator } = candidates[0]!.model;
  const params = candidates.map(({ all }) => all);
  for (const all of params) estimator.nonnegative?.(all, X.cols);
  return chooseFit(estimator, params, fitShape(X, partitions, rung?.largest ?? params.length));
}

/** Whether moments are about the means. */
function centers(
  { standardize, scoring, imputations }: Search,
  estimator: Estimator,
  candidates: readonly Candidate[],
): boolean {
  return (
    estimator.reads !== 'moments' ||
    candidates.some(({ all }) => estimator.centers(all)) ||
    standardize ||
    scoring.some(({ name }) => name === 'r2') ||
    imputations.length > 0
  );
}

type PartOf = Pick<SearchPart, 'X' | 'partition' | 'sample' | 'first'>;
type SharedTraining = Pick<TrainingRows, 'centered' | 'standardize' | 'design'>;

/** Of columns, by group of a part's partition. */
export function momentsOf(
  { X: { session }, partition: { groupOf, groups } }: Pick<SearchPart, 'X' | 'partition'>,
  centered: boolean,
) {
  return (operands: readonly Matrix[], attrs: Attrs = {}): Matrix => {
    const inputs = [groupOf, ...operands].map(({ expr }) => expr);
    const all = { groups, center: centered, ...attrs };
    return Matrix.of(session, session.intern(ops.groupGram, inputs, all));
  };
}

/** A part whose fits read products of the columns with each other, or rows. */
function productPart(
  { y, weight, imputations, together }: Search,
  part: PartOf,
  shared: SharedTraining,
  reads: Estimator['reads'],
): SearchPart {
  const { X, partition } = part;
  const moments = momentsOf(part, shared.centered);
  const gram = moments([X, y]);
  const weighted = weight && moments([X, y, weight], { weighted: true });
  // Fits by themselves make them for themselves.
  const readsProducts = (reads === 'moments' && together) || imputations.length > 0;
  return {
    ...part,
    counted: readsProducts ? gram : moments([y]),
    alongside: [],
    training: { ...shared, groups: partition.groups, gram, ...(weighted ? { weighted } : {}) },
  };
}

/** A part whose fits never form products of the columns. */
function columnPart(search: Search, part: PartOf, shared: SharedTraining): SearchPart {
  const { y, weight } = search;
  const { X, partition } = part;
  const { groupOf, groups } = partition;
  const { session } = X;
  const moments = momentsOf(part, shared.centered);
  const columns = (weights: readonly Matrix[]): Matrix => {
    const inputs = [groupOf, X, ...weights].map(({ expr }) => expr);
    const attrs = { groups, ...(weights.length > 0 ? { weighted: true } : {}) };
    return Matrix.of(session, session.intern(ops.columnMoments, inputs, attrs));
  };
  const all = columns([]);
  const ofColumns = { all, ...(weight ? { weighted: columns([weight]) } : {}) };
  const border = borderColumns(search, groups);
  const gram = moments([y]);
  const weighted = weight && { weighted: moments([y, weight], { weighted: true }) };
  return {
    ...part,
    counted: gram,
    alongside: Object.values(ofColumns),
    training: {
      ...{ ...shared, groups, gram, ...weighted },
      columns: { ...ofColumns, ...(border ? { border } : {}) },
    },
  };
}

/** More sums by group take longer than they save. */
const MOST_BORDER_SUMS = 100;

/** A product with it is the border, where there is one and design columns are encoded ones. */
function borderColumns(
  { X, border, imputations, standardize }: Search,
  groups: number,
): Matrix | undefined {
  const { length } = border;
  if (length === 0 || imputations.length > 0 || standardize) return undefined;
  if ((length + 1) * groups > MOST_BORDER_SUMS) return undefined;
  const cells = new Float64Array(X.cols * length);
  for (const [place, column] of border.entries()) cells[column * length + place] = 1;
  return matrix(X.session, X.cols, length, cells);
}
