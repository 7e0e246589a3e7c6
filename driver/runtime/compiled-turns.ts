/**
 * Turns of a compiled loop (`backend/loop-program.ts`), one after the other without planning and
 * without the event loop, which gets a turn of its own whenever a slice of time is over: to let
 * signals, progress and other work through. Invariants: counts are those of the same nodes run by
 * plans; what the program holds is charged to the cache's budget until it ends.
 */
import type { Backend, RunContext } from '../backend/backend.js';
import type { LoopBody, LoopProgram } from '../backend/loop-program.js';
import type { Plan } from '../compiler/plan.js';
import type { LoopTurns } from '../ir/evaluator.js';
import type { Expr } from '../ir/expr.js';
import type { DenseMatrix } from '../ir/value.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import { loopSteps } from './loop-steps.js';
import { keptParts } from './results.js';
import type { Statistics } from './statistics.js';

/** Cells of slots. */
type Given = ReadonlyMap<Expr, DenseMatrix>;

/** Turns go on this long at most without a break. @units milliseconds */
const SLICE_MS = 40;

export interface TurnContext {
  readonly local: Backend;
  readonly cache: ReuseCache;
  readonly statistics: Statistics;
  readonly scope: RunContext;
}

/** Undefined where the loop is better run by plans; `statistics.loops` says why. */
export function compiledTurns(
  plan: Plan,
  given: Given,
  context: TurnContext,
): LoopTurns | undefined {
  const { local, statistics, scope } = context;
  const body = bodyOf(plan, given, local);
  const program = typeof body === 'string' ? body : local.compileLoop!(body, scope);
  if (typeof program === 'string') {
    statistics.loop(program);
    return undefined;
  }
  program.load([...given.values()]);
  return new CompiledTurns(program, plan, context);
}

/** Which form a loop's turns have, as text. @param plan of a turn */
export function loopText(plan: Plan, local: Backend): string {
  const why = whyPlanned(plan, local);
  return why === undefined ? 'turns: compiled after the first few' : `turns: planned, as ${why}`;
}

/** Why no turn of this plan can be compiled, by where it runs; undefined where it may be. */
function whyPlanned(plan: Plan, local: Backend): string | undefined {
  if (local.compileLoop === undefined) return `${local.name} compiles no loops`;
  for (const node of plan.nodes) {
    const { name, source } = node.expr.op;
    if (node.backend !== local) return `${name} runs on ${node.backend.name}`;
    if (source === 'files' || source === 'scan') return `${name} reads files`;
    // They are kept under nodes of their own.
    if (keptParts(node).length > 0) return `${name} has parts that are kept`;
  }
  return undefined;
}

/** What one backend can run by itself; else the reason. */
function bodyOf(plan: Plan, given: Given, local: Backend): LoopBody | string {
  if (plan.pending.size > 0) return 'something else computes what it reads';
  const why = whyPlanned(plan, local);
  if (why !== undefined) return why;
  const values = new Map<Expr, DenseMatrix>();
  for (const [expr, value] of plan.available) {
    if (given.has(expr)) continue;
    if (value.kind === 'handle') return `${expr.op.name} lies on ${value.backend}`;
    values.set(expr, value);
  }
  return { steps: loopSteps(plan), values, slots: [...given.keys()], roots: plan.roots };
}

class CompiledTurns implements LoopTurns {
  readonly values: readonly DenseMatrix[];
  readonly #program: LoopProgram;
  readonly #plan: Plan;
  readonly #context: TurnContext;
  #heldBytes = 0;

  constructor(program: LoopProgram, plan: Plan, context: TurnContext) {
    this.#program = program;
    this.#plan = plan;
    this.#context = context;
    this.values = program.results;
    this.#charge(program.bytes);
  }

  async take(isLast: () => boolean): Promise<void> {
    const { signal } = this.#context.scope;
    const { spill } = this.#context.cache;
    for (;;) {
      signal?.throwIfAborted();
      if (await this.#slice(isLast)) return;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (spill?.isCongested) await spill.relieved();
    }
  }

  /** Turns for a while. @returns whether one was the last */
  async #slice(isLast: () => boolean): Promise<boolean> {
    const program = this.#program;
    const { statistics, local } = this.#context;
    const { kernels, passes } = program;
    const start = performance.now();
    let turns = 0;
    try {
      for (;;) {
        const running = program.turn();
        if (running !== undefined) await running;
        turns++;
        if (isLast()) return true;
        if (performance.now() - start > SLICE_MS) return false;
      }
    } finally {
      statistics.passes += program.passes - passes;
      statistics.turns(this.#plan, turns, program.kernels - kernels, {
        ...{ lane: local.name, name: `${turns} turns of a compiled loop` },
        ...{ start, end: performance.now() },
      });
      this.#charge(program.bytes);
    }
  }

  end(): void {
    this.#charge(0);
    this.#program.end();
  }

  #charge(bytes: number): void {
    this.#context.cache.hold(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }
}
