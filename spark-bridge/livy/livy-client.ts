/**
 * Livy's verbs, one method each: typed answers, a time limit and the right retries on every call.
 * Reads and deletes are repeated on passing faults; what creates something is sent again only when
 * the server surely refused it, and an unclear outcome is thrown for `session-lifecycle.ts` and
 * `statements.ts` to clear up. Sessions are addressed by name where we gave one: ids start again at
 * 0 when a server without recovery restarts.
 */
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { isLivyProblem } from './errors.js';
import { createLivyHttp, type HttpCall, type LivyHttp } from './livy-http.js';
import { DEFAULT_RETRY, type Repeatability, withRetry } from './retry.js';
import type {
  ApplicationInfo,
  BatchSpec,
  LivyConnection,
  RetryPolicy,
  SessionSpec,
  StatementInfo,
} from './types.js';
import {
  type LivyFeatures,
  type LivyVersion,
  livyFeatures,
  parseLivyVersion,
  versionWarnings,
} from './version.js';
import {
  asObject,
  decodeApplication,
  decodeList,
  decodeStatement,
  encodeBatch,
  encodeSession,
  texts,
} from './wire.js';

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** @units ms */
  readonly timeoutMs?: number;
}

/** More than a server starts at once. */
const MOST_LISTED = 10_000;

/** Id or name of a session or batch. */
export type LivyRef = number | string;

export interface LivyClient {
  readonly url: string;
  readonly http: LivyHttp;
  /** Whether the last request, repeated as it may be, got no answer. */
  readonly isSilent: () => boolean;
  readonly retry: Required<RetryPolicy>;
  /** Asked once. Also the health check: `/` answers with a redirect to web pages. */
  version(options?: RequestOptions): Promise<LivyVersion>;
  features(options?: RequestOptions): Promise<LivyFeatures>;
  /** @throws LivyError with outcome `unknown` if it may exist: look it up by name first */
  createSession(spec: SessionSpec, options?: RequestOptions): Promise<ApplicationInfo>;
  session(ref: LivyRef, options?: RequestOptions): Promise<ApplicationInfo>;
  /** Undefined when there is no such session. */
  findSession(ref: LivyRef, options?: RequestOptions): Promise<ApplicationInfo | undefined>;
  sessions(options?: RequestOptions): Promise<ApplicationInfo[]>;
  /** The newest `lines` lines of the driver's log. */
  sessionLog(ref: LivyRef, lines?: number, options?: RequestOptions): Promise<string[]>;
  /** Counts as activity, which reading does not: holds off the idle limit. */
  connectSession(ref: LivyRef, options?: RequestOptions): Promise<ApplicationInfo>;
  /** A session that is not there counts as deleted. */
  deleteSession(ref: LivyRef, options?: RequestOptions): Promise<void>;
  /** Sends a local jar (by default up to 100 MiB) to the session's class path. */
  uploadJar(ref: LivyRef, localPath: string, options?: RequestOptions): Promise<void>;
  /** Sends a local file to the session's driver and executors, under its name. */
  uploadFile(ref: LivyRef, localPath: string, options?: RequestOptions): Promise<void>;
  createBatch(spec: BatchSpec, options?: RequestOptions): Promise<ApplicationInfo>;
  findBatch(ref: LivyRef, options?: RequestOptions): Promise<ApplicationInfo | undefined>;
  batches(options?: RequestOptions): Promise<ApplicationInfo[]>;
  batchLog(ref: LivyRef, lines?: number, options?: RequestOptions): Promise<string[]>;
  deleteBatch(ref: LivyRef, options?: RequestOptions): Promise<void>;
  /** @throws LivyError with outcome `unknown` when the statement may have been taken */
  submitStatement(ref: LivyRef, code: string, options?: RequestOptions): Promise<StatementInfo>;
  statement(ref: LivyRef, id: number, options?: RequestOptions): Promise<StatementInfo>;
  /** Newest first; on servers before 0.8, which can't order, all of them. */
  newestStatements(ref: LivyRef, count: number, options?: RequestOptions): Promise<StatementInfo[]>;
  close(): void;
}

const at = (kind: 'sessions' | 'batches', ref: LivyRef, rest = ''): string =>
  `/${kind}/${encodeURIComponent(String(ref))}${rest}`;

/** A client for one server. Nothing is sent yet. @throws ConfigError on a bad address */
export function createLivyClient(connection: LivyConnection): LivyClient {
  const http = createLivyHttp(connection);
  const retry = { ...DEFAULT_RETRY, ...connection.retry };
  let version: LivyVersion | undefined;
  let isSilent = false;

  const send = async <T>(
    call: HttpCall,
    repeat: Repeatability,
    decode: (value: unknown, call: HttpCall) => T,
    options: RequestOptions = {},
  ): Promise<T> => {
    const full: HttpCall = { ...call, ...options };
    const attempt = async (): Promise<T> => decode(await http.call(full), full);
    try {
      const answer = await withRetry(attempt, { policy: retry, repeat, signal: options.signal });
      isSilent = false;
      return answer;
    } catch (error) {
      isSilent = isLivyProblem(error, 'network', 'timeout', 'server');
      throw error;
    }
  };
  const get = <T>(
    path: string,
    decode: (value: unknown, call: HttpCall) => T,
    options?: RequestOptions,
    query?: Readonly<Record<string, string | number>>,
  ): Promise<T> =>
    send({ method: 'GET', path, ...(query ? { query } : {}) }, 'safe', decode, options);
  const post = <T>(
    path: string,
    body: unknown,
    repeat: Repeatability,
    decode: (value: unknown, call: HttpCall) => T,
    options?: RequestOptions,
  ): Promise<T> => {
    const timeoutMs = http.slowTimeoutMs;
    return send({ method: 'POST', path, body, timeoutMs }, repeat, decode, options);
  };
  const remove = async (path: string, options?: RequestOptions): Promise<void> => {
    try {
      const timeoutMs = http.slowTimeoutMs;
      await send({ method: 'DELETE', path, timeoutMs }, 'safe', () => undefined, options);
    } catch (error) {
      if (!isLivyProblem(error, 'gone')) throw error;
    }
  };
  const maybe = async <T>(answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer;
    } catch (error) {
      if (isLivyProblem(error, 'gone')) return undefined;
      throw error;
    }
  };
  const ignore = (): void => undefined;
  const applications = (value: unknown, call: HttpCall): ApplicationInfo[] =>
    decodeList(value, 'sessions', call, decodeApplication);
  const logLines = (value: unknown, call: HttpCall): string[] =>
    texts(asObject(value, call).log).map(http.redactor.scrub);
  const upload = async (
    kind: 'jar' | 'file',
    ref: LivyRef,
    localPath: string,
    options?: RequestOptions,
  ): Promise<void> => {
    const form = new FormData();
    form.append(kind, await openAsBlob(localPath), basename(localPath));
    await post(at('sessions', ref, `/upload-${kind}`), form, 'safe', ignore, options);
  };

  const client: LivyClient = {
    url: http.baseUrl,
    http,
    isSilent: () => isSilent,
    retry,
    version: async (options) => {
      if (version === undefined) {
        const text = await get(
          '/version',
          (value, call) => String(asObject(value, call).version ?? ''),
          options,
        );
        version = parseLivyVersion(text);
        for (const warning of versionWarnings(version)) http.warn(warning);
      }
      return version;
    },
    features: async (options) => livyFeatures(await client.version(options)),
    createSession: async (spec, options) => {
      http.redactor.addConf(spec.conf ?? {});
      const body = encodeSession(spec, await client.features(options));
      return await post('/sessions', body, 'once', decodeApplication, options);
    },
    session: (ref, options) => get(at('sessions', ref), decodeApplication, options),
    findSession: (ref, options) => maybe(client.session(ref, options)),
    sessions: (options) => get('/sessions', applications, options, { size: MOST_LISTED }),
    sessionLog: (ref, lines = 100, options) =>
      get(at('sessions', ref, '/log'), logLines, options, { size: lines }),
    connectSession: (ref, options) =>
      post(at('sessions', ref, '/connect'), undefined, 'safe', decodeApplication, options),
    deleteSession: (ref, options) => remove(at('sessions', ref), options),
    uploadJar: (ref, localPath, options) => upload('jar', ref, localPath, options),
    uploadFile: (ref, localPath, options) => upload('file', ref, localPath, options),
    createBatch: (spec, options) => {
      http.redactor.addConf(spec.conf ?? {});
      return post('/batches', encodeBatch(spec), 'once', decodeApplication, options);
    },
    findBatch: (ref, options) => maybe(get(at('batches', ref), decodeApplication, options)),
    batches: (options) => get('/batches', applications, options, { size: MOST_LISTED }),
    batchLog: (ref, lines = 100, options) =>
      get(at('batches', ref, '/log'), logLines, options, { size: lines }),
    deleteBatch: (ref, options) => remove(at('batches', ref), options),
    submitStatement: (ref, code, options) =>
      post(
        at('sessions', ref, '/statements'),
        { code, kind: 'spark' },
        'once',
        decodeStatement,
        options,
      ),
    statement: (ref, id, options) =>
      get(at('sessions', ref, `/statements/${id}`), decodeStatement, options),
    newestStatements: async (ref, count, options) => {
      const ordered = (await client.features(options)).statementOrder;
      const list = await get(
        at('sessions', ref, '/statements'),
        (value, call) => decodeList(value, 'statements', call, decodeStatement),
        options,
        ordered ? { order: 'desc', from: 0, size: count } : undefined,
      );
      return (ordered ? list : list.reverse()).slice(0, count);
    },
    close: () => http.close(),
  };
  return client;
}
