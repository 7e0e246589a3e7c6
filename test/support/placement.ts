/** Sessions over a host, a simulated cluster and a simulated GPU with costs that add up easily. */

import type { RunContext, Segment } from '../../driver/backend/backend.js';
import {
  createReferenceBackend,
  evaluateByReference,
} from '../../driver/backend/reference-backend.js';
import type { PlacementPolicy } from '../../driver/compiler/pass.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { Value } from '../../driver/ir/value.js';
import { rand } from '../../driver/matrix/create.js';
import type { Matrix } from '../../driver/matrix/matrix.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import { type SimulatedBackend, simulatedBackend } from './simulated-backend.js';
import { type SimulatedDevice, simulatedDevice } from './simulated-device.js';

export const MIB = 1024 * 1024;

const cellsRead = (expr: Expr): number =>
  expr.inputs.reduce((sum, input) => sum + input.rows * input.cols, expr.rows * expr.cols);

export interface Machines {
  readonly session: Session;
  readonly cluster: SimulatedBackend;
  readonly gpu: SimulatedDevice;
  /** What everything so far took by the costs given, one after the other. @units seconds */
  readonly spentSeconds: () => number;
}

export interface MachinesOptions extends Partial<SessionOptions> {
  readonly placement: PlacementPolicy;
  /** Nanoseconds a cell read or written takes on each. Defaults 10, 1 and 0.1. */
  readonly nanoseconds?: {
    readonly host?: number;
    readonly cluster?: number;
    readonly gpu?: number;
  };
  /** Without: no device. */
  readonly withGpu?: boolean;
  /** What the cluster moves in a second, both ways. Default 100 MiB. @units bytes */
  readonly clusterBytes?: number;
  readonly gpuMemory?: number;
  readonly gpuStreams?: boolean;
  /** What it moves in a second, both ways. Default 5 GiB. @units bytes */
  readonly gpuBytes?: number;
  readonly gpuOps?: ReadonlySet<string>;
  /** Called before a kernel of the GPU starts: throws to let it fail, waits to let it be late. */
  readonly onKernel?: (expr: Expr) => void | Promise<void>;
}

/** Cell, job, transfer: host 10 ns; cluster 1 ns, 20 ms, 100 MiB/s; GPU 0.1 ns, 10 us, 5 GiB/s. */
export function machines(options: MachinesOptions): Machines {
  const {
    nanoseconds = {},
    withGpu,
    clusterBytes = 100 * MIB,
    gpuMemory,
    gpuStreams = false,
    gpuBytes = 5 * 1024 * MIB,
    gpuOps,
    onKernel,
    ...rest
  } = options;
  const per = (rate: number) => (expr: Expr) => cellsRead(expr) * rate * 1e-9;
  const reference = createReferenceBackend();
  const hostSeconds = per(nanoseconds.host ?? 10);
  let hostSpent = 0;
  const host = {
    ...reference,
    name: 'host',
    estimate: (expr: Expr) => ({ seconds: hostSeconds(expr) }),
    runSync: (expr: Expr, inputs: readonly Value[]) => {
      hostSpent += hostSeconds(expr);
      return evaluateByReference(expr, inputs);
    },
    run: (segment: Segment, context: RunContext) => {
      for (const expr of segment.nodes) hostSpent += hostSeconds(expr);
      return reference.run(segment, context);
    },
  };
  const cluster = simulatedBackend({
    name: 'cluster',
    blocks: 'resident',
    costs: {
      exchangeSeconds: 0.02,
      uploadBytesPerSecond: clusterBytes,
      downloadBytesPerSecond: clusterBytes,
    },
    seconds: per(nanoseconds.cluster ?? 1),
  });
  const gpu = simulatedDevice({
    name: 'gpu',
    costs: {
      exchangeSeconds: 1e-5,
      uploadBytesPerSecond: gpuBytes,
      downloadBytesPerSecond: gpuBytes,
      ...(gpuMemory === undefined ? {} : { memoryBytes: gpuMemory }),
    },
    streams: gpuStreams,
    seconds: per(nanoseconds.gpu ?? 0.1),
    ...(gpuOps ? { ops: gpuOps } : {}),
    ...(onKernel ? { onKernel } : {}),
  });
  const devices = withGpu ? [gpu] : [];
  const session = new Session({ local: host, blocks: cluster, devices, spill: false, ...rest });
  const spentSeconds = (): number => hostSpent + cluster.spentSeconds() + gpu.spentSeconds();
  return { session, cluster, gpu, spentSeconds };
}

/** A generated matrix of about that size with 64 columns. */
export function generated(session: Session, bytes: number, seed = 1): Matrix {
  return rand(session, Math.round(bytes / (64 * 8)), 64, { seed });
}
