/**
 * Every backend the conformance suite runs, one row each. Invariant: a row declares each operator
 * its backend lacks, with the error class expected of it; a declared gap that works fails the
 * suite, so that this table stays true.
 */

import type { Backend } from '../../driver/backend/backend.js';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import type { OpName } from '../../driver/operators/index.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { simulatedBackend } from './simulated-backend.js';
import { simulatedDevice } from './simulated-device.js';
import { createTestSpark } from './spark.js';

export interface Gap {
  /** `notImplemented`: ours to write. `notSupported`: the engine can't. */
  readonly kind: 'notImplemented' | 'notSupported';
  readonly why: string;
}

export interface BackendRow {
  readonly name: string;
  /** A fresh backend, or the reason this machine can't run it (the suite then skips it loudly). */
  readonly make: () => Promise<Backend | string>;
  /** Operators without a kernel: not in `capabilities.ops`, so plans throw UnsupportedError. */
  readonly gaps: Readonly<Partial<Record<OpName, Gap>>>;
}

const onHost: Gap = {
  kind: 'notImplemented',
  why: 'takes its operands whole, so the host runs it',
};
const valueOnly: Gap = { kind: 'notSupported', why: 'the session calls the function' };
const needsEngine: Gap = { kind: 'notSupported', why: 'reads frames, which needs an engine' };

/** Embedded Spark with three rows a chunk, so that even the smallest case is cut up. */
function sparkRow(name: string, conf: Readonly<Record<string, string>>): BackendRow {
  return {
    name,
    make: () => createTestSpark({ conf: { 'spark.reprise.chunkRows': '3', ...conf } }),
    gaps: {
      frame: { kind: 'notSupported', why: 'has no value of its own' },
      call: valueOnly,
      literal: { kind: 'notSupported', why: 'its cells travel as an operand' },
      slot: { kind: 'notSupported', why: 'its cells travel as an operand' },
      scalar: { kind: 'notSupported', why: 'its cell travels as an operand' },
      reshape: onHost,
      restack: onHost,
      diag: onHost,
      addDiag: onHost,
      solve: onHost,
      cholesky: onHost,
      mergeGroupGram: onHost,
      gramLoss: onHost,
      groupQuantile: onHost,
      groupRanks: onHost,
      groupPrecision: onHost,
      groupSilhouette: onHost,
      foldRidge: onHost,
      leastNorm: onHost,
      foldLeastNorm: onHost,
      coordinateDescent: onHost,
      descentPath: onHost,
      foldElasticNet: onHost,
      eigen: onHost,
      blockProducts: onHost,
      stackSolve: onHost,
      stackCholesky: onHost,
    },
  };
}

const costs = { exchangeSeconds: 0, uploadBytesPerSecond: 1e9, downloadBytesPerSecond: 1e9 };

export const backends: readonly BackendRow[] = [
  {
    name: 'reference',
    make: async () => createReferenceBackend(),
    gaps: { frame: needsEngine, encode: needsEngine, call: valueOnly },
  },
  {
    name: 'simulated device',
    make: async () => simulatedDevice({ name: 'gpu', costs, seconds: () => 0 }),
    gaps: { frame: needsEngine, encode: needsEngine, call: valueOnly },
  },
  {
    name: 'simulated backend',
    make: async () => simulatedBackend({ name: 'far', blocks: 'none', costs, seconds: () => 0 }),
    gaps: { frame: needsEngine, encode: needsEngine, call: valueOnly },
  },
  {
    name: 'cpu',
    make: async () => {
      const backend = await createCpuBackend();
      return backend.blas.kind === 'native' ? backend : backend.blas.description;
    },
    gaps: { call: valueOnly },
  },
  sparkRow('spark', {}),
  // All row blocks compressed: zeros skipped where the operands are finite.
  sparkRow('spark, CSR blocks', { 'spark.reprise.blocks': 'csr' }),
  {
    name: 'cpu without BLAS',
    make: () => createCpuBackend({ blas: 'none' }),
    gaps: { call: valueOnly },
  },
];
