/** Spark for Reprise: set it up, start it, and run plans on it. */
export type { CallOptions, Channel, Reply } from './channel/channel.js';
export { toError } from './channel/channel.js';
export { DirectChannel, type DirectChannelOptions } from './channel/direct-channel.js';
export { classArchive } from './embedded/class-archive.js';
export { buildShim, installSpark, type SparkSetupOptions } from './embedded/install.js';
export {
  findJava,
  findNativeBlasFolder,
  findSpark,
  findUsableSpark,
  type JavaInstallation,
  nativeBlasFiles,
  requireJava,
  type SparkInstallation,
  shimJar,
  type UsableSpark,
  wantedSpark,
} from './embedded/locations.js';
export {
  LINES_TEXT,
  type ScalaVersion,
  type ShimTarget,
  type SparkLine,
  shimTarget,
} from './embedded/spark-lines.js';
export {
  type EmbeddedSpark,
  type EmbeddedSparkOptions,
  startEmbeddedSpark,
} from './embedded/start.js';
export { createLivyBackend, describeLivy, type LivyBackendOptions } from './livy/livy-backend.js';
export { aggregateMatrix } from './programs/aggregate-matrix.js';
export {
  type SparkOutput,
  type SparkQuery,
  sparkRows,
  sparkWrite,
} from './programs/query-sql.js';
export {
  createSparkBackend,
  SparkBackend,
  type SparkBackendOptions,
  type SparkTierOptions,
} from './programs/spark-backend.js';
export {
  type WriteMatrixOptions,
  type WrittenMatrix,
  writeMatrix,
} from './programs/write-matrix.js';
export type { RddReuse } from './rdd/delayed-caching.js';
export { RddTier } from './rdd/rdd-tier.js';
export { requireSubmit } from './submit/launch.js';
export { isLocalMaster, type SparkSection, type SparkWay, sparkWay } from './submit/settings.js';
