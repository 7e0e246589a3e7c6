/**
 * What travels between driver and shim, the same over every channel: a frame is one JSON header and
 * any number of binary payloads. Both sides of every type stand here and in
 * `scala-shim/.../protocol`; field names are the same. Invariant: absent is `null` or left out,
 * never `undefined` in the JSON; cells are little-endian, row-major, of the value's `dtype`
 * (absent: float64).
 *
 *   bytes 0-3   magic 'RPR1'
 *   bytes 4-7   length of the header in bytes, unsigned little-endian, a multiple of 8
 *   header      UTF-8 JSON, padded with spaces; `payloads` lists the lengths of what follows
 *   payloads    one after another, each at a multiple of 8 bytes from the start of the frame
 */

import type { DType } from '../../driver/ir/dtype.js';
import type { WireQuery, WireQueryResult } from './wire-query.js';

/** JSON as in a header. Non-finite numbers are `{"$num": "NaN" | "Infinity" | "-Infinity"}`. */
export type WireJson =
  | number
  | string
  | boolean
  | null
  | readonly WireJson[]
  | { readonly [key: string]: WireJson };

/** How an instruction takes one of its operands: by row blocks or whole. */
export interface WireOperand {
  readonly id: number;
  readonly blocked: boolean;
}

/** One operator application; `id` names its value. Single assignment form, inputs first. */
export interface WireInstruction {
  readonly id: number;
  readonly op: string;
  readonly attrs: WireJson;
  readonly operands: readonly WireOperand[];
  readonly rows: number;
  readonly cols: number;
  readonly dtype?: DType;
  /** Evaluated by row blocks: a source, a map or a reduction over its blocked operands. */
  readonly blocked: boolean;
}

/**
 * A value a program starts from: a payload of this frame, dense or compressed rows of `nnz` cells,
 * or a value the shim holds already. With both, it is broadcast and held for later programs.
 */
export interface WireInput {
  readonly id: number;
  readonly rows: number;
  readonly cols: number;
  readonly dtype?: DType;
  readonly nnz?: number;
  readonly payload: number | null;
  readonly handle: string | null;
}

export interface WireProgram {
  /** Names the run, for progress and cancelling; chosen by the driver. */
  readonly run: string;
  readonly inputs: readonly WireInput[];
  readonly instructions: readonly WireInstruction[];
  /** Ids whose values come back as payloads, in this order. */
  readonly outputs: readonly number[];
  /** Ids kept in the cluster, under handles the driver chooses. */
  readonly persist: readonly WireKeep[];
  /** Reductions also wanted over parts of the rows, and where each part ends. Absent: none. */
  readonly parts?: readonly { readonly id: number; readonly ends: readonly number[] }[];
}

export interface WireKeep {
  readonly id: number;
  readonly handle: string;
  /** Name of Spark's `StorageLevel`; null is `MEMORY_AND_DISK`. */
  readonly level: string | null;
  /** Computed with the first job that reads it, if nothing of this program does. */
  readonly lazy: boolean;
}

export interface WireHandle {
  readonly handle: string;
  readonly rows: number;
  readonly cols: number;
  readonly bytes: number;
}

export interface WireRunResult {
  /** Shapes of the outputs; cells are in the payload of the same position. */
  readonly outputs: readonly { readonly rows: number; readonly cols: number }[];
  /** Reductions whose results over parts follow the outputs among the payloads, in this order. */
  readonly parts: readonly number[];
  readonly persisted: readonly WireHandle[];
  /** Handles the program read with partitions that Spark had to compute, as it lacked them. */
  readonly incomplete: readonly string[];
  readonly kernels: number;
  readonly passes: number;
  readonly sparkJobs: number;
  /** Tasks that the executors which live now run at once. */
  readonly slots: number;
  /** Those executors by their names; none where the driver computes. */
  readonly executors: readonly string[];
}

export interface WireFrameFile {
  readonly path: string;
  readonly digest: string;
  readonly bytes: number;
  readonly rows: number;
  /** Columns in names of its folders: an integer, a date or a text, as text; null for none. */
  readonly partition:
    | readonly { readonly name: string; readonly type: string; readonly value: string | null }[]
    | null;
}

export interface WireFrameSource {
  readonly format: string;
  readonly files: readonly WireFrameFile[];
  /** `ReadOptions` of `driver/frame/read-options.ts`; null when nothing was said. */
  readonly options: WireJson;
  /** What columns are read as (`TextType`) and called in the files; null where files say it. */
  readonly text:
    | readonly { readonly name: string; readonly type: string; readonly key: string }[]
    | null;
}

/** A file as this machine has it. */
export interface WireKnownFile {
  readonly path: string;
  readonly bytes: number;
  /** Since 1970. */
  readonly modifiedMs: number;
  readonly digest: string;
}

/** What the driver of Spark (`driver`) or an executor has. */
export interface WireSite {
  readonly executor: string;
  readonly host: string;
  readonly blas: string;
  readonly nativeBlas: boolean;
  /** Files that are not as they should be, by their positions, and what is there instead. */
  readonly lacking: readonly { readonly file: number; readonly got: string }[];
}

export interface WireColumn {
  readonly name: string;
  readonly type: string;
  readonly engineType: string;
}

export interface WireProfile {
  readonly type: string;
  readonly rows: number;
  readonly missing: number;
  readonly infinite: number;
  readonly min: WireJson;
  readonly max: WireJson;
  readonly top: readonly { readonly value: string; readonly count: number }[];
  readonly distinct: number;
  readonly quantiles: readonly WireJson[];
  readonly fromStatistics: boolean;
}

type Asked = { top: number; quantiles: readonly number[]; fromStatistics: boolean };
interface WireProfileArgs {
  readonly run: string;
  readonly source: WireFrameSource;
  readonly requests: readonly (WireSql & Asked)[];
}

export interface WireExecutor {
  readonly id: string;
  readonly storageMemoryBytes: number;
  readonly storageUsedBytes: number;
}

export interface WireStatus {
  readonly executors: readonly WireExecutor[];
  readonly handles: readonly (WireHandle & {
    readonly materialised: boolean;
    readonly storedBytes: number;
  })[];
  readonly broadcasts: readonly string[];
  /** Runs in progress and their finished part, 0..1. */
  readonly runs: readonly { readonly run: string; readonly progress: number }[];
  /** Actions (Spark jobs) at once: as many as the executors that live now have task slots. */
  readonly actions: { readonly limit: number; readonly running: number; readonly waiting: number };
  readonly sparkJobs: number;
  /** What tasks read from files and from stored row blocks since the application began. */
  readonly bytesRead: number;
  /** Scans of a file's number columns that made no rows, since the application began. */
  readonly numberFiles: number;
}

/** What Spark says it stores. Values that share an RDD are charged to the first of them. */
export interface WireStorage {
  /** What all executors may store. */
  readonly memoryBytes: number;
  readonly usedBytes: number;
  readonly persistentRdds: number;
  /** Broadcasts of ours that Spark stores. */
  readonly liveBroadcasts: number;
  readonly handles: readonly {
    readonly handle: string;
    readonly memoryBytes: number;
    readonly diskBytes: number;
    readonly materialised: boolean;
  }[];
}

export interface WireDescription {
  readonly shim: string;
  readonly protocol: number;
  /** Random text made when the shim started; another value means another shim. */
  readonly boot: string;
  readonly spark: string;
  readonly scala: string;
  readonly java: string;
  readonly applicationId: string;
  readonly master: string;
  /** Tasks at once when asked; executors come and go, and each program says the new `slots`. */
  readonly parallelism: number;
  /** What all executors may store; more when executors come. */
  readonly storageMemoryBytes: number;
  /** Class of the block kernels' BLAS. */
  readonly blas: string;
  readonly nativeBlas: boolean;
  readonly ops: readonly string[];
}

/** An expression of Spark SQL. */
export type WireSql = {
  readonly sql: string;
  /** As the job has it, for messages. */
  readonly shown: string;
  /** `spark` when the job's own text is what Spark reads; the shim then checks what it uses. */
  readonly dialect: 'spark' | null;
};

/** Every verb of the shim: what it takes and what it answers. Payloads stand in the comments. */
export interface Verbs {
  /** Is it alive. */
  ping: { args: Record<string, never>; result: { boot: string } };
  /** What it is. */
  hello: { args: Record<string, never>; result: WireDescription };
  /** Payloads in: the dense inputs; out: the outputs. */
  runProgram: { args: WireProgram; result: WireRunResult };
  /** Payload out: the cells of a held value. */
  collect: { args: { handle: string; run: string }; result: { rows: number; cols: number } };
  /** Computes a held value in the cluster now. */
  persist: {
    args: { handle: string; run: string };
    result: WireHandle & { readonly materialised: boolean; readonly sparkJobs: number };
  };
  /** Drops held values; unknown handles are ignored. Does not wait for the cluster. */
  unpersist: { args: { handles: readonly string[] }; result: { dropped: number } };
  /** Payload in: a matrix. Makes a broadcast that programs use as a whole operand by its handle. */
  broadcast: { args: Omit<WireInput, 'id' | 'payload'>; result: WireHandle };
  destroyBroadcast: { args: { handles: readonly string[] }; result: { dropped: number } };
  status: { args: Record<string, never>; result: WireStatus };
  storage: { args: Record<string, never>; result: WireStorage };
  /** Cancels a run; false when no such run is in progress. */
  cancel: { args: { run: string }; result: { cancelled: boolean } };
  /** `files` if the driver can see them; else `path`, listed by the cluster's file system. */
  describeFrame: {
    args: {
      path: string | null;
      format: string | null;
      options: WireJson;
      source: WireFrameSource | null;
    };
    result: {
      source: WireFrameSource;
      /** None for text formats, whose columns follow from what is in `text`. */
      columns: readonly WireColumn[];
      rows: number;
      /** Rows left out. */
      dropped: number;
      /** CSV and JSON lines, by file: the kinds of cells of each column (`CELLS`). */
      text:
        | readonly {
            readonly columns: readonly { readonly name: string; readonly cells: number }[];
          }[]
        | null;
    };
  };
  profileFrame: {
    args: WireProfileArgs;
    result: { profiles: readonly WireProfile[] };
  };
  /** What files are now, as `describeFrame` says it; null for one that is gone. */
  identifyFiles: {
    args: { paths: readonly string[] };
    result: { digests: readonly (string | null)[] };
  };
  /** As `profileFrame`, for each file by itself. */
  profileFiles: {
    args: WireProfileArgs;
    result: { files: readonly (readonly WireProfile[])[] };
  };
  /**
   * Opens the direct channel in a driver that others started (`loopback` or every address); the
   * token follows from the public keys, which are P-256 points in hex. On every address it speaks
   * TLS under `certificate` (DER in base64); null is plain HTTP on loopback. Another call closes
   * the channel before.
   */
  openDirect: {
    args: { key: string; bind: 'loopback' | 'any' };
    result: {
      key: string;
      port: number;
      certificate: string | null;
      hosts: readonly string[];
      boot: string;
      protocol: number;
    };
  };
  closeDirect: { args: Record<string, never>; result: Record<string, never> };
  /** What each machine has, except the `known` ones. Waits for the first executors. */
  survey: {
    args: { run: string; files: readonly WireKnownFile[]; known: readonly string[] };
    result: { sites: readonly WireSite[] };
  };
  /**
   * Writes a held value, or the payload's cells, as a folder of files or a table, with columns of
   * doubles or what is selected of them. Nothing may be there.
   */
  writeMatrix: {
    args: {
      run: string;
      handle: string | null;
      rows: number;
      columns: readonly string[];
      dtype?: DType;
      select: readonly { readonly name: string; readonly sql: string }[] | null;
      table: string | null;
      /** Not read where there is a table. */
      path: string;
      format: 'parquet' | 'orc';
    };
    result: { files: number; bytes: number; sparkJobs: number };
  };
  /**
   * Aggregates over a held value, or the payload's cells, as a table of doubles c0, c1, ..; c0 says
   * the group. Names in formulas stand for the expressions of each view. NaN for NULL.
   */
  aggregateMatrix: {
    args: {
      run: string;
      handle: string | null;
      rows: number;
      cols: number;
      dtype?: DType;
      groups: number;
      formulas: readonly WireSql[];
      views: readonly (readonly { readonly name: string; readonly sql: string }[])[];
    };
    /** By view, formula and group. */
    result: { values: readonly (readonly (readonly WireJson[])[])[]; sparkJobs: number };
  };
  querySql: { args: WireQuery<WireFrameSource>; result: WireQueryResult<WireColumn> };
  /** Ends the shim (and its Spark application when the shim started it) after answering. */
  shutdown: { args: Record<string, never>; result: { stopping: boolean } };
}

export type Verb = keyof Verbs;

/** Why a call did not answer, in the words of `driver/errors.ts`. */
export interface WireError {
  readonly kind:
    | 'plan'
    | 'data'
    | 'config'
    | 'unsupported'
    | 'resource'
    | 'execution'
    /** Held values went with their executor; `handles` names them, separated by commas. */
    | 'lost'
    | 'cancelled'
    | 'internal';
  readonly message: string;
  readonly facts: Readonly<Record<string, WireJson>>;
  /** Remote stack trace, for logs. */
  readonly trace: string | null;
}

export interface RequestHeader {
  readonly id: string;
  readonly verb: Verb;
  readonly args: WireJson;
  readonly payloads: readonly number[];
}

export interface ReplyHeader {
  readonly id: string;
  readonly result: WireJson;
  readonly error: WireError | null;
  readonly payloads: readonly number[];
}
