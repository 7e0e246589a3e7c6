/**
 * Groups of rows by the place a row has within its class: its rank among the class's rows, in order
 * or shuffled. A class's ranks are cut into runs, a group each. Ranks would need all rows in order;
 * runs need only the rows they begin with, which a few narrow reductions find: rows by class and
 * chunk of positions first, then the members of the chunks that hold a cut. So rows stay where they
 * are, in blocks or on Spark, and a row's group is a comparison of its position with its class's
 * cuts.
 */
import {
  type DenseMatrix,
  fill,
  groupSums,
  Matrix,
  matrix,
  ops,
  type Run,
  seq,
  takeRows,
} from '../../../driver/index.js';

/** Cells of the table of rows by class and chunk, at most. */
const TABLE_CELLS = 1 << 18;

/** What rows are placed by. */
export interface Strata {
  readonly rows: number;
  /** Class of each row: [n, 1]; a row outside 0..classes-1 is in no group. */
  readonly classOf: Matrix;
  readonly classes: number;
}

/** Lengths of the runs of each class's ranks, by class; every class has as many, some empty. */
export type Runs = readonly (readonly number[])[];

/** Facts of the classes that runs are chosen by. */
export interface ClassFacts {
  readonly counts: readonly number[];
  /** The classes in the order in which their first rows come; unknown when shuffled. */
  readonly order: readonly number[];
}

/** The position of each row: its number, or where a shuffle puts it. [rows, 1] */
export function positions(run: Run, rows: number, seed: number | undefined): Matrix {
  if (seed === undefined || rows < 2) return seq(run, 0, rows - 1, 1);
  const attrs = { rows, folds: rows, shuffle: true, seed };
  return Matrix.of(run, run.intern(ops.kfold, [], attrs));
}

/** Rows by class, in order or as a seed shuffles them. Made by `Members.of`. */
export class Members {
  readonly #run: Run;
  readonly #strata: Strata;
  readonly #position: Matrix;
  readonly #chunkRows: number;
  /** Rows by class and chunk: [classes, chunks]. */
  readonly #table: DenseMatrix;
  readonly counts: readonly number[];

  private constructor(
    run: Run,
    strata: Strata,
    position: Matrix,
    chunkRows: number,
    table: DenseMatrix,
  ) {
    this.#run = run;
    this.#strata = strata;
    this.#position = position;
    this.#chunkRows = chunkRows;
    this.#table = table;
    const { cols, data } = table;
    this.counts = Array.from({ length: strata.classes }, (_, c) =>
      Array.from(data.subarray(c * cols, (c + 1) * cols)).reduce((sum, n) => sum + n, 0),
    );
  }

  /** Counts, in one pass over the classes. @param cells of the table of counts, at most */
  static async of(
    run: Run,
    strata: Strata,
    seed: number | undefined,
    cells: number = TABLE_CELLS,
  ): Promise<Members> {
    const { rows, classOf, classes } = strata;
    const position = positions(run, rows, seed);
    const chunkRows = Math.ceil((rows * classes) / cells);
    const chunks = Math.ceil(rows / chunkRows);
    // Class by class, so that a row of no class is outside all.
    const cell = classOf.mul(chunks).add(chunkOf(position, chunkRows));
    const one = fill(run, rows, 1, 1);
    const table = await groupSums(cell, one, classes * chunks).value();
    const shaped = { ...table, rows: classes, cols: chunks } as DenseMatrix;
    return new Members(run, strata, position, chunkRows, shaped);
  }

  /** The classes that have rows, by the position of the first. At most one pass. */
  async order(): Promise<number[]> {
    const present = this.counts.flatMap((count, c) => (count > 0 ? [c] : []));
    const firsts = await this.#positionsOf(present.map((c) => ({ class: c, rank: 0 })));
    const at = new Map(present.map((c, i) => [c, firsts[i]!]));
    return present.sort((a, b) => at.get(a)! - at.get(b)!);
  }

  /** The run of each row, the number of runs for a row of no class: [n, 1]. At most one pass. */
  async groups(runs: Runs): Promise<Matrix> {
    const { rows, classOf, classes } = this.#strata;
    const width = runs[0]!.length;
    const wanted: { class: number; rank: number; cell: number }[] = [];
    // Cuts past the last row are above every position, as is the first cell, which no run begins.
    const cuts = new Float64Array(classes * width).fill(rows);
    for (const [c, lengths] of runs.entries()) {
      let rank = 0;
      for (let end = 1; end < width; end++) {
        rank += lengths[end - 1]!;
        if (rank < this.counts[c]!) wanted.push({ class: c, rank, cell: c * width + end });
      }
    }
    const found = await this.#positionsOf(wanted);
    for (const [i, { cell }] of wanted.entries()) cuts[cell] = found[i]!;
    const above = takeRows(classOf, matrix(this.#run, classes, width, cuts)).gt(this.#position);
    return above.rowSums().neg().add(width);
  }

  /** Where the members of these ranks are; exact when a chunk is a row, else by one more pass. */
  async #positionsOf(wanted: readonly { class: number; rank: number }[]): Promise<number[]> {
    const { cols, data } = this.#table;
    const places = wanted.map(({ class: c, rank }) => {
      let [chunk, left] = [0, rank];
      while (left >= data[c * cols + chunk]!) left -= data[c * cols + chunk++]!;
      return { class: c, chunk, left };
    });
    if (this.#chunkRows === 1 || wanted.length === 0) return places.map(({ chunk }) => chunk);
    const classAt = await this.#membersOf(places.map(({ chunk }) => chunk));
    return places.map(({ class: c, chunk, left }) => {
      const members = classAt(chunk);
      let at = members.indexOf(c);
      for (let rank = left; rank > 0; rank--) at = members.indexOf(c, at + 1);
      return chunk * this.#chunkRows + at;
    });
  }

  /** The class of each position of some chunks. */
  async #membersOf(wanted: readonly number[]): Promise<(chunk: number) => number[]> {
    const chunks = [...new Set(wanted)].sort((a, b) => a - b);
    const size = this.#chunkRows;
    const numbers = new Float64Array(this.#table.cols);
    for (const [i, chunk] of chunks.entries()) numbers[chunk] = i + 1;
    const chunk = chunkOf(this.#position, size);
    // The chunk's number among those wanted, from 0; -1 for others, whose rows fall out below 0.
    const own = takeRows(chunk, matrix(this.#run, numbers.length, 1, numbers)).sub(1);
    const cell = own.mul(size).add(this.#position.sub(chunk.mul(size)));
    const sums = groupSums(cell, this.#strata.classOf.add(1), chunks.length * size);
    const { data } = await sums.value();
    return (one) => {
      const at = chunks.indexOf(one) * size;
      return Array.from(data.subarray(at, at + size), (number) => number - 1);
    };
  }
}

function chunkOf(position: Matrix, chunkRows: number): Matrix {
  return chunkRows === 1 ? position : position.div(chunkRows).floor();
}
