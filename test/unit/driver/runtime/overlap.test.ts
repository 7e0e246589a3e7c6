/** What runs here while work runs elsewhere: the order of starts, and no needless waiting. */
import assert from 'node:assert/strict';
import type { Backend, RunContext, Segment } from '../../../../driver/backend/backend.js';
import {
  createReferenceBackend,
  evaluateByReference,
} from '../../../../driver/backend/reference-backend.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import type { Value } from '../../../../driver/ir/value.js';
import { matrix } from '../../../../driver/matrix/create.js';
import type { Matrix } from '../../../../driver/matrix/matrix.js';
import { Session } from '../../../../driver/runtime/session.js';
import { generated, MIB } from '../../../support/placement.js';
import { cells } from '../../../support/plan.js';
import { simulatedBackend } from '../../../support/simulated-backend.js';

interface Overlap {
  readonly session: Session;
  /** `host NAME` and `pass` as they start, `passed` as a pass ends. */
  readonly events: readonly string[];
}

/** @param isHeld host operators that run as promises, each until `until` says so */
function overlap(
  asynchronous: boolean,
  isHeld: (expr: Expr) => boolean = () => false,
  until: (events: readonly string[]) => boolean = () => true,
): Overlap {
  const events: string[] = [];
  const cluster = simulatedBackend({
    name: 'cluster',
    blocks: 'resident',
    costs: { exchangeSeconds: 0, uploadBytesPerSecond: 1e9, downloadBytesPerSecond: 1e9 },
    seconds: () => 1,
  });
  const blocks: Backend = {
    ...cluster,
    run: async (segment: Segment, context: RunContext) => {
      events.push('pass');
      const result = await cluster.run(segment, context);
      // A program takes some turns of the event loop.
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      events.push('passed');
      return result;
    },
  };
  const reference = createReferenceBackend();
  const local: Backend = {
    ...reference,
    runSync: (expr: Expr, inputs: readonly Value[]) => {
      events.push(`host ${expr.op.name}`);
      return isHeld(expr) ? undefined : evaluateByReference(expr, inputs);
    },
    run: async (segment: Segment, context: RunContext) => {
      while (!until(events)) await new Promise((resolve) => setImmediate(resolve));
      return reference.run(segment, context);
    },
  };
  return {
    session: new Session({ local, blocks, placement: 'blocks', spill: false, asynchronous }),
    events,
  };
}

/** A pass that waits for `exp`, and host operators, written first, that do not wait for it. */
function program(session: Session): Matrix[] {
  const here = matrix(session, cells(4, 4)).abs().floor().sqrt();
  const there = generated(session, 8 * MIB)
    .matmul(matrix(session, cells(64, 3)).exp())
    .colSums();
  return [here, there];
}

/** Two passes, the second with weights from the first, and a host operator neither waits for. */
function turns(session: Session): Matrix[] {
  const x = generated(session, 8 * MIB);
  const weights = x.colSums().t().mul(1e-3).sigmoid();
  return [x.matmul(weights).colSums(), matrix(session, cells(4, 4)).abs()];
}

async function cellsOf(session: Session, parts: readonly Matrix[]): Promise<number[]> {
  const values = await session.evaluate(parts.map((part) => part.expr));
  return values.flatMap((value) => (value.kind === 'dense' ? [...value.data] : [Number.NaN]));
}

describe('overlap', () => {
  it('starts a pass as soon as what it waits for is there, before other work here', async () => {
    const on = overlap(true);
    const off = overlap(false);
    const values = await cellsOf(on.session, program(on.session));
    assert.deepEqual(values, await cellsOf(off.session, program(off.session)));
    const early = on.events.slice(0, on.events.indexOf('pass'));
    assert.ok(early.includes('host exp'), on.events.join());
    assert.ok(!early.includes('host abs'), on.events.join());
    // The rest runs here while the pass does.
    assert.ok(on.events.indexOf('host sqrt') < on.events.indexOf('passed'), on.events.join());
    assert.ok(off.events.indexOf('host sqrt') < off.events.indexOf('pass'), off.events.join());
  });

  it('starts the next pass while work here goes on that neither pass reads', async () => {
    const count = (events: readonly string[], name: string): number =>
      events.filter((event) => event === name).length;
    // Held until both passes have ended: a pass that waited for it would never start.
    const on = overlap(
      true,
      (expr) => expr.op.name === 'abs',
      (events) => count(events, 'passed') === 2,
    );
    const values = await cellsOf(on.session, turns(on.session));
    const off = overlap(false);
    assert.deepEqual(values, await cellsOf(off.session, turns(off.session)));
    assert.equal(count(on.events, 'pass'), 2);
    assert.ok(on.events.indexOf('host abs') < on.events.lastIndexOf('pass'), on.events.join());
  });

  it('runs one piece of work at a time when it is off', async () => {
    const { session, events } = overlap(false);
    await cellsOf(session, turns(session));
    let running = 0;
    for (const event of events) {
      if (event === 'passed') running--;
      else assert.equal(running, 0, events.join());
      if (event === 'pass') running++;
    }
  });
});
