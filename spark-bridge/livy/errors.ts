/**
 * The one place where answers of Livy, of proxies before it and of the network become `LivyError`s.
 * Invariants: no header, credential or request body is in an error, whoever prints it however deep;
 * each error says whether the server may have done what was asked (`outcome`) and whether asking
 * again can help.
 */
import { dirname } from 'node:path';
import { LivyError } from '../../driver/errors.js';

/** What is known of a request's effect: it never ran, may have run, or the server refused it. */
export type LivyOutcome = 'not-sent' | 'unknown' | 'refused';

export type LivyProblem =
  /** No answer: refused, reset, unresolved, half an answer. */
  | 'network'
  | 'timeout'
  | 'cancelled'
  /** 401 or 403. */
  | 'auth'
  /** The session, batch or statement is not there (any more). */
  | 'gone'
  /** The session ended; its results are lost. */
  | 'dead'
  /** The session is still starting. */
  | 'not-ready'
  /** The name is taken. */
  | 'duplicate'
  /** Too many requests or sessions: come back later. */
  | 'busy'
  /** The server, or a proxy before it, broke. */
  | 'server'
  /** The request is wrong. */
  | 'request'
  /** The answer is not what Livy says. */
  | 'answer'
  /** The answer is larger than we accept. */
  | 'too-large'
  /** Someone else's session stands where ours was. */
  | 'identity'
  /** The statement ran and threw. */
  | 'remote';

export interface LivyFacts {
  readonly problem: LivyProblem;
  readonly outcome: LivyOutcome;
  readonly retryable: boolean;
  readonly method?: string;
  /** Path below the base address, without query. */
  readonly path?: string;
  readonly status?: number;
  readonly sessionId?: number | string;
  readonly statementId?: number;
  readonly state?: string;
  readonly retryAfterMs?: number;
  readonly remoteTrace?: readonly string[];
  /** Last lines of the driver's log. */
  readonly log?: readonly string[];
}

/** Builds a `LivyError`; `cause` must already be free of secrets. */
export function livyError(message: string, facts: LivyFacts, cause?: Error): LivyError {
  return new LivyError(message, { ...facts }, cause ? { cause } : undefined);
}

/** What asking again does not help, about a session or batch. */
export function finalError(
  message: string,
  problem: LivyProblem,
  sessionId: number | string,
  more: Partial<LivyFacts> = {},
): LivyError {
  const facts = { problem, outcome: 'refused', retryable: false, sessionId } as const;
  return livyError(message, { ...facts, ...more });
}

/** The facts of an error thrown in this folder; undefined for any other error. */
export function livyFacts(error: unknown): LivyFacts | undefined {
  if (!(error instanceof LivyError) || typeof error.facts.problem !== 'string') return undefined;
  return error.facts as unknown as LivyFacts;
}

/** Whether `error` is a `LivyError` of one of these problems. */
export function isLivyProblem(error: unknown, ...problems: readonly LivyProblem[]): boolean {
  const facts = livyFacts(error);
  return facts !== undefined && problems.includes(facts.problem);
}

interface CallFacts {
  readonly method: string;
  readonly path: string;
}

const idsIn = (path: string): { sessionId?: number | string; statementId?: number } => {
  const match = /^\/(?:sessions|batches)\/([^/?]+)(?:\/statements\/(\d+))?/.exec(path);
  if (!match?.[1]) return {};
  const sessionId = /^\d+$/.test(match[1]) ? Number(match[1]) : decodeURIComponent(match[1]);
  return match[2] === undefined ? { sessionId } : { sessionId, statementId: Number(match[2]) };
};

/** Text of an error body in any known shape: `{"msg"}`, a bare JSON string, nothing, or HTML. */
export function bodyText(body: string): { readonly text: string; readonly html: boolean } {
  const trimmed = body.trim();
  if (/^<(!doctype|html|\?xml|head|body)/i.test(trimmed)) {
    const title = /<title>([^<]*)<\/title>/i.exec(trimmed)?.[1];
    const plain = title ?? trimmed.replace(/<[^>]*>/g, ' ');
    return { text: plain.replace(/\s+/g, ' ').trim().slice(0, 300), html: true };
  }
  let text = trimmed;
  try {
    const parsed: unknown = JSON.parse(trimmed);
    if (typeof parsed === 'string') text = parsed;
    else if (parsed !== null && typeof parsed === 'object') {
      const { msg, message, error } = parsed as Record<string, unknown>;
      text = [msg, message, error].find((it): it is string => typeof it === 'string') ?? trimmed;
    }
  } catch {
    // Not JSON: the text itself is all there is.
  }
  return { text: text.slice(0, 1000), html: false };
}

/** `Retry-After` as seconds or an HTTP date. @units ms from `nowMs` */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** Picked one by one: the callers' objects carry bodies, and bodies carry secrets. */
const callFacts = ({ method, path }: CallFacts): Partial<LivyFacts> => ({
  method,
  path,
  ...idsIn(path),
});

type Verdict = Pick<LivyFacts, 'problem' | 'outcome' | 'retryable'> & { readonly remedy?: string };
const verdict = (
  problem: LivyProblem,
  outcome: LivyOutcome,
  retryable: boolean,
  remedy?: string,
): Verdict =>
  remedy === undefined ? { problem, outcome, retryable } : { problem, outcome, retryable, remedy };

/** Without shared storage, a server keeps uploads on its own disk, where sessions can't read. */
function unreadable(path: string): string {
  const staging = /^(.*)\/[0-9a-f-]{36}\/[^/]+$/.exec(path)?.[1] ?? dirname(path);
  return `the server may not read this for sessions: let its operator set livy.file.local-dir-whitelist = ${staging}, or livy.session.staging-dir to storage that the cluster shares (hdfs:, s3a:); or put the shim's jar (of that name in the folder \`shim\` of REPRISE_HOME) where the cluster reads it and set REPRISE_LIVY_JAR to its URI (hdfs:, s3a:, https:, or local: for a path that every node has)`;
}

/** What a status and text mean. Livy uses 400 and 500 for many things, so the text decides. */
function classify(status: number, text: string, html: boolean): Verdict {
  if (status === 401) return verdict('auth', 'refused', false, 'check the credentials');
  if (status === 403)
    return verdict('auth', 'refused', false, 'ask for access, or check proxyUser and doAs');
  if (status === 429) return verdict('busy', 'refused', true);
  if (/too many sessions are being created/i.test(text)) return verdict('busy', 'refused', true);
  if (/duplicate session name/i.test(text)) return verdict('duplicate', 'refused', false);
  if (/session isn't active|session is active but client hasn't been created/i.test(text)) {
    return verdict('dead', 'refused', false);
  }
  if (
    /IllegalStateException: Session is in state (dead|killed|error|success|shutting_down)/i.test(
      text,
    )
  ) {
    return verdict('dead', 'refused', false);
  }
  if (/IllegalStateException: Session is in state/i.test(text)) {
    // Not repeated blindly: starting and recovering take minutes, so the session's state is watched
    // instead.
    return verdict('not-ready', 'refused', false);
  }
  const refused = /Local path (\S+) cannot be added to user sessions/i.exec(text)?.[1];
  if (refused !== undefined) return verdict('request', 'refused', false, unreadable(refused));
  if (status === 404 && !html) return verdict('gone', 'refused', false);
  if (status === 404) return verdict('request', 'refused', false, 'check the path in the Livy url');
  if (status === 408 || status === 425) return verdict('server', 'unknown', true);
  if (status >= 500) return verdict('server', 'unknown', true);
  if (status >= 300 && status < 400) {
    return verdict(
      'request',
      'refused',
      false,
      'redirects are not followed; use the final address as the Livy url',
    );
  }
  return verdict('request', 'refused', false);
}

/** The error for an HTTP answer that is not a success. */
export function errorFromAnswer(
  call: CallFacts,
  answer: {
    readonly status: number;
    readonly body: string;
    readonly retryAfter?: string | undefined;
  },
  scrub: (text: string) => string,
): LivyError {
  const { text, html } = bodyText(answer.body);
  const { remedy, ...facts } = classify(answer.status, text, html);
  const wait = retryAfterMs(answer.retryAfter, Date.now());
  const said = scrub(text).replace(/[.]$/, '') || 'an empty body';
  const from = html ? ' (HTML, so from a proxy or the web server)' : '';
  return livyError(
    `livy ${call.method} ${call.path}: expected success, got HTTP ${answer.status}${from}: ${said}${remedy ? `; ${remedy}` : ''}`,
    {
      ...facts,
      ...callFacts(call),
      status: answer.status,
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    },
  );
}

/** Connection failures after which the request surely never reached the server. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
/** TLS failures: asking again does not help. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS|EPROTO|ERR_SSL/;

/** The error of a request without a whole answer. `code` and `reason` are the HTTP library's. */
export function errorFromNetwork(
  call: CallFacts,
  failure: { readonly code: string; readonly reason: string },
  scrub: (text: string) => string,
): LivyError {
  const { code } = failure;
  const head = `livy ${call.method} ${call.path}:`;
  if (CERTIFICATE.test(code)) {
    return livyError(
      `${head} expected a trusted certificate, got ${code}; give the issuer's certificate as ca`,
      { problem: 'auth', outcome: 'not-sent', retryable: false, ...callFacts(call) },
    );
  }
  const outcome: LivyOutcome = NOT_SENT.has(code) ? 'not-sent' : 'unknown';
  const cause = new Error(`${code}: ${scrub(failure.reason)}`);
  return livyError(
    `${head} expected an answer, got ${code} (${scrub(failure.reason)}); is Livy running at this address?`,
    { problem: 'network', outcome, retryable: code !== 'ENOTFOUND', ...callFacts(call) },
    cause,
  );
}

/** The error for a call that ran out of its time limit. */
export function timeoutError(call: CallFacts, timeoutMs: number): LivyError {
  return livyError(
    `livy ${call.method} ${call.path}: expected an answer in ${timeoutMs} ms, got none`,
    {
      problem: 'timeout',
      outcome: 'unknown',
      retryable: true,
      ...callFacts(call),
    },
  );
}

/** The error for an answer that came but can't be used. */
export function answerError(
  call: CallFacts,
  expected: string,
  got: string,
  problem: 'answer' | 'too-large' = 'answer',
): LivyError {
  return livyError(`livy ${call.method} ${call.path}: expected ${expected}, got ${got}`, {
    problem,
    outcome: 'unknown',
    // A cut or mangled answer may come whole next time; one that is too large will not shrink.
    retryable: problem === 'answer',
    ...callFacts(call),
  });
}
