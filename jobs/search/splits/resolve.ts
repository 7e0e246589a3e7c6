/**
 * From a rule to splits of the data's rows. Rules by row order or by rank within a class cut runs of
 * ranks (`strata.ts`); rules by group give each group a fold, which encodes the group column.
 * `among` restricts a rule to some rows, as if there were no others.
 */
import {
  DataError,
  fill,
  groupSums,
  Matrix,
  matrix,
  ops,
  type Run,
} from '../../../driver/index.js';
import {
  foldPartition,
  type Partition,
  type RowSplit,
  resolveSplits,
  type Splits,
} from './partition.js';
import {
  balancedGroups,
  drawnSizes,
  groupsOf,
  type OrderedSplit,
  requireFolds,
  shuffledGroups,
  shuffleSizes,
  stratifiedGroups,
  stratifiedSizes,
  timeSeriesSplits,
} from './rules.js';
import { type Member, Members, positions, type Runs, type Strata } from './strata.js';

export const SPLIT_TYPES = [
  'kfold',
  'stratified',
  'group',
  'stratified-group',
  'time-series',
  'shuffle',
  'stratified-shuffle',
  'predefined',
] as const;

/** Rows to look for that may not be needed; more are found by another pass. */
const MAX_LIKELY = 100_000;

/** A rule with every default filled in. */
export interface SplitRule {
  readonly type: (typeof SPLIT_TYPES)[number];
  readonly folds: number;
  readonly repeats: number;
  readonly shuffle: boolean;
  /** Repeat r, or shuffled split r, takes seed + r. */
  readonly seed: number;
  readonly testSize?: number;
  readonly trainSize?: number;
  readonly gap?: number;
  readonly maxTrainSize?: number;
  /** Columns: of groups, of the classes to balance, of fold numbers. */
  readonly group?: string;
  readonly stratify?: string;
  readonly predefined?: string;
}

/** What rules know of the data's rows. */
export interface SplitRows {
  readonly rows: number;
  /** Classes by number, for rules that balance them. */
  readonly strata?: Pick<Strata, 'classOf' | 'classes'> & {
    readonly column: string;
    /** By class number, for messages. */
    readonly names?: readonly string[];
  };
  readonly groups?: GroupedBy;
  /** Folds that a column gives; rows that always train have the number after the last fold. */
  readonly given?: { readonly groupOf: Matrix; readonly folds: number };
  /** Folds shuffled within each of several files; undefined for one file. */
  readonly foldsByFile: (folds: number, seed: number) => Matrix | undefined;
}

/** Groups of rows by a column of the data. */
export interface GroupedBy {
  readonly column: string;
  /** The group of each row, from 0: [n, 1]. */
  readonly groupOf: Matrix;
  /** Rows by group. */
  readonly counts: readonly number[];
  /** The fold of each row from that of its group: [n, 1]. */
  readonly foldOf: (folds: readonly number[], count: number) => Matrix;
}

/**
 * @param among 1 for rows that there are, 0 for others: [n, 1]. Default: all rows
 * @param warn told of classes with fewer rows than there are folds
 * @throws ConfigError, DataError for rows that the rule can't split
 */
export async function makeSplits(
  run: Run,
  rule: SplitRule,
  data: SplitRows,
  warn: (message: string) => void,
  among?: Matrix,
): Promise<Splits> {
  const maker = new SplitMaker(run, rule, data, warn, among);
  const count =
    rule.type === 'shuffle' || rule.type === 'stratified-shuffle' ? rule.folds : rule.repeats;
  const seeds = Array.from({ length: count }, (_, i) => rule.seed + i);
  // All at once, so that their passes over the data are one.
  return Promise.all(seeds.map((seed, i) => maker.partition(seed, i === 0)));
}

class SplitMaker {
  readonly #run: Run;
  readonly #rule: SplitRule;
  readonly #data: SplitRows;
  readonly #warn: (message: string) => void;
  readonly #among: Matrix | undefined;

  constructor(
    run: Run,
    rule: SplitRule,
    data: SplitRows,
    warn: (message: string) => void,
    among: Matrix | undefined,
  ) {
    this.#run = run;
    this.#rule = rule;
    this.#data = data;
    this.#warn = warn;
    this.#among = among;
  }

  /** @param isFirst of several that what holds for one holds for all, so that it is said once */
  async partition(seed: number, isFirst: boolean): Promise<Partition> {
    const rule = this.#rule;
    const { folds } = rule;
    switch (rule.type) {
      case 'kfold':
        return this.#foldsInOrder(rule.shuffle ? seed : undefined);
      case 'time-series':
        return this.#inOrder((rows) => timeSeriesSplits(rows, rule));
      case 'shuffle':
        return this.#drawn(seed);
      case 'stratified': {
        const own = rule.shuffle ? seed : undefined;
        const members = await Members.of(this.#run, this.#strata(), own);
        if (isFirst) this.#checkClasses(members.counts);
        const present = members.counts.flatMap((count, c) => (count > 0 ? [c] : []));
        if (!rule.shuffle) await members.positionsOf(likelyMembers(members.counts, folds));
        const order = rule.shuffle ? present : await members.order();
        const sizes = stratifiedSizes(members.counts, folds, order);
        return foldPartition(await members.groups(sizes), folds);
      }
      case 'stratified-shuffle': {
        const members = await Members.of(this.#run, this.#strata(), seed);
        return trainAndTest(await members.groups(this.#drawnByClass(members.counts, seed)));
      }
      case 'group':
      case 'stratified-group':
        return this.#byGroup(seed, isFirst);
      case 'predefined':
        return this.#given();
    }
  }

  async #foldsInOrder(seed: number | undefined): Promise<Partition> {
    const { folds } = this.#rule;
    if (this.#among !== undefined) {
      const members = await Members.of(this.#run, this.#alone(), seed);
      requireFolds(folds, members.counts[0]!, 'rows');
      return foldPartition(
        await members.groups(stratifiedSizes(members.counts, folds, [0])),
        folds,
      );
    }
    const { rows, foldsByFile } = this.#data;
    const byFile = seed === undefined ? undefined : foldsByFile(folds, seed);
    if (byFile !== undefined) return foldPartition(byFile, folds);
    const rule = { folds, shuffle: seed !== undefined, ...(seed === undefined ? {} : { seed }) };
    return resolveSplits(this.#run, rows, rule)[0]!;
  }

  async #inOrder(splitsOf: (rows: number) => readonly OrderedSplit[]): Promise<Partition> {
    if (this.#among === undefined) {
      const { rows } = this.#data;
      return orderedPartition(this.#run, rows, groupsOf(rows, splitsOf(rows)));
    }
    const members = await Members.of(this.#run, this.#alone(), undefined);
    const [rows] = members.counts as [number];
    const { runs, splits } = groupsOf(rows, splitsOf(rows));
    return { groupOf: await members.groups([runs]), groups: runs.length, splits };
  }

  async #drawn(seed: number): Promise<Partition> {
    if (this.#among !== undefined) {
      const members = await Members.of(this.#run, this.#alone(), seed);
      return trainAndTest(await members.groups(this.#drawnByClass(members.counts, seed)));
    }
    const { rows } = this.#data;
    const { test, train } = shuffleSizes(rows, this.#rule);
    const cuts = matrix(this.#run, 1, 2, Float64Array.of(test, test + train));
    return trainAndTest(positions(this.#run, rows, seed).ge(cuts).rowSums());
  }

  /** @throws DataError for classes too small, as `StratifiedShuffleSplit` */
  #drawnByClass(counts: readonly number[], seed: number): Runs {
    const rows = counts.reduce((sum, count) => sum + count, 0);
    const { test, train } = shuffleSizes(rows, this.#rule);
    const present = counts.filter((count) => count > 0);
    const { column } = this.#data.strata ?? { column: '' };
    if (
      present.length > 1 &&
      (Math.min(...present) < 2 || Math.min(test, train) < present.length)
    ) {
      throw new DataError(
        `stratify ${column}: expected at least 2 rows of each class, and as many rows to test and to train on as classes, got a class of ${Math.min(...present)}, ${test} and ${train} rows for ${present.length} classes`,
        { column },
      );
    }
    const trained = drawnSizes(counts, train, seed);
    const left = counts.map((count, c) => count - trained[c]!);
    const tested = drawnSizes(left, test, seed);
    return counts.map((count, c) => [tested[c]!, trained[c]!, count - tested[c]! - trained[c]!]);
  }

  async #byGroup(seed: number, isFirst: boolean): Promise<Partition> {
    const { type, folds, shuffle } = this.#rule;
    const { column, foldOf, groupOf, counts: all } = this.#data.groups!;
    const counts = this.#among ? await this.#countsOf(groupOf, all.length) : all;
    const present = counts.flatMap((count, group) => (count > 0 ? [group] : []));
    if (present.length < folds) {
      throw new DataError(
        `group ${column}: expected at least ${folds} groups for ${folds} folds, got ${present.length}; ask for fewer folds`,
        { column, groups: present.length, folds },
      );
    }
    const own = shuffle ? seed : undefined;
    let chosen: number[];
    if (type === 'stratified-group') {
      const table = await this.#classesByGroup(isFirst);
      chosen = stratifiedGroups(present.map((group) => table[group]!), folds, own); // biome-ignore format: a call
    } else if (own === undefined) {
      chosen = balancedGroups(present.map((group) => counts[group]!), folds); // biome-ignore format: a call
    } else {
      chosen = shuffledGroups(present.length, folds, own);
    }
    const byGroup = all.map(() => folds);
    for (const [i, group] of present.entries()) byGroup[group] = chosen[i]!;
    return foldPartition(this.#masked(foldOf(byGroup, folds), folds), folds);
  }

  /** Rows by group and class. */
  async #classesByGroup(isFirst: boolean): Promise<number[][]> {
    const { classOf, classes } = this.#strata();
    const { groupOf, counts } = this.#data.groups!;
    // Class by class, so that a row of no class is outside all.
    const cell = classOf.mul(counts.length).add(groupOf);
    const table = await this.#countsOf(cell, counts.length * classes);
    const at = (c: number, group: number): number => table[c * counts.length + group]!;
    const ofClass = Array.from({ length: classes }, (_, c) =>
      counts.reduce((sum, _rows, group) => sum + at(c, group), 0),
    );
    if (isFirst) this.#checkClasses(ofClass);
    return counts.map((_, group) => ofClass.map((_count, c) => at(c, group)));
  }

  async #countsOf(numbers: Matrix, count: number): Promise<number[]> {
    const one = this.#among ?? fill(this.#run, this.#data.rows, 1, 1);
    return [...(await groupSums(numbers, one, count).value()).data];
  }

  #given(): Partition {
    const { groupOf, folds } = this.#data.given!;
    const partition = foldPartition(groupOf, folds, folds + 1);
    if (this.#among === undefined) return partition;
    return { ...partition, groupOf: this.#masked(groupOf, folds + 1) };
  }

  /** Rows that there are not have the number `none`. */
  #masked(groupOf: Matrix, none: number): Matrix {
    return this.#among === undefined ? groupOf : groupOf.sub(none).mul(this.#among).add(none);
  }

  /** All rows as one class. */
  #alone(): Strata {
    return { rows: this.#data.rows, classOf: this.#among!.sub(1), classes: 1 };
  }

  #strata(): Strata {
    const { rows, strata } = this.#data;
    const { classOf, classes } = strata!;
    return { rows, classes, classOf: this.#masked(classOf, -1) };
  }

  /** @throws DataError when every class has fewer rows than folds, as `StratifiedKFold` */
  #checkClasses(counts: readonly number[]): void {
    const { folds } = this.#rule;
    const { column, names } = this.#data.strata!;
    const present = counts.filter((count) => count > 0);
    if (Math.max(...present) < folds) {
      throw new DataError(
        `stratify ${column}: expected a class of at least ${folds} rows for ${folds} folds, got ${Math.max(...present)} in the largest; ask for fewer folds`,
        { column, folds },
      );
    }
    const least = Math.min(...present);
    if (least >= folds || this.#among !== undefined) return;
    const name = names?.[counts.indexOf(least)];
    this.#warn(
      `stratify ${column}: the least populated class${name === undefined ? '' : ` (${name})`} has only ${least} ${least === 1 ? 'row' : 'rows'}, which is less than the ${folds} folds; some test sets have none of it`,
    );
  }
}

/**
 * The first row of each class, which says the order of classes, and every row a fold may begin with
 * in any order: asked for together they take one pass instead of two.
 */
function likelyMembers(counts: readonly number[], folds: number): Member[] {
  const members = counts.flatMap((count, c) => (count > 0 ? [{ class: c, rank: 0 }] : []));
  if (members.length * folds * folds > MAX_LIKELY) return members;
  for (const { class: c } of [...members]) {
    for (let start = 0; start < folds; start++) {
      const sizes = stratifiedSizes([start, counts[c]!], folds, [0, 1])[1]!;
      let rank = 0;
      for (const size of sizes) {
        if (rank > 0 && rank < counts[c]!) members.push({ class: c, rank });
        rank += size;
      }
    }
  }
  return members;
}

/** Group 0 tests, group 1 trains; rows of a third are in neither. */
function trainAndTest(groupOf: Matrix): Partition {
  return { groupOf, groups: 3, splits: [{ train: [1], test: [0] }] };
}

/** Splits of all rows in their order. */
export function orderedPartition(
  run: Run,
  rows: number,
  { runs, splits }: { readonly runs: readonly number[]; readonly splits: readonly RowSplit[] },
): Partition {
  const attrs = { rows, folds: runs.length, first: 0, runs };
  const groupOf = Matrix.of(run, run.intern(ops.kfold, [], attrs));
  return { groupOf, groups: runs.length, splits };
}
