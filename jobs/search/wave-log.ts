/** What a search asks of whoever keeps its waves: `jobs/runs` keeps them in a journal. */
import type { WaveResult } from './wave-result.js';

/** Numbers of candidates, ascending. */
export type Wave = readonly number[];

/** Where waves are kept, and which are there already. */
export interface WaveLog {
  /** The division to use: this one, or the one that was kept of it. */
  divide(waves: readonly Wave[], metric: string): Promise<readonly Wave[]>;
  /** What is kept of a wave. */
  known(wave: number): WaveResult | undefined;
  /** Why a wave is not to be tried again. */
  setAside(wave: number): string | undefined;
  /** Answers whether the wave was begun before and did not end. */
  begin(wave: number): Promise<boolean>;
  /** Resolves once the wave is kept. */
  end(wave: number, result: WaveResult): Promise<void>;
}
