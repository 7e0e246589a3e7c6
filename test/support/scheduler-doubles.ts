/** What tests of schedulers move and end themselves: a clock, and runs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../jobs/schedule/clock.js';
import type { Attempt, RunLaunch } from '../../jobs/schedule/launch.js';
import type { Exit } from '../../jobs/schedule/outcome.js';

export const START = Date.parse('2026-05-01T12:00:30Z');

/** Time passes when the test says so, and at once for who sleeps. */
export class TestClock implements Clock {
  ms = START;
  now = () => this.ms;
  sleep = async (ms: number): Promise<void> => {
    this.ms += ms;
  };
}

/** Runs that end when and as the test says. */
export class ScriptedRuns {
  readonly attempts: Attempt[] = [];
  readonly #ends: ((exit: Exit) => void)[] = [];
  /** Ends of attempts to come; those beyond wait for `end`. */
  readonly exits: (Exit | ((attempt: Attempt) => Exit))[] = [];

  readonly launch: RunLaunch = (attempt) => {
    this.attempts.push(attempt);
    const exit = this.exits.shift();
    if (exit !== undefined)
      return Promise.resolve(typeof exit === 'function' ? exit(attempt) : exit);
    return new Promise((resolve) => {
      this.#ends.push(resolve);
      attempt.signal.addEventListener('abort', () => {
        this.#ends.splice(this.#ends.indexOf(resolve), 1);
        resolve({ code: 143 });
      });
    });
  };

  end(exit: Exit = { code: 0 }): void {
    this.#ends.shift()?.(exit);
  }
}

/** A run that ended with this score, as its folder tells; for `ScriptedRuns.exits`. */
export function leaveScore({ output, run }: Attempt, score: number): Exit {
  const result = { run, name: 'scored', startedAt: new Date().toISOString(), trials: 1, engine: 'local', seconds: { total: 1 }, best: { params: {}, metric: 'r2', score } }; // biome-ignore format: a record
  mkdirSync(join(output, run), { recursive: true });
  writeFileSync(join(output, run, 'result.json'), JSON.stringify(result));
  return { code: 0 };
}
