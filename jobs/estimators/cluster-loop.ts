/**
 * Where the starts of a k-means model stood, kept as the ends of other loops are, so that the model
 * with more iterations goes on there. Invariant: a model is known by its rows and its parameters but
 * for `max_iter`; what is kept is small, so it lasts as long as the durable store does.
 */
import { slotLeaf } from '../../driver/batch/trace.js';
import { type DenseMatrix, dense, type Matrix } from '../../driver/index.js';
import type { LoopEnd, LoopIdentity } from '../../driver/ir/loop-end.js';
import type { ClusterEnd } from './clusters.js';
import type { Params, RowData } from './estimator.js';

/** Of a start: the iterations it took, and whether its centres move no more. */
const TOLD = 2;

export class ClusterLoop {
  readonly #session: Matrix['session'];
  readonly #loop: LoopIdentity;
  readonly #most: number;
  readonly #starts: number;
  /** Rows and columns of what is kept: centres, sums, what is told, start after start. */
  readonly #shapes: readonly (readonly [rows: number, cols: number])[];

  /** @param from all that depends on the rows */
  constructor({ X, design }: RowData, from: readonly Matrix[], params: Params) {
    const { max_iter: most, ...rest } = params;
    const clusters = params.n_clusters as number;
    this.#session = X.session;
    this.#most = most as number;
    this.#starts = params.n_init as number;
    this.#loop = { form: JSON.stringify(rest), inputs: from.map(({ expr }) => expr) };
    const rows = this.#starts * clusters;
    this.#shapes = [[rows, design.columns], [rows, X.cols + 1], [this.#starts, TOLD]]; // biome-ignore format: a table
  }

  /** By start. @param isFresh not at the limit itself */
  async find(isFresh: boolean): Promise<ClusterEnd[] | undefined> {
    const like = this.#shapes.map(([rows, cols]) =>
      slotLeaf(this.#session, { rows, cols, dtype: 'float64' }),
    );
    const end = await this.#session.loopEnd?.(this.#loop, like, { most: this.#most, isFresh });
    if (end === undefined) return undefined;
    const parts = (end.state as readonly DenseMatrix[]).map(({ data }) => {
      const length = data.length / this.#starts;
      return (start: number) => Float64Array.from(data.subarray(start * length, (start + 1) * length)); // biome-ignore format: a copy
    });
    return Array.from({ length: this.#starts }, (_, start) => {
      const [centers, encodedSums, told] = parts.map((of) => of(start));
      const [iterations, finished] = told!;
      return {
        centers: centers!,
        encodedSums: encodedSums!,
        iterations: iterations!,
        isFinished: finished === 1,
      };
    });
  }

  /** @param known what it went on from; @param seconds, waited as of `keepLoopEnd` */
  keep(
    ends: readonly ClusterEnd[],
    known: readonly ClusterEnd[] | undefined,
    seconds: number,
    waited: number,
  ): void {
    if (known?.every((one, start) => one.iterations === ends[start]!.iterations)) return;
    const cells = [
      ends.flatMap(({ centers }) => [...centers]),
      ends.flatMap(({ encodedSums }) => [...encodedSums]),
      ends.flatMap(({ iterations, isFinished }) => [iterations, isFinished ? 1 : 0]),
    ];
    const end: LoopEnd = {
      iterations: Math.max(...ends.map(({ iterations }) => iterations)),
      isFinished: ends.every(({ isFinished }) => isFinished),
      state: this.#shapes.map(([rows, cols], i) => dense(rows, cols, Float64Array.from(cells[i]!))),
    };
    this.#session.keepLoopEnd?.(this.#loop, end, seconds, waited);
  }
}
