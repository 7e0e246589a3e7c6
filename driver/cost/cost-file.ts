/**
 * What the cost model learned, kept for the next process as `costs.json` under `REPRISE_HOME`,
 * apart for each machine that shares the folder. Invariant: the file is replaced whole or not at
 * all, and a file that is missing, damaged or of another version is as good as none: costs are
 * advice, so nothing here ever fails a run.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { env } from '../support/env.js';
import { ownPath, WRITING } from '../support/leftovers.js';
import { makeFolderSync } from '../support/make-folder.js';
import { readOwnFileSync } from '../support/plain-file.js';
import { CostModel, type LearnedCosts } from './cost-model.js';
import { ReadCounts } from './reuse-history.js';

const VERSION = 3;
/** Machines remembered in one file; the ones not seen for longest go first. */
const MAX_MACHINES = 32;

interface CostDocument {
  readonly version: number;
  readonly machines: Readonly<Record<string, LearnedCosts>>;
  /** Reads of values by lineage key, whatever the machine. */
  readonly reads?: Readonly<Record<string, unknown>>;
}

/** Where costs are kept unless told otherwise. */
export function costPath(): string {
  return join(env.home(), 'costs.json');
}

/** Factors hold for machines of this kind: `x64, 2 x Intel(R) Xeon(R) ..`. */
export function machineName(): string {
  const cores = cpus();
  return `${arch()}, ${cores.length} x ${cores[0]?.model.trim() ?? 'unknown'}`;
}

/** A model that knows what earlier processes learned on this kind of machine. */
export function loadCostModel(path = costPath(), machine = machineName()): CostModel {
  const known = read(path);
  return new CostModel(known?.machines[machine], { path, machine }, new ReadCounts(known?.reads));
}

/**
 * Writes what the model learned to where it was loaded from; other machines' entries stay. Two
 * processes that end together: the later one's figures are kept, both being right.
 * @returns false when there is nothing new, nowhere to keep it, or the folder can't be written
 */
export function saveCostModel(model: CostModel): boolean {
  if (model.keptIn === undefined || model.changes + model.reads.changes === 0) return false;
  const { path, machine } = model.keptIn;
  const known = read(path);
  const { [machine]: _old, ...others } = known?.machines ?? {};
  const kept = Object.entries(others).slice(-(MAX_MACHINES - 1));
  const machines = { ...Object.fromEntries(kept), [machine]: model.learned() };
  const temporary = ownPath(dirname(path), WRITING);
  try {
    makeFolderSync(dirname(path), 0o700);
    const reads = new ReadCounts({ ...known?.reads, ...model.reads.toJson() }).toJson();
    const document: CostDocument = { version: VERSION, machines, reads };
    writeFileSync(temporary, `${JSON.stringify(document, null, 1)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
    return true;
  } catch {
    remove(temporary);
    return false;
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A folder that can't be written can't be cleaned either.
  }
}

function read(path: string): CostDocument | undefined {
  try {
    const document = JSON.parse(readOwnFileSync(path)) as Partial<CostDocument> | null;
    if (document?.version !== VERSION || typeof document.machines !== 'object') return undefined;
    const entries = Object.entries(document.machines ?? {}).map(([machine, learned]) => [
      machine,
      checkedFactors(learned),
    ]);
    const { reads } = document;
    const isTable = typeof reads === 'object' && reads !== null;
    return {
      version: VERSION,
      machines: Object.fromEntries(entries),
      ...(isTable ? { reads } : {}),
    };
  } catch {
    return undefined;
  }
}

/** Of earlier versions: whichever device that was. */
const BY_PLACE = /^(opencl|cuda):\d+\//;

/** Only what is a factor; a hand-edited file must not bring text into sums. */
function checkedFactors(learned: unknown): LearnedCosts {
  if (typeof learned !== 'object' || learned === null) return {};
  return Object.fromEntries(
    Object.entries(learned as Record<string, Partial<LearnedCosts[string]> | null>).filter(
      ([key, value]) =>
        !BY_PLACE.test(key) && Number.isFinite(value?.factor) && Number.isFinite(value?.samples),
    ),
  ) as LearnedCosts;
}
