/**
 * A search over data in parts: moments of each part by itself, merged. What is computed over a part
 * is a function of the part's content, the features it needs and the fold rule, never of the parts
 * beside it; so adding, replacing or removing a file leaves the moments of all others as they are.
 * What depends on the whole (which place a part's columns and folds have) stands in the attributes
 * of the merge.
 */
import { type Evaluator, Matrix, ops } from '../../driver/index.js';

/** One part of the rows, in order. */
export interface DataPart {
  /** Encoded by the features this part needs: [rows, own columns]. */
  readonly X: Matrix;
  /** [rows, 1] */
  readonly y: Matrix;
  /** For each column of `X`, its place among all columns, where it is added; null when they are the same. */
  readonly columns: readonly number[] | null;
  /** Its files, in order. */
  readonly files: readonly ShuffledFile[];
  /** Row of all data its first row is. */
  readonly firstRow: number;
  /** The fold of each row, where a column of the data says it. */
  readonly assignment?: Matrix;
}

/** A file as shuffled folds see it. */
export interface ShuffledFile {
  readonly rows: number;
  /** Seed of its own shuffle. */
  readonly seed: number;
}

/** How rows are split. `rows`: of all data. */
export interface PartFolds {
  readonly folds: number;
  readonly rows: number;
  /** False: contiguous folds over all rows. Not asked when the parts have an assignment. */
  readonly shuffle: boolean;
}

/** Group numbers of a part's rows, and the fold each stands for. */
interface PartGroups {
  readonly column: Matrix;
  readonly folds: readonly number[];
}

/** Folds of a part's rows, numbered so that they do not depend on the parts before. */
function ownGroups(session: Evaluator, part: DataPart, split: PartFolds): PartGroups {
  const { folds } = split;
  if (part.assignment !== undefined) {
    return { column: part.assignment, folds: Array.from({ length: folds + 1 }, (_, f) => f) };
  }
  if (split.shuffle) {
    const places = Array.from({ length: folds }, (_, f) => (f + part.firstRow) % folds);
    return { column: shuffled(session, part.files, folds, 0), folds: places };
  }
  const { first, runs } = contiguousRuns(part, split);
  const column = foldColumn(session, part, { folds: runs.length, first: 0, runs });
  return { column, folds: runs.map((_, run) => first + run) };
}

/** Folds of a part's rows as all data number them. */
function foldsOfPart(session: Evaluator, part: DataPart, split: PartFolds): Matrix {
  const { folds } = split;
  if (part.assignment !== undefined) return part.assignment;
  if (split.shuffle) return shuffled(session, part.files, folds, part.firstRow % folds);
  const { first, runs } = contiguousRuns(part, split);
  return foldColumn(session, part, { folds, first, runs });
}

/** Folds of rows that are shuffled file by file. @param first turns the numbers: rows before, modulo folds */
export function shuffled(
  session: Evaluator,
  files: readonly ShuffledFile[],
  folds: number,
  first: number,
): Matrix {
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const own = files.map((file) => [file.rows, file.seed]);
  return Matrix.of(session, session.intern(ops.kfold, [], { rows, folds, first, files: own }));
}

function foldColumn(
  session: Evaluator,
  part: DataPart,
  attrs: { readonly folds: number; readonly first: number; readonly runs: readonly number[] },
): Matrix {
  return Matrix.of(session, session.intern(ops.kfold, [], { rows: part.X.rows, ...attrs }));
}

/** The contiguous folds that a part's rows run through. */
function contiguousRuns(
  { firstRow, X }: DataPart,
  { rows, folds }: PartFolds,
): { readonly first: number; readonly runs: readonly number[] } {
  const small = Math.floor(rows / folds);
  const larger = rows - small * folds;
  const startOf = (fold: number): number => fold * small + Math.min(fold, larger);
  const end = firstRow + X.rows;
  let first = 0;
  while (startOf(first + 1) <= firstRow) first++;
  const runs: number[] = [];
  for (let fold = first; startOf(fold) < end; fold++) {
    runs.push(Math.min(end, startOf(fold + 1)) - Math.max(firstRow, startOf(fold)));
  }
  return { first, runs };
}

/**
 * Moments of [X y] by fold over all parts: what `groupGram` over all rows gives.
 * @param columns columns of X over all data
 */
export function partGram(
  session: Evaluator,
  parts: readonly DataPart[],
  split: PartFolds,
  options: { readonly groups: number; readonly center: boolean; readonly columns: number },
): Matrix {
  const { groups, center, columns } = options;
  const grams = parts.map((part) => {
    const own = ownGroups(session, part, split);
    const gram = session.intern(ops.groupGram, [own.column.expr, part.X.expr, part.y.expr], {
      groups: own.folds.length,
      center,
    });
    const places = part.columns === null ? null : [...part.columns, columns];
    return { gram, place: { groups: own.folds, columns: places } };
  });
  const attrs = { groups, side: columns + 2, center, parts: grams.map(({ place }) => place) };
  const inputs = grams.map(({ gram }) => gram);
  return Matrix.of(session, session.intern(ops.mergeGroupGram, inputs, attrs));
}

/** Losses by row over all parts: what `groupLoss` over all rows gives. @shape weights: [columns + 1, folds * models] */
export function partLosses(
  session: Evaluator,
  parts: readonly DataPart[],
  split: PartFolds,
  weights: Matrix,
  losses: readonly string[],
): Matrix {
  const sums = parts.map((part) => {
    const folds = foldsOfPart(session, part, split);
    const own = part.columns === null ? weights : pickRows(weights, part.columns);
    const inputs = [folds, part.X, part.y, own].map((operand) => operand.expr);
    const attrs = { groups: split.folds, losses: [...losses] };
    return Matrix.of(session, session.intern(ops.groupLoss, inputs, attrs));
  });
  return sums.reduce((total, part) => total.add(part));
}

/** The weights of these columns and, last, the intercepts. */
function pickRows(weights: Matrix, columns: readonly number[]): Matrix {
  const rows = [...columns, weights.rows - 1];
  const ranges: [number, number][] = [];
  for (const row of rows) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === row) last[1] = row + 1;
    else ranges.push([row, row + 1]);
  }
  const [first, ...rest] = ranges.map((range) => weights.slice(range));
  return rest.length === 0 ? first! : first!.rbind(...rest);
}
