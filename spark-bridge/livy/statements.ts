/**
 * Runs statements of a session: submits each at most once, waits for it, hands out its text.
 * Invariants: a POST whose answer was lost is looked up by the nonce in its code before it is sent
 * again; a session's `idle` is never taken for a statement's end; at most a handful of statements
 * are open, since Livy drops the oldest of 100.
 */
import {
  finalError,
  isLivyProblem,
  type LivyFacts,
  type LivyProblem,
  livyFacts,
} from './errors.js';
import type { LivySession } from './livy-session.js';
import { pause } from './retry.js';
import { isStatementOf, type StatementText } from './statement-code.js';
import type { StatementInfo, StatementOutput } from './types.js';
import { sessionPhase } from './wire.js';

export interface StatementOptions {
  /** Shortest wait between looks at a statement; grows with its age up to `pollCapMs`. @units ms, default 100 */
  readonly pollMs?: number;
  /** @units ms, default 1000 */
  readonly pollCapMs?: number;
  /** How long a statement whose submission got no answer is looked for. @units ms, default 10000 */
  readonly lookupGraceMs?: number;
  /** How long a session that recovers is waited for. @units ms, default 180000 */
  readonly readyTimeoutMs?: number;
}

export interface StatementRunner {
  /**
   * Submits and waits. The signal ends the waiting only; the statement goes on.
   * @returns what it printed
   * @throws LivyError: `gone` when its result was dropped, `remote` when it threw, `dead`,
   *   `identity`, `cancelled`
   */
  run(statement: StatementText, signal?: AbortSignal): Promise<string>;
}

/** Statements looked through for a nonce: more than we ever have open. */
const LOOK_BACK = 20;

interface State {
  readonly session: LivySession;
  readonly pollMs: number;
  readonly pollCapMs: number;
  readonly lookupGraceMs: number;
  readonly readyTimeoutMs: number;
  /** Highest id seen; ids count up by one, so a lost statement has a higher one. */
  lastId: number;
  /** Submissions go one after the other, so that the order of ids is the order of calls. */
  tail: Promise<unknown>;
}

export function createStatementRunner(
  session: LivySession,
  options: StatementOptions = {},
): StatementRunner {
  const state: State = {
    session,
    pollMs: options.pollMs ?? 100,
    pollCapMs: options.pollCapMs ?? 1000,
    lookupGraceMs: options.lookupGraceMs ?? 10_000,
    readyTimeoutMs: options.readyTimeoutMs ?? 180_000,
    lastId: -1,
    tail: Promise.resolve(),
  };
  const run = async (statement: StatementText, signal?: AbortSignal): Promise<string> => {
    const turn = state.tail.then(() => submit(state, statement));
    state.tail = turn.catch(() => undefined);
    return textOf(state, await waitFor(state, await turn, statement.nonce, signal));
  };
  return { run };
}

async function submit(state: State, statement: StatementText): Promise<StatementInfo> {
  const { session } = state;
  for (let attempt = 0; ; attempt++) {
    await session.checkIfBroken();
    try {
      return seen(state, await session.client.submitStatement(session.name, statement.code));
    } catch (error) {
      const facts = livyFacts(error);
      if (isLivyProblem(error, 'dead', 'gone'))
        throw await session.over(`${facts?.problem} while submitting`);
      if (facts?.problem === 'not-ready') {
        await untilReady(state, error);
        continue;
      }
      if (facts?.outcome !== 'unknown') throw error;
      const found = await lookFor(state, statement.nonce);
      if (found) return seen(state, found);
      if (!facts.retryable || attempt >= session.client.retry.retries) throw error;
    }
  }
}

/** A server that has restarted with recovery takes a while to find its sessions' drivers again. */
async function untilReady(state: State, error: unknown): Promise<void> {
  const until = Date.now() + state.readyTimeoutMs;
  for (
    let waitMs = state.pollMs;
    Date.now() < until;
    waitMs = Math.min(waitMs * 2, state.pollCapMs)
  ) {
    await pause(waitMs);
    if (sessionPhase((await state.session.check()).state) === 'ready') return;
  }
  throw error;
}

function seen(state: State, statement: StatementInfo): StatementInfo {
  state.lastId = Math.max(state.lastId, statement.id);
  return statement;
}

/** The server may still be handing a request without an answer to the driver, so one look is not enough. */
async function lookFor(state: State, nonce: string): Promise<StatementInfo | undefined> {
  const until = Date.now() + state.lookupGraceMs;
  for (let waitMs = state.pollMs; ; waitMs = Math.min(waitMs * 2, state.pollCapMs)) {
    await state.session.check();
    const found = await lookOnce(state, nonce);
    if (found || Date.now() + waitMs > until) return found;
    await pause(waitMs);
  }
}

async function lookOnce(state: State, nonce: string): Promise<StatementInfo | undefined> {
  const { client, name } = state.session;
  try {
    const newest = await client.newestStatements(name, LOOK_BACK);
    return newest.find((it) => isStatementOf(it.code, nonce));
  } catch (error) {
    // The list carries all kept results, which together may be too large for Livy or for us.
    if (!isLivyProblem(error, 'server', 'too-large', 'answer')) throw error;
  }
  for (let id = state.lastId + 1; id <= state.lastId + LOOK_BACK; id++) {
    try {
      const statement = await client.statement(name, id);
      if (isStatementOf(statement.code, nonce)) return statement;
    } catch (error) {
      if (isLivyProblem(error, 'gone')) return undefined;
      throw error;
    }
  }
  return undefined;
}

async function waitFor(
  state: State,
  first: StatementInfo,
  nonce: string,
  signal: AbortSignal | undefined,
): Promise<StatementInfo> {
  const { session } = state;
  let statement = first;
  const since = Date.now();
  for (;;) {
    if (statement.code !== '' && !isStatementOf(statement.code, nonce)) {
      const got = "expected our own code, got another's";
      throw failed(session, statement.id, got, 'identity');
    }
    if (statement.state === 'available' || statement.state === 'cancelled') return statement;
    if (signal?.aborted) throw cancelled(session, first.id, 'by the caller');
    // A quarter of the time gone by: a statement is seen at most a quarter late, in a number of
    // looks that grows with the logarithm of its time.
    const quarter = (Date.now() - since) / 4;
    await pause(Math.min(state.pollCapMs, Math.max(state.pollMs, quarter)), signal);
    if (session.lost.aborted) throw session.lost.reason;
    try {
      statement = await session.client.statement(session.name, first.id);
    } catch (error) {
      if (isLivyProblem(error, 'dead')) throw await session.over('a dead session');
      if (!isLivyProblem(error, 'gone')) throw error;
      // Either the session has gone, which `check` throws, or only this statement's result has.
      await session.check();
      throw error;
    }
  }
}

function failed(
  session: LivySession,
  statementId: number,
  message: string,
  problem: LivyProblem,
  more: Partial<LivyFacts> = {},
): Error {
  const place = `livy statement ${statementId} of session ${session.name}`;
  return finalError(`${place}: ${message}`, problem, session.id, { statementId, ...more });
}

const cancelled = (session: LivySession, id: number, how: string): Error =>
  failed(session, id, `cancelled ${how}`, 'cancelled', { outcome: 'unknown' });

async function textOf(state: State, statement: StatementInfo): Promise<string> {
  const { session } = state;
  if (statement.state === 'cancelled') throw cancelled(session, statement.id, 'in Livy');
  const output: StatementOutput | null = statement.output;
  if (output?.status === 'ok') return output.text;
  const said = output ? `${output.ename}: ${output.evalue}` : 'no output';
  if (/^Interpreter died/.test(output?.evalue ?? '')) throw await session.over(said);
  const scrub = session.client.http.redactor.scrub;
  const missing =
    /not found: value reprise|object reprise is not a member|value livy is not a member/.test(said)
      ? "; the session does not have Reprise's jar, give it as `jars` or upload it"
      : '';
  const got = `${scrub(said.trim().slice(0, 1000))}${missing}`;
  throw failed(session, statement.id, `expected it to run, got ${got}`, 'remote', {
    state: statement.state,
    remoteTrace: output?.status === 'error' ? output.traceback.map(scrub) : [],
  });
}
