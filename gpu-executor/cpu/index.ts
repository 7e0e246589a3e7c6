/** The public face of the local CPU backend. */
export { type CpuBackend, type CpuBackendOptions, createCpuBackend } from './backend.js';
export { createDuckDbEngine, type DuckDbEngine, duckDbVersion } from './duckdb/index.js';
export type {
  NumberTable,
  NumberTableOptions,
  WrittenFormat,
} from './duckdb/number-table.js';
export type {
  CsvWriteOptions,
  Query,
  QueryFormat,
  QueryInput,
  QueryOptions,
  QuerySandbox,
  ResultColumn,
} from './duckdb/sandbox.js';
export type { FrameReader, FrameReadOptions } from './frame-reader.js';
export { type InstallOptions, installOpenBlas } from './native/install.js';
export { type BlasOptions, describeBlas } from './native/load-blas.js';
export { openBlasFolder, openBlasVersion } from './native/platform.js';
export { INSTALLED_BY, loadTensorFlow } from './providers/tensorflow.js';
