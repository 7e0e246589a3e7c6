/**
 * Samples by what they ran and where. Samples that ran the same operators in the same places are
 * samples of one placement, whichever way it came about, and count together: two medians of one
 * placement differ by noise only, and noise is no choice.
 */
import type { Statistics } from '../driver/index.js';
import { median } from './stats.js';

/** What one sample did, and how long it took. */
export interface PlacedSample {
  /** The way it was placed: a policy, or migration on or off. */
  readonly side: string;
  /** Where each operator ran, the Spark jobs, and the number of values fetched by themselves. */
  readonly placement: string;
  readonly seconds: number;
}

/** `mmchain@cpu x7, mmchain@spark, rand@spark, 2 jobs, 1 brought`. */
export function placementOf(statistics: Statistics): string {
  const { nodes, sparkJobs } = statistics;
  const brought = statistics.timeline().filter(({ name }) => name.startsWith('bring ')).length;
  const counts = new Map<string, number>();
  for (const [expr, { backend }] of nodes) {
    const ran = `${expr.op.name}@${backend}`;
    counts.set(ran, (counts.get(ran) ?? 0) + 1);
  }
  const parts = [...counts].sort().map(([ran, n]) => (n > 1 ? `${ran} x${n}` : ran));
  return `${parts.join(', ')}, ${sparkJobs} jobs, ${brought} brought`;
}

/** Median over a side's samples, each as the median of its placement. @units seconds */
export function typical(taken: readonly PlacedSample[], side: string): number {
  const byPlacement = new Map<string, number[]>();
  for (const { placement, seconds } of taken) {
    const known = byPlacement.get(placement);
    if (known === undefined) byPlacement.set(placement, [seconds]);
    else known.push(seconds);
  }
  const own = taken.filter((one) => one.side === side);
  return median(own.map(({ placement }) => median(byPlacement.get(placement)!)));
}

/** What a side ran, most often first: `3 times rand@spark, 1 jobs`. */
export function placementsText(taken: readonly PlacedSample[], side: string): string {
  const counts = new Map<string, number>();
  for (const { placement } of taken.filter((one) => one.side === side))
    counts.set(placement, (counts.get(placement) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return sorted.map(([placement, count]) => `${count} times ${placement}`).join('; ');
}
