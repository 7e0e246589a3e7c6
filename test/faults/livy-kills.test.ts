/**
 * Processes killed (`kill -9`) while they ask for a Livy session, at each moment that may leave one
 * nobody knows (case 32): before the request, while the server has it, before its answer is
 * written, and after. The next process ends with one session, and with none when it is closed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../driver/support/package-root.js';
import { createLivyClient } from '../../spark-bridge/livy/livy-client.js';
import { openLivySession } from '../../spark-bridge/livy/session-lifecycle.js';
import { claimSessionKey, folderSessionStore } from '../../spark-bridge/livy/session-store.js';
import { JobFolder } from '../support/job-folder.js';
import type { FaultAction } from '../support/livy-server/faults.js';
import { FAST } from '../support/livy-server/livy-fixture.js';
import { type LivyTestServer, startLivyTestServer } from '../support/livy-server/livy-server.js';

const SCRIPT = join(packageRoot(), 'dist/test/support/livy-open-process.js');
const HANGS_MS = 600_000;

interface Moment {
  readonly name: string;
  /** Who kills: the process itself at a step of its own, or we once this was counted. */
  readonly by: 'intent' | 'answer' | { readonly counted: string };
  /** What the server does with the request meanwhile. */
  readonly fault?: FaultAction;
  /** Sessions there are when the next process begins. */
  readonly left: 0 | 1;
}

const MOMENTS: readonly Moment[] = [
  { name: 'after the intent is written', by: 'intent', left: 0 },
  {
    name: 'while the server has the request and has done nothing',
    by: { counted: 'POST /sessions' },
    fault: { kind: 'delay-before', ms: HANGS_MS },
    left: 0,
  },
  {
    name: 'after the session was made and before the answer',
    by: { counted: 'session created' },
    fault: { kind: 'delay', ms: HANGS_MS },
    left: 1,
  },
  { name: 'after the answer and before it is written', by: 'answer', left: 1 },
  { name: 'while the session starts', by: { counted: 'session created' }, left: 1 },
];

describe('a process killed while it asks for a Livy session', function () {
  this.timeout(60_000);
  let folder: JobFolder;
  let server: LivyTestServer;
  beforeEach(async () => {
    folder = new JobFolder();
    server = await startLivyTestServer({ evaluator: async () => ({ text: '' }), startMs: 300 });
  });
  afterEach(async () => {
    await server.close();
    folder.remove();
  });

  const killAt = async ({ by }: Moment, child: ChildProcess): Promise<void> => {
    let hasOpened = false;
    child.stdout?.once('data', () => {
      hasOpened = true;
    });
    while (child.exitCode === null && child.signalCode === null && !hasOpened) {
      if (typeof by !== 'string' && server.count(by.counted) > 0) break;
      await sleep(5);
    }
    const ended = once(child, 'exit');
    if (child.signalCode === null) {
      child.kill('SIGKILL');
      await ended;
    }
    assert.ok(!hasOpened, 'killed before it had a session');
  };

  for (const moment of MOMENTS) {
    it(`${moment.name} leaves one to the next, and none after it`, async () => {
      const { fault } = moment;
      if (fault) server.addFaults({ method: 'POST', path: /^\/sessions$/, action: fault });
      const records = folder.file('records');
      const by = typeof moment.by === 'string' ? moment.by : '';
      const args = [SCRIPT, server.url, records, by];
      await killAt(moment, spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
      assert.equal(server.sessions.size, moment.left);
      // Beside it may lie what it was writing when it was killed; that goes with the next process.
      const left = readdirSync(records);
      assert.equal(left.filter((name) => name.endsWith('.json')).length, 1, `${left}`);

      const client = createLivyClient({ url: server.url, ...FAST });
      const key = await claimSessionKey(records, 'test');
      const store = folderSessionStore(records);
      const session = await openLivySession(client, { key, store, spec: {} });
      assert.equal(session.adopted, moment.left === 1);
      assert.equal(server.count('session created'), 1);
      await session.close();
      client.close();
      assert.equal(server.sessions.size, 0);
      assert.deepEqual(readdirSync(records), []);
    });
  }
});
