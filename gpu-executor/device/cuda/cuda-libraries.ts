/**
 * NVIDIA's libraries on the compute stream of a device, each opened when it is first needed.
 * Invariant: what they hold is given back by `close`; one that is missing or does not start is not
 * asked again.
 */
import type { Device, DeviceProduct, DeviceSystem, Pointer } from '../driver.js';
import type { CudaCalls } from './bindings.js';
import { type CuBlas, openCuBlas } from './cublas.js';
import { quietly } from './cuda-queue.js';
import { type CuSolver, isSolverSize, openCuSolver } from './cusolver.js';

export interface LibraryPlace {
  readonly calls: CudaCalls;
  readonly stream: bigint;
  /** Looked in first. */
  readonly folder: string | undefined;
  readonly addressOf: (pointer: Pointer) => bigint;
  /** @throws ResourceError */
  readonly allocate: (bytes: number) => bigint;
}

export class CudaLibraries {
  readonly #place: LibraryPlace;
  /** Null: there is none. */
  #blas: CuBlas | null | undefined;
  #solver: CuSolver | null | undefined;
  /** Of the solver. */
  #workspace: { readonly address: bigint; readonly bytes: number } | undefined;

  constructor(place: LibraryPlace) {
    this.#place = place;
  }

  get hasSolver(): boolean {
    return this.#openSolver() !== null;
  }

  /** @returns whether it was queued */
  multiply(product: DeviceProduct): boolean {
    const { stream, folder, addressOf } = this.#place;
    if (this.#blas === undefined) this.#blas = openCuBlas(stream, folder) ?? null;
    return this.#blas?.multiply(product, addressOf) ?? false;
  }

  canSolve(system: DeviceSystem): boolean {
    return isSolverSize(system) && this.hasSolver;
  }

  /** Of a system that it can solve, what `prepareLaunch` has laid out. @returns calls queued */
  solve(system: DeviceSystem): number {
    const { addressOf } = this.#place;
    const workspace = (bytes: number): bigint => this.#workspaceOf(bytes);
    return this.#openSolver()!.solve(system, { workspace, addressOf });
  }

  close(): void {
    quietly(() => this.#blas?.close());
    quietly(() => this.#solver?.close());
    quietly(() => this.#freeWorkspace());
  }

  #openSolver(): CuSolver | null {
    const { stream, folder } = this.#place;
    if (this.#solver === undefined) this.#solver = openCuSolver(stream, folder) ?? null;
    return this.#solver;
  }

  /** What there is, or a larger one once nothing uses it any more. */
  #workspaceOf(bytes: number): bigint {
    if (this.#workspace !== undefined && this.#workspace.bytes >= bytes) {
      return this.#workspace.address;
    }
    this.#freeWorkspace();
    const address = this.#place.allocate(bytes);
    this.#workspace = { address, bytes };
    return address;
  }

  #freeWorkspace(): void {
    if (this.#workspace === undefined) return;
    const { calls, stream } = this.#place;
    const { address } = this.#workspace;
    this.#workspace = undefined;
    quietly(() => calls.cuStreamSynchronize(stream));
    calls.cuMemFree_v2(address);
  }
}

/** The properties of an open device, which say what its libraries can. */
export function withLibraries(
  properties: Device['properties'],
  hasSolver: () => boolean,
): Device['properties'] {
  return {
    ...properties,
    // Asked when the first large system comes: the library takes a while to load.
    get hasSolver() {
      return hasSolver();
    },
  };
}
