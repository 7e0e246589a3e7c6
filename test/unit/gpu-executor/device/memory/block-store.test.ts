/**
 * Random programs over a device's memory: whatever is taken, kept, read, moved and dropped in
 * whatever order, what is live is nobody else's, values read are right, and nothing leaks.
 */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { ResourceError } from '../../../../../driver/errors.js';
import type { Expr } from '../../../../../driver/ir/expr.js';
import type { Handle } from '../../../../../driver/ir/value.js';
import type { Block } from '../../../../../gpu-executor/device/memory/device-memory.js';
import { DeviceValues, heavyNode, lightNode } from '../../../../support/device-values.js';

const BUDGET = 64 * 8;
/** The cells of values: few sizes, so that they meet again. */
const ROWS = [3, 5, 8, 13, 30];

const steps = [
  'take',
  'release',
  'name',
  'end',
  'keep',
  'find',
  'drop',
  'pin',
  'unpin',
  'use',
] as const;
const rareSteps = ['vacate', 'turn', 'turn', 'makeRoom', 'shrink', 'expect'] as const;
const step = fc.record({
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...steps) },
    { weight: 1, arbitrary: fc.constantFrom(...rareSteps) },
  ),
  which: fc.nat(63),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

class Program {
  readonly values = new DeviceValues(BUDGET, { largestBytes: BUDGET / 2 });
  readonly taken: Block[] = [];
  readonly named: [Expr, Handle][] = [];
  readonly kept: Expr[] = [];
  readonly pinned: { expr: Expr; handle: Handle; end: () => void }[] = [];
  /** Copies on their way to the host. */
  readonly moving: Promise<unknown>[] = [];

  constructor() {
    // Some values that leave the cache are read a turn later, as those worth moving are.
    this.values.onEvict = ({ expr, value }) => {
      if (value?.kind !== 'handle' || expr.id % 3 > 0) return;
      const end = this.values.memory.pin([value]);
      const read = turn().then(() => this.#checkIfRoom(expr, value, end));
      this.moving.push(read);
    };
  }

  async run({ what, which }: Step): Promise<void> {
    const { memory, cache, device } = this.values;
    const rows = ROWS[which % ROWS.length]!;
    const kept = this.kept[which % this.kept.length];
    const entry = kept && cache.probe(kept);
    const named = this.named[which % this.named.length]?.[1];
    if (what === 'use' && named !== undefined) this.taken.push(memory.use(named)!);
    else if (what === 'take') {
      const block = memory.take(rows * 8);
      // What nobody may read any more.
      device.cellsAt(block.pointer).fill(255);
      this.taken.push(block);
    } else if (what === 'release') take(this.taken, which, (block) => memory.release(block));
    else if (what === 'name') {
      const expr = lightNode(rows);
      this.named.push([expr, this.values.name(expr)]);
    } else if (what === 'end') {
      take(this.named, which, ([expr, handle]) => {
        this.#checkIfRoom(expr, handle, () => memory.releaseHandle(handle));
      });
    } else if (what === 'keep')
      this.#keep(which % 3 > 0 ? lightNode(rows) : heavyNode(rows), which);
    else if (what === 'find' && kept !== undefined) {
      // Once it went, it is made again.
      if (!this.values.find(kept) && which % 2 === 0) this.#keep(kept, which);
    } else if (what === 'drop' && kept !== undefined) cache.discard(kept);
    else if (what === 'pin' && entry?.value?.kind === 'handle') {
      const handle = entry.value;
      this.pinned.push({ expr: entry.expr, handle, end: memory.pin([handle]) });
    } else if (what === 'unpin') {
      take(this.pinned, which, ({ expr, handle, end }) => {
        this.#checkIfRoom(expr, handle, end);
      });
    } else if (what === 'vacate') this.moving.push(memory.vacate(rows * 8, 1));
    else if (what === 'turn') await turn();
    else if (what === 'makeRoom') memory.makeRoom(rows * 8);
    else if (what === 'shrink') device.capacityBytes = Math.max(device.bytes, BUDGET - which * 4);
    else if (what === 'expect') memory.expect([rows * 8, which * 8]);
  }

  /** It may be on the host, with no room to bring it back. */
  #checkIfRoom(expr: Expr, handle: Handle, end: () => void): void {
    try {
      this.values.check(expr, handle);
    } catch (error) {
      if (!(error instanceof ResourceError)) throw error;
    } finally {
      end();
    }
  }

  #keep(expr: Expr, which: number): void {
    if (this.values.cache.probe(expr) !== undefined) return;
    this.values.keep(expr, which / 16);
    this.kept.push(expr);
  }

  check(): void {
    const { device, memory } = this.values;
    assert.ok(device.bytes <= BUDGET);
    assert.equal(memory.counts.heldBytes, device.bytes);
    assert.equal(memory.counts.allocations - memory.counts.frees, device.there.size);
    const live = this.taken.filter(({ handle }) => !handle).map(({ pointer }) => pointer);
    assert.equal(new Set(live).size, live.length, 'one pointer is two blocks');
    for (const pointer of live) {
      const cells = device.cellsAt(pointer);
      assert.ok(
        cells.every((cell) => cell === 255),
        'what is live was written by another',
      );
    }
  }

  /** All lets go. */
  async end(): Promise<void> {
    const { memory, device } = this.values;
    device.capacityBytes = Infinity;
    await Promise.all(this.moving);
    for (const block of this.taken) memory.release(block);
    const ends = this.named.map(([expr, handle]) => {
      return { expr, handle, end: () => memory.releaseHandle(handle) };
    });
    // First those that take up memory: the others come back.
    const isHere = ({ handle }: { handle: Handle }): boolean => !memory.onHost(handle);
    const all = [...this.pinned, ...ends];
    for (const { expr, handle, end } of [...all.filter(isHere), ...all]) {
      if (!memory.has(handle)) continue;
      this.values.check(expr, handle);
      end();
    }
    // Values that were left on the host go behind the turn.
    await Promise.resolve();
    memory.close();
    await Promise.all(this.moving);
    assert.equal(memory.close(), 0);
    assert.equal(device.there.size, 0);
    assert.equal(memory.usage().entries, 0);
  }
}

describe('blocks of a device', () => {
  it('are nobody else’s while live, hold the values they are asked for, and are freed once', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (program) => {
        const run = new Program();
        for (const one of program) {
          try {
            await run.run(one);
          } catch (error) {
            if (!(error instanceof ResourceError)) throw error;
          }
          run.check();
        }
        await run.end();
      }),
      { numRuns: 300 },
    )).timeout(20_000);
});

/** Takes one out and gives it to the caller; nothing where there is none. */
function take<T>(items: T[], which: number, done: (item: T) => void): void {
  const [item] = items.length === 0 ? [] : items.splice(which % items.length, 1);
  if (item !== undefined) done(item);
}
