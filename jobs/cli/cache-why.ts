/**
 * `reprise cache why KEY` and `why RUN STEP`: whether a result is in the durable store, what it is
 * worth there, and if it is not, which rule kept it out. Reads only the index and the run folder;
 * drops and marks nothing.
 */
import { ConfigError } from '../../driver/errors.js';
import { lineageKey } from '../../driver/ir/lineage-key.js';
import type { StoreEntry } from '../../driver/reuse/store/durable-store.js';
import { formatBytes } from '../../driver/support/size.js';
import { formatCount, formatSeconds } from '../format.js';
import { createRunLoader, findStep, type Step } from '../lineage/load-run.js';
import { notKeptBy } from '../lineage/why.js';
import { findRun } from '../runs/read-run.js';
import { runsFolder } from './settings.js';

export interface WhyAnswer {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** @throws ConfigError for a key of no or several results, or for an unknown run or step */
export async function explainKept(
  entries: readonly StoreEntry[],
  [first, step]: readonly string[],
  output: string | undefined,
): Promise<WhyAnswer> {
  if (step === undefined) return describeEntry(entryOf(entries, first ?? ''), entries);
  const run = await createRunLoader()(await findRun(first!, runsFolder(output)));
  const found = findStep(run, step);
  const key = lineageKey(found.expr);
  const entry = entries.find(({ header }) => header.key === key);
  if (entry !== undefined) return describeEntry(entry, entries);
  const reason = whyNot(found);
  const { op } = found.expr;
  return {
    text: `${key.slice(0, 12)} ${op.name} is not in the store: ${reason}`,
    json: { key, op: op.name, isStored: false, reason },
  };
}

function entryOf(entries: readonly StoreEntry[], prefix: string): StoreEntry {
  const found = /^[0-9a-f]{4,64}$/.test(prefix)
    ? entries.filter(({ header }) => header.key.startsWith(prefix))
    : [];
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw new ConfigError(
    `cache why: expected the beginning of one key in the store, at least 4 hexadecimal digits, or a run and a step of it, got ${JSON.stringify(prefix)}, which fits ${formatCount(found.length)}; \`reprise cache ls\` lists keys`,
    { key: 'KEY', value: prefix },
  );
}

function describeEntry(entry: StoreEntry, entries: readonly StoreEntry[]): WhyAnswer {
  const { header, bytes, usedMs } = entry;
  const before = entries.filter((other) => worthOf(other) < worthOf(entry)).length;
  const shape = header.kind === 'dense' ? `${header.rows}x${header.cols}` : 'plain data';
  const lines = [
    `${header.key} ${header.op}, ${shape}`,
    `in the durable store, ${formatBytes(bytes)}, made ${header.createdAt}, last used ${new Date(usedMs).toISOString()}`,
    `kept because it took ${formatSeconds(header.seconds)} to compute or reduces the data of files`,
    `worth ${worthOf(entry).toExponential(2)} s/byte (time / bytes / (1 + hours idle)): ${formatCount(before)} of ${formatCount(entries.length)} results go before it`,
  ];
  return {
    text: lines.join('\n'),
    json: { ...header, isStored: true, bytes, worth: worthOf(entry), goBefore: before },
  };
}

/** As eviction from the store counts. @units seconds per byte */
function worthOf({ header, bytes, usedMs }: StoreEntry): number {
  const idleHours = Math.max(0, Date.now() - usedMs) / 3_600_000;
  return header.seconds / bytes / (1 + idleHours);
}

function whyNot(step: Step): string {
  const { expr, node } = step;
  if (!expr.isDeterministic) return 'it is not the same each time it is computed';
  if (expr.inputs.length === 0) return 'it is an input, not a result';
  if (node.state === 'fused') return "it was computed inside another step's pass and never whole";
  return (
    notKeptBy(step) ??
    'it would be kept, so the run had no store (--no-store) or another one, its files changed while they were read, or it was evicted since'
  );
}
