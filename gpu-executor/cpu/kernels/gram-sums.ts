/**
 * Moments by group, added up block by block: rows are summed by themselves, at most `SUM_ROWS` at a
 * time, and these sums are added to the totals in the order of the rows. So rounding errors grow
 * with the length of a block and the number of blocks, not with the number of rows, and the result
 * does not depend on timing. Wider moments than `SUM_SIDE` are summed in place.
 */
import { dense, type Float64Matrix } from '../../../driver/ir/value.js';
import { SUM_ROWS, SUM_SIDE } from '../../../driver/operators/group-gram.js';

/** A part of an update, which adds to the sums it was made for. */
export type BlasCall = () => void | Promise<void>;

/** The moments of some rows of one group. */
export interface Update {
  readonly group: number;
  /** Adds them to the upper triangle of `sums`, [side, side]; steps write to cells of their own. */
  readonly steps: (sums: Float64Array) => Iterable<BlasCall>;
}

/** Rows of a group whose sums go by one call of `rowSums`, at most. */
export const STEP_ROWS = SUM_ROWS / 2;
/** Cells of sums that are not added up yet. */
const PENDING_CELLS = 1 << 18;

export class GramSums {
  readonly groups: number;
  readonly side: number;
  readonly #totals: Float64Array;
  readonly #lanes: number;
  readonly #isInPlace: boolean;
  /** Sums of blocks, [side, side] each. */
  readonly #blocks: Float64Array[] = [];
  /** Sums row by row, as the totals, and how many rows of a group are in them. */
  #rows: { readonly sums: Float64Array; readonly counts: Float64Array } | undefined;

  /** @param lanes updates to run beside each other */
  constructor(groups: number, side: number, lanes: number) {
    this.groups = groups;
    this.side = side;
    this.#lanes = lanes;
    this.#isInPlace = side > SUM_SIDE;
    this.#totals = new Float64Array(groups * side * side);
  }

  /** Runs updates whose steps return no promises. */
  run(updates: readonly Update[]): void {
    for (const { group, steps } of updates) {
      const sums = this.#sumsOf(group, 0);
      for (const step of steps(sums)) void step();
      this.#add(group, sums);
    }
  }

  async runAsync(updates: readonly Update[]): Promise<void> {
    const cells = this.side * this.side;
    const most = Math.max(this.#lanes, Math.floor(PENDING_CELLS / cells));
    for (let from = 0; from < updates.length; from += most) {
      const some = updates.slice(from, from + most);
      const sums = some.map(({ group }, i) => this.#sumsOf(group, i));
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < some.length) {
          const at = next++;
          await Promise.all([...some[at]!.steps(sums[at]!)].map((step) => step()));
        }
      };
      await Promise.all(Array.from({ length: this.#lanes }, lane));
      for (const [i, { group }] of some.entries()) this.#add(group, sums[i]!);
    }
  }

  /**
   * Sums that rows are added to one by one, [groups * side, side]; every call is followed by
   * `rowsAdded`. At most `STEP_ROWS` rows of a group go by one call.
   */
  rowSums(): Float64Array {
    this.#rows ??= {
      sums: this.#isInPlace ? this.#totals : new Float64Array(this.#totals.length),
      counts: new Float64Array(this.groups),
    };
    return this.#rows.sums;
  }

  rowsAdded(group: number, rows: number): void {
    const { sums, counts } = this.#rows!;
    counts[group]! += rows;
    if (this.#isInPlace || counts[group]! < SUM_ROWS - STEP_ROWS) return;
    counts[group] = 0;
    this.#addRowSums(group, sums);
  }

  /** Everything, as whole moments about the shifts: [groups * side, side]. Called once. */
  total(shifts: Float64Array | undefined): Float64Matrix {
    const { groups, side } = this;
    const totals = this.#totals;
    if (this.#rows !== undefined) {
      const { sums } = this.#rows;
      for (let group = 0; group < groups && !this.#isInPlace; group++) {
        this.#addRowSums(group, sums);
      }
      foldTriangles(totals, groups, side);
    }
    for (let group = 0; group < groups; group++) {
      const base = group * side * side;
      if (shifts) toCentered(totals, base, side, shifts.subarray(group * side));
      mirror(totals, base, side);
    }
    return dense(groups * side, side, totals);
  }

  #sumsOf(group: number, block: number): Float64Array {
    const cells = this.side * this.side;
    if (this.#isInPlace) return this.#totals.subarray(group * cells, (group + 1) * cells);
    const sums = this.#blocks[block];
    if (sums !== undefined) return sums.fill(0);
    const fresh = new Float64Array(cells);
    this.#blocks[block] = fresh;
    return fresh;
  }

  #add(group: number, sums: Float64Array): void {
    if (this.#isInPlace) return;
    const { side } = this;
    const totals = this.#totals;
    for (let i = 0; i < side; i++) {
      let at = group * side * side + i * side + i;
      for (let from = i * side + i; from < (i + 1) * side; from++) totals[at++]! += sums[from]!;
    }
  }

  #addRowSums(group: number, sums: Float64Array): void {
    const end = (group + 1) * this.side * this.side;
    for (let at = group * this.side * this.side; at < end; at++) {
      this.#totals[at]! += sums[at]!;
      sums[at] = 0;
    }
  }
}

/** Adds the lower triangle of each group's moments to the upper one. */
function foldTriangles(sums: Float64Array, groups: number, side: number): void {
  for (let group = 0; group < groups; group++) {
    const base = group * side * side;
    for (let i = 0; i < side; i++) {
      for (let j = i + 1; j < side; j++) sums[base + i * side + j]! += sums[base + j * side + i]!;
    }
  }
}

/** Turns moments about the shift into mean and centred moments, in the upper triangle. */
function toCentered(out: Float64Array, base: number, side: number, shift: Float64Array): void {
  const n = out[base]!;
  if (n === 0) return;
  for (let i = 1; i < side; i++) {
    const scaled = out[base + i]! / n;
    const row = base + i * side;
    for (let j = i; j < side; j++) out[row + j]! -= scaled * out[base + j]!;
    // Rounding can leave a hair below zero for a constant column.
    if (out[row + i]! < 0) out[row + i] = 0;
  }
  for (let i = 1; i < side; i++) out[base + i] = shift[i]! + out[base + i]! / n;
}

/** Copies the upper triangle into the lower one, in squares that stay in the processor's cache. */
function mirror(out: Float64Array, base: number, side: number): void {
  for (let top = 0; top < side; top += 64) {
    for (let left = top; left < side; left += 64) {
      const [bottom, right] = [Math.min(top + 64, side), Math.min(left + 64, side)];
      for (let i = top; i < bottom; i++) {
        for (let j = Math.max(left, i + 1); j < right; j++) {
          out[base + j * side + i] = out[base + i * side + j]!;
        }
      }
    }
  }
}
