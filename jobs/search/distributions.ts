/**
 * Distributions that parameters are drawn from, by SciPy's names. Invariant: a value depends on the
 * seed, the trial and the parameter's name alone, so more trials are those there were and others, and
 * every machine draws the same. Bits come from `driver/operators/philox.ts`.
 */
import { createHash } from 'node:crypto';
import { inverseNormal } from '../../driver/operators/inverse-normal.js';
import { openUniform, philox, uniform } from '../../driver/operators/philox.js';

/** One key: which distribution, and what it is told. */
export type Distribution =
  /** From the first to the second. */
  | { readonly uniform: readonly [number, number] }
  /** The same of the logarithm; both above 0. */
  | { readonly loguniform: readonly [number, number] }
  /** Whole numbers from the first on, below the second. */
  | { readonly randint: readonly [number, number] }
  /** Mean and standard deviation. */
  | { readonly normal: readonly [number, number] }
  /** As `uniform`, rounded to a multiple of the third. */
  | { readonly quniform: readonly [number, number, number] };

export type DistributionName = Distribution extends infer D
  ? D extends D
    ? keyof D
    : never
  : never;

export const DISTRIBUTIONS = ['uniform', 'loguniform', 'randint', 'normal', 'quniform'] as const;

/** Random bits of a trial, by name. */
export interface Draw {
  readonly seed: number;
  readonly trial: number;
  readonly name: string;
  /** Of values that are drawn again. Default 0. */
  readonly attempt?: number;
}

export function isDistribution(value: unknown): value is Distribution {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return DISTRIBUTIONS.some((name) => name in value);
}

/** Which distribution, and what it is told. */
export function toldOf(distribution: Distribution): readonly [DistributionName, readonly number[]] {
  return Object.entries(distribution)[0] as [DistributionName, readonly number[]];
}

/** Both ends of what may be drawn; none of a normal distribution. */
export function endsOf(distribution: Distribution): number[] {
  const [name, [low, high, step]] = toldOf(distribution);
  if (name === 'normal') return [];
  if (name === 'randint') return [low!, high! - 1];
  return name === 'quniform' ? [multiple(low!, step!), multiple(high!, step!)] : [low!, high!];
}

export function drawn(distribution: Distribution, draw: Draw): number {
  const [name, told] = toldOf(distribution);
  const { high, low } = words(draw);
  return DRAWS[name](told, high, low);
}

/** In [0, 1). */
export function unit(draw: Draw): number {
  const { high, low } = words(draw);
  return uniform(high, low);
}

type Drawing = (told: readonly number[], high: number, low: number) => number;

const DRAWS: Readonly<Record<DistributionName, Drawing>> = {
  uniform: ([from, to], high, low) => from! + uniform(high, low) * (to! - from!),
  loguniform: ([from, to], high, low) => {
    const [a, b] = [Math.log(from!), Math.log(to!)];
    // Logarithms and powers round, and may leave the range by a bit.
    return Math.min(to!, Math.max(from!, Math.exp(a + uniform(high, low) * (b - a))));
  },
  randint: ([from, to], high, low) => from! + Math.floor(uniform(high, low) * (to! - from!)),
  normal: ([mean, deviation], high, low) =>
    mean! + deviation! * inverseNormal(openUniform(high, low)),
  quniform: ([from, to, step], high, low) =>
    multiple(from! + uniform(high, low) * (to! - from!), step!),
};

function multiple(value: number, step: number): number {
  return Math.round(value / step) * step;
}

function words({ seed, trial, name, attempt = 0 }: Draw): {
  readonly high: number;
  readonly low: number;
} {
  const counter = Uint32Array.of(hash(name), attempt, trial, Math.floor(trial / 2 ** 32));
  philox(counter, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0);
  return { high: counter[0]!, low: counter[1]! };
}

/** 32 bits of a name. */
function hash(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32LE();
}
