/**
 * Sessions and statements as Livy keeps them: one interpreter thread a session, statements strictly
 * in order, the oldest of more than `retained` dropped even if waiting, cancellation that answers
 * at once and acts later. After Livy's server/.../InteractiveSession.scala, SessionManager.scala
 * and repl/.../Session.scala (tags v0.7.0 to v0.9.0).
 */
import { randomUUID } from 'node:crypto';

export type Output =
  | {
      readonly status: 'ok';
      readonly execution_count: number;
      readonly data: Readonly<Record<string, unknown>>;
    }
  | {
      readonly status: 'error';
      readonly execution_count: number;
      readonly ename: string;
      readonly evalue: string;
      readonly traceback: readonly string[];
    };

export interface EvaluationContext {
  readonly session: TestSession;
  readonly statementId: number;
  /** Fires when Livy would cancel the statement's Spark jobs. */
  readonly cancelled: AbortSignal;
}

/** Runs code as the REPL would: text printed, or an error. */
export type Evaluator = (
  code: string,
  context: EvaluationContext,
) => Promise<{ readonly text: string } | { readonly error: string }>;

export interface TestStatement {
  readonly id: number;
  readonly code: string;
  state: string;
  output: Output | null;
  progress: number;
  started: number;
  completed: number;
  readonly cancel: AbortController;
}

/** Which servlet a session belongs to. */
export type SessionType = 'sessions' | 'batches';

export interface TestSession {
  readonly type: SessionType;
  readonly id: number;
  readonly name: string | null;
  readonly owner: string | null;
  readonly proxyUser: string | null;
  readonly kind: string;
  readonly appId: string;
  readonly request: Readonly<Record<string, unknown>>;
  /** Kept by the evaluator for this session's driver process: the shim's memory. */
  readonly driver: Map<string, unknown>;
  state: string;
  appIdKnown: boolean;
  lastActivity: number;
  lastHeartbeat: number;
  nextStatement: number;
  readonly statements: Map<number, TestStatement>;
  readonly log: string[];
  queue: Promise<void>;
  timer: NodeJS.Timeout | undefined;
  /** Called when it ends, however. */
  readonly onEnd: Set<() => void>;
}

export interface SessionSettings {
  /** @units ms */
  readonly startMs: number;
  /** Statements kept a session. */
  readonly retained: number;
  /** After this, a statement that does not end is marked cancelled. @units ms */
  readonly cancelTimeoutMs: number;
  readonly evaluator: Evaluator;
  readonly onStatementRun: () => void;
}

export function newSession(
  id: number,
  owner: string | null,
  request: Readonly<Record<string, unknown>>,
  settings: SessionSettings,
  type: SessionType = 'sessions',
): TestSession {
  const session: TestSession = {
    type,
    id,
    name: typeof request.name === 'string' ? request.name : null,
    owner,
    proxyUser: typeof request.proxyUser === 'string' ? request.proxyUser : null,
    kind: String(request.kind ?? 'shared'),
    appId: `application_${randomUUID()}`,
    request,
    driver: new Map(),
    state: 'starting',
    appIdKnown: false,
    lastActivity: Date.now(),
    lastHeartbeat: Date.now(),
    nextStatement: 0,
    statements: new Map(),
    log: [`spark-submit started for session ${id}`],
    queue: Promise.resolve(),
    timer: undefined,
    onEnd: new Set(),
  };
  if (Number.isFinite(settings.startMs)) {
    session.timer = setTimeout(() => {
      if (session.state !== 'starting') return;
      session.appIdKnown = true;
      session.state = type === 'batches' ? 'running' : 'idle';
      session.log.push('driver registered');
    }, settings.startMs);
  }
  return session;
}

/** Ends a session as a lost driver would: its statements never finish. */
export function endSession(session: TestSession, state: string): void {
  clearTimeout(session.timer);
  session.state = state;
  session.driver.clear();
  for (const tell of session.onEnd) tell();
  for (const statement of session.statements.values()) statement.cancel.abort();
}

export const isOver = (session: TestSession): boolean =>
  ['shutting_down', 'dead', 'killed', 'success'].includes(session.state);

export function submit(
  session: TestSession,
  code: string,
  settings: SessionSettings,
): TestStatement {
  const statement: TestStatement = {
    id: session.nextStatement++,
    code,
    state: 'waiting',
    output: null,
    progress: 0,
    started: 0,
    completed: 0,
    cancel: new AbortController(),
  };
  session.statements.set(statement.id, statement);
  while (session.statements.size > settings.retained) {
    const oldest = session.statements.keys().next().value;
    if (oldest !== undefined) session.statements.delete(oldest);
  }
  session.queue = session.queue.then(() => execute(session, statement, settings));
  return statement;
}

async function execute(
  session: TestSession,
  statement: TestStatement,
  settings: SessionSettings,
): Promise<void> {
  // The hidden job-group line flips the state before the real code begins, as in Livy.
  session.state = isOver(session) ? session.state : 'idle';
  if (statement.state !== 'waiting' || isOver(session)) return;
  statement.state = 'running';
  statement.started = Date.now();
  session.state = 'busy';
  settings.onStatementRun();
  const { id, code } = statement;
  let result: Awaited<ReturnType<Evaluator>>;
  try {
    const context = { session, statementId: id, cancelled: statement.cancel.signal };
    result = await settings.evaluator(code, context);
  } catch (error) {
    result = { error: String(error) };
  }
  if (isOver(session)) return;
  statement.output =
    'text' in result
      ? { status: 'ok', execution_count: id, data: { 'text/plain': result.text } }
      : {
          status: 'error',
          execution_count: id,
          ename: 'Error',
          evalue: result.error,
          traceback: [],
        };
  if (statement.state === 'running') statement.state = 'available';
  if (statement.state === 'cancelling') statement.state = 'cancelled';
  statement.progress = 1;
  statement.completed = Date.now();
  session.state = 'idle';
}

export function cancel(session: TestSession, id: number, settings: SessionSettings): void {
  const statement = session.statements.get(id);
  if (!statement) return;
  if (statement.state === 'waiting') {
    statement.state = 'cancelled';
    return;
  }
  if (statement.state !== 'running') return;
  statement.state = 'cancelling';
  statement.cancel.abort();
  // Livy gives up and calls it cancelled, though the thread goes on and later statements wait
  // behind it.
  setTimeout(() => {
    if (statement.state === 'cancelling') statement.state = 'cancelled';
  }, settings.cancelTimeoutMs).unref();
}
