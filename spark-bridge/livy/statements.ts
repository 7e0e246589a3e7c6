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
  /** Least wait between looks at a statement; grows to `pollCapMs`. @units ms, default 100 */
  readonly pollMs?: number;
  /** @units ms, default 1000 */
  readonly pollCapMs?: number;
  /** How long a statement whose submission got no answer is looked for. @units ms, default 10000 */
  readonly lookupGraceMs?: number;
}

/** How long a session that recovers is waited for. @units ms */
const READY_LIMIT_MS = 180_000;

/** Statements looked through for a nonce: more than we ever have open. */
const LOOK_BACK = 20;

export class StatementRunner {
  readonly #session: LivySession;
  readonly #waits: Required<StatementOptions>;
  /** Highest id seen; ids count up by one, so a lost statement has a higher one. */
  #lastId = -1;
  /** Submissions go one after the other, so that the order of ids is the order of calls. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(session: LivySession, options: StatementOptions = {}) {
    this.#session = session;
    const { pollMs = 100, pollCapMs = 1000, lookupGraceMs = 10_000 } = options;
    this.#waits = { pollMs, pollCapMs, lookupGraceMs };
  }

  /**
   * Submits and waits. The signal ends the waiting only; the statement goes on.
   * @returns what it printed
   * @throws LivyError: `gone` when its result was dropped, `remote` when it threw, `dead`,
   *   `identity`, `cancelled`
   */
  async run(statement: StatementText, signal?: AbortSignal): Promise<string> {
    const turn = this.#tail.then(() => this.#submit(statement));
    this.#tail = turn.catch(() => undefined);
    return this.#textOf(await this.#waitFor(await turn, statement.nonce, signal));
  }

  async #submit(statement: StatementText): Promise<StatementInfo> {
    const session = this.#session;
    for (let attempt = 0; ; attempt++) {
      await session.checkIfBroken();
      try {
        return this.#seen(await session.client.submitStatement(session.name, statement.code));
      } catch (error) {
        const facts = livyFacts(error);
        if (isLivyProblem(error, 'dead', 'gone'))
          throw await session.over(`${facts?.problem} while submitting`);
        if (facts?.problem === 'not-ready') {
          await this.#untilReady(error);
          continue;
        }
        if (facts?.outcome !== 'unknown') throw error;
        const found = await this.#lookFor(statement.nonce);
        if (found) return this.#seen(found);
        if (!facts.retryable || attempt >= session.client.retry.retries) throw error;
      }
    }
  }

  /** A server that restarted with recovery takes a while to find its sessions' drivers. */
  async #untilReady(error: unknown): Promise<void> {
    const { pollMs, pollCapMs } = this.#waits;
    const until = Date.now() + READY_LIMIT_MS;
    for (let waitMs = pollMs; Date.now() < until; waitMs = Math.min(waitMs * 2, pollCapMs)) {
      await pause(waitMs);
      if (sessionPhase((await this.#session.check()).state) === 'ready') return;
    }
    throw error;
  }

  #seen(statement: StatementInfo): StatementInfo {
    this.#lastId = Math.max(this.#lastId, statement.id);
    return statement;
  }

  /** An unanswered request may still be on its way to the driver, so one look is not enough. */
  async #lookFor(nonce: string): Promise<StatementInfo | undefined> {
    const { pollMs, pollCapMs, lookupGraceMs } = this.#waits;
    const until = Date.now() + lookupGraceMs;
    for (let waitMs = pollMs; ; waitMs = Math.min(waitMs * 2, pollCapMs)) {
      await this.#session.check();
      const found = await this.#lookOnce(nonce);
      if (found || Date.now() + waitMs > until) return found;
      await pause(waitMs);
    }
  }

  async #lookOnce(nonce: string): Promise<StatementInfo | undefined> {
    const { client, name } = this.#session;
    try {
      const newest = await client.newestStatements(name, LOOK_BACK);
      return newest.find((it) => isStatementOf(it.code, nonce));
    } catch (error) {
      // The list carries all kept results, which together may be too large for Livy or for us.
      if (!isLivyProblem(error, 'server', 'too-large', 'answer')) throw error;
    }
    for (let id = this.#lastId + 1; id <= this.#lastId + LOOK_BACK; id++) {
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

  async #waitFor(
    first: StatementInfo,
    nonce: string,
    signal: AbortSignal | undefined,
  ): Promise<StatementInfo> {
    const session = this.#session;
    const { pollMs, pollCapMs } = this.#waits;
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
      await pause(Math.min(pollCapMs, Math.max(pollMs, quarter)), signal);
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

  async #textOf(statement: StatementInfo): Promise<string> {
    const session = this.#session;
    if (statement.state === 'cancelled') throw cancelled(session, statement.id, 'in Livy');
    const output: StatementOutput | null = statement.output;
    if (output?.status === 'ok') return output.text;
    const said = output ? `${output.ename}: ${output.evalue}` : 'no output';
    if (/^Interpreter died/.test(output?.evalue ?? '')) throw await session.over(said);
    const scrub = session.client.http.redactor.scrub;
    const missing =
      /not found: value reprise|object reprise is not a member|value livy is not a member/.test(
        said,
      )
        ? "; the session does not have Reprise's jar, give it as `jars` or upload it"
        : '';
    const got = `${scrub(said.trim().slice(0, 1000))}${missing}`;
    throw failed(session, statement.id, `expected it to run, got ${got}`, 'remote', {
      state: statement.state,
      remoteTrace: output?.status === 'error' ? output.traceback.map(scrub) : [],
    });
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
