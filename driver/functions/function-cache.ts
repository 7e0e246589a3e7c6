/**
 * Calls of reusable functions in one session. A call is looked up before the function runs: in
 * memory, then in the durable store; all its outputs or none. An output is a `call` node, the same
 * in every process, and its value is one with that of the operator that computed it. Invariants: a
 * call in flight is shared by all that ask; a call that failed, or whose outputs are not the same
 * each time, leaves nothing behind. Source: multi-level reuse of LIMA (SIGMOD 2021), section 4.2.
 */
import { PlanError } from '../errors.js';
import { type AttrValue, canonicalAttr } from '../ir/attrs.js';
import type { Evaluator, FunctionCalls, ReusableFunction } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { DenseMatrix, Value } from '../ir/value.js';
import { Matrix, Scalar } from '../matrix/matrix.js';
import { call as callOp } from '../operators/call.js';
import { type DurableTier, STORE_SECONDS } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Lease } from '../reuse/store/lease.js';
import { forgetOldest } from '../support/forget-oldest.js';
import { putTogether, takeApart } from './call-values.js';
import { type CallIdentity, callKey, readCall, storeCall } from './stored-calls.js';

/** What a function cache needs of its session. */
export interface CallHost extends Evaluator {
  readonly cache: ReuseCache;
  readonly statistics: {
    record(expr: Expr, backend: string, seconds: number, state: 'computed' | 'reused'): void;
    hit(expr: Expr): void;
  };
  /** Cancels the work submitted now. */
  readonly scope: { readonly signal?: AbortSignal };
  /** The node plans compute instead of this one. */
  simplified(expr: Expr): Expr;
}

/** What became of the calls of one function. */
export interface CallCounts {
  /** Times the function ran. */
  runs: number;
  /** Calls answered from memory or disk, or by one in flight. */
  hits: number;
  /** Calls answered from the durable store. */
  stored: number;
  /** Why results were not kept, last reason; undefined while all were. */
  notKept: string | undefined;
  /** Time of all runs. @units seconds */
  seconds: number;
}

/** Outputs of one call: the `call` nodes of its matrices in the order of their places. */
interface Outputs {
  readonly template: AttrValue;
  readonly nodes: readonly Expr[];
  readonly seconds: number;
}

interface Answer {
  /** What the function gave, unless the store had it. */
  readonly result?: unknown;
  /** Its matrices; undefined when they are not the same each time. */
  readonly values: readonly Value[] | undefined;
  /** Set when all of it is kept. */
  readonly outputs?: Outputs;
  readonly seconds: number;
}

interface CallAttrs {
  readonly name: string;
  readonly version: string;
  readonly args: AttrValue;
  readonly output: number;
}

/** Calls remembered; older ones are found again in the durable store only. */
const MAX_CALLS = 65_536;
/** Functions of every session by name and version, so that a value that was dropped can be computed again. */
const functions = new Map<string, ReusableFunction>();

/** Makes a function known to lineage read back and to values that were dropped. The last definition counts. */
export function register(fn: ReusableFunction): void {
  functions.set(functionId(fn.name, fn.version), fn);
}

export class FunctionCache implements FunctionCalls {
  readonly #host: CallHost;
  readonly #tier: DurableTier | undefined;
  readonly #reuse: boolean;
  readonly #calls = new Map<string, Outputs>();
  readonly #inFlight = new Map<string, Promise<Answer>>();
  readonly #counts = new Map<string, CallCounts>();

  constructor(host: CallHost, tier: DurableTier | undefined, reuse: boolean) {
    this.#host = host;
    this.#tier = tier;
    this.#reuse = reuse;
  }

  /** What became of the calls of a function in this session. */
  countsOf(name: string, version: string): CallCounts {
    const id = functionId(name, version);
    let counts = this.#counts.get(id);
    if (counts === undefined) {
      counts = { runs: 0, hits: 0, stored: 0, notKept: undefined, seconds: 0 };
      this.#counts.set(id, counts);
    }
    return counts;
  }

  /** The outputs of a call, computed at most once. @throws what the function throws, DTypeError for its arguments */
  async call(fn: ReusableFunction, args: readonly unknown[]): Promise<unknown> {
    const { name, version } = fn;
    const counts = this.countsOf(name, version);
    const { template, parts } = takeApart(args, `${name}: arguments`);
    const inputs = parts.map((part) => this.#ownNode(part, name));
    if (!this.#reuse || inputs.some((input) => !input.isDeterministic)) {
      if (this.#reuse) counts.notKept = 'an argument is not the same each time it is computed';
      return run(fn, args, counts);
    }
    const identity = { name, version, args: template, inputs };
    const key = keyInSession(identity);
    const known = this.#calls.get(key);
    if (known !== undefined && this.#isHeld(known.nodes)) {
      counts.hits++;
      this.#countReuse(known);
      return this.#facades(known);
    }
    if (this.#inFlight.has(key)) counts.hits++;
    const answer = await this.#answer(key, identity, fn, args);
    return answer.outputs === undefined ? answer.result : this.#facades(answer.outputs);
  }

  /** Values of `call` nodes among what these roots need, computed if nobody has them. @param isThere ends the search */
  async values(
    roots: readonly Expr[],
    isThere: (expr: Expr) => boolean,
  ): Promise<ReadonlyMap<Expr, { readonly value: Value; readonly seconds: number }>> {
    const found = new Map<Expr, { value: Value; seconds: number }>();
    const missing = topological(roots, (expr) => isThere(expr) || expr.op === callOp).filter(
      (expr) => expr.op === callOp && !isThere(expr),
    );
    for (const node of missing) {
      const { name, version, args, output } = node.attrs as unknown as CallAttrs;
      const { inputs } = node;
      const identity = { name, version, args, inputs };
      const given = putTogether(args, (at, isMatrix) =>
        isMatrix ? Matrix.of(this.#host, inputs[at]!) : Scalar.of(this.#host, inputs[at]!),
      ) as unknown[];
      const fn = functions.get(functionId(name, version)) ?? undefinedFunction(name, version);
      const answer = await this.#answer(keyInSession(identity), identity, fn, given);
      const value = answer.values?.[output];
      if (value === undefined) throw changedFunction(name, version);
      found.set(node, { value, seconds: answer.seconds });
    }
    return found;
  }

  /** The answer of a call under way, or of a new one. */
  #answer(
    key: string,
    identity: CallIdentity,
    fn: ReusableFunction,
    args: readonly unknown[],
  ): Promise<Answer> {
    const underWay = this.#inFlight.get(key);
    if (underWay !== undefined) return underWay;
    const answer = this.#find(identity, fn, args)
      .then((found) => {
        if (found.outputs !== undefined) {
          this.#calls.set(key, found.outputs);
          forgetOldest(this.#calls, MAX_CALLS);
        }
        return found;
      })
      .finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, answer);
    return answer;
  }

  /** From the durable store, or by the function. */
  async #find(
    identity: CallIdentity,
    fn: ReusableFunction,
    args: readonly unknown[],
  ): Promise<Answer> {
    const counts = this.countsOf(fn.name, fn.version);
    const isQuick = counts.runs > 2 && counts.seconds / counts.runs < STORE_SECONDS;
    const tier = isQuick || !this.#reuse ? undefined : this.#tier;
    if (tier === undefined) return this.#compute(identity, fn, args);
    const key = callKey(identity);
    await tier.store.refresh();
    let found = await readCall(tier, key);
    let lease: Lease | undefined;
    if (found === undefined) {
      const answer = await tier.store.lease(key, this.#host.scope.signal);
      if (answer === 'stored') found = await readCall(tier, key);
      else lease = answer;
    }
    if (found === undefined) return this.#compute(identity, fn, args, key, lease);
    const { template, shapes, values, seconds } = found;
    const nodes = shapes.map(([rows, cols], at) => this.#node(identity, at, rows, cols));
    for (const [at, node] of nodes.entries()) this.#keep(node, values[at]!, seconds, 'store');
    counts.stored++;
    const outputs = { template, nodes, seconds };
    this.#countReuse(outputs);
    return { outputs, values, seconds };
  }

  /** Runs the function and keeps what it gave. */
  async #compute(
    identity: CallIdentity,
    fn: ReusableFunction,
    args: readonly unknown[],
    key?: string,
    lease?: Lease,
  ): Promise<Answer> {
    const counts = this.countsOf(fn.name, fn.version);
    let isStoring = false;
    try {
      const start = performance.now();
      const result = await run(fn, args, counts);
      const { template, parts } = takeApart(result, `${fn.name}: result`);
      const inner = parts.map((part) => this.#ownNode(part, fn.name));
      const values = (await this.#host.evaluate(inner)) as DenseMatrix[];
      const seconds = (performance.now() - start) / 1000;
      counts.seconds += seconds;
      if (inner.some((expr) => !expr.isDeterministic)) {
        counts.notKept = 'an output is not the same each time it is computed';
        return { result, values: undefined, seconds };
      }
      if (!this.#reuse) return { result, values, seconds };
      const nodes = values.map(({ rows, cols }, at) => this.#node(identity, at, rows, cols));
      for (const [at, node] of nodes.entries()) {
        this.#keep(node, values[at]!, seconds, 'function', inner[at]!);
      }
      if (this.#tier !== undefined && key !== undefined) {
        isStoring = true;
        const shapes = values.map(({ rows, cols }) => [rows, cols] as const);
        storeCall(this.#tier, identity, key, { template, shapes, values, seconds }, lease);
      }
      if (this.#isHeld(nodes)) {
        return { result, values, outputs: { template, nodes, seconds }, seconds };
      }
      counts.notKept = 'the outputs are larger than the cache';
      return { result, values, seconds };
    } finally {
      if (!isStoring) await lease?.release();
    }
  }

  #isHeld(nodes: readonly Expr[]): boolean {
    const { cache } = this.#host;
    return nodes.every((node) => cache.probe(this.#host.simplified(node)) !== undefined);
  }

  /** Puts a value under its `call` node; together with the operator that computed it, if that is cached. */
  #keep(node: Expr, value: Value, seconds: number, backend: string, inner?: Expr): void {
    const { cache, statistics } = this.#host;
    const key = this.#host.simplified(node);
    statistics.record(key, backend, seconds, 'computed');
    if (cache.probe(key) !== undefined) return;
    const computed = inner === undefined ? undefined : this.#host.simplified(inner);
    cache.claim(key);
    if (computed !== undefined && cache.probe(computed)?.value === value) {
      cache.alias(key, computed, seconds);
    } else cache.put(key, value, seconds, backend);
    // Nothing is left claimed, whichever of the two refused.
    cache.withdraw(key);
  }

  #countReuse({ nodes, seconds }: Outputs): void {
    const { statistics } = this.#host;
    for (const node of nodes) {
      const key = this.#host.simplified(node);
      statistics.record(key, 'function', seconds, 'reused');
      statistics.hit(key);
    }
  }

  #facades({ template, nodes }: Outputs): unknown {
    return putTogether(template, (at, isMatrix) =>
      isMatrix ? Matrix.of(this.#host, nodes[at]!) : Scalar.of(this.#host, nodes[at]!),
    );
  }

  #node({ name, version, args, inputs }: CallIdentity, at: number, rows: number, cols: number) {
    return this.#host.intern(callOp, inputs, { name, version, args, output: at, rows, cols });
  }

  /** @throws PlanError for a matrix of another session */
  #ownNode(part: Matrix | Scalar, name: string): Expr {
    if (part.session === this.#host) return part.expr;
    throw new PlanError(
      `${name}: expected matrices of one session, got one of another; make it anew with \`matrix(session, await x.value())\``,
      { op: 'reusable' },
    );
  }
}

async function run(
  fn: ReusableFunction,
  args: readonly unknown[],
  counts: CallCounts,
): Promise<unknown> {
  counts.runs++;
  return fn.run(...(args as never[]));
}

function functionId(name: string, version: string): string {
  return JSON.stringify([name, version]);
}

/** Stands for a function that this process lacks: what was stored of it is read all the same. */
function undefinedFunction(name: string, version: string): ReusableFunction {
  const run = (): never => {
    throw new PlanError(
      `call: expected the function ${name} version ${version} to be defined in this process, got none; import the module that defines it`,
      { op: 'call', name, version },
    );
  };
  return { name, version, run };
}

function changedFunction(name: string, version: string): PlanError {
  return new PlanError(
    `call: expected ${name} version ${version} to give what it gave before, got fewer matrices, or some that differ each time; raise the version when a function changes`,
    { op: 'call', name, version },
  );
}

/** What tells calls apart within a session: nodes are one object each. */
function keyInSession({ name, version, args, inputs }: CallIdentity): string {
  return `${canonicalAttr([name, version, args])}\n${inputs.map(({ id }) => id).join()}`;
}
