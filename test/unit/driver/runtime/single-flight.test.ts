/**
 * One computation at a time, through a session: who needs a node that is being computed waits for
 * that node and no other, and whatever becomes of the claim (thrown, aborted, its backend lost, too
 * large to keep, evicted at once), the waiter has the right value and nothing stays claimed.
 */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { BackendLostError } from '../../../../driver/errors.js';
import { type Cells, matrix, rand } from '../../../../driver/index.js';
import { Session, type SessionOptions } from '../../../../driver/runtime/session.js';
import { GatedBackend, turns } from '../../../support/gated-backend.js';

const CELLS = [
  [1, 2, 3],
  [4, 5, 6],
  [7, 8, 10],
];

describe('single flight', () => {
  /** A first request for x'x, held at the gate, and a second for x'x + 1 that waits for it. */
  async function twoRequests(options: Partial<SessionOptions> = {}) {
    const gate = new GatedBackend();
    const session = new Session({ local: gate.backend, spill: false, ...options });
    const gram = matrix(session, CELLS).tsmm();
    gate.watched = session.simplified(gram.expr);
    const first = session.evaluateSettled([gram.expr]);
    await turns();
    assert.equal(session.cache.probe(gate.watched)?.state, 'pending');
    let isDone = false;
    const second = gram
      .add(1)
      .value()
      .finally(() => {
        isDone = true;
      });
    await turns();
    assert.equal(isDone, false, 'the second waits');
    return { gate, session, gram, first, second };
  }

  let expected: Cells;
  before(async () => {
    const session = new Session({ local: createReferenceBackend(), reuse: 'off' });
    expected = (await matrix(session, CELLS).tsmm().add(1).value()).data;
  });

  function assertNothingClaimed(session: Session): void {
    for (const entry of session.cache.entries()) assert.notEqual(entry.state, 'pending');
  }

  it('hands the value to whoever waits', async () => {
    const { gate, session, first, second } = await twoRequests();
    gate.end('value');
    assert.deepEqual((await second).data, expected);
    assert.equal((await first)[0]?.ok, true);
    assert.equal(gate.runs, 1);
    assertNothingClaimed(session);
  });

  it('holds up nobody who does not need the node', async () => {
    const { gate, session, first, second } = await twoRequests();
    const other = rand(session, 4, 4, { seed: 1 }).tsmm();
    assert.equal((await other.value()).rows, 4);
    gate.end('value');
    await Promise.all([first, second]);
  });

  for (const [what, error] of [
    ['throws', new Error('kernel failed')],
    ['is aborted inside', new DOMException('stopped', 'AbortError')],
  ] as const) {
    it(`lets the waiter compute when the claimant ${what}`, async () => {
      const { gate, session, first, second } = await twoRequests();
      gate.end(error);
      assert.equal((await first)[0]?.ok, false);
      assert.deepEqual((await second).data, expected);
      assert.equal(gate.runs, 2);
      assertNothingClaimed(session);
    });
  }

  it('lets the waiter compute when the claimant is cancelled by its signal', async () => {
    const controller = new AbortController();
    const gate = new GatedBackend();
    const session = new Session({ local: gate.backend, spill: false });
    const gram = matrix(session, CELLS).tsmm();
    gate.watched = session.simplified(gram.expr);
    const first = gram
      .in(session.run({ signal: controller.signal }))
      .add(2)
      .value();
    await turns();
    const second = gram.add(1).value();
    await turns();
    controller.abort();
    gate.end(new DOMException('stopped', 'AbortError'));
    await assert.rejects(first, { name: 'AbortError' });
    assert.deepEqual((await second).data, expected);
    assert.equal(gate.runs, 2);
    assertNothingClaimed(session);
  });

  it('lets the waiter compute when the backend was lost, and gives the claimant its value too', async () => {
    const { gate, session, first, second } = await twoRequests();
    const { name } = gate.backend;
    gate.end(new BackendLostError(`${name}: expected it to run, got its end`, { backend: name }));
    assert.deepEqual((await second).data, expected);
    const [outcome] = await first;
    assert.equal(outcome?.ok, true);
    assert.equal(gate.runs, 2, 'once when it was lost, once for both');
    assertNothingClaimed(session);
  });

  it('hands over a value that is too large to keep', async () => {
    const { gate, session, gram, first, second } = await twoRequests({ cacheBytes: 300 });
    gate.end('value');
    assert.deepEqual((await second).data, expected);
    await first;
    assert.equal(gate.runs, 1, 'not computed again by the waiter');
    assert.equal(session.cache.probe(session.simplified(gram.expr)), undefined);
    assertNothingClaimed(session);
  });

  it('hands over a value that was evicted the moment it came', async () => {
    const { gate, session, first, second } = await twoRequests();
    const waiting = session.cache.wait(session.cache.probe(gate.watched!)!);
    void waiting.then(() => session.cache.evict(gate.watched!));
    gate.end('value');
    assert.deepEqual((await second).data, expected);
    await first;
    assert.equal(gate.runs, 1);
    assertNothingClaimed(session);
  });
});
