/**
 * Tallies of all candidates on all splits, put together from the values of outputs: the search's own
 * as it runs, or computed again by a replay.
 */
import type { TestScatter } from '../splits/partition.js';
import type { PredictionFacts } from './formulas.js';
import type { MeasureName, MeasureShape, ReadMeasure } from './measure-readers.js';
import { emptyTally, type Tally } from './tally.js';

/** Which scores are read from an output, and how. */
export type ScoreOutput = {
  /** Its name among the outputs of the search. */
  readonly output: string;
  readonly partition: number;
  /** Numbers of the candidates it is about, in its order of models. */
  readonly candidates: readonly number[];
} & (
  | { readonly measure: MeasureName; readonly shape: MeasureShape }
  /** What metrics in SQL are computed from. */
  | { readonly measure: 'predictions'; readonly predicted: PredictionFacts }
);

/** By number of the split among all, then candidate. */
export type TallyOf = (fold: number, candidate: number) => Tally;

export class Tallies {
  readonly #scatter: readonly (readonly TestScatter[])[];
  readonly #found: Tally[][] = [];

  /** @param scatter by partition and split */
  constructor(scatter: readonly (readonly TestScatter[])[]) {
    this.#scatter = scatter;
  }

  add(
    { partition, candidates }: Pick<ScoreOutput, 'partition' | 'candidates'>,
    read: ReadMeasure,
  ): void {
    const first = this.#scatter.slice(0, partition).reduce((sum, { length }) => sum + length, 0);
    for (const [split, tested] of this.#scatter[partition]!.entries()) {
      for (const [model, candidate] of candidates.entries()) {
        this.#found[candidate] ??= [];
        const known = this.#found[candidate][first + split] ?? emptyTally;
        const own = { ...known, ...tested, ...read(split, model) };
        this.#found[candidate][first + split] = own;
      }
    }
  }

  has(fold: number, candidate: number): boolean {
    return this.#found[candidate]?.[fold] !== undefined;
  }

  readonly of: TallyOf = (fold, candidate) => this.#found[candidate]![fold]!;
}
