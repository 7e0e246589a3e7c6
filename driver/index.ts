/** The public driver API. What is not exported here may change between any two versions. */

export type {
  Backend,
  BackendCapabilities,
  CostEstimate,
  DeviceWork,
  RunContext,
  Segment,
  SegmentResult,
} from './backend/backend.js';
export type { CacheEntry } from './backend/cache-entry.js';
export type { CacheTier, TierIndex, TierUsage } from './backend/cache-tier.js';
export { createReferenceBackend } from './backend/reference-backend.js';
export type { BatchArgument } from './batch/arguments.js';
export {
  type BatchFunction,
  type BatchOptions,
  batch,
  batchSettled,
  callTogether,
  explainBatch,
} from './batch/batch.js';
export {
  type IterateOptions,
  iterate,
  type LoopResult,
  type LoopState,
  type LoopStep,
} from './batch/iterate.js';
export { type BatchPlan, planBatch } from './batch/plan-batch.js';
export { printPlan } from './compiler/explain.js';
export type { PlacementPolicy } from './compiler/pass.js';
export { loadCostModel, saveCostModel } from './cost/cost-file.js';
export { CostModel } from './cost/cost-model.js';
export {
  BackendLostError,
  ConfigError,
  DataError,
  DTypeError,
  ExecutionError,
  InternalError,
  LivyError,
  PlanError,
  RepriseError,
  ResourceError,
  ShapeError,
  SingularError,
  UnsupportedError,
} from './errors.js';
export type { FeatureOptions, FeatureSpec } from './frame/feature-spec.js';
export {
  type FeatureSelection,
  type FeatureSummary,
  type MeanImputation,
  type ResolvedFeatures,
  resolveFeatures,
} from './frame/features.js';
export { FileProfiles } from './frame/file-profiles.js';
export { Frame, openFrame } from './frame/frame.js';
export { verifyUnchanged } from './frame/identity.js';
export { encodedParts, ownCategories } from './frame/part-features.js';
export { fileTree } from './frame/parts.js';
export type { ClassValue, TargetOptions } from './frame/target.js';
export type { CallCounts } from './functions/function-cache.js';
export { type Reusable, reusable } from './functions/reusable.js';
export { gradient } from './gradient/gradient.js';
export {
  type AdamOptions,
  type AdamWOptions,
  adam,
  adamW,
  constantRate,
  cosineRate,
  type Descent,
  descentFrom,
  inverseScalingRate,
  type Optimiser,
  type RateSchedule,
  type SgdOptions,
  type StepNumbers,
  sgd,
  stepRate,
} from './gradient/optimisers.js';
export type { Attrs, AttrValue } from './ir/attrs.js';
export { CsrMatrix } from './ir/csr.js';
export { DTYPES, type DType } from './ir/dtype.js';
export type { Evaluator } from './ir/evaluator.js';
export type { Expr, Meta } from './ir/expr.js';
export type {
  ColumnProfile,
  FrameColumn,
  FrameEngine,
  FrameFile,
  FrameSource,
  SqlDialect,
  SqlText,
} from './ir/frame-engine.js';
export type { GradientRule, GradientSite } from './ir/gradient-rule.js';
export { type LineageKey, lineageKey } from './ir/lineage-key.js';
export type { OpDef, RowRule } from './ir/op-def.js';
export { attrsLabel, printExprs } from './ir/print.js';
export {
  CSV_ENCODINGS,
  type DescribeOptions,
  type ReadOptions,
  SCHEMA_TYPES,
} from './ir/read-options.js';
export {
  type Cells,
  converted,
  type DenseMatrix,
  dense,
  type Float64Matrix,
  type Handle,
  type Value,
} from './ir/value.js';
export {
  type DeserializeOptions,
  deserializeLineage,
  type RestoredLineage,
  type SerializeOptions,
  serializeLineage,
} from './lineage/serialize.js';
export type { StoredLineage } from './lineage/stored-lineage.js';
export {
  eye,
  fill,
  type MatrixOptions,
  matrix,
  type NormalOptions,
  ones,
  type RandOptions,
  rand,
  scalar,
  seq,
  shuffledAt,
  type UniformOptions,
  uniformAt,
  zeros,
} from './matrix/create.js';
export { type CompressedRows, coo, csr, type Triplets } from './matrix/create-sparse.js';
export type { Operand } from './matrix/element-wise.js';
export {
  type Factorisation,
  type ProductGuard,
  selectRows,
  type WeightedProductOptions,
  weightedCrossEntropy,
  weightedLoss,
  weightedProduct,
} from './matrix/factorise.js';
export {
  type ClassScores,
  foldCols,
  groupPrecision,
  groupQuantile,
  groupRanks,
  groupSilhouette,
  groupSums,
  heldOut,
  innerFolds,
  type NonnegativeOptions,
  nonnegative,
  presentModes,
  presentQuantiles,
  takeRows,
} from './matrix/grouped.js';
export {
  type AverageOptions,
  type ConvolutionOptions,
  type Extent,
  embedding,
  Images,
  layerNorm,
  type Normalisation,
  normalScale,
  type Padding,
  type WindowOptions,
} from './matrix/images.js';
export {
  type ExplainOptions,
  Matrix,
  Scalar,
  type SliceRange,
  type SolveOptions,
} from './matrix/matrix.js';
export {
  binaryCrossEntropy,
  cosineLoss,
  crossEntropy,
  type DropoutOptions,
  dropout,
  gelu,
  logSoftmax,
  oneHot,
  relu,
  squaredLoss,
} from './matrix/network.js';
export { bestColumns, type Regrouping, regroupSums } from './matrix/regroup.js';
export {
  type EncodedFeature,
  type EncodedPart,
  encodedWidth,
  featureWidth,
  rowCells,
} from './operators/encode-block.js';
export type { Loss } from './operators/group-loss.js';
export type { ImageShape } from './operators/image-window.js';
export { type OpName, opByName, ops } from './operators/index.js';
export type { PolicyName } from './reuse/eviction-policy.js';
export { type ResultRole, type ReusePolicy, reusePolicy } from './reuse/setting.js';
export type { SpillOptions } from './reuse/spill-tier.js';
export {
  DurableStore,
  type DurableStoreOptions,
  type StoreEntry,
} from './reuse/store/durable-store.js';
export type { Json } from './reuse/store/entry-format.js';
export { Run, type RunScope } from './runtime/run.js';
export { Session, type SessionOptions } from './runtime/session.js';
export type { NodeRecord, Statistics } from './runtime/statistics.js';
export { REUSE_WORDS, type ReuseSetting } from './support/reuse-words.js';
