/** How the embedded JVM starts and ends: with its driver, with a clear error, noticed if gone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ExecutionError } from '../../driver/errors.js';
import {
  buildShim,
  classArchive,
  installSpark,
  requireJava,
  startEmbeddedSpark,
} from '../../spark-bridge/index.js';
import { borrowSpark, sparkMissing } from '../support/spark.js';

describe('the life of embedded Spark', () => {
  before(function () {
    const missing = sparkMissing();
    if (missing === undefined) return;
    console.warn(`SKIPPED the life of embedded Spark: ${missing}`);
    this.skip();
  });

  it('dies with its driver, even when that is killed', async () => {
    const script = fileURLToPath(new URL('./orphan-parent.js', import.meta.url));
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: parent.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    const pid = Number(/^SPARK (\d+)$/.exec(line)?.[1]);
    assert.ok(isAlive(pid), `expected the JVM ${pid} to run`);
    parent.kill('SIGKILL');
    await waitFor(async () => !isAlive(pid), 20_000);
  }).timeout(180_000);

  it('says what went wrong when the JVM does not come up', async () => {
    await assert.rejects(
      startEmbeddedSpark({ memoryBytes: 1024 ** 3, conf: { 'spark.master': 'no-such-master' } }),
      (error) => {
        assert.ok(error instanceof ExecutionError);
        assert.match(error.message, /expected the Spark JVM to come up.*exit code 1/s);
        assert.match(error.message, /no-such-master/);
        return true;
      },
    );
  }).timeout(180_000);

  it('starts from the classes that set-up archived', async function () {
    const archive = classArchive(requireJava(), await installSpark(), await buildShim());
    if (process.platform !== 'linux' || archive === undefined || !existsSync(archive)) {
      console.warn('SKIPPED archived classes: set-up made none here, or there is no /proc');
      this.skip();
    }
    const borrowed = await borrowSpark();
    assert.ok(typeof borrowed !== 'string');
    const { pid } = borrowed.embedded;
    const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
    await borrowed.giveBack();
    assert.ok(maps.includes(archive), `expected ${archive} to be mapped`);
  }).timeout(180_000);

  it('reports a JVM that is gone', async () => {
    const other = await startEmbeddedSpark({ memoryBytes: 1024 ** 3, cores: 1 });
    process.kill(other.pid, 'SIGKILL');
    await waitFor(async () => !isAlive(other.pid));
    await assert.rejects(other.channel.call('ping', {}), (error) => {
      assert.ok(error instanceof ExecutionError);
      assert.match(error.message, /expected an answer to ping, got E/);
      return true;
    });
    await other.close();
    await other.close();
  }).timeout(180_000);
});

async function waitFor(holds: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A process that ended but was not reaped yet counts as gone. */
function isAlive(pid: number): boolean {
  if (existsSync('/proc/self')) return existsSync(`/proc/${pid}/exe`) && !isZombie(pid);
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}
