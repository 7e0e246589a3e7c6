/**
 * Computes a stored lineage again, on any backend and with no reuse, and compares with what the run
 * stored. Invariant: the data are the run's own: every file is identified before anything runs, and
 * again after.
 */
import { resolve } from 'node:path';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { DataError, PlanError, ResourceError } from '../../driver/errors.js';
import { identifyFiles, isRemote } from '../../driver/frame/identity.js';
import {
  type DenseMatrix,
  type Expr,
  type FrameEngine,
  type FrameSource,
  matrix,
  type Run,
  Session,
  verifyUnchanged,
} from '../../driver/index.js';
import { denseBytes, topological } from '../../driver/ir/expr.js';
import { openSession } from '../engines.js';
import { estimators } from '../estimators/index.js';
import { defineFits } from '../search/row-fits.js';
import { storePlace } from '../store-place.js';
import { compareKept, keptValues } from './kept-values.js';
import { findStep, type LoadedRun, loadRun, readProgram } from './load-run.js';
import { type AggregateAgain, compareAnswer, type StoredComparison } from './stored-answer.js';

export type ReplayEngine = 'reference' | 'local' | 'spark';

export interface ReplayOptions {
  readonly engine: ReplayEngine;
  /** A step number, output or operator; default: all that the answer was read from. */
  readonly step?: string;
  /** Largest relative difference that counts as equal. Default 1e-8. */
  readonly tolerance?: number;
  readonly signal?: AbortSignal;
}

export interface Replay {
  readonly run: string;
  readonly engine: ReplayEngine;
  /** Values computed again: name or step, shape and sum. */
  readonly values: readonly ReplayedValue[];
  /** With what the run stored; empty when it stored nothing of the step. */
  readonly compared: readonly StoredComparison[];
  readonly tolerance: number;
  /** Why values the run kept were not compared with; null when there is no reason to say. */
  readonly note: string | null;
  /** False when anything differs by more than the tolerance. */
  readonly agrees: boolean;
}

export interface ReplayedValue {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  readonly sum: number;
}

/** Rows are encoded whole for the reference backend. @units bytes */
const MAX_REFERENCE_BYTES = 1024 ** 3;

/**
 * @throws DataError naming the first file that is not the run's any more; ConfigError for a step
 *   that is not there; ResourceError when the data are too large for the reference backend; errors
 *   of the engine
 */
export async function replayRun(folder: string, options: ReplayOptions): Promise<Replay> {
  const program = await readProgram(folder);
  const sources = Object.values(program.lineage.frames ?? {});
  await requireSameFiles(sources);
  const open = await openSession(options.engine === 'spark' ? 'spark' : 'local');
  // No reuse and no store: what is compared has to be computed.
  const evaluator = new Session({
    local: open.session.local,
    blocks: open.session.blocks,
    reuse: 'off',
  }).run(options.signal ? { signal: options.signal } : {});
  try {
    await requireSameRemote(sources, open.frames);
    // Fits that read rows are calls, which are run again.
    defineFits(estimators);
    const run = await loadRun(folder, evaluator);
    const wanted = wantedNodes(run, options.step);
    const exprs = [...wanted.values()];
    const values =
      options.engine === 'reference'
        ? await evaluateByDefinition(evaluator, exprs)
        : ((await evaluator.evaluate(exprs)) as DenseMatrix[]);
    for (const source of sources) await verifyUnchanged(source);
    const named = new Map([...wanted.keys()].map((name, i) => [name, values[i]!]));
    const tolerance = options.tolerance ?? 1e-8;
    const aggregate: AggregateAgain = ({ rows, cols, data }, asked) =>
      open.formulas!.aggregate(evaluator, matrix(evaluator, rows, cols, data), asked);
    const kept = await keptValues(ownStore(), wanted);
    const compared = [
      ...(await compareAnswer(run, named, tolerance, aggregate)),
      ...compareKept(kept, named, tolerance),
    ];
    return {
      run: run.record.run,
      engine: options.engine,
      values: [...named].map(([name, { rows, cols, data }]) => ({
        name,
        rows,
        cols,
        sum: Array.from(data).reduce((sum, cell) => sum + cell, 0),
      })),
      compared,
      tolerance,
      note: otherStore(program.store),
      agrees: compared.every((comparison) => comparison.agrees),
    };
  } finally {
    await open.session.close();
  }
}

/** The store of whoever replays. */
function ownStore(): string | undefined {
  return storePlace(process.cwd(), undefined)?.folder;
}

/** A run folder may be somebody else's: a store that it names is not opened for that. */
function otherStore(named: string | null): string | null {
  const configured = ownStore();
  if (named === null || (configured !== undefined && resolve(configured) === resolve(named))) {
    return null;
  }
  return `the run kept values in ${JSON.stringify(named)}, which is not opened since only the run's folder names it; set REPRISE_STORE to it to compare with them`;
}

/** By name: all outputs, or the step that has that name, with what comparing it needs. */
function wantedNodes(run: LoadedRun, name: string | undefined): Map<string, Expr> {
  if (name === undefined) return new Map(run.outputs);
  const { expr, node } = findStep(run, name);
  if (expr.op.source === 'files') {
    throw new PlanError(
      `replay: expected a step with a value, got step ${node.id}, a frame of files; ask for a step that reads it`,
      { step: node.id },
    );
  }
  const outputs = [...run.outputs].filter(([, output]) => output === expr);
  const [output] = outputs[0] ?? [`step ${node.id} (${node.op})`];
  const wanted = new Map([[output, expr]]);
  // Scores are read from all of them.
  const isScore =
    /^losses/.test(output) || run.program.scores?.some((one) => one.output === output);
  if (!isScore) return wanted;
  const scores = new Set(run.program.scores?.map((one) => one.output));
  for (const [other, node] of run.outputs) {
    if (/^(gram|losses)/.test(other) || scores.has(other)) wanted.set(other, node);
  }
  return wanted;
}

/** Whole values by the operators' definitions, as written; but files are read, and fits run. */
async function evaluateByDefinition(run: Run, roots: readonly Expr[]): Promise<DenseMatrix[]> {
  const isGiven = ({ op }: Expr): boolean => op.source === 'scan' || op.source === 'call';
  const order = topological(roots, isGiven).filter((expr) => expr.op.source !== 'files');
  const given = order.filter(isGiven);
  const encoded = given.filter((expr) => expr.op.source === 'scan');
  const bytes = encoded.reduce((sum, expr) => sum + denseBytes(expr), 0);
  if (bytes > MAX_REFERENCE_BYTES) {
    throw new ResourceError(
      `replay: expected at most ${MAX_REFERENCE_BYTES} bytes of encoded data for the reference backend, which holds them whole, got ${bytes}; replay with --engine local`,
      { resource: 'memory', requestedBytes: bytes, availableBytes: MAX_REFERENCE_BYTES },
    );
  }
  const read = await run.evaluate(given);
  const segment = {
    nodes: order.filter((expr) => !isGiven(expr)),
    inputs: new Map(given.map((expr, i) => [expr, read[i]!])),
    outputs: roots,
    persist: [],
    blocked: new Set<Expr>(),
  };
  const { values } = await createReferenceBackend().run(segment, run.scope);
  return roots.map((root) => values.get(root) as DenseMatrix);
}

/** @throws DataError naming the first local file that is gone or holds something else */
async function requireSameFiles(sources: readonly FrameSource[]): Promise<void> {
  for (const file of sources.flatMap((source) => source.files)) {
    if (isRemote(file.path)) continue;
    const [now] = await identifyFiles([file.path]);
    if (now?.digest !== file.digest) throw otherContent(file.path, file.digest, now?.digest);
  }
}

/** Remote files are identified by the engine that reads them. */
async function requireSameRemote(
  sources: readonly FrameSource[],
  frames: FrameEngine,
): Promise<void> {
  for (const source of sources) {
    for (const file of source.files) {
      if (!isRemote(file.path)) continue;
      const { source: now } = await frames.describe(file.path, {
        ...source.options,
        format: source.format,
      });
      const digest = now.files[0]?.digest;
      if (digest !== file.digest) throw otherContent(file.path, file.digest, digest);
    }
  }
}

function otherContent(path: string, expected: string, got: string | undefined): DataError {
  return new DataError(
    `replay: expected ${path} as the run read it (digest ${expected.slice(0, 12)}), got other content (${got?.slice(0, 12) ?? 'no file'}); put the run's file back, or run the job again`,
    { path },
  );
}
