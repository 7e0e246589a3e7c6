/**
 * Many requests over one first-in-first-out line of statements. The shim runs each request on a
 * thread of its own and a statement only starts, awaits and drops them, so requests run side by
 * side though statements can't. Invariants: one statement is open at a time; a request is started
 * once, however often its statement is sent, lost or evicted; each request settles exactly once.
 */
import { ExecutionError, ResourceError } from '../../driver/errors.js';
import { isLivyProblem } from './errors.js';
import type { LivySession } from './livy-session.js';
import type { PayloadStorage } from './payload-storage.js';
import {
  argumentRoom,
  checkDigest,
  type Item,
  itemBytes,
  newId,
  type Packed,
  pack,
  parseReply,
  ReplyDamage,
  type Report,
  type StatementPlan,
  statementText,
} from './statement-code.js';
import type { StatementRunner } from './statements.js';

export interface QueueOptions {
  /** For payloads too large for statements; without it they are refused. */
  readonly storage?: PayloadStorage;
  /** Requests and results over this go through `storage`. @units bytes, default 1 MiB */
  readonly storeOverBytes?: number;
  /** Largest request sent in chunks of statements. @units bytes, default 8 MiB (180 statements) */
  readonly chunkedLimitBytes?: number;
  /** Shortest and longest time a statement waits for its requests; between, a quarter of their age. @units ms */
  readonly waitMs?: { readonly min: number; readonly max: number };
}

export interface RequestQueue {
  /** Sends bytes, answers bytes. */
  exchange(bytes: Uint8Array): Exchange;
  /** Statements that ran so far. */
  statements(): number;
  /** Rejects what is open; nothing more is sent. */
  close(reason: Error): void;
}

export interface Exchange {
  readonly answer: Promise<Uint8Array>;
  /** Whether the shim may have begun it. */
  hasStarted(): boolean;
  /** Stops waiting for the answer and tells the shim to forget it. */
  abandon(reason: Error): void;
}

interface Request {
  readonly id: string;
  readonly packed: Packed;
  readonly since: number;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  /** Its bytes are with the shim, or in storage, and only `item` remains to be sent. */
  item: Item | undefined;
  started: boolean;
  /** Times it had to be started again. */
  restarts: number;
  settled: boolean;
}

/** After this many unusable replies in a row the channel gives up. */
const MAX_DAMAGED = 5;
const RESULT_LIMIT = 4 * 1024 * 1024 * 1024;

interface Queue {
  readonly session: LivySession;
  readonly runner: StatementRunner;
  readonly storage: PayloadStorage | undefined;
  readonly storeOverBytes: number;
  readonly chunkedLimitBytes: number;
  readonly wait: { readonly min: number; readonly max: number };
  readonly open: Map<string, Request>;
  readonly drops: string[];
  readonly stop: AbortController;
  pumping: boolean;
  damaged: number;
  statements: number;
}

/** A queue over the statements of one session. */
export function createRequestQueue(
  session: LivySession,
  runner: StatementRunner,
  options: QueueOptions = {},
): RequestQueue {
  const queue: Queue = {
    session,
    runner,
    storage: options.storage,
    storeOverBytes: options.storeOverBytes ?? 1024 * 1024,
    chunkedLimitBytes: options.chunkedLimitBytes ?? 8 * 1024 * 1024,
    wait: options.waitMs ?? { min: 500, max: 10_000 },
    open: new Map(),
    drops: [],
    stop: new AbortController(),
    pumping: false,
    damaged: 0,
    statements: 0,
  };
  return {
    exchange: (bytes) => enqueue(queue, bytes),
    statements: () => queue.statements,
    close: (reason) => {
      queue.stop.abort(reason);
      failAll(queue, reason);
    },
  };
}

function enqueue(queue: Queue, bytes: Uint8Array): Exchange {
  const id = newId();
  let request: Request | undefined;
  const answer = new Promise<Uint8Array>((resolve, reject) => {
    request = {
      id,
      packed: pack(bytes),
      since: Date.now(),
      resolve,
      reject,
      item: undefined,
      started: false,
      restarts: 0,
      settled: false,
    };
    if (queue.stop.signal.aborted) return reject(queue.stop.signal.reason);
    queue.open.set(id, request);
    if (!queue.pumping) void pump(queue);
  });
  return {
    answer,
    hasStarted: () => request?.started ?? false,
    abandon: (reason) => {
      if (!request || request.settled) return;
      settle(queue, request, reason);
      void forgetFiles(queue, request);
    },
  };
}

function settle(queue: Queue, request: Request, outcome: Uint8Array | Error): void {
  if (request.settled) return;
  request.settled = true;
  queue.open.delete(request.id);
  queue.drops.push(request.id);
  if (outcome instanceof Error) request.reject(outcome);
  else request.resolve(outcome);
}

function failAll(queue: Queue, error: Error): void {
  for (const request of [...queue.open.values()]) settle(queue, request, error);
}

/** Runs while there is something to ask; one pump a queue. */
async function pump(queue: Queue): Promise<void> {
  queue.pumping = true;
  try {
    // A turn of the event loop, so that calls made together share a statement.
    await Promise.resolve();
    while (queue.open.size > 0 && !queue.stop.signal.aborted) {
      await prepare(queue);
      if (queue.open.size > 0) await turn(queue);
    }
  } catch (error) {
    failAll(queue, error as Error);
  } finally {
    queue.pumping = false;
  }
}

/** Brings the bytes of large requests to the shim, so that each request is left with one small item. */
async function prepare(queue: Queue): Promise<void> {
  for (const request of [...queue.open.values()]) {
    if (request.item !== undefined) continue;
    try {
      request.item = await itemFor(queue, request);
    } catch (error) {
      if (isLivyProblem(error, 'dead', 'identity')) throw error;
      settle(queue, request, error as Error);
    }
  }
}

async function itemFor(queue: Queue, { id, packed }: Request): Promise<Item> {
  const inline: Item = { kind: 'start', id, packed };
  const room = argumentRoom(queue.storage?.folderUri ?? null);
  // Two items of one request: its start and its await.
  if (itemBytes(inline) + 64 <= room) return inline;
  if (queue.storage && packed.rawLength > queue.storeOverBytes) {
    const uri = await queue.storage.put(`${id}.request`, packed.bytes);
    return { kind: 'open', id, packed, uri };
  }
  if (packed.bytes.length > queue.chunkedLimitBytes) {
    throw new ResourceError(
      `livy channel: expected a request of at most ${queue.chunkedLimitBytes} bytes, got ${packed.bytes.length}; give shared storage that driver and cluster both reach, or use the direct channel`,
      {
        resource: 'livy statement',
        requestedBytes: packed.bytes.length,
        availableBytes: queue.chunkedLimitBytes,
      },
    );
  }
  return await sendParts(queue, id, packed, room - 64);
}

async function sendParts(queue: Queue, id: string, packed: Packed, room: number): Promise<Item> {
  let parts = 0;
  for (let at = 0; at < packed.bytes.length; at += room, parts++) {
    const bytes = packed.bytes.subarray(at, at + room);
    await ask(queue, {
      items: [{ kind: 'part', id, index: parts, bytes }],
      waitMs: 0,
      store: null,
    });
  }
  return { kind: 'gather', id, packed, parts };
}

/** One statement: starts what is new, forgets what is done, waits for the rest. */
async function turn(queue: Queue): Promise<void> {
  const items: Item[] = [];
  const asked: Request[] = [];
  let room = argumentRoom(queue.storage?.folderUri ?? null);
  let isFull = false;
  const take = (...more: readonly Item[]): boolean => {
    const bytes = more.reduce((sum, it) => sum + itemBytes(it), 0);
    if (bytes > room) {
      isFull = true;
      return false;
    }
    room -= bytes;
    items.push(...more);
    return true;
  };
  const drops = queue.drops.splice(0, 200);
  for (const id of drops) take({ kind: 'drop', id });
  for (const request of queue.open.values()) {
    const { id, item, started } = request;
    if (item === undefined) continue;
    if (take(...(started ? [] : [item]), { kind: 'await', id })) asked.push(request);
  }
  const oldest = Math.min(...asked.map((it) => it.since));
  const age = Date.now() - oldest;
  const waitMs = isFull ? 0 : Math.min(queue.wait.max, Math.max(queue.wait.min, age / 4));
  const store = queue.storage
    ? { overBytes: queue.storeOverBytes, folder: queue.storage.folderUri }
    : null;
  for (const request of asked) request.started = true;
  const reports = await ask(queue, { items, waitMs, store });
  if (reports === undefined) {
    // Nobody knows whether it ran. Starting again is harmless, so everything is said again.
    for (const request of asked) request.started = false;
    queue.drops.push(...drops);
    return;
  }
  for (const request of asked) await settleBy(queue, request, reports.get(request.id));
}

/** The reports of one statement; undefined when its result was lost, evicted or damaged. */
async function ask(
  queue: Queue,
  plan: StatementPlan,
): Promise<ReadonlyMap<string, Report> | undefined> {
  const statement = statementText(plan);
  queue.statements++;
  try {
    const reply = parseReply(await queue.runner.run(statement, queue.stop.signal), statement.nonce);
    await queue.session.checkBoot(reply.boot);
    queue.damaged = 0;
    return reply.reports;
  } catch (error) {
    const isLost = error instanceof ReplyDamage || isLivyProblem(error, 'gone', 'cancelled');
    if (!isLost || queue.stop.signal.aborted || ++queue.damaged >= MAX_DAMAGED) {
      throw error instanceof ReplyDamage ? damagedReply(error) : error;
    }
    return undefined;
  }
}

const damagedReply = (error: Error): ExecutionError =>
  new ExecutionError(
    `livy channel: ${error.message}, ${MAX_DAMAGED} times in a row; does something else print in this session?`,
    { backend: 'spark', op: 'statement' },
    { cause: error },
  );

async function settleBy(queue: Queue, request: Request, report: Report | undefined): Promise<void> {
  if (request.settled || report?.kind === 'pending') return;
  switch (report?.kind) {
    case 'done':
      await forgetFiles(queue, request);
      return settle(queue, request, report.bytes);
    case 'stored': {
      const answer = await fromStorage(queue, request.id, report);
      await forgetFiles(queue, request);
      return settle(queue, request, answer);
    }
    case 'too-large':
      return settle(
        queue,
        request,
        new ResourceError(
          `livy channel: expected a result of at most ${report.limitBytes} bytes, got ${report.bytes}; give shared storage, use the direct channel, or keep the value in the cluster`,
          {
            resource: 'livy statement',
            requestedBytes: report.bytes,
            availableBytes: report.limitBytes,
          },
        ),
      );
    default: {
      // Unknown or damaged on arrival: what was sent did not get there whole, so it is sent again.
      if (request.restarts++ >= 2) {
        const why = report?.kind === 'damaged' ? report.reason : 'the shim does not know it';
        const message = `livy channel: expected the shim to take a request of ${request.packed.rawLength} bytes, got: ${why}`;
        return settle(queue, request, new ExecutionError(message, { backend: 'spark' }));
      }
      request.started = false;
      request.item = undefined;
    }
  }
}

async function forgetFiles(queue: Queue, { id }: Request): Promise<void> {
  await queue.storage?.remove(id, `${id}.request`);
}

async function fromStorage(
  queue: Queue,
  id: string,
  report: { readonly rawLength: number; readonly digest: string },
): Promise<Uint8Array | Error> {
  try {
    if (!queue.storage) throw new ReplyDamage('expected an answer in the statement, got a file');
    const bytes = await queue.storage.get(id, Math.min(report.rawLength, RESULT_LIMIT));
    checkDigest(bytes, report.rawLength, report.digest);
    return bytes;
  } catch (error) {
    if (!(error instanceof ReplyDamage)) return error as Error;
    return new ExecutionError(`shared storage: ${error.message}`, { backend: 'spark' });
  }
}
