/**
 * The direct channel: one HTTP POST a call to the shim, with a bearer token; over TLS where the
 * shim has a certificate. Invariant: no error that leaves this file carries the token, a header or
 * the HTTP client's own error object.
 */
import { Agent } from 'node:http';
import { isIP } from 'node:net';
import { Readable } from 'node:stream';
import axios, { type AxiosInstance } from 'axios';
import { ConfigError, ExecutionError } from '../../driver/errors.js';
import {
  abortReason,
  type CallOptions,
  type Channel,
  followProgress,
  type Reply,
  toError,
} from './channel.js';
import { decodeFrame, encodeFrame } from './frame-codec.js';
import { pinnedAgent } from './pinned-tls.js';
import type { ReplyHeader, RequestHeader, Verb, Verbs, WireJson } from './wire.js';

export interface DirectChannelOptions {
  readonly host?: string;
  readonly port: number;
  readonly token: string;
  /** The only certificate the shim may show, base64 DER; null (default): plain HTTP on loopback. */
  readonly certificate?: string | null;
  /** What is known of the shim's end, added to the message when it can't be reached. */
  readonly exitDetails?: () => string;
  /** Awaited when the shim is unreachable, before the call fails: finds whether it has ended. */
  readonly onUnreachable?: () => Promise<void>;
}

/** Limit of calls that start no Spark job. @units ms */
const QUICK_MS = 60_000;
const PROGRESS_MS = 300;

const longVerbs: ReadonlySet<Verb> = new Set<Verb>([
  'runProgram',
  'collect',
  'persist',
  'profileFrame',
  'profileFiles',
  'describeFrame',
  'writeMatrix',
  'aggregateMatrix',
  'querySql',
  'survey',
]);

export class DirectChannel implements Channel {
  readonly kind = 'direct';
  readonly #http: AxiosInstance;
  readonly #agent: Agent;
  readonly #exitDetails: () => string;
  readonly #onUnreachable: () => Promise<void>;
  #nextId = 1;

  constructor(options: DirectChannelOptions) {
    this.#exitDetails = options.exitDetails ?? (() => '');
    this.#onUnreachable = options.onUnreachable ?? (async () => {});
    const { host = '127.0.0.1', certificate = null } = options;
    const connections = { keepAlive: true, maxSockets: 16 };
    this.#agent =
      certificate === null ? new Agent(connections) : pinnedAgent(certificate, connections);
    const scheme = certificate === null ? 'http' : 'https';
    this.#http = axios.create({
      baseURL: `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${options.port}`,
      headers: {
        Authorization: `Bearer ${options.token}`,
        'Content-Type': 'application/octet-stream',
      },
      httpAgent: this.#agent,
      httpsAgent: this.#agent,
      proxy: false,
      maxRedirects: 0,
      maxBodyLength: Number.POSITIVE_INFINITY,
      maxContentLength: Number.POSITIVE_INFINITY,
      responseType: 'arraybuffer',
      validateStatus: () => true,
    });
  }

  async call<V extends Verb>(
    verb: V,
    args: Verbs[V]['args'],
    payloads: readonly Uint8Array[] = [],
    options: CallOptions = {},
  ): Promise<Reply<V>> {
    options.signal?.throwIfAborted();
    const run = (args as { run?: string }).run;
    const status = () => this.#send('status', {}, [], { timeoutMs: 5_000 });
    const stop = followProgress(run, options.onProgress, status, PROGRESS_MS);
    try {
      return await this.#send(verb, args, payloads, options);
    } catch (error) {
      const isLate = error instanceof ExecutionError && error.facts.code === 'ECONNABORTED';
      if (run !== undefined && (isLate || options.signal?.aborted)) {
        await this.#send('cancel', { run }, [], {}).catch(() => undefined);
      }
      throw options.signal?.aborted ? abortReason(options.signal) : error;
    } finally {
      stop();
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async #send<V extends Verb>(
    verb: V,
    args: Verbs[V]['args'],
    payloads: readonly Uint8Array[],
    options: CallOptions,
  ): Promise<Reply<V>> {
    const header: RequestHeader = {
      id: String(this.#nextId++),
      verb,
      args: args as unknown as WireJson,
      payloads: payloads.map((payload) => payload.length),
    };
    const parts = encodeFrame(header, payloads);
    const bytes = await this.#post(verb, parts, options);
    const reply = decodeFrame<ReplyHeader>(bytes);
    if (reply.header.error !== null) throw toError(reply.header.error, verb);
    return {
      result: reply.header.result as unknown as Verbs[V]['result'],
      payloads: reply.payloads,
    };
  }

  async #post(verb: Verb, parts: readonly Uint8Array[], options: CallOptions): Promise<Uint8Array> {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const response = await this.#http
      .post<Buffer>(
        '/v1/call',
        Readable.from(parts, { objectMode: false, highWaterMark: 1 << 20 }),
        {
          headers: { 'Content-Length': String(length) },
          timeout: options.timeoutMs ?? (longVerbs.has(verb) ? 0 : QUICK_MS),
          ...(options.signal ? { signal: options.signal } : {}),
        },
      )
      .catch(async (error: unknown) => {
        const { code } = error as { code?: unknown };
        if (code !== 'ERR_CANCELED' && code !== 'ECONNABORTED') await this.#onUnreachable();
        throw this.#unreachable(verb, error);
      });
    if (response.status === 200) return response.data;
    const facts = { backend: 'spark', verb, status: response.status };
    if (response.status === 401) {
      throw new ConfigError('shim: expected its token, got another one (status 401)', facts);
    }
    throw new ExecutionError(
      `shim: expected status 200 for ${verb}, got ${response.status}: ${Buffer.from(response.data).toString('utf8').slice(0, 300)}`,
      facts,
    );
  }

  /** The HTTP client's error holds the request with its headers, so only its code goes on. */
  #unreachable(verb: Verb, error: unknown): ExecutionError {
    const code = (error as { code?: unknown }).code;
    const known = typeof code === 'string' ? code : 'an unknown error';
    const got = known === 'ECONNABORTED' ? 'none in time' : known;
    return new ExecutionError(
      `spark: expected an answer to ${verb}, got ${got}${this.#exitDetails()}`,
      {
        backend: 'spark',
        verb,
        code: known,
      },
    );
  }
}
