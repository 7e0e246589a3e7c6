/** The exit codes of the command line, and the errors that give them: nothing else knows them. */
import {
  BackendLostError,
  ConfigError,
  ContactLostError,
  DataError,
  LivyError,
  PlanError,
  ResourceError,
  SingularError,
  UnsupportedError,
} from '../../driver/errors.js';
import { LockedError } from '../setup/lock.js';
import { InterruptError } from './interrupt.js';

export const EXIT = {
  done: 0,
  /** Anything no other code says: a failed kernel, a full disk, a bug. */
  unexpected: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The job file, a setting or the data are wrong. */
  invalid: 3,
  /** The search finished, but some candidates could not be fitted, or none could be scored. */
  candidatesFailed: 4,
  /** The pipeline finished, but a step failed. */
  stepFailed: 4,
  /** The replay finished, but its values differ from the run's. */
  replayDiffers: 4,
  /** The cluster can't be reached. */
  unreachable: 5,
  /** Contact with the cluster was lost: what it was asked for may go on there. */
  lost: 6,
  /** Kept results are damaged and could not be put aside. */
  damaged: 7,
  /** Another process holds what is needed; try later. */
  tryLater: 75,
} as const;

type ErrorClass = abstract new (...args: never[]) => Error;

/** First match wins, so subclasses stand before their base. */
const CODES: readonly (readonly [ErrorClass, number])[] = [
  [ConfigError, EXIT.invalid],
  [DataError, EXIT.invalid],
  [PlanError, EXIT.invalid],
  [UnsupportedError, EXIT.invalid],
  [SingularError, EXIT.invalid],
  [LivyError, EXIT.unreachable],
  [BackendLostError, EXIT.unreachable],
  [ContactLostError, EXIT.lost],
  [LockedError, EXIT.tryLater],
  [ResourceError, EXIT.unexpected],
];

/** The exit code for an error that ended a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptError) return error.exitCode;
  const row = CODES.find(([type]) => error instanceof type);
  return row?.[1] ?? EXIT.unexpected;
}

/** Of errors that a later try may mend, by the code that journals have of them. */
const RETRIED: Readonly<Record<string, number>> = {
  LIVY: EXIT.unreachable,
  BACKEND_LOST: EXIT.unreachable,
  CONTACT_LOST: EXIT.lost,
  LOCKED: EXIT.tryLater,
};

/** The exit code of a failure that a later try may mend; undefined for any other. */
export function retriedExitCode(code: string | undefined): number | undefined {
  return code === undefined ? undefined : RETRIED[code];
}
