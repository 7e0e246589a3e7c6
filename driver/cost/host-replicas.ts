/**
 * Host copies of values that backends hold, kept beside them after some plan had to bring them: the
 * next plan reads them for nothing. Nothing is ever brought for the sake of being kept here.
 * Invariant: bytes never exceed the budget, and what goes first saves least for its size; what goes
 * is still in its backend.
 */
import type { DenseMatrix, Handle } from '../ir/value.js';

interface Replica {
  readonly value: DenseMatrix;
  /** Time it took to bring. @units seconds */
  readonly seconds: number;
  reads: number;
}

export class HostReplicas {
  readonly budgetBytes: number;
  readonly #replicas = new Map<string, Replica>();
  #bytes = 0;

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#replicas.size;
  }

  /** The copy of a backend's value, if there is one; counts as a read of it. */
  read(handle: Handle): DenseMatrix | undefined {
    const replica = this.#replicas.get(idOf(handle));
    if (replica !== undefined) replica.reads++;
    return replica?.value;
  }

  has(handle: Handle): boolean {
    return this.#replicas.has(idOf(handle));
  }

  /** Keeps what was brought, in place of copies that save less; a value larger than the budget is not kept. */
  keep(handle: Handle, value: DenseMatrix, seconds: number): void {
    const bytes = value.data.byteLength;
    if (bytes > this.budgetBytes || this.has(handle)) return;
    const added: Replica = { value, seconds, reads: 1 };
    const order = [...this.#replicas].sort(([, a], [, b]) => score(a) - score(b));
    for (const [id, replica] of order) {
      if (this.#bytes + bytes <= this.budgetBytes) break;
      // A newcomer that is worth less than all that would have to go does not come in.
      if (score(replica) > score(added)) return;
      this.#drop(id, replica);
    }
    this.#replicas.set(idOf(handle), added);
    this.#bytes += bytes;
  }

  /** Takes the copy out, for its value has left its backend. */
  take(handle: Handle): DenseMatrix | undefined {
    const replica = this.#replicas.get(idOf(handle));
    if (replica !== undefined) this.#drop(idOf(handle), replica);
    return replica?.value;
  }

  clear(): void {
    this.#replicas.clear();
    this.#bytes = 0;
  }

  #drop(id: string, { value }: Replica): void {
    this.#replicas.delete(id);
    this.#bytes -= value.data.byteLength;
  }
}

function idOf({ backend, id }: Handle): string {
  return `${backend}:${id}`;
}

function score({ value, seconds, reads }: Replica): number {
  return (reads * seconds) / value.data.byteLength;
}
