/** Livy's JSON and errors by version, as `JsonServlet` and others write them (v0.7.0 to v0.9.0). */
import { gzipSync } from 'node:zlib';
import type { TestSession, TestStatement } from './sessions.js';

export type ServerVersion = '0.7.1' | '0.8.0' | '0.9.0';

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Sent instead of `body`. */
  readonly bytes?: Buffer;
  readonly type?: string;
}

const at = (version: ServerVersion, minor: number): boolean =>
  Number(version.split('.')[1]) >= minor;

export const json = (status: number, value: unknown): Answer => ({
  status,
  body: JSON.stringify(value),
});
/** `ResponseMessage`: an object with `msg`. */
export const message = (status: number, msg: string): Answer => json(status, { msg });
/** A bare string, as exceptions and "Statement not found" are rendered. */
export const bare = (status: number, text: string): Answer => json(status, text);
export const notFound = (ref: string): Answer => message(404, `Session '${ref}' not found.`);
export const notRunning = (state: string): Answer =>
  bare(500, `java.lang.IllegalStateException: Session is in state ${state}`);
export const notActive = (): Answer => message(400, "requirement failed: Session isn't active.");
/** What Livy 0.9 says to an upload: nothing, packed by gzip without a header that says so. */
export const uploaded = (): Answer => ({ status: 200, body: '', bytes: gzipSync('') });
/** Jetty's own error page. */
export const jettyPage = (status: number, reason: string): Answer => ({
  status,
  type: 'text/html;charset=iso-8859-1',
  body: `<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>\n<title>Error ${status} ${reason}</title>\n</head>\n<body><h2>HTTP ERROR ${status} ${reason}</h2>\n</body>\n</html>\n`,
});

const BASE_FIELDS = [
  ...['kind', 'proxyUser', 'jars', 'pyFiles', 'files', 'driverMemory', 'driverCores'],
  ...['executorMemory', 'executorCores', 'numExecutors', 'archives', 'queue', 'name', 'conf'],
  'heartbeatTimeoutInSecond',
];
const BATCH_FIELDS = [
  ...BASE_FIELDS.filter((it) => it !== 'kind' && it !== 'heartbeatTimeoutInSecond'),
  'file',
  'args',
  'className',
];

/** The refusal of an unknown field, or undefined when all are known. */
export function refuseFields(
  version: ServerVersion,
  kind: 'sessions' | 'batches',
  request: Readonly<Record<string, unknown>>,
): Answer | undefined {
  const known = new Set(kind === 'batches' ? BATCH_FIELDS : BASE_FIELDS);
  if (kind === 'sessions' && at(version, 8)) known.add('ttl');
  if (kind === 'sessions' && at(version, 9)) known.add('idleTimeout');
  const unknown = Object.keys(request).find((it) => !known.has(it));
  if (unknown === undefined) return undefined;
  return bare(
    400,
    `Unrecognized field "${unknown}" (class org.apache.livy.server.interactive.CreateInteractiveRequest), not marked as ignorable (${known.size} known properties)`,
  );
}

export function duplicateName(version: ServerVersion, name: string, id: number): Answer {
  const text = `Duplicate session name: Some(${name}) for session ${id}`;
  return message(400, at(version, 8) ? `Rejected, Reason: ${text}` : text);
}

export function sessionView(version: ServerVersion, session: TestSession): Record<string, unknown> {
  const { request } = session;
  const view = {
    id: session.id,
    name: session.name,
    appId: session.appIdKnown ? session.appId : null,
    owner: session.owner,
    proxyUser: session.proxyUser,
    state: session.state,
    kind: session.kind,
    appInfo: { driverLogUrl: null, sparkUiUrl: null },
    log: session.log.slice(-10),
  };
  if (!at(version, 8)) return view;
  return {
    ...view,
    ttl: request.ttl ?? null,
    ...(at(version, 9) ? { idleTimeout: request.idleTimeout ?? null } : {}),
    driverMemory: request.driverMemory ?? null,
    driverCores: request.driverCores ?? 0,
    executorMemory: request.executorMemory ?? null,
    executorCores: request.executorCores ?? 0,
    conf: request.conf ?? {},
    archives: [],
    files: [],
    heartbeatTimeoutInSecond: request.heartbeatTimeoutInSecond ?? 0,
    jars: request.jars ?? [],
    numExecutors: request.numExecutors ?? 0,
    pyFiles: [],
    queue: request.queue ?? null,
  };
}

export const statementView = (statement: TestStatement): Record<string, unknown> => {
  const { id, code, state, output, progress, started, completed } = statement;
  return { id, code, state, output, progress, started, completed };
};

/** The slice a list request asks for; `order` is obeyed from 0.8 on. */
export function listed<T>(
  items: readonly T[],
  query: URLSearchParams,
  version: ServerVersion,
): T[] {
  const isNewestFirst = at(version, 8) && query.get('order')?.toLowerCase() === 'desc';
  const ordered = isNewestFirst ? [...items].reverse() : [...items];
  const from = Number(query.get('from') ?? 0);
  return ordered.slice(from, from + Number(query.get('size') ?? ordered.length));
}
