/**
 * The state of a stack's loop between two steps: on the host, as nodes, or left on the device that
 * made it; and whose its memory is. Invariants: cells go to later states once nobody else holds them;
 * what lies on a device is the loop's, and is released once it is no longer state.
 */
import type { DType } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { LoopEnd } from '../ir/loop-end.js';
import { type DenseMatrix, type Handle, heldCells } from '../ir/value.js';
import { matrix } from '../matrix/create.js';
import { HostColumns, NodeValues, SharedCells } from './model-values.js';
import { boundModels } from './transform.js';

/** The state of the models of a stack, by place in it, but for what was left on a device. */
export type HeldValues = HostColumns | NodeValues | SharedCells;
/** The state that a loop begins with. */
export type BegunValues = HostColumns | NodeValues;
export type StateValues = HeldValues | ResidentColumns;

/** Columns of each model beside one another, or cells of all of them, left where they were made. */
export class ResidentColumns {
  readonly value: Handle;
  readonly #onHost: (cells: DenseMatrix) => HostColumns | SharedCells;
  readonly #session: Evaluator;

  /** @param onHost what they are once they are brought there */
  constructor(
    session: Evaluator,
    value: Handle,
    onHost: (cells: DenseMatrix) => HostColumns | SharedCells,
  ) {
    this.#session = session;
    this.value = value;
    this.#onHost = onHost;
  }

  get dtype(): DType {
    return this.value.dtype;
  }

  async onHost(): Promise<HostColumns | SharedCells> {
    return this.#onHost(await this.#session.bring!(this.value));
  }
}

/** The same, on the host what was left on a device. */
export function heldOf(state: readonly StateValues[]): Promise<HeldValues[]> {
  return Promise.all(state.map((one) => (one instanceof ResidentColumns ? one.onHost() : one)));
}

export class StateMemory {
  readonly #session: Evaluator;
  /** Memory that nobody but the loop holds. */
  readonly #own = new Set<ArrayBufferLike>();

  constructor(session: Evaluator) {
    this.#session = session;
  }

  /**
   * Cells of the state before are for the results to come, where nobody else holds them.
   * @param isOwn of the next ones, whether nobody else holds them
   */
  letGo(
    before: readonly StateValues[],
    next: readonly StateValues[],
    isOwn: (at: number) => boolean,
  ): void {
    const known = new Set(before.map(bufferOf));
    const still = new Set(next.map(bufferOf));
    for (const values of before) {
      const buffer = bufferOf(values);
      if (buffer === undefined || still.has(buffer) || !this.#own.delete(buffer)) continue;
      this.#session.recycle?.((values as HostColumns).value);
    }
    // Cells that were there before are whose they were.
    for (const [i, values] of next.entries()) {
      const buffer = bufferOf(values);
      if (buffer === undefined || known.has(buffer)) continue;
      if (isOwn(i)) this.#own.add(buffer);
    }
    this.release(before, next);
  }

  /** What was left on a device and is no longer state. */
  release(before: readonly StateValues[], next: readonly StateValues[]): void {
    const still = new Set(next.map(handleOf));
    for (const handle of new Set(before.map(handleOf))) {
      if (handle !== undefined && !still.has(handle)) this.#session.release?.(handle);
    }
  }
}

function handleOf(values: StateValues): Handle | undefined {
  return values instanceof ResidentColumns ? values.value : undefined;
}

/** The memory of cells that are on the host. */
function bufferOf(values: StateValues): ArrayBufferLike | undefined {
  return values instanceof HostColumns ? heldCells(values.value)?.buffer : undefined;
}

/** Places of models without numbers. */
export function lostPlaces(state: readonly StateValues[], done: HostColumns): ReadonlySet<number> {
  const lost = new Set<number>();
  for (const values of [...state, done]) {
    if (values instanceof HostColumns) values.addNaN(lost);
    else if (values instanceof SharedCells && values.hasNaN) {
      for (let place = 0; place < done.value.cols; place++) lost.add(place);
    }
  }
  return lost;
}

/** The state of all models, from that of each. @param cols of one */
export function joinedState(
  session: Evaluator,
  parts: readonly LoopEnd['state'][number][],
  cols: number,
): BegunValues {
  const isCells = parts.every((part): part is DenseMatrix => !('of' in part));
  if (isCells) return HostColumns.beside(session, parts);
  const exprs = parts.map((part) => {
    return 'of' in part ? part.expr : matrix(session, part, { copy: false }).expr;
  });
  return new NodeValues(session, 'columns', boundModels(session, 'columns', exprs), cols);
}

/** Nodes over other leaves. */
export function substituted(
  session: Evaluator,
  roots: readonly Expr[],
  others: ReadonlyMap<Expr, Expr>,
): Expr[] {
  const made = new Map(others);
  for (const expr of topological(roots, (node) => made.has(node))) {
    if (!expr.inputs.some((input) => made.has(input))) continue;
    const inputs = expr.inputs.map((input) => made.get(input) ?? input);
    made.set(expr, session.intern(expr.op, inputs, expr.attrs));
  }
  return roots.map((root) => made.get(root) ?? root);
}
