/**
 * What work and transfers cost on this machine: each backend's own estimate times a factor learned
 * from what was measured. Factors are kept by backend and operator family, and by backend and
 * direction for transfers. Invariants: without measurements every figure is the backend's own; one
 * wild measurement moves a factor by at most 2x, and one that is well known by a tenth, so that a
 * factor settles near the median of what was measured and pauses of the machine do not raise it. A
 * measured time is shared among the parts it is the sum of in proportion to what each was expected
 * to take, so that a program of many operators and transfers teaches about those that dominate it.
 */

import type { Backend } from '../backend/backend.js';
import type { Expr } from '../ir/expr.js';
import { ReadCounts } from './reuse-history.js';

/** One term of a predicted time. */
export interface CostPart {
  /** `cpu/tsmm`, `spark/start`, `spark/up`. */
  readonly key: string;
  /** Expected with the factor learned so far. @units seconds */
  readonly seconds: number;
}

export interface LearnedFactor {
  /** Measured over estimated, averaged. */
  readonly factor: number;
  readonly samples: number;
}

export type LearnedCosts = Readonly<Record<string, LearnedFactor>>;

/** Exponential average: the weight of a new measurement; the first few weigh more than this. */
const WEIGHT = 0.2;
/** Measured over expected beyond this, either way, counts as this much while a factor is new. */
const MAX_RATIO = 4;
/** The same for a known factor: an outlier counts little more than others (Huber, 1964). */
const MAX_KNOWN_RATIO = 1.5;
/** From so many measurements on a factor is known. */
const KNOWN_SAMPLES = 4;
/** Setting up a pass over data on this machine. @units seconds */
const PASS_SECONDS = 3e-4;
const MIN_FACTOR = 1 / 256;
const MAX_FACTOR = 256;
/** Shorter times say more of the clock than of the work. @units seconds */
const MIN_SECONDS = 1e-4;

interface Entry {
  logFactor: number;
  samples: number;
}

export class CostModel {
  /** Where what is learned is kept; undefined for a model that ends with its process. */
  readonly keptIn: { readonly path: string; readonly machine: string } | undefined;
  /** How often earlier sessions read the values they had. */
  readonly reads: ReadCounts;
  readonly #entries = new Map<string, Entry>();
  readonly #met = new Set<string>();
  #changes = 0;

  constructor(learned: LearnedCosts = {}, keptIn?: CostModel['keptIn'], reads = new ReadCounts()) {
    this.keptIn = keptIn;
    this.reads = reads;
    for (const [key, { factor, samples }] of Object.entries(learned)) {
      if (!(factor >= MIN_FACTOR && factor <= MAX_FACTOR) || !(samples > 0)) continue;
      this.#entries.set(key, { logFactor: Math.log(factor), samples });
    }
  }

  /** Grows with every measurement taken in. */
  get changes(): number {
    return this.#changes;
  }

  knows(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Measured over the backend's own estimate; 1 while nothing is known. */
  factor(key: string): number {
    const entry = this.#entries.get(key);
    return entry === undefined ? 1 : Math.exp(entry.logFactor);
  }

  /** The node's own work on that backend, without starting a segment and without transfers. */
  work(backend: Backend, expr: Expr): CostPart {
    const { seconds, startSeconds = 0 } = backend.estimate(expr);
    const key = workKey(backend, expr);
    return { key, seconds: Math.max(0, seconds - startSeconds) * this.factor(key) };
  }

  /** Starting one segment there. */
  start(backend: Backend): CostPart {
    const key = `${costName(backend)}/start`;
    return { key, seconds: (backend.costs?.exchangeSeconds ?? PASS_SECONDS) * this.factor(key) };
  }

  /** Moving a host value into the backend. @units bytes */
  upload(backend: Backend, bytes: number): CostPart {
    return this.#move(`${costName(backend)}/up`, bytes, backend.costs?.uploadBytesPerSecond);
  }

  /** Moving a value of the backend to the host, in a segment that runs anyway. @units bytes */
  download(backend: Backend, bytes: number): CostPart {
    return this.#move(`${costName(backend)}/down`, bytes, backend.costs?.downloadBytesPerSecond);
  }

  /** Between backends; two that are not the host transfer through it. @units bytes -> seconds */
  transferSeconds(from: Backend, to: Backend, bytes: number): number {
    if (from === to) return 0;
    return this.download(from, bytes).seconds + this.upload(to, bytes).seconds;
  }

  /** Takes in what the sum of these parts really took. @units seconds */
  observe(parts: readonly CostPart[], measured: number): void {
    let expected = 0;
    for (const part of parts) expected += part.seconds;
    if (!(expected > 0 && measured > 0) || !Number.isFinite(measured)) return;
    // Either, not the measured one alone: that would take of short work only what met a pause.
    if (Math.max(expected, measured) < MIN_SECONDS) return;
    const logRatio = Math.log(measured / expected);
    const byKey = new Map<string, number>();
    for (const { key, seconds } of parts) byKey.set(key, (byKey.get(key) ?? 0) + seconds);
    for (const [key, seconds] of byKey) this.#learn(key, seconds / expected, logRatio);
    this.#changes++;
  }

  /** Whether this process measured all these parts before; marks them. First times load code. */
  isWarm(parts: readonly CostPart[]): boolean {
    const before = this.#met.size;
    for (const { key, seconds } of parts) if (seconds > 0) this.#met.add(key);
    return this.#met.size === before;
  }

  /** What was learned, for the next process; keys sorted. */
  learned(): LearnedCosts {
    const sorted = [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(
      sorted.map(([key, { logFactor, samples }]) => [
        key,
        { factor: Number(Math.exp(logFactor).toPrecision(6)), samples },
      ]),
    );
  }

  #learn(key: string, share: number, logRatio: number): void {
    const known = this.#entries.get(key);
    const samples = known?.samples ?? 0;
    const weight = Math.max(WEIGHT, 0.5 / (1 + samples)) * share;
    const most = Math.log(samples < KNOWN_SAMPLES ? MAX_RATIO : MAX_KNOWN_RATIO);
    const step = Math.min(most, Math.max(-most, logRatio));
    const logFactor = (known?.logFactor ?? 0) + weight * step;
    const limit = Math.log(MAX_FACTOR);
    const kept = Math.min(limit, Math.max(-limit, logFactor));
    // Samples count by share, so that a part drowned by others keeps learning fast when it is seen
    // alone.
    this.#entries.set(key, { logFactor: kept, samples: samples + share });
  }

  #move(key: string, bytes: number, bytesPerSecond: number | undefined): CostPart {
    if (bytesPerSecond === undefined) return { key, seconds: 0 };
    return { key, seconds: (bytes / bytesPerSecond) * this.factor(key) };
  }
}

const costName = ({ name, costName = name }: Backend): string => costName;

/** Element-wise operators share one rate and are learned together; every other one is by itself. */
function workKey(backend: Backend, expr: Expr): string {
  return `${costName(backend)}/${expr.op.elementwise ? 'elementwise' : expr.op.name}`;
}
