/**
 * A Livy server for tests, on a real socket: the paths, JSON, states and error texts of Apache Livy
 * 0.7 to 0.9, a fault list, restarts with and without recovery, and counters of everything it was
 * made to do. Statements run in an evaluator that is given; sessions are objects, not processes.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  type Answer,
  bare,
  duplicateName,
  jettyPage,
  json,
  listed,
  message,
  notActive,
  notFound,
  notRunning,
  refuseFields,
  type ServerVersion,
  sessionView,
  statementView,
  uploaded,
} from './answers.js';
import { createFaultList, type Fault, type FaultAction } from './faults.js';
import { reply, replyBadly } from './replies.js';
import {
  cancel,
  type Evaluator,
  endSession,
  isOver,
  newSession,
  type SessionSettings,
  type SessionType,
  submit,
  type TestSession,
} from './sessions.js';

export interface LivyTestServerOptions {
  readonly version?: ServerVersion;
  /** Runs statements. */
  readonly evaluator: Evaluator;
  /** From POST to `idle`; `Infinity` for a session that never starts. @units ms, default 20 */
  readonly startMs?: number;
  readonly faults?: readonly Fault[];
  /** Default 100, as `livy.rsc.retained-statements`. */
  readonly retainedStatements?: number;
  /** Idle limit of the server. @units ms, default none */
  readonly sessionTimeoutMs?: number;
  /** How often idle and silent sessions are looked for. @units ms, default 20 */
  readonly watchMs?: number;
  /** Sessions that may start at once, as `livy.server.session.max-creation`. Default 100 */
  readonly maxCreation?: number;
  readonly cancelTimeoutMs?: number;
  readonly csrf?: boolean;
  /** Starts the application of a batch; default: batches are objects only. */
  readonly launch?: (session: TestSession) => void;
  readonly basicAuth?: { readonly username: string; readonly password: string };
}

export interface LivyTestServer {
  readonly url: string;
  readonly sessions: ReadonlyMap<number, TestSession>;
  /** How often it happened: `POST /sessions`, `statement run`, `session created`, .. */
  count(what: string): number;
  readonly requests: readonly {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
  }[];
  addFaults(...faults: readonly Fault[]): void;
  clearFaults(): void;
  setState(id: number, state: string): void;
  /** Ends a session as if its driver died. */
  kill(id: number, logLine?: string): void;
  /** Breaks all connections and returns, with its sessions or without (ids from 0 again). */
  restart(options: { readonly recovery: boolean }): void;
  /** A session somebody else creates. */
  addForeignSession(name: string | null, owner: string): TestSession;
  close(): Promise<void>;
}

interface Context {
  readonly options: LivyTestServerOptions;
  readonly version: ServerVersion;
  readonly settings: SessionSettings;
  readonly sessions: Map<number, TestSession>;
  readonly counts: Map<string, number>;
  nextId: number;
}

const count = (context: Context, what: string): void => {
  context.counts.set(what, (context.counts.get(what) ?? 0) + 1);
};

export async function startLivyTestServer(options: LivyTestServerOptions): Promise<LivyTestServer> {
  const faults = createFaultList();
  faults.add(...(options.faults ?? []));
  const counts = new Map<string, number>();
  const context: Context = {
    options,
    version: options.version ?? '0.9.0',
    sessions: new Map(),
    counts,
    nextId: 0,
    settings: {
      startMs: options.startMs ?? 20,
      retained: options.retainedStatements ?? 100,
      cancelTimeoutMs: options.cancelTimeoutMs ?? 30_000,
      evaluator: options.evaluator,
      onStatementRun: () => count(context, 'statement run'),
    },
  };
  const requests: { method: string; path: string; headers: IncomingMessage['headers'] }[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    requests.push({ method: request.method ?? '', path: url.pathname, headers: request.headers });
    void serve(context, faults.strike(request.method ?? '', url.pathname), request, response, url);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const watch = setInterval(() => collect(context), options.watchMs ?? 20);
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const sessionOf = (id: number): TestSession => {
    const session = context.sessions.get(id);
    if (!session) throw new Error(`no session ${id} in the test server`);
    return session;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions: context.sessions,
    requests,
    count: (what) => counts.get(what) ?? 0,
    addFaults: (...more) => faults.add(...more),
    clearFaults: () => faults.clear(),
    setState: (id, state) => {
      sessionOf(id).state = state;
    },
    kill: (id, line) => {
      if (line !== undefined) sessionOf(id).log.push(line);
      endSession(sessionOf(id), 'dead');
    },
    restart: ({ recovery }) => {
      breakAll();
      if (recovery) return;
      for (const session of context.sessions.values()) endSession(session, 'dead');
      context.sessions.clear();
      context.nextId = 0;
    },
    addForeignSession: (name, owner) => register(context, owner, name === null ? {} : { name }),
    close: async () => {
      clearInterval(watch);
      breakAll();
      for (const session of context.sessions.values()) endSession(session, 'dead');
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function register(
  context: Context,
  owner: string | null,
  request: Readonly<Record<string, unknown>>,
  type: SessionType = 'sessions',
): TestSession {
  const session = newSession(context.nextId++, owner, request, context.settings, type);
  context.sessions.set(session.id, session);
  if (type === 'batches') context.options.launch?.(session);
  return session;
}

/** Livy's garbage collector and heartbeat watchdog in one. */
function collect(context: Context): void {
  const now = Date.now();
  for (const session of context.sessions.values()) {
    if (isOver(session) || session.type === 'batches') continue;
    const silence = Number(session.request.heartbeatTimeoutInSecond ?? 0) * 1000;
    const asked = session.request[context.version === '0.8.0' ? 'ttl' : 'idleTimeout'];
    const idle =
      asked === undefined ? context.options.sessionTimeoutMs : parseFloat(String(asked)) * 1000;
    const why =
      silence > 0 && now - session.lastHeartbeat > silence
        ? 'silent'
        : idle !== undefined && now - session.lastActivity > idle
          ? 'idle'
          : undefined;
    if (why === undefined) continue;
    count(context, `session ended: ${why}`);
    endSession(session, 'dead');
    context.sessions.delete(session.id);
  }
}

async function serve(
  context: Context,
  fault: FaultAction | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    // The client has gone; there is nobody to answer.
    return;
  }
  const body = Buffer.concat(chunks);
  const method = request.method ?? '';
  count(
    context,
    `${method} ${url.pathname.replace(/^\/(sessions|batches)\/[^/]+/, '/$1/*').replace(/statements\/\d+/, 'statements/*')}`,
  );
  if (fault?.kind === 'drop-before') return void request.socket.destroy();
  if (fault?.kind === 'answer')
    return reply(response, { ...fault, type: 'text/html' }, fault.headers);
  if (fault?.kind === 'delay-before') await new Promise((resolve) => setTimeout(resolve, fault.ms));
  const answer = refused(context, request) ?? (await act(context, method, url, body));
  if (fault === undefined || fault.kind === 'delay-before') return reply(response, answer);
  await replyBadly(response, answer, fault);
}

/** Refusals that come before any servlet: authentication, then CSRF. */
function refused(context: Context, request: IncomingMessage): Answer | undefined {
  const { basicAuth, csrf } = context.options;
  if (basicAuth) {
    const wanted = `Basic ${Buffer.from(`${basicAuth.username}:${basicAuth.password}`).toString('base64')}`;
    if (request.headers.authorization !== wanted) return jettyPage(401, 'Unauthorized');
  }
  if (csrf && request.method !== 'GET' && request.headers['x-requested-by'] === undefined) {
    return jettyPage(400, 'Missing Required Header for CSRF protection.');
  }
  return undefined;
}

async function act(context: Context, method: string, url: URL, body: Buffer): Promise<Answer> {
  const [, kind, ref, verb, number, more] = url.pathname.split('/');
  if (kind === 'version') {
    return json(200, {
      version: `${context.version}-incubating`,
      user: 'test',
      revision: 'test',
      branch: 'test',
      date: '',
      url: '',
    });
  }
  if (kind !== 'sessions' && kind !== 'batches') return jettyPage(404, 'Not Found');
  if (ref === undefined || ref === '') {
    return method === 'POST' ? create(context, kind, url, body) : listSessions(context, kind, url);
  }
  const session = /^\d+$/.test(ref)
    ? context.sessions.get(Number(ref))
    : [...context.sessions.values()].find((it) => it.name === decodeURIComponent(ref));
  if (session?.type !== kind) return notFound(ref);
  session.lastHeartbeat = Date.now();
  if (verb === 'statements') return statements(context, session, method, number, more, url, body);
  return sessionVerb(context, session, method, verb, url, body);
}

function create(context: Context, kind: SessionType, url: URL, body: Buffer): Answer {
  const starting = [...context.sessions.values()].filter((it) => it.state === 'starting').length;
  if (starting >= (context.options.maxCreation ?? 100)) {
    return message(400, 'Rejected, too many sessions are being created!');
  }
  const request = JSON.parse(body.toString()) as Record<string, unknown>;
  const refusal = refuseFields(context.version, kind, request);
  if (refusal) return refusal;
  // As in Livy, the name is checked when the driver process already runs.
  count(context, 'driver started');
  const name = typeof request.name === 'string' ? request.name : null;
  if (name !== null && [...context.sessions.values()].some((it) => it.name === name)) {
    return duplicateName(context.version, name, context.nextId++);
  }
  const doAs = url.searchParams.get('doAs');
  count(context, 'session created');
  const session = register(
    context,
    context.options.basicAuth?.username ?? null,
    doAs === null ? request : { ...request, proxyUser: doAs },
    kind,
  );
  return json(201, sessionView(context.version, session));
}

function listSessions(context: Context, kind: SessionType, url: URL): Answer {
  const all = [...context.sessions.values()].filter((it) => it.type === kind);
  const page = all
    .slice(Number(url.searchParams.get('from') ?? 0))
    .slice(0, Number(url.searchParams.get('size') ?? 100));
  return json(200, {
    from: 0,
    total: all.length,
    // The list of batches is named so, too: one servlet serves both.
    sessions: page.map((it) => sessionView(context.version, it)),
  });
}

function sessionVerb(
  context: Context,
  session: TestSession,
  method: string,
  verb: string | undefined,
  url: URL,
  body: Buffer,
): Answer {
  if (verb === undefined && method === 'DELETE') {
    count(context, 'session deleted');
    endSession(session, 'dead');
    context.sessions.delete(session.id);
    return message(200, 'deleted');
  }
  if (verb === undefined) return json(200, sessionView(context.version, session));
  if (verb === 'state') return json(200, { id: session.id, state: session.state });
  if (verb === 'log') {
    const size = Number(url.searchParams.get('size') ?? 100);
    const from = Math.max(0, session.log.length - size);
    return json(200, {
      id: session.id,
      from,
      total: session.log.length,
      log: session.log.slice(from),
    });
  }
  if (verb === 'connect') {
    session.lastActivity = Date.now();
    return json(200, sessionView(context.version, session));
  }
  if (verb === 'upload-jar' || verb === 'upload-file' || verb === 'add-jar') {
    if (isOver(session)) return notActive();
    session.lastActivity = Date.now();
    session.driver.set('jar', body.length);
    return uploaded();
  }
  return jettyPage(404, 'Not Found');
}

function statements(
  context: Context,
  session: TestSession,
  method: string,
  number: string | undefined,
  more: string | undefined,
  url: URL,
  body: Buffer,
): Answer {
  const isSubmitting = method === 'POST' && number === undefined;
  if (isSubmitting || more === 'cancel') {
    if (!['idle', 'busy', 'running'].includes(session.state)) return notRunning(session.state);
    session.lastActivity = Date.now();
  }
  if (isOver(session)) return notActive();
  if (isSubmitting) {
    const { code } = JSON.parse(body.toString()) as { code: string };
    return json(201, statementView(submit(session, code, context.settings)));
  }
  if (number === undefined) {
    const all = [...session.statements.values()];
    const page = listed(all, url.searchParams, context.version);
    return json(200, { total_statements: all.length, statements: page.map(statementView) });
  }
  const statement = session.statements.get(Number(number));
  if (more === 'cancel') {
    count(context, 'statement cancelled');
    cancel(session, Number(number), context.settings);
    return message(200, 'canceled');
  }
  return statement ? json(200, statementView(statement)) : bare(404, 'Statement not found');
}
