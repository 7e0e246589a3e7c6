/** A place where copies of values lie: what stays, what goes first, and nothing pinned goes. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { leastSaved, Place } from '../../../../driver/backend/place.js';
import { dense, type Handle } from '../../../../driver/ir/value.js';

const handle = (id: string): Handle => ({
  kind: 'handle',
  backend: 'b',
  id,
  rows: 1,
  cols: 1,
  dtype: 'float64',
  bytes: 8,
});

interface Named {
  readonly place: Place<string>;
  readonly released: string[];
  readonly add: (name: string, bytes: number, seconds?: number) => Handle;
}

function named(budgetBytes: number, rules: object = {}): Named {
  const released: string[] = [];
  const release = (name: string): void => void released.push(name);
  const place = new Place<string>({ budgetBytes, release, ...rules });
  const add = (name: string, bytes: number, seconds = 1): Handle => {
    const of = handle(name);
    place.add(of, { it: name, bytes, seconds });
    return of;
  };
  return { place, released, add };
}

describe('a place', () => {
  it('stays within its budget and keeps what saves most for its size', async () => {
    const { place, released, add } = named(1000, { victims: leastSaved });
    const put = async (name: string, bytes: number, seconds: number): Promise<Handle> => {
      const of = handle(name);
      const copy = await place.bring(of, async () => ({ it: name, bytes, seconds }));
      place.unpin(copy!);
      return of;
    };
    const dear = await put('dear', 400, 10);
    const cheap = await put('cheap', 400, 0.1);
    const middling = await put('middling', 480, 1);
    assert.deepEqual(
      [dear, cheap, middling].map((of) => place.has(of)),
      [true, false, true],
    );
    const worthless = await put('worthless', 400, 0.001);
    const huge = await put('huge', 1600, 1e6);
    assert.deepEqual([place.has(worthless), place.has(huge), place.bytes], [false, false, 880]);
    assert.equal(place.drop(dear), 'dear');
    assert.equal(place.bytes, 480);
    await turn();
    assert.deepEqual(released.sort(), ['cheap', 'dear', 'huge', 'worthless']);
    add('other', 8);
    place.clear();
    assert.deepEqual([place.bytes, place.size], [0, 0]);
  });

  it('never lets go what is pinned, and releases what is out once nobody pins it', async () => {
    const { place, released, add } = named(100);
    const first = add('first', 60);
    const pin = place.use(first)!;
    const second = add('second', 60);
    assert.deepEqual([place.has(first), place.has(second)], [true, false]);
    place.drop(first);
    await turn();
    assert.deepEqual([place.has(first), released], [false, ['second']]);
    place.unpin(pin);
    await turn();
    assert.deepEqual(released, ['second', 'first']);
  });

  it('lets go what was used least recently, by bytes or number, but never the latest if told so', () => {
    const { place, add } = named(100, { maxCopies: 2, keepsLatest: true });
    const first = add('first', 1);
    const second = add('second', 1);
    place.unpin(place.use(first)!);
    const third = add('third', 1);
    assert.deepEqual(
      [first, second, third].map((of) => place.has(of)),
      [true, false, true],
    );
    const large = add('large', 1000);
    assert.deepEqual([place.has(large), place.size], [true, 1]);
  });

  it('makes a copy once for all who ask meanwhile, and again for those whose maker was cancelled', async () => {
    const { place } = named(100);
    const matrix = dense(2, 2);
    let made = 0;
    const make = async (): Promise<{ it: string; bytes: number; seconds: number }> => {
      await turn();
      if (++made === 1) throw new Error('cancelled');
      return { it: `copy ${made}`, bytes: 32, seconds: 0 };
    };
    const asked = [1, 2, 3].map(() => place.bring(matrix, make));
    const [first, ...others] = await Promise.allSettled(asked);
    assert.equal(first?.status, 'rejected');
    const copies = others.map((other) => other.status === 'fulfilled' && other.value?.it);
    assert.deepEqual(copies, ['copy 2', 'copy 2']);
    // The same cells in another shape.
    assert.equal(place.find({ ...matrix, rows: 4, cols: 1 })?.pins, 2);
    assert.equal(place.arrival(matrix), undefined);
  });
});
