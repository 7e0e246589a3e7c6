/** What a search asks of whoever keeps its waves: `jobs/runs` keeps them in a journal. */
import type { WaveResult } from './wave-result.js';

/** Numbers of trials, ascending. */
export type Wave = readonly number[];

/** How the trials of a rung are divided; numbers of waves run through all rungs. */
export interface Division {
  /** From 0. */
  readonly rung: number;
  readonly waves: readonly Wave[];
  /** What the best is chosen by. */
  readonly metric: string;
  /** Trials of all rungs. */
  readonly of: number;
}

/** Where waves are kept, and which are there already. */
export interface WaveLog {
  /** Whether an attempt before this one began a wave. */
  readonly hasBegun?: boolean;
  /** The division of a rung to use: this one, or the one that was kept of it. */
  divide(division: Division): Promise<readonly Wave[]>;
  /** What is kept of a wave. */
  known(wave: number): WaveResult | undefined;
  /** Why a wave is not to be tried again. */
  setAside(wave: number): string | undefined;
  /** Answers whether the wave was begun before and did not end. */
  begin(wave: number): Promise<boolean>;
  /** Resolves once the wave is kept. */
  end(wave: number, result: WaveResult): Promise<void>;
}
