/**
 * A finished run with its lineage as live nodes. Invariant: runs loaded by one loader share one
 * table of nodes, so a step of two runs is the same step if and only if it is the same object.
 */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError, PlanError } from '../../driver/errors.js';
import {
  deserializeLineage,
  type Evaluator,
  type Expr,
  type LineageKey,
} from '../../driver/index.js';
import { Interner } from '../../driver/ir/intern.js';
import { readPlainFile } from '../../driver/support/plain-file.js';
import { readRun } from '../runs/read-run.js';
import type { LineageNode, RunProgram, RunRecord } from '../runs/record.js';
import { isRunId } from '../runs/run-id.js';

/** Earlier runs searched for one step; each is a file of some hundred bytes a step. */
const MAX_SEARCHED = 50;

/** One node of a run's lineage: what it is, and what became of it in the run. */
export interface Step {
  readonly expr: Expr;
  readonly node: LineageNode;
}

export interface LoadedRun {
  readonly folder: string;
  readonly record: RunRecord;
  readonly program: RunProgram;
  /** Step n is `steps[n - 1]`. */
  readonly steps: readonly Step[];
  /** Every node of the lineage, inputs first; more than the steps where results were reused. */
  readonly nodes: readonly Expr[];
  /** What the answer was read from: `gram`, `losses`, `coefficients`, .. */
  readonly outputs: ReadonlyMap<string, Expr>;
}

export type RunLoader = (folder: string) => Promise<LoadedRun>;

/** A loader that only makes nodes: nothing can be evaluated. */
export function createRunLoader(): RunLoader {
  const interner = new Interner();
  const evaluator: Evaluator = {
    intern: (op, inputs, attrs, payload) => interner.intern(op, inputs, attrs, payload),
    evaluate: () => Promise.reject(new PlanError('lineage: expected to be read, not evaluated')),
    explain: () => '',
  };
  return (folder) => loadRun(folder, evaluator);
}

/**
 * Reads a run folder and builds its lineage in a session.
 * @throws ConfigError when the folder holds no program, PlanError when it can't be read
 */
export async function loadRun(
  folder: string,
  evaluator: Evaluator,
  options: Parameters<typeof deserializeLineage>[2] = {},
): Promise<LoadedRun> {
  const record = await readRun(folder);
  const program = await readProgram(folder);
  const { roots, nodes } = deserializeLineage(program.lineage, evaluator, options);
  const steps = record.lineage.map((node, i) => {
    const expr = roots[i];
    if (expr?.op.name !== node.op) throw noProgram(folder, 'one of another run');
    return { expr, node };
  });
  const outputs = new Map(
    Object.entries(program.outputs).map(([name, place]) => {
      const expr = roots[place];
      // The digest covers the lineage, not this table: a result left out would be one that nobody
      // compares.
      if (expr === undefined) throw noProgram(folder, `no root ${place} for its ${name}`);
      return [name, expr] as const;
    }),
  );
  return { folder, record, program, steps, nodes, outputs };
}

/** @throws ConfigError when the folder has none, or one that is not JSON */
export async function readProgram(folder: string): Promise<RunProgram> {
  let text: string;
  try {
    text = await readPlainFile(join(folder, 'program.json'));
  } catch (cause) {
    throw noProgram(folder, (cause as NodeJS.ErrnoException).code ?? String(cause));
  }
  try {
    const program = JSON.parse(text) as RunProgram;
    if (typeof program.outputs === 'object' && program.outputs !== null) return program;
  } catch {
    // Told below.
  }
  throw noProgram(folder, 'something else');
}

function noProgram(folder: string, got: string): ConfigError {
  return new ConfigError(
    `run: expected the lineage of the run in ${join(folder, 'program.json')}, got ${got}; run the job again`,
    { key: 'run', value: folder, source: 'flag' },
  );
}

/**
 * The step named by its number, by an output (`gram`, `losses`, `coefficients`, ..) or by an
 * operator that occurs once.
 * @throws ConfigError when there is none, or more than one
 */
export function findStep(run: LoadedRun, name: string): Step {
  const found = matchingSteps(run, name);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const got =
    only === undefined
      ? 'none'
      : `${found.length}: ${found
          .slice(0, 5)
          .map(({ node }) => node.id)
          .join(', ')}${found.length > 5 ? ', ..' : ''}`;
  const outputs = [...run.outputs.keys()].join(', ');
  throw new ConfigError(
    `step: expected a step number from 1 to ${run.steps.length}, one of ${outputs}, or an operator that occurs once, got "${name}", which is ${got}; see \`reprise lineage\``,
    { key: 'step', value: name, source: 'flag' },
  );
}

/** Steps of that number, output or operator. */
export function matchingSteps(run: LoadedRun, name: string): readonly Step[] {
  if (/^\d+$/.test(name)) return run.steps.slice(Number(name) - 1, Number(name));
  const output = run.outputs.get(name);
  if (output !== undefined) return run.steps.filter(({ expr }) => expr === output);
  return run.steps.filter(({ node }) => node.op === name);
}

interface EarlierRun {
  readonly folder: string;
  readonly name: string;
  readonly startedAt: string;
}

/**
 * Folder of the run to compare a step with: the latest earlier one in the same place that has the
 * very step, of whatever job, else the latest of the same job. Only runs that kept their lineage
 * count.
 */
export async function earlierRun(
  folder: string,
  record: RunRecord,
  key: LineageKey,
): Promise<string | undefined> {
  const runs = await earlierRuns(dirname(folder), record);
  for (const run of runs.slice(0, MAX_SEARCHED)) {
    const lineage = await readPlainFile(join(run.folder, 'lineage.json')).catch(() => '');
    if (lineage.includes(`"${key}"`) && (await hasProgram(run.folder))) return run.folder;
  }
  for (const run of runs) {
    if (run.name === record.name && (await hasProgram(run.folder))) return run.folder;
  }
  return undefined;
}

/** Newest first. */
async function earlierRuns(output: string, record: RunRecord): Promise<EarlierRun[]> {
  const runs: EarlierRun[] = [];
  for (const id of (await readdir(output)).filter(isRunId)) {
    const folder = join(output, id);
    try {
      const text = await readPlainFile(join(folder, 'result.json'));
      const { run, name, startedAt } = JSON.parse(text) as Partial<RunRecord>;
      if (name === undefined || startedAt === undefined || run === record.run) continue;
      if (startedAt < record.startedAt) runs.push({ folder, name, startedAt });
    } catch {
      // Not a finished run; it can't be what this one might have reused.
    }
  }
  return runs.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

function hasProgram(folder: string): Promise<boolean> {
  return readProgram(folder).then(
    () => true,
    () => false,
  );
}
