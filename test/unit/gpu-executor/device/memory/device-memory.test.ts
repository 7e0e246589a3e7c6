/** The memory of a device: what is given to whom, in which order, and which value goes for it. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { InternalError, ResourceError } from '../../../../../driver/errors.js';
import { dense } from '../../../../../driver/ir/value.js';
import { DeviceValues, heavyNode, lightNode } from '../../../../support/device-values.js';

/** Bytes of values with 100 and 50 cells. */
const [LARGE, SMALL] = [800, 400];

function isRefused(isTooLarge: boolean, availableBytes: number) {
  return (error: unknown): boolean =>
    error instanceof ResourceError &&
    error.facts.isTooLarge === isTooLarge &&
    error.facts.availableBytes === availableBytes;
}

describe('the memory of a device', () => {
  it('gives an exact size again before it allocates, and allocates before a kept value goes', () => {
    const values = new DeviceValues(3 * LARGE);
    const { memory, device } = values;
    const first = memory.take(LARGE);
    memory.release(first);
    assert.equal(memory.take(LARGE).pointer, first.pointer);
    const kept = heavyNode(100);
    values.keep(kept);
    memory.take(LARGE);
    assert.ok(values.find(kept));
    assert.deepEqual(
      device.events.filter((event) => /free|allocate/.test(event)),
      [`allocate ${LARGE}`, `allocate ${LARGE}`, `allocate ${LARGE}`],
    );
    memory.take(LARGE);
    assert.equal(values.cache.probe(kept), undefined);
    const { allocations, recycled, evicted, heldBytes, peakBytes } = memory.counts;
    assert.deepEqual([allocations, recycled, evicted], [3, 2, 1]);
    assert.deepEqual([heldBytes, peakBytes], [3 * LARGE, 3 * LARGE]);
    assert.throws(() => memory.take(1), isRefused(false, 0));
  });

  it('frees the smallest larger block, else as many as it takes, before values that are kept', () => {
    const values = new DeviceValues(4000);
    const { memory, device } = values;
    for (const bytes of [500, 700, 600]) memory.release(memory.take(bytes));
    const kept = heavyNode(100);
    values.keep(kept);
    const held = memory.take(1200);
    device.events.length = 0;
    memory.release(memory.take(550));
    assert.deepEqual(device.events, ['free 600', 'allocate 550']);
    device.events.length = 0;
    memory.take(1900);
    assert.deepEqual(device.events, ['free 700', 'free 550', 'free 500', 'allocate 1900']);
    assert.ok(values.find(kept));
    device.events.length = 0;
    memory.take(700);
    assert.deepEqual(device.events, [`free ${LARGE}`, 'allocate 700']);
    assert.equal(values.cache.probe(kept), undefined);
    memory.release(held);
    assert.throws(() => memory.take(4001), isRefused(true, 4000));
    assert.equal(memory.counts.heldBytes, 3800, 'nothing goes for what never fits');
  });

  it('takes of one size what is old, far from the input and cheap, as its score says', () => {
    const values = new DeviceValues(5 * LARGE, { delaysCaching: false });
    // Recency 0, .25, .5, .75, 1; inverse heights; seconds of the dearest.
    const nodes = [
      lightNode(100, 1),
      lightNode(100, 8),
      ...[4, 2, 5].map((h) => lightNode(100, h)),
    ];
    const seconds = [2, 8, 1, 1, 10];
    // 0 + 1 + .2 = 1.2; .25 + .125 + .8 = 1.175; .5 + .25 + .1 = .85; .75 + .5 + .1; 1 + .2 + 1.
    nodes.forEach((expr, i) => void values.keep(expr, seconds[i]));
    const order = [2, 1];
    for (const expected of order) {
      values.memory.take(LARGE);
      assert.equal(values.cache.probe(nodes[expected]!), undefined, `node ${expected}`);
    }
    assert.equal(values.cache.size, 3);
    // Scaled to those that are left, the first has the lowest score; but it was just used.
    assert.ok(values.find(nodes[0]!));
    values.memory.take(LARGE);
    assert.deepEqual(
      nodes.map((expr) => values.cache.probe(expr) !== undefined),
      [true, false, false, false, true],
    );
  });

  it('keeps the first result of a light operator until its memory is wanted, a heavy one longer', () => {
    const values = new DeviceValues(10 * LARGE);
    const [light, heavy] = [lightNode(100), heavyNode(100)];
    for (const expr of [light, heavy]) values.keep(expr);
    assert.ok(values.find(heavy));
    const block = values.memory.take(LARGE);
    assert.equal(values.cache.probe(light), undefined);
    assert.ok(values.find(heavy));
    values.memory.release(block);
    // Made a second time it has shown that it is asked for.
    values.keep(light);
    values.memory.take(LARGE);
    assert.ok(values.find(light));
    // And so has what is read.
    const read = lightNode(100);
    values.keep(read);
    assert.ok(values.find(read));
    values.memory.take(LARGE);
    assert.ok(values.find(read));
    assert.equal(values.memory.counts.reused, 5);
  });

  it('gives nothing live: not what a plan pins, and what it dropped only afterwards', () => {
    const values = new DeviceValues(2 * LARGE);
    const [one, other] = [heavyNode(100), heavyNode(100)];
    const handle = values.keep(one);
    values.keep(other);
    const end = values.memory.pin([handle]);
    values.memory.take(LARGE);
    assert.equal(values.cache.probe(other), undefined);
    assert.throws(() => values.memory.take(LARGE), isRefused(false, 0));
    values.cache.discard(one);
    values.check(one, handle);
    assert.throws(() => values.memory.take(LARGE), isRefused(false, 0));
    end();
    values.memory.take(LARGE);
    assert.equal(values.memory.has(handle), false);
    assert.equal(values.memory.use(handle), undefined);
  });

  it('finds copies of host values until their memory is needed', () => {
    const { memory } = new DeviceValues(2 * LARGE);
    const { data } = dense(100, 1);
    const block = memory.take(LARGE);
    memory.keepCopy(data, block);
    memory.release(block);
    const found = memory.copyOf(data);
    assert.equal(found, block);
    memory.release(block);
    memory.take(LARGE);
    assert.equal(memory.copyOf(data), block, 'read again, it is kept while there is room');
    memory.release(block);
    memory.take(LARGE);
    assert.equal(memory.copyOf(data), undefined);
  });

  it('remembers what is unusable, and asks for it again when all that is free was given back', () => {
    const values = new DeviceValues(10_000);
    const { memory, device } = values;
    device.capacityBytes = 2 * LARGE;
    const [kept, dear] = [heavyNode(100), heavyNode(50)];
    for (const expr of [kept, dear]) values.keep(expr);
    const live = memory.take(SMALL);
    device.events.length = 0;
    memory.take(SMALL);
    assert.deepEqual(device.events, [`fail ${SMALL}`]);
    assert.equal(memory.counts.evicted, 1, 'recycled instead');
    assert.equal(values.cache.probe(dear), undefined);
    device.events.length = 0;
    const second = memory.take(LARGE);
    assert.deepEqual(device.events, [], 'nothing is asked of the device that just failed');
    memory.release(second);
    memory.release(live);
    device.capacityBytes = 5 * LARGE;
    // There is a way to get it: all goes, then it is asked for again.
    device.events.length = 0;
    memory.take(3 * LARGE);
    assert.deepEqual(device.events, [`free ${LARGE}`, `free ${SMALL}`, `allocate ${3 * LARGE}`]);
  });

  it('gives back at once what a program with other sizes does not recycle, values last', () => {
    const values = new DeviceValues(5 * LARGE);
    const { memory, device } = values;
    memory.expect([LARGE, LARGE, LARGE]);
    for (const block of [1, 2, 3].map(() => memory.take(LARGE))) memory.release(block);
    const kept = heavyNode(100);
    values.keep(kept);
    memory.expect([LARGE, SMALL]);
    assert.equal(memory.counts.phases, 0, 'most is of a size before');
    memory.expect([700, 700]);
    assert.equal(memory.counts.phases, 0, 'there is room');
    memory.expect([600, 600, 600]);
    assert.equal(memory.counts.phases, 1);
    assert.deepEqual(device.events.slice(-2), [`free ${LARGE}`, `free ${LARGE}`]);
    assert.ok(values.find(kept));
    memory.take(2000);
    memory.expect([2 * LARGE, 650]);
    assert.equal(memory.counts.phases, 2);
    assert.equal(values.cache.probe(kept), undefined);
    memory.expect([600, 600, 600]);
    assert.equal(memory.counts.phases, 2, 'a size of late is no news');
  });

  it('waits for values that are moved to the host rather than evict others', async () => {
    const values = new DeviceValues(2 * LARGE);
    const { memory, cache } = values;
    const moved: string[] = [];
    // As the runtime moves: pinned from here on, read, then let go.
    values.onEvict = ({ value, expr }) => {
      if (value?.kind !== 'handle') return;
      const end = memory.pin([value]);
      void turn().then(() => {
        values.check(expr, value);
        moved.push(value.id);
        end();
      });
    };
    const nodes = [heavyNode(100), heavyNode(100)];
    const [first] = nodes.map((expr) => values.keep(expr));
    assert.throws(() => memory.take(LARGE), isRefused(false, 0));
    assert.equal(cache.probe(nodes[0]!), undefined);
    assert.ok(cache.probe(nodes[1]!));
    assert.equal(memory.makeRoom(LARGE), true, 'it is on its way');
    await turn();
    await turn();
    assert.deepEqual(moved, [first!.id]);
    memory.take(LARGE);
    assert.ok(cache.probe(nodes[1]!));
    // What has come is not counted on again.
    assert.throws(() => memory.take(LARGE), isRefused(false, 0));
    assert.equal(cache.probe(nodes[1]!), undefined);
  });

  it('says that it made room only where a value went', () => {
    const values = new DeviceValues(2 * LARGE);
    values.memory.release(values.memory.take(SMALL));
    assert.equal(values.memory.makeRoom(SMALL), false);
    // Who needs room would copy it again, for ever.
    const copy = values.memory.take(SMALL);
    values.memory.keepCopy(dense(50, 1).data, copy);
    values.memory.release(copy);
    assert.equal(values.memory.makeRoom(SMALL), false);
    const kept = heavyNode(100);
    values.keep(kept);
    assert.equal(values.memory.makeRoom(SMALL), true);
    assert.equal(values.cache.probe(kept), undefined);
    assert.equal(values.memory.makeRoom(SMALL), false);
    assert.deepEqual(values.memory.usage(), { bytes: 0, budgetBytes: 2 * LARGE, entries: 0 });
  });

  it('moves values of running plans to the host where that pays, and back when they are read', async () => {
    const values = new DeviceValues(3 * LARGE);
    const { memory, device } = values;
    const nodes = [lightNode(100), lightNode(100), lightNode(50)];
    const [a, b, c] = nodes.map((expr) => values.name(expr));
    const used = memory.use(b!)!;
    // A copy out and back takes 1.6 us.
    assert.equal(await memory.vacate(LARGE, 1e-6), false);
    assert.equal(await memory.vacate(2 * LARGE, 1), false);
    assert.equal(await memory.vacate(LARGE, 1), true);
    memory.release(used);
    assert.deepEqual(device.events.slice(-2), [`read ${LARGE}`, 'wait']);
    const block = memory.take(LARGE);
    device.cellsAt(block.pointer).fill(255);
    assert.equal(memory.onHost(a!)!.length, LARGE);
    assert.throws(() => memory.use(a!), isRefused(false, SMALL));
    memory.release(block);
    for (const [i, handle] of [a!, b!, c!].entries()) values.check(nodes[i]!, handle);
    // Again: its copy is there.
    device.events.length = 0;
    memory.use(b!);
    assert.equal(await memory.vacate(LARGE, 1), true);
    assert.deepEqual(device.events, []);
    const { movedOut, movedBack } = memory.counts;
    assert.deepEqual([movedOut, movedBack], [2, 1]);
    for (const handle of [a!, c!]) memory.releaseHandle(handle);
    assert.equal(memory.close(), LARGE, 'what is in use');
  });

  it('does not take a value away that came into use while it was copied', async () => {
    const values = new DeviceValues(LARGE);
    const node = lightNode(100);
    const handle = values.name(node);
    const moving = values.memory.vacate(LARGE, 1);
    const block = values.memory.use(handle)!;
    assert.equal(await moving, false);
    assert.equal(values.device.cellsAt(block.pointer).length, LARGE);
    values.memory.release(block);
    values.check(node, handle);
  });

  it('forgets all of a device that was lost, and takes late releases of it', () => {
    const values = new DeviceValues(2 * LARGE);
    const kept = heavyNode(100);
    const handle = values.keep(kept);
    const block = values.memory.use(handle)!;
    const { data } = dense(100, 1);
    const copy = values.memory.take(LARGE);
    values.memory.keepCopy(data, copy);
    values.memory.reopen(values.device);
    assert.equal(values.memory.has(handle), false);
    assert.equal(values.memory.copyOf(data), undefined);
    assert.equal(
      values.cache.forget(({ kind }) => kind === 'handle'),
      1,
    );
    values.memory.release(block);
    values.memory.release(copy);
    assert.equal(values.memory.counts.heldBytes, 0);
    values.memory.take(2 * LARGE);
  });

  it('says who released too often', () => {
    const { memory } = new DeviceValues(LARGE);
    const block = memory.take(SMALL);
    memory.release(block);
    assert.throws(() => memory.release(block), InternalError);
  });
});
