/**
 * Groups of rows by the place a row has within its class: its rank among the class's rows, in order
 * or shuffled. A class's ranks are cut into runs, a group each. Ranks would need all rows in order;
 * runs need only the rows they begin with. These are found by counting: rows by class and chunk of
 * positions, then those of the chunks that hold a cut by smaller chunks, down to single rows. So rows
 * stay where they are, in blocks or on Spark, and a row's group is a comparison of its position with
 * its class's cuts. Invariant: what counting holds is bounded, however many rows there are.
 */
import {
  fill,
  groupSums,
  Matrix,
  matrix,
  ops,
  type Run,
  seq,
  takeRows,
} from '../../../driver/index.js';

/** Counts of one pass, at most. */
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

/** The position of each row: its number, or where a shuffle puts it. [rows, 1] */
export function positions(run: Run, rows: number, seed: number | undefined): Matrix {
  if (seed === undefined || rows < 2) return seq(run, 0, rows - 1, 1);
  const attrs = { rows, folds: rows, shuffle: true, seed };
  return Matrix.of(run, run.intern(ops.kfold, [], attrs));
}

/** A row of a class: its rank, from 0, among the class's rows. */
export interface Member {
  readonly class: number;
  readonly rank: number;
}

/** Rows in chunks of the same length, each for one class. */
interface Chunks {
  /** The chunk of each row; below 0 for a row of none: [n, 1]. */
  readonly chunkOf: Matrix;
  /** Where in its chunk each row is: [n, 1]. */
  readonly offset: Matrix;
  readonly length: number;
  readonly count: number;
}

/** The same rows in chunks cut to parts, and how many rows of the class each part has. */
interface CountedChunks {
  readonly parts: number;
  readonly partRows: number;
  /** The part of each row, among all: [n, 1]. */
  readonly cellOf: Matrix;
  readonly partOf: Matrix;
  readonly counts: ArrayLike<number>;
}

/** Rows by class, in order or as a seed shuffles them. Made by `Members.of`. */
export class Members {
  readonly #run: Run;
  readonly #strata: Strata;
  readonly #cells: number;
  /** All rows of each class are its first chunk. */
  readonly #all: Chunks;
  readonly #first: CountedChunks;
  readonly #found = new Map<string, number>();
  readonly counts: readonly number[];

  private constructor(run: Run, strata: Strata, cells: number, all: Chunks, first: CountedChunks) {
    this.#run = run;
    this.#strata = strata;
    this.#cells = cells;
    this.#all = all;
    this.#first = first;
    this.counts = Array.from({ length: strata.classes }, (_, c) => {
      let sum = 0;
      for (let part = 0; part < first.parts; part++) sum += first.counts[c * first.parts + part]!;
      return sum;
    });
  }

  /** Counts, in one pass over the classes. @param cells counts of one pass, at most */
  static async of(
    run: Run,
    strata: Strata,
    seed: number | undefined,
    cells: number = TABLE_CELLS,
  ): Promise<Members> {
    const { rows, classOf, classes } = strata;
    const offset = positions(run, rows, seed);
    const all = { chunkOf: classOf, offset, length: rows, count: classes };
    return new Members(run, strata, cells, all, await counted(run, all, cells));
  }

  /** The classes that have rows, by the position of the first. */
  async order(): Promise<number[]> {
    const present = this.counts.flatMap((count, c) => (count > 0 ? [c] : []));
    const firsts = await this.positionsOf(present.map((c) => ({ class: c, rank: 0 })));
    const at = new Map(present.map((c, i) => [c, firsts[i]!]));
    return present.sort((a, b) => at.get(a)! - at.get(b)!);
  }

  /** The run of each row, the number of runs for a row of no class: [n, 1]. */
  async groups(runs: Runs): Promise<Matrix> {
    const { rows, classOf, classes } = this.#strata;
    const width = runs[0]!.length;
    const wanted: (Member & { cell: number })[] = [];
    // Cuts past the last row are above every position, as is the first cell, which no run begins.
    const cuts = new Float64Array(classes * width).fill(rows);
    for (const [c, lengths] of runs.entries()) {
      let rank = 0;
      for (let end = 1; end < width; end++) {
        rank += lengths[end - 1]!;
        if (rank < this.counts[c]!) wanted.push({ class: c, rank, cell: c * width + end });
      }
    }
    const found = await this.positionsOf(wanted);
    for (const [i, { cell }] of wanted.entries()) cuts[cell] = found[i]!;
    const above = takeRows(classOf, matrix(this.#run, classes, width, cuts)).gt(this.#all.offset);
    return above.rowSums().neg().add(width);
  }

  /** Where members are. Those not found before take a pass or two, all together; few rows none. */
  async positionsOf(wanted: readonly Member[]): Promise<number[]> {
    const keyOf = ({ class: c, rank }: Member): string => `${c} ${rank}`;
    const missing = new Map(wanted.map((one) => [keyOf(one), one] as const));
    for (const key of missing.keys()) if (this.#found.has(key)) missing.delete(key);
    if (missing.size > 0) {
      const found = await this.#search([...missing.values()]);
      for (const [i, key] of [...missing.keys()].entries()) this.#found.set(key, found[i]!);
    }
    return wanted.map((one) => this.#found.get(keyOf(one))!);
  }

  async #search(wanted: readonly Member[]): Promise<number[]> {
    let chunks = this.#all;
    let level = this.#first;
    let places = wanted.map(({ class: c, rank }) => ({ chunk: c, rank, position: 0 }));
    for (;;) {
      const { parts, partRows, counts } = level;
      const cells = places.map(({ chunk, rank, position }) => {
        let [part, left] = [0, rank];
        while (left >= counts[chunk * parts + part]!) left -= counts[chunk * parts + part++]!;
        return { cell: chunk * parts + part, rank: left, position: position + part * partRows };
      });
      if (partRows === 1) return cells.map(({ position }) => position);
      // The parts that hold a wanted member are the chunks to cut next; rows of others are in none.
      const next = [...new Set(cells.map(({ cell }) => cell))];
      const numbers = new Float64Array(chunks.count * parts);
      for (const [i, cell] of next.entries()) numbers[cell] = i + 1;
      places = cells.map(({ cell, ...place }) => ({ ...place, chunk: numbers[cell]! - 1 }));
      chunks = {
        chunkOf: takeRows(level.cellOf, matrix(this.#run, numbers.length, 1, numbers)).sub(1),
        offset: chunks.offset.sub(level.partOf.mul(partRows)),
        length: partRows,
        count: next.length,
      };
      level = await counted(this.#run, chunks, this.#cells);
    }
  }
}

/** Counts the rows of parts of chunks, as small as the number of cells allows. */
async function counted(run: Run, chunks: Chunks, cells: number): Promise<CountedChunks> {
  const { chunkOf, offset, length, count } = chunks;
  const partRows = Math.ceil(length / Math.max(2, Math.floor(cells / count)));
  const parts = Math.ceil(length / partRows);
  const partOf = partRows === 1 ? offset : offset.div(partRows).floor();
  // Chunk by chunk, so that a row of none is outside all.
  const cellOf = chunkOf.mul(parts).add(partOf);
  const { data } = await groupSums(cellOf, fill(run, offset.rows, 1, 1), count * parts).value();
  return { parts, partRows, cellOf, partOf, counts: data };
}
