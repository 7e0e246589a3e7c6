/**
 * Calls of reusable functions in one session. A call is looked up before the function runs: in
 * memory, then in the durable store; all its outputs or none. An output is a `call` node, the same
 * in every process, and its value is one with that of the operator that computed it. Invariants: a
 * call in flight is shared by all that ask, and counted for the run that runs it; a call that
 * failed, or whose outputs vary, leaves nothing behind. Source: LIMA (SIGMOD 2021), section 4.2.
 */
import { PlanError } from '../errors.js';
import { type AttrValue, canonicalAttr } from '../ir/attrs.js';
import { dtypeAttr } from '../ir/dtype.js';
import { type Evaluator, type ReusableFunction, sessionOf } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { DenseMatrix, Value } from '../ir/value.js';
import { Matrix, Scalar } from '../matrix/matrix.js';
import { call as callOp } from '../operators/call.js';
import type { DurableTier } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { Lease } from '../reuse/store/lease.js';
import { forgetOldest } from '../support/forget-oldest.js';
import { joinOrBegin, type SharedWork } from '../support/shared-work.js';
import { putTogether, takeApart } from './call-values.js';
import {
  type CallIdentity,
  callKey,
  isWorthStoring,
  readCall,
  type StoredShape,
  storeCall,
} from './stored-calls.js';

/** What a function cache needs of the run that calls. */
export interface CallHost extends Evaluator {
  readonly statistics: {
    record(expr: Expr, backend: string, seconds: number, state: 'computed' | 'reused'): void;
    hit(expr: Expr): void;
  };
  readonly scope: { readonly signal?: AbortSignal };
  /** The node plans compute instead of this one. */
  simplified(expr: Expr): Expr;
  /** Told of values that are there because the program holds them. */
  holds(expr: Expr): void;
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
  /** The same, the whole time of a stack for each of its models. @units seconds */
  waited: number;
}

/** Outputs of one call: the `call` nodes of its matrices in the order of their places. */
interface Outputs {
  readonly template: AttrValue;
  readonly nodes: readonly Expr[];
  readonly seconds: number;
}

/** What a call gave; its nodes are those the function made where they are not kept. */
interface Answer extends Outputs {
  /** Undefined when they are not the same each time. */
  readonly values: readonly Value[] | undefined;
  readonly isKept: boolean;
}

interface CallAttrs {
  readonly name: string;
  readonly version: string;
  readonly args: AttrValue;
  readonly output: number;
}

/** Calls remembered; older ones are found again in the durable store only. */
const MAX_CALLS = 65_536;
/** All sessions' functions by name and version, so that a dropped value can be computed again. */
const functions = new Map<string, ReusableFunction>();

/** Makes a function known to restored lineage and dropped values. The last definition counts. */
export function register(fn: ReusableFunction): void {
  functions.set(functionId(fn.name, fn.version), fn);
}

export class FunctionCache {
  readonly #cache: ReuseCache;
  readonly #tier: DurableTier | undefined;
  readonly #reuse: boolean;
  readonly #calls = new Map<string, Outputs>();
  readonly #inFlight = new Map<string, SharedWork<Answer>>();
  readonly #counts = new Map<string, CallCounts>();
  /** Whether any node is an output of a reusable function. */
  hasCalls = false;

  constructor(cache: ReuseCache, tier: DurableTier | undefined, reuse: boolean) {
    this.#cache = cache;
    this.#tier = tier;
    this.#reuse = reuse;
  }

  /** What became of the calls of a function in this session. */
  countsOf(name: string, version: string): CallCounts {
    const id = functionId(name, version);
    let counts = this.#counts.get(id);
    if (counts === undefined) {
      counts = { runs: 0, hits: 0, stored: 0, notKept: undefined, seconds: 0, waited: 0 };
      this.#counts.set(id, counts);
    }
    return counts;
  }

  /** A call's outputs, computed once at most. @throws the function's errors, DTypeError */
  async call(host: CallHost, fn: ReusableFunction, given: readonly unknown[]): Promise<unknown> {
    const { name, version } = fn;
    const counts = this.countsOf(name, version);
    const { template, parts } = takeApart(given, `${name}: arguments`);
    const inputs = parts.map((part) => ownNode(host, part, name));
    // The function's own work is the caller's, wherever its arguments were written.
    const isHere = parts.every(({ session }) => session === host);
    const args = isHere ? given : (facades(host, template, inputs) as unknown[]);
    if (inputs.some((input) => !input.isDeterministic)) {
      counts.notKept = 'an argument is not the same each time it is computed';
      return run(fn, args, counts);
    }
    const identity = { name, version, args: template, inputs };
    if (!this.#reuse) {
      const { template: own, nodes } = await this.#compute(host, identity, fn, args);
      return facades(host, own, nodes);
    }
    const key = keyInSession(identity);
    const known = this.#calls.get(key);
    if (known !== undefined && this.#isHeld(host, known.nodes)) {
      counts.hits++;
      countReuse(host, known);
      return facades(host, known.template, known.nodes);
    }
    const answer = await this.#answer(host, key, identity, fn, args);
    return facades(host, answer.template, answer.nodes);
  }

  /** Whether the durable store has a call's outputs; nothing runs. */
  isStored(
    host: CallHost,
    { name, version }: Pick<ReusableFunction, 'name' | 'version'>,
    given: readonly unknown[],
  ): boolean {
    if (this.#tier === undefined || !this.#reuse) return false;
    const { template, parts } = takeApart(given, `${name}: arguments`);
    const inputs = parts.map((part) => ownNode(host, part, name));
    if (inputs.some((input) => !input.isDeterministic)) return false;
    return this.#tier.store.has(callKey({ name, version, args: template, inputs }));
  }

  /** Values of `call` nodes these roots need, computed if absent. @param isThere ends the search */
  async values(
    host: CallHost,
    roots: readonly Expr[],
    isThere: (expr: Expr) => boolean,
  ): Promise<ReadonlyMap<Expr, { readonly value: Value; readonly seconds: number }>> {
    const found = new Map<Expr, { value: Value; seconds: number }>();
    // Without reuse nothing else keeps the outputs of a call together.
    const answers = new Map<string, Answer>();
    const missing = topological(roots, (expr) => isThere(expr) || expr.op.source === 'call').filter(
      (expr) => expr.op.source === 'call' && !isThere(expr),
    );
    for (const node of missing) {
      const { name, version, args, output } = node.attrs as unknown as CallAttrs;
      const { inputs } = node;
      const identity = { name, version, args, inputs };
      const given = facades(host, args, inputs) as unknown[];
      const fn = functions.get(functionId(name, version)) ?? undefinedFunction(name, version);
      const key = keyInSession(identity);
      const answer = answers.get(key) ?? (await this.#answer(host, key, identity, fn, given));
      answers.set(key, answer);
      const value = answer.values?.[output];
      if (value === undefined) throw changedFunction(name, version);
      found.set(node, { value, seconds: answer.seconds });
    }
    return found;
  }

  /** The answer of a call under way, or of a new one. */
  async #answer(
    host: CallHost,
    key: string,
    identity: CallIdentity,
    fn: ReusableFunction,
    args: readonly unknown[],
  ): Promise<Answer> {
    const { signal } = host.scope;
    let isOwn = false;
    const begin = (): Promise<Answer> => {
      isOwn = true;
      const promise = this.#find(host, identity, fn, args)
        .then((found) => {
          if (found.isKept) {
            const { template, nodes, seconds } = found;
            this.#calls.set(key, { template, nodes, seconds });
            forgetOldest(this.#calls, MAX_CALLS);
          }
          return found;
        })
        .finally(() => this.#inFlight.delete(key));
      this.#inFlight.set(key, { promise, signal });
      return promise;
    };
    const answer = await joinOrBegin(() => this.#inFlight.get(key), begin, signal);
    if (!isOwn) {
      this.countsOf(fn.name, fn.version).hits++;
      countReuse(host, answer);
    }
    return answer;
  }

  /** From the durable store, or by the function. */
  async #find(
    host: CallHost,
    identity: CallIdentity,
    fn: ReusableFunction,
    args: readonly unknown[],
  ): Promise<Answer> {
    const counts = this.countsOf(fn.name, fn.version);
    const isQuick = counts.runs > 2 && !isWorthStoring(identity, counts.waited / counts.runs);
    const tier = isQuick || !this.#reuse ? undefined : this.#tier;
    if (tier === undefined) return this.#compute(host, identity, fn, args);
    const key = callKey(identity);
    if (fn.isFresh) return this.#compute(host, identity, fn, args, key);
    await tier.store.refresh();
    let found = await readCall(tier, key);
    let lease: Lease | undefined;
    if (found === undefined) {
      const answer = await tier.store.lease(key, host.scope.signal);
      if (answer === 'stored') found = await readCall(tier, key);
      else lease = answer;
    }
    if (found === undefined) return this.#compute(host, identity, fn, args, key, lease);
    const { template, shapes, values, seconds } = found;
    const nodes = shapes.map((shape, at) => callNode(host, identity, at, shape));
    const answer = { template, nodes, values, seconds, isKept: true };
    countReuse(host, answer, 'store');
    for (const [at, node] of nodes.entries()) this.#keep(host, node, values[at]!, seconds, 'store');
    counts.stored++;
    return answer;
  }

  /** Runs the function and keeps what it gave. */
  async #compute(
    host: CallHost,
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
      const inner = parts.map((part) => ownNode(host, part, fn.name));
      const values = (await host.evaluate(inner)) as DenseMatrix[];
      const waited = (performance.now() - start) / 1000;
      const seconds = waited / (fn.together?.() ?? 1);
      counts.seconds += seconds;
      counts.waited += waited;
      const answer = { template, nodes: inner, values, seconds, isKept: false };
      if (inner.some((expr) => !expr.isDeterministic)) {
        counts.notKept = 'an output is not the same each time it is computed';
        return { ...answer, values: undefined };
      }
      const shapes = values.map(({ rows, cols, dtype }) => [rows, cols, dtype] as const);
      const nodes = shapes.map((shape, at) => callNode(host, identity, at, shape));
      for (const [at, node] of nodes.entries()) {
        const own = seconds / nodes.length;
        host.statistics.record(host.simplified(node), 'function', own, 'computed');
        this.#keep(host, node, values[at]!, seconds, 'function', inner[at]!);
      }
      if (this.#tier !== undefined && key !== undefined) {
        isStoring = true;
        const found = { template, shapes, values, seconds };
        storeCall(this.#tier, identity, key, found, waited, lease);
      }
      if (this.#isHeld(host, nodes)) return { ...answer, nodes, isKept: true };
      counts.notKept = 'the outputs are larger than the cache';
      return answer;
    } finally {
      if (!isStoring) await lease?.release();
    }
  }

  #isHeld(host: CallHost, nodes: readonly Expr[]): boolean {
    return nodes.every((node) => this.#cache.probe(host.simplified(node)) !== undefined);
  }

  /** Puts a value under its `call` node, and with the cached operator that computed it, if any. */
  #keep(
    host: CallHost,
    node: Expr,
    value: Value,
    seconds: number,
    backend: string,
    inner?: Expr,
  ): void {
    const cache = this.#cache;
    const key = host.simplified(node);
    if (!this.#reuse) host.holds(key);
    if (cache.probe(key) !== undefined) return;
    const computed = inner === undefined ? undefined : host.simplified(inner);
    cache.claim(key);
    if (computed !== undefined && cache.probe(computed)?.value === value) {
      cache.alias(key, computed, seconds);
    } else cache.put(key, value, seconds, backend);
    // Nothing is left claimed, whichever of the two refused.
    cache.withdraw(key);
  }
}

/** The call's time is that of its outputs together. */
function countReuse(host: CallHost, { nodes, seconds }: Outputs, from = 'function'): void {
  for (const node of nodes) {
    const key = host.simplified(node);
    host.statistics.record(key, from, seconds / nodes.length, 'reused');
    host.statistics.hit(key);
  }
}

/** A result or arguments, their matrices those of the run that calls. */
function facades(host: CallHost, template: AttrValue, nodes: readonly Expr[]): unknown {
  return putTogether(template, (at, isMatrix) =>
    isMatrix ? Matrix.of(host, nodes[at]!) : Scalar.of(host, nodes[at]!),
  );
}

function callNode(
  host: CallHost,
  { name, version, args, inputs }: CallIdentity,
  output: number,
  [rows, cols, dtype]: StoredShape,
): Expr {
  const attrs = { name, version, args, output, rows, cols, ...dtypeAttr(dtype) };
  return host.intern(callOp, inputs, attrs);
}

/** @throws PlanError for a matrix of another session */
function ownNode(host: CallHost, part: Matrix | Scalar, name: string): Expr {
  if (sessionOf(part.session) === sessionOf(host)) return part.expr;
  throw new PlanError(
    `${name}: expected matrices of one session, got one of another; make it anew with \`matrix(session, await x.value())\``,
    { op: 'reusable' },
  );
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
