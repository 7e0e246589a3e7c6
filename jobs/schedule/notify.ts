/**
 * Tells people of failure, recovery and a score that fell: by a command, by a webhook. Invariants: a
 * message that could not be told is a warning and ends nothing; an address stands in no message and
 * no log, as it may be a secret.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { readSecret, sourceText } from '../config/secrets.js';
import type { BestSummary } from '../runs/summary.js';
import type { ScheduledFile } from './read-schedule.js';
import type { Notify, NotifyEvent } from './schedule.js';
import type { Message } from './state.js';
import { zonedText } from './zone.js';

/** What a command reads and a webhook gets. */
export interface Notice {
  /** The same whenever the same is told again, which a kill can bring about. */
  readonly id: string;
  readonly event: NotifyEvent;
  readonly schedule: string;
  readonly file: string;
  /** The logical time. ISO 8601 with the zone's offset. */
  readonly time: string;
  readonly run: string | null;
  /** The run folder. */
  readonly path: string | null;
  /** How many attempts there were. */
  readonly attempts: number;
  /** Of a failure. */
  readonly why: string | null;
  readonly best: BestSummary | null;
  /** Of the last run that ended well, for a score that fell. */
  readonly before: BestSummary | null;
  /** All of it in a sentence; what chat services show. */
  readonly text: string;
}

const TIMEOUT_MS = 30_000;
/** Before a webhook is asked a second time; who delivers asks again later. */
const DELAY_MS = 500;

export interface Delivery {
  /** What went wrong, a line each; none when it was told. */
  readonly wrong: readonly string[];
  /** It may be told later: the other side is ill. */
  readonly mayPass: boolean;
}

/** Never rejects. @param scheduled as of the message's time */
export async function deliver(message: Message, scheduled: ScheduledFile): Promise<Delivery> {
  const { notify } = scheduled.schedule;
  if (notify === undefined) return { wrong: [], mayPass: false };
  const notice = noticeOf(message, scheduled);
  const ways = [
    ...(notify.command ? [byCommand(notify.command, scheduled.folder, notice)] : []),
    ...(notify.webhook === undefined ? [] : [byWebhook(notify.webhook, scheduled.folder, notice)]),
  ];
  const told = await Promise.allSettled(ways);
  const errors = told.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
  return {
    wrong: errors.map((error) => `notify: ${error.message}`),
    mayPass: errors.some((error) => error instanceof IllError),
  };
}

/** The other side did not answer, or said that it can't now. */
class IllError extends Error {}

export function noticeOf(message: Message, scheduled: ScheduledFile): Notice {
  const { settled, event, id, before } = message;
  const { run = null, why = null, best = null, attempts } = settled;
  const { name, file, output, schedule } = scheduled;
  const time = zonedText(settled.time, schedule.zone);
  const path = run === null ? null : join(output, run);
  const facts = { id, event, schedule: name, file, time, run, path, attempts, why, best };
  const notice = { ...facts, before: before ?? null };
  return { ...notice, text: textOf(notice) };
}

function textOf({ event, schedule, time, why, best, before }: Omit<Notice, 'text'>): string {
  if (event === 'failure') return `${schedule} failed for ${time}: ${why ?? 'no reason was given'}`;
  if (event === 'recovery') return `${schedule} is well again: ${time} is done`;
  return `${schedule}: ${best?.metric} fell from ${before?.score} to ${best?.score} for ${time}`;
}

function byCommand(
  [program = '', ...args]: readonly string[],
  cwd: string,
  notice: Notice,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (got: string): void =>
      reject(new Error(`expected the command ${program} to take the event, got ${got}`));
    const child = spawn(program, args, {
      cwd,
      env: env.forChild(),
      stdio: ['pipe', 'ignore', 'inherit'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    child.once('error', ({ message }) => fail(message));
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else fail(code === null ? `${signal}` : `exit code ${code}`);
    });
    // One that ends without reading is no fault of the pipe.
    child.stdin.on('error', () => {});
    child.stdin.end(`${JSON.stringify(notice)}\n`);
  });
}

async function byWebhook(
  webhook: NonNullable<Notify['webhook']>,
  folder: string,
  notice: Notice,
): Promise<void> {
  const address = addressOf(webhook, folder);
  const { default: axios } = await import('axios');
  const post = async (): Promise<number> => {
    const { status } = await axios.post(address, notice, {
      timeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      maxRedirects: 0,
      maxContentLength: 1 << 20,
      validateStatus: () => true,
      headers: { 'idempotency-key': notice.id },
    });
    return status;
  };
  const answer = (): Promise<number | string> =>
    post().catch((error: { readonly code?: string }) => error.code ?? 'no answer');
  let got = await answer();
  if (isIll(got)) {
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
    got = await answer();
  }
  if (typeof got === 'number' && got >= 200 && got < 300) return;
  const where =
    typeof webhook === 'string' ? 'the webhook' : `the webhook (${sourceText(webhook)})`;
  const text = `expected ${where} to take the event, got ${typeof got === 'number' ? `status ${got}` : got}`;
  throw isIll(got) ? new IllError(text) : new Error(text);
}

function isIll(got: number | string): boolean {
  return typeof got === 'string' || got >= 500 || got === 429 || got === 408;
}

/** @throws ConfigError that does not show it */
function addressOf(webhook: NonNullable<Notify['webhook']>, folder: string): string {
  const key = 'schedule.notify.webhook';
  const text = typeof webhook === 'string' ? webhook : readSecret(webhook, key, folder);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href;
  throw new ConfigError(`${key}: expected an address that begins with https://, got another text`, {
    key,
  });
}
