/**
 * HTTP to Livy through axios, one attempt a call. Invariants: every call has a wall-clock limit and
 * a size limit (after decompression); redirects are not followed, so credentials go to the given
 * host only; `X-Requested-By` is always sent; axios's own errors, which hold headers and bodies,
 * never leave this file.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import axios, { type AxiosInstance, type AxiosResponse, isAxiosError } from 'axios';
import { ConfigError } from '../../driver/errors.js';
import { createRedactor, type Redactor } from '../channel/redact.js';
import { isLoopback } from './allowed-hosts.js';
import { type Authenticator, createAuthenticator } from './authenticate.js';
import {
  answerError,
  errorFromAnswer,
  errorFromNetwork,
  livyError,
  livyFacts,
  timeoutError,
} from './errors.js';
import type { LivyConnection } from './types.js';

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below the base address, beginning with `/`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly body?: unknown;
  /** Overrides the connection's ordinary limit. @units ms */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface LivyHttp {
  /** The base address without credentials, for messages and records. */
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly slowTimeoutMs: number;
  readonly redactor: Redactor;
  readonly warn: (message: string) => void;
  /** Counts broken connections; a change means the server behind the address may be another one. */
  readonly epoch: () => number;
  /** One attempt. The decoded JSON, or null for an empty answer. @throws LivyError, ConfigError */
  call(call: HttpCall): Promise<unknown>;
  close(): void;
}

const DEFAULT_MAX_BYTES = 96 * 1024 * 1024;

interface Address {
  readonly url: URL;
  readonly connection: LivyConnection;
}

/** Takes credentials out of the address, so that the address can be printed. */
function parseAddress(connection: LivyConnection): Address {
  let url: URL;
  try {
    url = new URL(connection.url);
  } catch {
    throw new ConfigError(
      'livy url: expected http://host:port or https://.., got text that is no URL',
      {
        key: 'REPRISE_LIVY_URL',
      },
    );
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ConfigError(`livy url: expected http: or https:, got ${url.protocol}`, {
      key: 'REPRISE_LIVY_URL',
      allowed: ['http:', 'https:'],
    });
  }
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '');
  if (username === '' || connection.auth !== undefined) return { url, connection };
  return { url, connection: { ...connection, auth: { type: 'basic', username, password } } };
}

/** Connects nothing yet. @throws ConfigError when the address is not one */
export function createLivyHttp(given: LivyConnection): LivyHttp {
  const { url, connection } = parseAddress(given);
  const redactor = createRedactor();
  const told = new Set<string>();
  const warn = (message: string): void => {
    if (told.has(message)) return;
    told.add(message);
    connection.onWarning?.(message);
  };
  const secret = connection.auth !== undefined && connection.auth.type !== 'none';
  if (url.protocol === 'http:' && secret && !isLoopback(url.hostname)) {
    warn(`livy: credentials travel in clear text to ${url.host}; use https`);
  }
  const agent =
    url.protocol === 'https:'
      ? new HttpsAgent({
          keepAlive: true,
          ...(connection.ca ? { ca: [...rootCertificates, connection.ca] } : {}),
        })
      : new HttpAgent({ keepAlive: true });
  const client = axios.create({
    baseURL: url.toString().replace(/\/+$/, ''),
    httpAgent: agent,
    httpsAgent: agent,
    proxy: false,
    maxRedirects: 0,
    maxContentLength: connection.maxResponseBytes ?? DEFAULT_MAX_BYTES,
    maxBodyLength: 256 * 1024 * 1024,
    responseType: 'arraybuffer',
    transformResponse: [],
    validateStatus: () => true,
  });
  const auth = createAuthenticator(connection.auth, url.hostname, redactor);
  const state: Exchange = {
    client,
    auth,
    redactor,
    limitMs: connection.timeoutMs ?? 30_000,
    maxBytes: connection.maxResponseBytes ?? DEFAULT_MAX_BYTES,
    doAs: connection.doAs,
    epoch: 0,
    mayTryAgain: true,
  };
  return {
    baseUrl: url.toString().replace(/\/+$/, ''),
    timeoutMs: state.limitMs,
    slowTimeoutMs: connection.slowTimeoutMs ?? 120_000,
    redactor,
    warn,
    epoch: () => state.epoch,
    call: (call) => callOnce(state, call),
    close: () => agent.destroy(),
  };
}

interface Exchange {
  readonly client: AxiosInstance;
  readonly auth: Authenticator;
  readonly redactor: Redactor;
  readonly limitMs: number;
  readonly maxBytes: number;
  readonly doAs: string | undefined;
  epoch: number;
  /** One repeat after a 401 is allowed until it, too, is refused: more would lock accounts. */
  mayTryAgain: boolean;
}

async function callOnce(exchange: Exchange, call: HttpCall): Promise<unknown> {
  let answer = await send(exchange, call);
  if (answer.status === 401 && (exchange.mayTryAgain || exchange.auth.renewable)) {
    // Refused before anything ran, so repeating is safe even for a POST.
    exchange.auth.forget();
    answer = await send(exchange, call);
    exchange.mayTryAgain = answer.status !== 401;
  }
  const body = bodyOf(answer, exchange.maxBytes);
  const setCookie = answer.headers['set-cookie'];
  if (Array.isArray(setCookie)) exchange.auth.see(setCookie.map(String));
  if (answer.status < 200 || answer.status >= 300) {
    const header: unknown = answer.headers['retry-after'];
    throw errorFromAnswer(
      call,
      { status: answer.status, body, retryAfter: typeof header === 'string' ? header : undefined },
      exchange.redactor.scrub,
    );
  }
  if (body.trim() === '') return null;
  try {
    return JSON.parse(body) as unknown;
  } catch {
    const start = exchange.redactor.scrub(body.slice(0, 60)).replace(/\s+/g, ' ');
    throw answerError(call, 'JSON', `${body.length} characters that are not, beginning "${start}"`);
  }
}

/** Livy 0.9 gzips the empty answers of uploads without saying so; the rest is as it says. */
function bodyOf(answer: AxiosResponse<unknown>, maxBytes: number): string {
  const bytes = Buffer.from(answer.data as ArrayBuffer);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes }).toString('utf8');
  } catch {
    return bytes.toString('latin1');
  }
}

async function send(exchange: Exchange, call: HttpCall): Promise<AxiosResponse<unknown>> {
  const limitMs = call.timeoutMs ?? exchange.limitMs;
  const headers = {
    Accept: 'application/json',
    'X-Requested-By': 'reprise',
    ...(await exchange.auth.headers()),
  };
  // axios's `timeout` restarts with each byte; a controller bounds the whole exchange.
  const controller = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    controller.abort();
  }, limitMs);
  const onAbort = (): void => controller.abort();
  call.signal?.addEventListener('abort', onAbort, { once: true });
  if (call.signal?.aborted) controller.abort();
  try {
    return await exchange.client.request({
      method: call.method,
      url: call.path,
      params: { ...call.query, ...(exchange.doAs === undefined ? {} : { doAs: exchange.doAs }) },
      ...(call.body === undefined ? {} : { data: call.body }),
      headers,
      signal: controller.signal,
    });
  } catch (error) {
    throw networkFailure(exchange, call, error, isLate ? limitMs : undefined);
  } finally {
    clearTimeout(timer);
    call.signal?.removeEventListener('abort', onAbort);
  }
}

function networkFailure(
  exchange: Exchange,
  call: HttpCall,
  error: unknown,
  lateMs?: number,
): Error {
  if (livyFacts(error)) return error as Error;
  const { method, path } = call;
  if (lateMs !== undefined) {
    exchange.epoch++;
    return timeoutError({ method, path }, lateMs);
  }
  if (call.signal?.aborted) {
    return livyError(`livy ${method} ${path}: cancelled by the caller`, {
      problem: 'cancelled',
      outcome: 'unknown',
      retryable: false,
      method,
      path,
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  if (/maxContentLength/.test(reason)) {
    return answerError({ method, path }, `at most ${exchange.maxBytes} bytes`, 'more', 'too-large');
  }
  exchange.epoch++;
  const code = isAxiosError(error) && error.code ? error.code : 'ERR_UNKNOWN';
  return errorFromNetwork({ method, path }, { code, reason }, exchange.redactor.scrub);
}
