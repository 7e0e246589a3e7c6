/**
 * What is known of a step that was done: what it was made from and what it left. Invariant: a key
 * names all that a step's outputs follow from, so equal keys mean equal outputs.
 */
import { createHash } from 'node:crypto';
import type { StepReport } from '../steps/step-kind.js';

/** What a step was made from: digests by what they are of, `input flights`, `parameter sql`, .. */
export type KeyParts = Readonly<Record<string, string>>;

export interface OutputRecord {
  readonly name: string;
  /** Absolute, or in storage of the cluster. */
  readonly path: string;
  /** Null in storage of the cluster: nobody here can look. */
  readonly digest: string | null;
  /** @units bytes */
  readonly bytes: number | null;
  readonly rows?: number;
}

/** A step that was done. */
export interface StepRecord {
  readonly step: string;
  readonly key: string;
  readonly parts: KeyParts;
  readonly outputs: readonly OutputRecord[];
  /** The run that did it. */
  readonly run: string;
  /** @units seconds */
  readonly seconds: number;
  /** Of its inputs. @units bytes */
  readonly inputBytes: number;
  readonly report?: StepReport;
}

/**
 * - `done`: it ran; `skipped`: what it would leave is there.
 * - `failed`; `not-run`: what it needs is not there; `stopped`: the run was told to end.
 */
export type StepState = 'done' | 'skipped' | 'failed' | 'not-run' | 'stopped';

/** How a step ended in a run. */
export interface StepEnd {
  readonly step: string;
  readonly state: StepState;
  /** Why it ran, was skipped, failed or did not run. */
  readonly why: string;
  /** Its own, or that of the run that left what is there. */
  readonly record?: StepRecord;
  /** In this run. @units seconds */
  readonly seconds: number;
  readonly report?: StepReport;
  /** Of what it failed with, such as `BACKEND_LOST`. */
  readonly code?: string;
  /** Tries it took; absent for one. */
  readonly tries?: number;
}

/** The output of a name, or the first; the pipeline's graph was checked for it. */
export function outputNamed<Output extends { readonly name: string }>(
  outputs: readonly Output[],
  name: string | undefined,
): Output {
  return name === undefined ? outputs[0]! : outputs.find((output) => output.name === name)!;
}

/** Digest of a value, whatever the order of its keys. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex');
}

/** The key of a step of these parts. */
export function keyOf(parts: KeyParts): string {
  return digestOf(parts);
}

function canonical(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, own]) => own !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, own]) => `${JSON.stringify(key)}:${canonical(own)}`);
  return `{${entries.join(',')}}`;
}

/** What makes a step differ from one that was done: `input weather changed`. */
export function changeOf(parts: KeyParts, known: StepRecord): string {
  const names = [...new Set([...Object.keys(parts), ...Object.keys(known.parts)])];
  const changed = names.filter((name) => parts[name] !== known.parts[name]);
  const [first, ...others] = changed.map((name) => {
    if (known.parts[name] === undefined) return `${name} is new`;
    if (parts[name] === undefined) return `${name} is gone`;
    return name.startsWith('step ') ? `${name.slice(5)} left other content` : `${name} changed`;
  });
  if (first === undefined) return 'nothing changed';
  return others.length === 0 ? first : `${first}, and ${others.length} more`;
}
