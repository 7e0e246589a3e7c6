/**
 * The progress line of a run: phase, share done, time left, best candidate so far and rows a
 * second, on one line of standard error that is erased at the end. Shows nothing where it can't
 * overwrite itself.
 */
import { formatCandidate, formatCount, formatNumber, formatSeconds } from '../format.js';
import type { RunEvent } from '../runs/run-events.js';

export interface Progress {
  onEvent(event: RunEvent): void;
  stop(): void;
}

const STEPS = 1000;

/** A progress line fed by the events of a run; `isInteractive: false` gives one that is silent. */
export async function createProgress(isInteractive: boolean): Promise<Progress> {
  if (!isInteractive) return { onEvent: () => {}, stop: () => {} };
  const { Presets, SingleBar } = await import('cli-progress');
  const bar = new SingleBar(
    {
      format: '{phase} {bar} {percentage}% | {left} left{rate}{best}',
      barsize: 24,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      fps: 8,
    },
    Presets.shades_classic,
  );
  let phase = '';
  let began = 0;
  let best = '';
  let running = false;
  const begin = (name: string): void => {
    if (name === phase && running) return;
    phase = name;
    began = performance.now();
    const payload = { phase: name.padEnd(8), left: '-', rate: '', best };
    if (running) bar.update(0, payload);
    else bar.start(STEPS, 0, payload);
    running = true;
  };
  return {
    onEvent: (event) => {
      if (event.kind === 'phase') begin(event.phase);
      else if (event.kind === 'best')
        best = ` | best ${formatNumber(event.score)} at ${formatCandidate(event)}`;
      else if (event.kind === 'progress') {
        begin(event.phase);
        const seconds = (performance.now() - began) / 1000;
        const fraction = Math.min(1, Math.max(0, event.fraction));
        bar.update(Math.round(fraction * STEPS), {
          left:
            fraction > 0 ? formatSeconds(Math.ceil((seconds * (1 - fraction)) / fraction)) : '-',
          rate: event.rows && seconds > 0 ? ` | ${formatCount(event.rows / seconds)} rows/s` : '',
          best,
        });
      }
    },
    stop: () => {
      if (running) bar.stop();
      running = false;
    },
  };
}
