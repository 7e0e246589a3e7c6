/**
 * Every backend the conformance suite runs, one row each. Invariant: a row declares each operator
 * its backend lacks, with the error class expected of it; a declared gap that works fails the
 * suite, so that this table stays true.
 */

import type { Backend } from '../../driver/backend/backend.js';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { csrOf } from '../../driver/ir/csr.js';
import type { Value } from '../../driver/ir/value.js';
import type { OpName } from '../../driver/operators/index.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { findTensorFlow, INSTALLED_BY } from '../../gpu-executor/cpu/providers/tensorflow.js';
import { openTestDevice, TESTED } from './devices.js';
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
  /** Operators that are run. Default: all. */
  readonly only?: readonly OpName[];
}

const onHost: Gap = {
  kind: 'notImplemented',
  why: 'takes its operands whole, so the host runs it',
};
const onImages: Gap = { kind: 'notImplemented', why: 'works on images, which the host does' };
const valueOnly: Gap = { kind: 'notSupported', why: 'the session calls the function' };
const needsEngine: Gap = { kind: 'notSupported', why: 'reads frames, which needs an engine' };

/** Of backends without kernels for images. */
const imageGaps: BackendRow['gaps'] = {
  conv2d: onImages,
  conv2dInputGradient: onImages,
  conv2dFilterGradient: onImages,
  maxPool2d: onImages,
  maxPool2dGradient: onImages,
  bindRuns: onImages,
  sliceRuns: onImages,
  permuteAxes: onImages,
};

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
      groupMode: onHost,
      innerFolds: onHost,
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
      uniformAt: onHost,
      shuffledAt: onHost,
      stackSolve: onHost,
      stackCholesky: onHost,
      ...imageGaps,
    },
  };
}

function withCsrOperands(backend: Backend): Backend {
  const compressed = (value: Value): Value => (value.kind === 'dense' ? csrOf(value) : value);
  return {
    name: backend.name,
    capabilities: backend.capabilities,
    estimate: (expr) => backend.estimate(expr),
    ...(backend.runSync && {
      runSync: (expr, inputs) => backend.runSync!(expr, inputs.map(compressed)),
    }),
    run: (segment, context) => {
      const inputs = new Map([...segment.inputs].map(([e, value]) => [e, compressed(value)]));
      return backend.run({ ...segment, inputs }, context);
    },
    ...(backend.recycle && { recycle: (value) => backend.recycle!(value) }),
    close: () => backend.close(),
  };
}

const noKernel: Gap = { kind: 'notImplemented', why: 'has no kernel for devices' };

/** Of every device: the kernels are the same. */
const deviceGaps: BackendRow['gaps'] = {
  frame: needsEngine,
  encode: needsEngine,
  call: valueOnly,
  coordinateDescent: noKernel,
  descentPath: noKernel,
  eigen: noKernel,
  foldElasticNet: noKernel,
  foldLeastNorm: noKernel,
  foldRidge: noKernel,
  gramLoss: noKernel,
  groupCross: noKernel,
  groupLoss: noKernel,
  groupMode: noKernel,
  groupPrecision: noKernel,
  groupQuantile: noKernel,
  groupRanks: noKernel,
  groupSilhouette: noKernel,
  heldOut: noKernel,
  innerFolds: noKernel,
  kfold: noKernel,
  leastNorm: noKernel,
  mergeGroupGram: noKernel,
  nonnegative: noKernel,
  wcemm: noKernel,
  wdivmm: noKernel,
  wsloss: noKernel,
};

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
  {
    // Every operand as compressed rows: zeros skipped where that changes nothing.
    name: 'cpu, CSR operands',
    make: async () => {
      const backend = await createCpuBackend();
      return backend.blas.kind === 'native' ? withCsrOperands(backend) : backend.blas.description;
    },
    gaps: { call: valueOnly },
  },
  sparkRow('spark', {}),
  // All row blocks compressed: zeros skipped where the operands are finite.
  sparkRow('spark, CSR blocks', { 'spark.reprise.blocks': 'csr' }),
  { name: TESTED, make: () => openTestDevice(), gaps: deviceGaps },
  {
    // Kernels over compressed rows, and some that read the cells, all of which are made by one.
    name: 'opencl, CSR operands',
    make: async () => {
      const backend = await openTestDevice();
      return typeof backend === 'string' ? backend : withCsrOperands(backend);
    },
    gaps: deviceGaps,
    only: ['matmul', 'tsmm', 'mmchain', 'add', 'colSums', 'rbind', 'solve'],
  },
  {
    // TensorFlow.js wherever it has a kernel; NaN and odd geometries are among the cases.
    name: 'TensorFlow.js',
    make: async () => {
      if (findTensorFlow() === undefined) return `no TensorFlow.js; ${INSTALLED_BY}`;
      return createCpuBackend({ tensorflow: 'always' });
    },
    gaps: { call: valueOnly },
    only: ['conv2d', 'conv2dInputGradient', 'conv2dFilterGradient', 'matmul', 'tsmm'],
  },
  {
    name: 'cpu without BLAS',
    make: () => createCpuBackend({ blas: 'none' }),
    gaps: { call: valueOnly },
  },
];
