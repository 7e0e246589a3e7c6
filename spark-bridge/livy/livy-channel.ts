/**
 * The shim's channel over Livy statements: the same frames as the direct channel, carried by
 * `request-queue.ts`. Works wherever Livy works, at some 250 ms a statement. Invariant: an aborted
 * call is cancelled in the shim, or, when the shim does not obey in time, its session is deleted:
 * nothing runs on unowned.
 */
import { ExecutionError } from '../../driver/errors.js';
import {
  abortReason,
  type CallOptions,
  type Channel,
  followProgress,
  type Reply,
  toError,
} from '../channel/channel.js';
import { decodeFrame, encodeFrame } from '../channel/frame-codec.js';
import type { ReplyHeader, RequestHeader, Verb, Verbs, WireJson } from '../channel/wire.js';
import type { LivySession } from './livy-session.js';
import { type Exchange, type QueueOptions, RequestQueue } from './request-queue.js';
import { pause } from './retry.js';
import { newId } from './statement-code.js';
import { type StatementOptions, StatementRunner } from './statements.js';

export interface LivyChannelOptions extends QueueOptions, StatementOptions {
  /** Time for the shim to obey a cancellation before its session ends. @units ms, default 30000 */
  readonly cancelGraceMs?: number;
  /** How often a call with `onProgress` asks for its progress. @units ms, default 2000 */
  readonly progressMs?: number;
}

export interface LivyChannel extends Channel {
  /** Statements run so far; each costs some 250 ms. */
  statements(): number;
}

/** A channel to the shim in this session. The session stays the caller's to close. */
export function createLivyChannel(
  session: LivySession,
  options: LivyChannelOptions = {},
): LivyChannel {
  const queue = new RequestQueue(session, new StatementRunner(session, options), options);
  const graceMs = options.cancelGraceMs ?? 30_000;
  const progressMs = options.progressMs ?? 2000;
  session.lost.addEventListener('abort', () => queue.close(session.lost.reason as Error), {
    once: true,
  });

  const channel: LivyChannel = {
    kind: 'livy',
    statements: () => queue.statements,
    call: async (verb, args, payloads = [], callOptions = {}) => {
      if (callOptions.signal?.aborted) throw abortReason(callOptions.signal);
      const exchange = send(queue, verb, args as WireJson, payloads);
      const run = runOf(args);
      const status = () => channel.call('status', {});
      const stopProgress = followProgress(run, callOptions.onProgress, status, progressMs);
      try {
        return decode(
          verb,
          await settled(exchange, verb, callOptions, () => {
            if (run !== undefined && exchange.hasStarted())
              void cancelRun(channel, session, exchange, run, graceMs);
            else exchange.abandon(cancelledCall(verb));
          }),
        );
      } finally {
        stopProgress();
      }
    },
    close: async () => {
      queue.close(
        new ExecutionError('livy channel: expected an open channel, got a closed one', {
          backend: 'spark',
        }),
      );
    },
  };
  return channel;
}

function send(
  queue: RequestQueue,
  verb: Verb,
  args: WireJson,
  payloads: readonly Uint8Array[],
): Exchange {
  const header: RequestHeader = {
    id: newId(),
    verb,
    args,
    payloads: payloads.map((it) => it.length),
  };
  return queue.exchange(Buffer.concat(encodeFrame(header, payloads)));
}

function decode<V extends Verb>(verb: V, bytes: Uint8Array): Reply<V> {
  const { header, payloads } = decodeFrame<ReplyHeader>(bytes);
  if (header.error !== null) throw toError(header.error, verb);
  return { result: header.result as unknown as Verbs[V]['result'], payloads };
}

function runOf(args: unknown): string | undefined {
  const { run } = args as { readonly run?: unknown };
  return typeof run === 'string' ? run : undefined;
}

const cancelledCall = (verb: Verb): Error =>
  toError(
    { kind: 'cancelled', message: `${verb}: cancelled by the caller`, facts: {}, trace: null },
    verb,
  );

/** The answer, or at once an abort's or time limit's error; `onGivenUp` handles the call. */
async function settled(
  exchange: Exchange,
  verb: Verb,
  { signal, timeoutMs }: CallOptions,
  onGivenUp: () => void,
): Promise<Uint8Array> {
  if (signal === undefined && timeoutMs === undefined) return await exchange.answer;
  return await new Promise<Uint8Array>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const giveUp = (error: Error): void => {
      done();
      reject(error);
      onGivenUp();
    };
    const onAbort = (): void => giveUp(abortReason(signal as AbortSignal));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (timeoutMs !== undefined) {
      const message = `${verb}: expected an answer in ${timeoutMs} ms, got none`;
      timer = setTimeout(
        () => giveUp(new ExecutionError(message, { backend: 'spark', verb })),
        timeoutMs,
      );
    }
    exchange.answer.finally(done).then(resolve, reject);
  });
}

/**
 * Asks the shim to cancel the run and waits for the run's own answer as the canary: busy code that
 * can't be cancelled gives none, and only deleting the session ends it.
 */
async function cancelRun(
  channel: Channel,
  session: LivySession,
  exchange: Exchange,
  run: string,
  graceMs: number,
): Promise<void> {
  const stop = new AbortController();
  const late = pause(graceMs, stop.signal).then(() => 'late' as const);
  const over = exchange.answer.then(
    () => 'over' as const,
    () => 'over' as const,
  );
  let outcome: 'over' | 'late' | 'again' = 'again';
  while (outcome === 'again') {
    // The run may not have begun when the first request to cancel it arrives.
    const asked = channel
      .call('cancel', { run })
      .then(({ result }) => pause(result.cancelled ? graceMs : 250, stop.signal))
      .catch(() => pause(graceMs, stop.signal));
    outcome = await Promise.race([over, late, asked.then(() => 'again' as const)]);
  }
  stop.abort();
  if (outcome === 'late') await session.close().catch(() => undefined);
}
