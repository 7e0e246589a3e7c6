/** Keeps the waves of a search in memory, as JSON, as a journal would. */
import type { Division, Wave, WaveLog } from '../../jobs/search/wave-log.js';
import type { WaveResult } from '../../jobs/search/wave-result.js';

export class MemoryLog implements WaveLog {
  /** Told when a wave is kept. */
  onEnd: (wave: number) => void = () => undefined;
  /** As they are read back from a journal. */
  readonly kept = new Map<number, WaveResult>();
  readonly begun: number[] = [];
  /** Of all rungs. */
  waves: readonly Wave[] = [];
  aside = -1;

  async divide({ waves }: Division): Promise<readonly Wave[]> {
    this.waves = [...this.waves, ...waves];
    return waves;
  }
  known(wave: number): WaveResult | undefined {
    return this.kept.get(wave);
  }
  setAside(wave: number): string | undefined {
    return wave === this.aside ? 'set aside' : undefined;
  }
  async begin(wave: number): Promise<boolean> {
    this.begun.push(wave);
    return false;
  }
  async end(wave: number, result: WaveResult): Promise<void> {
    this.kept.set(wave, JSON.parse(JSON.stringify(result)));
    this.onEnd(wave);
  }
}
