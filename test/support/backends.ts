/**
 * Every backend the conformance suite runs, one row each. Invariant: a row declares each operator its backend lacks, with
 * the error class expected of it; a declared gap that works fails the suite, so that this table stays true.
 */

import type { OpName } from '../../driver/operators/index.js';
import type { Backend } from '../../driver/runtime/backend.js';
import { createReferenceBackend } from '../../driver/runtime/reference-backend.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';

export interface Gap {
  /** `notImplemented`: ours to write. `notSupported`: the engine can't. */
  readonly kind: 'notImplemented' | 'notSupported';
  readonly why: string;
}

export interface BackendRow {
  readonly name: string;
  /** A fresh backend, or the reason this machine can't run it (the suite then skips it loudly). */
  readonly make: () => Promise<Backend | string>;
  /** Operators without a kernel: not in `capabilities.ops`, so the planner raises UnsupportedError. */
  readonly gaps: Readonly<Partial<Record<OpName, Gap>>>;
}

const needsEngine: Gap = { kind: 'notSupported', why: 'reads frames, which needs an engine' };

export const backends: readonly BackendRow[] = [
  {
    name: 'reference',
    make: async () => createReferenceBackend(),
    gaps: { frame: needsEngine, encode: needsEngine },
  },
  {
    name: 'cpu',
    make: async () => {
      const backend = await createCpuBackend();
      return backend.blas.kind === 'native' ? backend : backend.blas.description;
    },
    gaps: {},
  },
  { name: 'cpu without BLAS', make: () => createCpuBackend({ blas: 'none' }), gaps: {} },
];
