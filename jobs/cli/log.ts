/**
 * The structured log for whoever debugs a run: pino on standard error, off unless `REPRISE_LOG`
 * names a level. People read `Terminal.note` instead. Invariant: no secret reaches it.
 */
import type { Logger } from 'pino';
import { env } from '../../driver/support/env.js';
import { redact } from '../../driver/support/redact.js';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

/** The logger of this command; none, and no pino loaded, where nobody asked for one. */
export async function createLogger(): Promise<Logger | undefined> {
  const asked = env.logLevel();
  if (asked === undefined) return undefined;
  const { pino, destination } = await import('pino');
  const level = LEVELS.includes(asked) ? asked : 'info';
  const line = destination({ dest: 2, sync: true });
  return pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    { write: (text) => line.write(redact(text)) },
  );
}

/** Whether errors are shown with their stack. */
export const showsStacks = (): boolean => ['debug', 'trace'].includes(env.logLevel() ?? '');
