/** A schedule as the scheduler takes it: the checked section of a file, with every default. */
import type { SecretSource } from '../config/secrets.js';

export const CATCH_UPS = ['none', 'last', 'all'] as const;
export type CatchUp = (typeof CATCH_UPS)[number];

export const OVERLAPS = ['skip', 'queue', 'replace'] as const;
export type Overlap = (typeof OVERLAPS)[number];

export const EVENTS = ['failure', 'recovery', 'score-fell'] as const;
/** What people are told of. */
export type NotifyEvent = (typeof EVENTS)[number];

export interface Schedule {
  /** Any of them makes a time. */
  readonly cron: readonly string[];
  /** IANA name of the zone that the expressions are read in. */
  readonly zone: string;
  /** No times before. @units ms */
  readonly startMs?: number;
  /** No times after. @units ms */
  readonly endMs?: number;
  readonly catchUp: CatchUp;
  /** How far catch-up looks back. @units ms */
  readonly windowMs: number;
  readonly overlap: Overlap;
  readonly retries: Retries;
  /** Of one attempt. @units ms */
  readonly timeoutMs?: number;
  readonly waitFor?: WaitFor;
  /** Times whose run folders stay. Absent: all. */
  readonly keep?: number;
  readonly notify?: Notify;
}

export interface Retries {
  /** After the first attempt. */
  readonly times: number;
  /** Before the first of them. @units ms */
  readonly delayMs: number;
  /** What each delay is longer than the one before. */
  readonly factor: number;
  /** @units ms */
  readonly mostMs: number;
}

export interface WaitFor {
  /** Files or globs, absolute; each must match a file. */
  readonly files: readonly string[];
  /** From when the wait began. @units ms */
  readonly deadlineMs: number;
  /** Between two looks. @units ms */
  readonly everyMs: number;
}

export interface Notify {
  /** Gets the event as JSON on its standard input. */
  readonly command?: readonly string[];
  /** Where the event is sent as JSON. */
  readonly webhook?: string | SecretSource;
  readonly on: readonly NotifyEvent[];
  /** The fall of the best score, against the last good run, from which on people are told. */
  readonly scoreDrop: number;
}
