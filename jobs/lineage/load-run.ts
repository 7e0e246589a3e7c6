/**
 * A finished run with its lineage as live nodes. Invariant: runs loaded by one loader share one table of nodes, so a
 * step of two runs is the same step if and only if it is the same object.
 */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError, PlanError } from '../../driver/errors.js';
import { deserializeLineage, type Evaluator, type Expr } from '../../driver/index.js';
import { Interner } from '../../driver/ir/intern.js';
import { readRun } from '../runs/read-run.js';
import type { LineageNode, RunProgram, RunRecord } from '../runs/record.js';
import { slug } from '../runs/run-id.js';

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
  /** Every node of the lineage, inputs before consumers; more than the steps where a result was reused. */
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
    Object.entries(program.outputs).flatMap(([name, place]) => {
      const expr = roots[place];
      return expr === undefined ? [] : [[name, expr] as const];
    }),
  );
  return { folder, record, program, steps, nodes, outputs };
}

/** @throws ConfigError when the folder has none, or one that is not JSON */
export async function readProgram(folder: string): Promise<RunProgram> {
  let text: string;
  try {
    text = await readFile(join(folder, 'program.json'), 'utf8');
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
 * The step named by its number, by an output (`gram`, `losses`, `coefficients`, ..) or by an operator that occurs once.
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

/** Folder of the latest run of the same job, in the same place, that began before this one and kept its lineage. */
export async function earlierRun(folder: string, record: RunRecord): Promise<string | undefined> {
  const output = dirname(folder);
  const mark = `-${slug(record.name)}-`;
  const names = (await readdir(output)).filter((name) => name.includes(mark) && name[0] !== '.');
  const runs: { readonly folder: string; readonly startedAt: string }[] = [];
  for (const name of names) {
    const other = join(output, name);
    try {
      const read = async (file: string) => JSON.parse(await readFile(join(other, file), 'utf8'));
      const { run, name: job, startedAt } = (await read('result.json')) as Partial<RunRecord>;
      if (job !== record.name || run === record.run || startedAt === undefined) continue;
      if (startedAt < record.startedAt) runs.push({ folder: other, startedAt });
    } catch {
      // Not a finished run; it can't be what this one might have reused.
    }
  }
  runs.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
  for (const run of runs) {
    const has = await readProgram(run.folder).then(
      () => true,
      () => false,
    );
    if (has) return run.folder;
  }
  return undefined;
}
