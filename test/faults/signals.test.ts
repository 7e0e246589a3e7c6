/** Signals end a command within its grace in any state, and a second one ends it at once. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../driver/support/package-root.js';
import { JobFolder } from '../support/job-folder.js';

const SCRIPT = join(packageRoot(), 'dist/test/support/signal-process.js');
const WAITS = ['promise', 'loop', 'native', 'duckdb', 'fifo', 'fifos', 'pipe'];
const SLACK_MS = 10_000;

describe('a signal', () => {
  let folder: JobFolder;
  before(() => {
    folder = new JobFolder();
    execFileSync('mkfifo', [folder.file('fifo')]);
  });
  after(() => folder.remove());

  /** Sends the signals to a process that waits; answers its exit code and how long it took. */
  const stop = async (
    what: string,
    graceMs: number,
    signals: readonly NodeJS.Signals[],
  ): Promise<{ readonly code: number | null; readonly ms: number }> => {
    const args = [SCRIPT, what, String(graceMs), folder.file('fifo')];
    // Standard error is a pipe that nobody reads.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await sleep(400);
      const start = performance.now();
      for (const signal of signals) {
        child.kill(signal);
        await sleep(50);
      }
      const late = sleep(graceMs + SLACK_MS, undefined, { ref: false });
      const code = await Promise.race([ended, late.then(() => 'late' as const)]);
      assert.notEqual(code, 'late', `${what} did not end`);
      return { code: code as number | null, ms: performance.now() - start };
    } finally {
      child.kill('SIGKILL');
    }
  };

  it(`ends a wait within its grace, and two at once: ${WAITS.join(', ')}`, async () => {
    await Promise.all(
      WAITS.map(async (what) => {
        const [one, two] = await Promise.all([
          stop(what, 500, ['SIGTERM']),
          stop(what, 60_000, ['SIGTERM', 'SIGINT']),
        ]);
        assert.equal(one.code, 143, what);
        assert.ok([143, 130].includes(two.code ?? -1), `${what}: ${two.code}`);
        assert.ok(two.ms < SLACK_MS, `${what}: ${two.ms} ms`);
      }),
    );
  }).timeout(120_000);

  it('of a terminal that closes ends it as others do', async () => {
    assert.equal((await stop('loop', 500, ['SIGHUP'])).code, 129);
  }).timeout(120_000);
});
