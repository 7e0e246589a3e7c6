/** Names of runs, `<UTC time>-<job>-<random>`: sorted by time, unique, safe as folder names. */
import { randomBytes } from 'node:crypto';

/** A new run id, such as `20261122T151458Z-flights-9f3a61c2`. */
export function newRunId(jobName: string, startedAt: Date = new Date()): string {
  const time = timeKey(startedAt.getTime());
  return `${time}-${slug(jobName)}-${randomBytes(4).toString('hex')}`;
}

/** A time as a key for files: `20260329T010000Z`. Keys sort as times do. */
export function timeKey(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:]/g, '');
}

/** Whether a name is one that `newRunId` makes. */
export function isRunId(name: string): boolean {
  return /^\d{8}T\d{6}Z-./.test(name);
}

/** Whether a name may be given to a run. */
export function isGivenRunId(name: string): boolean {
  return /^\d{8}T\d{6}Z-[a-z0-9][a-z0-9-]{0,80}$/.test(name);
}

/** When the run of an id began, to the second. ISO 8601, UTC. */
export function startOfRun(id: string): string {
  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/;
  return id.replace(time, '$1-$2-$3T$4:$5:$6.000Z');
}

/** A job name for file names: lower case letters, digits and hyphens, at most 40 characters. */
export function slug(name: string): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  return plain === '' ? 'job' : plain;
}
