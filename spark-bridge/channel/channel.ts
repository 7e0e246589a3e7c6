/**
 * The way to a shim, whatever carries the bytes: HTTP (`direct-channel.ts`) or Livy statements
 * (`livy/`). Invariant: a call either answers, throws one typed error, or is cancelled; it is never
 * sent twice by the channel unless the caller can tell that it did not run.
 */
import {
  BackendLostError,
  ConfigError,
  DataError,
  ExecutionError,
  InternalError,
  PlanError,
  type RepriseError,
  ResourceError,
  UnsupportedError,
} from '../../driver/errors.js';
import type { Verb, Verbs, WireError, WireJson } from './wire.js';

export interface CallOptions {
  /**
   * Aborting rejects the call with the signal's reason, and the shim is asked to cancel `args.run`,
   * if there is one.
   */
  readonly signal?: AbortSignal;
  /** 0..1 as a long call advances; only verbs with a `run` argument report. */
  readonly onProgress?: (fraction: number) => void;
  /** Longest time to wait for the answer; none by default for verbs with a `run`. @units ms */
  readonly timeoutMs?: number;
}

export interface Reply<V extends Verb> {
  readonly result: Verbs[V]['result'];
  readonly payloads: readonly Uint8Array[];
}

export interface Channel {
  /** `direct` or `livy`, for messages and reports. */
  readonly kind: string;
  /**
   * Sends one verb and waits for its answer.
   * @throws the class named by `WireError.kind` (see `toError`), ExecutionError when the shim is
   *   gone or too slow
   */
  call<V extends Verb>(
    verb: V,
    args: Verbs[V]['args'],
    payloads?: readonly Uint8Array[],
    options?: CallOptions,
  ): Promise<Reply<V>>;
  /** Closes the way, not the shim (a renewable channel owns its shim, and ends it). Idempotent. */
  close(): Promise<void>;
  /** Puts another shim in place of an ended one; nothing if it lives. Absent: an end is final. */
  renew?(): Promise<void>;
  /** Counts the shims put in place of lost ones; what an earlier one held is gone. */
  readonly generation?: number;
}

/**
 * Asks for the progress of a run while it lasts.
 * @param status asks the shim
 * @returns what ends that
 */
export function followProgress(
  run: string | undefined,
  onProgress: CallOptions['onProgress'],
  status: () => Promise<Reply<'status'>>,
  everyMs: number,
): () => void {
  if (run === undefined || onProgress === undefined) return () => {};
  let isAsking = false;
  let isOver = false;
  const timer = setInterval(() => {
    if (isAsking) return;
    isAsking = true;
    status()
      .then(({ result }) => {
        const mine = result.runs.find((one) => one.run === run);
        if (mine !== undefined && !isOver) onProgress(mine.progress);
      })
      .catch(() => undefined)
      .finally(() => {
        isAsking = false;
      });
  }, everyMs);
  timer.unref();
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}

const ERRORS: Readonly<
  Record<string, new (message: string, facts: Record<string, WireJson>) => RepriseError>
> = {
  data: DataError,
  plan: PlanError,
  config: ConfigError,
  unsupported: UnsupportedError,
  resource: ResourceError,
  internal: InternalError,
  lost: BackendLostError,
};

/** What a call that was aborted is rejected with. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new DOMException('The run was cancelled', 'AbortError');
}

/** The error a reply stands for. The remote trace is kept as a fact, not in the message. */
export function toError(error: WireError, verb: Verb): RepriseError {
  const facts: Record<string, WireJson> = { backend: 'spark', verb, ...error.facts };
  if (error.trace !== null) facts.trace = error.trace;
  const { kind, message } = error;
  if (kind === 'cancelled') return new ExecutionError(message, facts, undefined, 'CANCELLED');
  return new (ERRORS[kind] ?? ExecutionError)(message, facts);
}
