/**
 * Livy's JSON, both ways. Decoding is tolerant: fields may be missing (older servers, proxies),
 * states may be new; only what we can't work without is demanded. Encoding sends no field the
 * server's version does not know.
 */
import { ConfigError } from '../../driver/errors.js';
import { answerError } from './errors.js';
import type {
  ApplicationInfo,
  BatchSpec,
  SessionPhase,
  SessionSpec,
  SparkResources,
  StatementInfo,
  StatementOutput,
} from './types.js';
import type { LivyFeatures } from './version.js';

type Json = Readonly<Record<string, unknown>>;
interface CallFacts {
  readonly method: string;
  readonly path: string;
}

/** An object, or an error that says which call answered otherwise. */
export function asObject(value: unknown, call: CallFacts): Json {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Json;
  throw answerError(call, 'a JSON object', value === null ? 'nothing' : typeof value);
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
export const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((it): it is string => typeof it === 'string') : [];

function idOf(json: Json, call: CallFacts): number {
  if (typeof json.id === 'number' && Number.isSafeInteger(json.id)) return json.id;
  throw answerError(call, 'a numeric id', `id of type ${typeof json.id}`);
}

/** @throws LivyError (`answer`) when there is no id */
export function decodeApplication(value: unknown, call: CallFacts): ApplicationInfo {
  const json = asObject(value, call);
  return {
    id: idOf(json, call),
    name: text(json.name),
    appId: text(json.appId),
    owner: text(json.owner),
    proxyUser: text(json.proxyUser),
    state: text(json.state) ?? 'unknown',
  };
}

/** The entries of a list answer (`sessions`, `batches` and their like). */
export function decodeList<T>(
  value: unknown,
  key: string,
  call: CallFacts,
  item: (value: unknown, call: CallFacts) => T,
): T[] {
  const json = asObject(value, call);
  const list = json[key];
  if (!Array.isArray(list)) throw answerError(call, `a list "${key}"`, typeof list);
  return list.map((it) => item(it, call));
}

function decodeOutput(value: unknown): StatementOutput | null {
  if (value === null || typeof value !== 'object') return null;
  const json = value as Json;
  if (json.status === 'ok') {
    const data = (json.data ?? {}) as Json;
    return { status: 'ok', text: text(data['text/plain']) ?? '' };
  }
  return {
    status: 'error',
    ename: text(json.ename) ?? 'Error',
    evalue: text(json.evalue) ?? '',
    traceback: texts(json.traceback),
  };
}

/** @throws LivyError (`answer`) when there is no id */
export function decodeStatement(value: unknown, call: CallFacts): StatementInfo {
  const json = asObject(value, call);
  return {
    id: idOf(json, call),
    code: text(json.code) ?? '',
    state: text(json.state) ?? 'unknown',
    output: decodeOutput(json.output),
    progress: typeof json.progress === 'number' ? json.progress : 0,
  };
}

/** What a session state means for the client. A state Livy has not told us of is "not yet". */
export function sessionPhase(state: string): SessionPhase {
  switch (state) {
    case 'idle':
    case 'busy':
    case 'running':
      return 'ready';
    case 'shutting_down':
    case 'error':
    case 'dead':
    case 'killed':
    case 'success':
      return 'ended';
    default:
      return 'wait';
  }
}

/** Livy looks names of digits up as ids, and 0.7.0 prints names unescaped in its web pages. */
export function checkName(name: string): void {
  if (/^[A-Za-z0-9_-]{1,200}$/.test(name) && !/^\d+$/.test(name)) return;
  throw new ConfigError(
    `livy session name: expected letters, digits, _ and -, not digits alone, got ${JSON.stringify(name.slice(0, 80))}`,
    { key: 'name', value: name },
  );
}

function encodeResources(spec: SparkResources): Json {
  const { proxyUser, jars, files, archives, queue, conf } = spec;
  const { driverMemory, driverCores, executorMemory, executorCores, numExecutors } = spec;
  const all = { proxyUser, jars, files, archives, queue, conf };
  const sizes = { driverMemory, driverCores, executorMemory, executorCores, numExecutors };
  return Object.fromEntries(
    Object.entries({ ...all, ...sizes }).filter(([, value]) => value !== undefined),
  );
}

/** Body of `POST /sessions` for a server with these features. @throws ConfigError on a bad name */
export function encodeSession(spec: SessionSpec, features: LivyFeatures): Json {
  checkName(spec.name);
  const idle =
    spec.idleSeconds !== undefined && features.idleField !== null
      ? { [features.idleField]: `${spec.idleSeconds}s` }
      : {};
  const total =
    spec.ttlSeconds !== undefined && features.totalTtl ? { ttl: `${spec.ttlSeconds}s` } : {};
  return {
    name: spec.name,
    kind: spec.kind ?? 'spark',
    ...(spec.heartbeatSeconds === undefined
      ? {}
      : { heartbeatTimeoutInSecond: spec.heartbeatSeconds }),
    ...idle,
    ...total,
    ...encodeResources(spec),
  };
}

/** Body of `POST /batches`. @throws ConfigError on a bad name */
export function encodeBatch(spec: BatchSpec): Json {
  checkName(spec.name);
  const { file, className, args } = spec;
  return {
    name: spec.name,
    file,
    className,
    ...(args === undefined ? {} : { args }),
    ...encodeResources(spec),
  };
}
