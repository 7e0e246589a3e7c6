/**
 * Names that say which process made them. Invariant: `isFromDeadProcess` is true only when the
 * maker is gone for certain: it ran on this machine, in this boot and process namespace, and its id
 * is free or was given to another.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

const TOKEN = /^([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}$/;

let machine: string | undefined;
let maker: string | undefined;

/** A name no other call gives, in this or any process. Fit for a file name. */
export function processToken(): string {
  maker ??= tokenOf(process.pid).replace(/[^-]*$/, '');
  return `${maker}${randomBytes(4).toString('hex')}`;
}

/** The same for a process of this machine that another started. */
export function tokenOf(pid: number): string {
  return `${thisMachine()}-${pid}-${startTime(pid) ?? 0}-${randomBytes(4).toString('hex')}`;
}

/** The id of the process that a token of this machine is of; undefined for any other. */
export function processOf(token: string): number | undefined {
  return isOfThisMachine(token) ? Number(TOKEN.exec(token)![2]) : undefined;
}

/** Whether the process that made the token has ended, as far as can be known from here. */
export function isFromDeadProcess(token: string): boolean {
  const [, host, pidText, started] = TOKEN.exec(token) ?? [];
  if (host !== thisMachine() || pidText === undefined) return false;
  const pid = Number(pidText);
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  if (started === '0') return false;
  const now = startTime(pid);
  // Without a start time the process ended just now, or is not for us to look at.
  return now !== undefined && now !== started;
}

/** Whether the token was made on this machine since it started: then its process can be looked up. */
export function isOfThisMachine(token: string): boolean {
  return TOKEN.exec(token)?.[1] === thisMachine();
}

/** Whether two tokens were made on one machine without a restart between. */
export function isSameBoot(one: string, other: string): boolean {
  return TOKEN.exec(one)?.[1] === TOKEN.exec(other)?.[1];
}

/** Machine, boot and process namespace: within these a process id means one process at a time. */
function thisMachine(): string {
  const read = (get: () => string): string => {
    try {
      return get();
    } catch {
      return '';
    }
  };
  machine ??= createHash('sha256')
    .update(hostname())
    .update(read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')))
    .update(read(() => readlinkSync('/proc/self/ns/pid')))
    .digest('hex')
    .slice(0, 8);
  return machine;
}

/** Ticks from boot to a process's start, which tell equal ids apart; `-1`: a zombie. Linux only. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command in parentheses may hold spaces; state is field 3, start time field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? '-1' : fields[19];
  } catch {
    return undefined;
  }
}
