/** Every CPU kernel. Adding one is a line here; a backend's capabilities follow from this list. */
import type { OpDef } from '../../../driver/ir/op-def.js';
import type { Cells } from '../../../driver/ir/value.js';
import { encode } from '../../../driver/operators/encode.js';
import { frame } from '../../../driver/operators/frame.js';
import { ops } from '../../../driver/operators/index.js';
import { mergeGroupGram } from '../../../driver/operators/merge-group-gram.js';
import { aggregateKernels } from './aggregates.js';
import { bestColumnsKernel } from './best-columns.js';
import { blockProductsKernel } from './block-products.js';
import { columnMomentsKernel } from './column-moments.js';
import { columnRunKernels } from './column-runs.js';
import { convolutionKernels } from './conv2d.js';
import { coordinateDescentKernel } from './coordinate-descent.js';
import { csrAggregates, csrElementwise } from './csr-cells.js';
import { type CsrForm, readingCsr } from './csr-form.js';
import { csrGroups } from './csr-groups.js';
import { csrMoves } from './csr-moves.js';
import { csrProducts } from './csr-products.js';
import { csrWeighted } from './csr-weighted.js';
import { descentPathKernel } from './descent-path.js';
import { elementwiseKernel } from './elementwise.js';
import { foldKernels } from './fold-fits.js';
import { gramLossKernel } from './gram-loss.js';
import { groupCrossKernel } from './group-cross.js';
import { groupGramKernel } from './group-gram.js';
import { groupLossKernel } from './group-loss.js';
import { groupQuantileKernel } from './group-quantile.js';
import { groupSilhouetteKernel } from './group-silhouette.js';
import { groupKernels } from './groups.js';
import { heldOutKernel } from './held-out.js';
import { imageKernels } from './images.js';
import { type Kernel, referenceKernel } from './kernel.js';
import { productKernels } from './products.js';
import { regroupSumsKernel } from './regroup-sums.js';
import { movingKernels, reorganiseKernels } from './reorganise.js';
import { leafKernels, sourceKernels } from './sources.js';
import { stackKernels } from './stacks.js';
import { eigenKernel, leastNormKernel, systemKernels } from './systems.js';
import { topKKernel } from './top-k.js';
import { weightedKernels } from './weighted.js';
import { weightedGramKernel } from './weighted-gram.js';
import { widened } from './widened.js';

const elementwiseKernels = Object.values(ops)
  .filter((op) => op.elementwise && op.cell !== undefined)
  .map(elementwiseKernel);

/** Kernels over cells of either dtype. */
const native: readonly Kernel<Cells>[] = [
  ...leafKernels,
  ...aggregateKernels,
  ...elementwiseKernels,
  ...productKernels,
  ...systemKernels,
  ...movingKernels,
  ...groupKernels,
  ...columnRunKernels,
  ...stackKernels,
  ...convolutionKernels,
  ...imageKernels,
  blockProductsKernel,
  weightedGramKernel,
  bestColumnsKernel,
  regroupSumsKernel,
];

/** Kernels over float64. */
const wide: readonly Kernel[] = [
  ...sourceKernels,
  topKKernel,
  ...weightedKernels,
  ...reorganiseKernels,
  groupGramKernel,
  columnMomentsKernel,
  groupCrossKernel,
  groupLossKernel,
  heldOutKernel,
  groupQuantileKernel,
  // It counts one column after another, as the definition does.
  referenceKernel(ops.groupMode),
  referenceKernel(ops.innerFolds),
  // They sort one column after another, as the definition does.
  referenceKernel(ops.groupRanks),
  referenceKernel(ops.groupPrecision),
  groupSilhouetteKernel,
  // Small next to the data of its operands.
  referenceKernel(mergeGroupGram),
  gramLossKernel,
  leastNormKernel,
  eigenKernel,
  ...foldKernels,
  coordinateDescentKernel,
  descentPathKernel,
];

/** What operators do with compressed rows. */
const csrForms: ReadonlyMap<OpDef, CsrForm> = new Map(
  [
    ...elementwiseKernels.filter(({ op }) => op.arity.max <= 2).map(({ op }) => csrElementwise(op)),
    ...csrAggregates,
    ...csrProducts,
    ...csrMoves,
    ...csrWeighted,
    ...csrGroups,
  ].map((form) => [form.op, form]),
);

export const kernelOf: ReadonlyMap<string, Kernel<Cells>> = new Map(
  [...native, ...wide.map(widened)].map((kernel) => [
    kernel.op.name,
    readingCsr(kernel, csrForms.get(kernel.op)),
  ]),
);

/** Operators this backend runs: those with a kernel, and the two a scan answers. */
export const supportedOps: ReadonlySet<string> = new Set([
  ...kernelOf.keys(),
  encode.name,
  frame.name,
]);
