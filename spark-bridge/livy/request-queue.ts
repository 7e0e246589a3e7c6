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
  type PackedBytes,
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
  /** Least and most wait of a statement for requests; between, a quarter of their age. @units ms */
  readonly waitMs?: { readonly min: number; readonly max: number };
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
  readonly packed: PackedBytes;
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

/** A queue over the statements of one session. */
export class RequestQueue {
  readonly #session: LivySession;
  readonly #runner: StatementRunner;
  readonly #storage: PayloadStorage | undefined;
  readonly #storeOverBytes: number;
  readonly #chunkedLimitBytes: number;
  readonly #wait: { readonly min: number; readonly max: number };
  readonly #open = new Map<string, Request>();
  readonly #drops: string[] = [];
  readonly #stop = new AbortController();
  #pumping = false;
  #damaged = 0;
  /** Statements that ran so far. */
  statements = 0;

  constructor(session: LivySession, runner: StatementRunner, options: QueueOptions = {}) {
    this.#session = session;
    this.#runner = runner;
    this.#storage = options.storage;
    this.#storeOverBytes = options.storeOverBytes ?? 1024 * 1024;
    this.#chunkedLimitBytes = options.chunkedLimitBytes ?? 8 * 1024 * 1024;
    this.#wait = options.waitMs ?? { min: 500, max: 10_000 };
  }

  /** Rejects what is open; nothing more is sent. */
  close(reason: Error): void {
    this.#stop.abort(reason);
    this.#failAll(reason);
  }

  /** Sends bytes, answers bytes. */
  exchange(bytes: Uint8Array): Exchange {
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
      if (this.#stop.signal.aborted) return reject(this.#stop.signal.reason);
      this.#open.set(id, request);
      if (!this.#pumping) void this.#pump();
    });
    return {
      answer,
      hasStarted: () => request?.started ?? false,
      abandon: (reason) => {
        if (!request || request.settled) return;
        this.#settle(request, reason);
        void this.#forgetFiles(request);
      },
    };
  }

  #settle(request: Request, outcome: Uint8Array | Error): void {
    if (request.settled) return;
    request.settled = true;
    this.#open.delete(request.id);
    this.#drops.push(request.id);
    if (outcome instanceof Error) request.reject(outcome);
    else request.resolve(outcome);
  }

  #failAll(error: Error): void {
    for (const request of [...this.#open.values()]) this.#settle(request, error);
  }

  /** Runs while there is something to ask; one pump a queue. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      // A turn of the event loop, so that calls made together share a statement.
      await Promise.resolve();
      while (this.#open.size > 0 && !this.#stop.signal.aborted) {
        await this.#prepare();
        if (this.#open.size > 0) await this.#turn();
      }
    } catch (error) {
      this.#failAll(error as Error);
    } finally {
      this.#pumping = false;
    }
  }

  /** Brings large requests' bytes to the shim, so that each request is left with a small item. */
  async #prepare(): Promise<void> {
    for (const request of [...this.#open.values()]) {
      if (request.item !== undefined) continue;
      try {
        request.item = await this.#itemFor(request);
      } catch (error) {
        if (isLivyProblem(error, 'dead', 'identity')) throw error;
        this.#settle(request, error as Error);
      }
    }
  }

  async #itemFor({ id, packed }: Request): Promise<Item> {
    const inline: Item = { kind: 'start', id, packed };
    const room = argumentRoom(this.#storage?.folderUri ?? null);
    // Two items of one request: its start and its await.
    if (itemBytes(inline) + 64 <= room) return inline;
    if (this.#storage && packed.rawLength > this.#storeOverBytes) {
      const uri = await this.#storage.put(`${id}.request`, packed.bytes);
      return { kind: 'open', id, packed, uri };
    }
    if (packed.bytes.length > this.#chunkedLimitBytes) {
      throw new ResourceError(
        `livy channel: expected a request of at most ${this.#chunkedLimitBytes} bytes, got ${packed.bytes.length}; give shared storage that driver and cluster both reach, or use the direct channel`,
        {
          resource: 'livy statement',
          requestedBytes: packed.bytes.length,
          availableBytes: this.#chunkedLimitBytes,
        },
      );
    }
    return await this.#sendParts(id, packed, room - 64);
  }

  async #sendParts(id: string, packed: PackedBytes, room: number): Promise<Item> {
    let parts = 0;
    for (let at = 0; at < packed.bytes.length; at += room, parts++) {
      const bytes = packed.bytes.subarray(at, at + room);
      await this.#ask({
        items: [{ kind: 'part', id, index: parts, bytes }],
        waitMs: 0,
        store: null,
      });
    }
    return { kind: 'gather', id, packed, parts };
  }

  /** One statement: starts what is new, forgets what is done, waits for the rest. */
  async #turn(): Promise<void> {
    const items: Item[] = [];
    const asked: Request[] = [];
    let room = argumentRoom(this.#storage?.folderUri ?? null);
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
    const drops = this.#drops.splice(0, 200);
    for (const id of drops) take({ kind: 'drop', id });
    for (const request of this.#open.values()) {
      const { id, item, started } = request;
      if (item === undefined) continue;
      if (take(...(started ? [] : [item]), { kind: 'await', id })) asked.push(request);
    }
    const oldest = Math.min(...asked.map((it) => it.since));
    const age = Date.now() - oldest;
    const waitMs = isFull ? 0 : Math.min(this.#wait.max, Math.max(this.#wait.min, age / 4));
    const store = this.#storage
      ? { overBytes: this.#storeOverBytes, folder: this.#storage.folderUri }
      : null;
    for (const request of asked) request.started = true;
    const reports = await this.#ask({ items, waitMs, store });
    if (reports === undefined) {
      // Nobody knows whether it ran. Starting again is harmless, so everything is said again.
      for (const request of asked) request.started = false;
      this.#drops.push(...drops);
      return;
    }
    for (const request of asked) await this.#settleBy(request, reports.get(request.id));
  }

  /** The reports of one statement; undefined when its result was lost, evicted or damaged. */
  async #ask(plan: StatementPlan): Promise<ReadonlyMap<string, Report> | undefined> {
    const statement = statementText(plan);
    this.statements++;
    try {
      const reply = parseReply(
        await this.#runner.run(statement, this.#stop.signal),
        statement.nonce,
      );
      await this.#session.checkBoot(reply.boot);
      this.#damaged = 0;
      return reply.reports;
    } catch (error) {
      const isLost = error instanceof ReplyDamage || isLivyProblem(error, 'gone', 'cancelled');
      if (!isLost || this.#stop.signal.aborted || ++this.#damaged >= MAX_DAMAGED) {
        throw error instanceof ReplyDamage ? damagedReply(error) : error;
      }
      return undefined;
    }
  }

  async #settleBy(request: Request, report: Report | undefined): Promise<void> {
    if (request.settled || report?.kind === 'pending') return;
    switch (report?.kind) {
      case 'done':
        await this.#forgetFiles(request);
        return this.#settle(request, report.bytes);
      case 'stored': {
        const answer = await this.#fromStorage(request.id, report);
        await this.#forgetFiles(request);
        return this.#settle(request, answer);
      }
      case 'too-large':
        return this.#settle(
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
        // Unknown or damaged on arrival: it did not get there whole, so it is sent again.
        if (request.restarts++ >= 2) {
          const why = report?.kind === 'damaged' ? report.reason : 'the shim does not know it';
          const message = `livy channel: expected the shim to take a request of ${request.packed.rawLength} bytes, got: ${why}`;
          return this.#settle(request, new ExecutionError(message, { backend: 'spark' }));
        }
        request.started = false;
        request.item = undefined;
      }
    }
  }

  async #forgetFiles({ id }: Request): Promise<void> {
    await this.#storage?.remove(id, `${id}.request`);
  }

  async #fromStorage(
    id: string,
    report: { readonly rawLength: number; readonly digest: string },
  ): Promise<Uint8Array | Error> {
    try {
      if (!this.#storage) throw new ReplyDamage('expected an answer in the statement, got a file');
      const bytes = await this.#storage.get(id, Math.min(report.rawLength, RESULT_LIMIT));
      checkDigest(bytes, report.rawLength, report.digest);
      return bytes;
    } catch (error) {
      if (!(error instanceof ReplyDamage)) return error as Error;
      return new ExecutionError(`shared storage: ${error.message}`, { backend: 'spark' });
    }
  }
}

const damagedReply = (error: Error): ExecutionError =>
  new ExecutionError(
    `livy channel: ${error.message}, ${MAX_DAMAGED} times in a row; does something else print in this session?`,
    { backend: 'spark', op: 'statement' },
    { cause: error },
  );
