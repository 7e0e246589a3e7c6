/** The tier of Spark storage: what goes when, never under a running plan. The cluster is a list. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Expr } from '../../../driver/ir/expr.js';
import { Interner } from '../../../driver/ir/intern.js';
import type { Handle } from '../../../driver/ir/value.js';
import { ops } from '../../../driver/operators/index.js';
import { ReuseCache } from '../../../driver/reuse/reuse-cache.js';
import { RddTier } from '../../../spark-bridge/rdd/rdd-tier.js';

const VALUE_BYTES = 100;

function setUp(memoryBytes: number) {
  const interner = new Interner();
  const released: string[] = [];
  const computed: string[] = [];
  const stored = new Set<string>();
  const storage = {
    report: async () => ({
      memoryBytes,
      handles: [...stored].map((handle) => ({
        handle,
        memoryBytes: VALUE_BYTES,
        diskBytes: 3 * VALUE_BYTES,
        materialised: true,
      })),
    }),
    materialise: async (handle: string) => {
      computed.push(handle);
    },
    release: (handles: readonly string[]) => {
      for (const handle of handles) {
        assert.ok(stored.delete(handle), `${handle} is released once`);
        released.push(handle);
      }
    },
  };
  const tier = new RddTier('spark', storage, { policy: 'off', memoryBytes, share: 1 });
  const cache = new ReuseCache({ budgetBytes: 1e6, release: () => assert.fail(), tiers: [tier] });
  const keep = (name: string, seconds: number): Expr => {
    const attrs = { rows: 4, cols: 3, value: seconds + name.charCodeAt(0) };
    const expr = interner.intern(ops.fill, [], attrs);
    const handle: Handle = {
      kind: 'handle',
      backend: 'spark',
      id: name,
      rows: 4,
      cols: 3,
      dtype: 'float64',
      bytes: VALUE_BYTES,
    };
    stored.add(name);
    cache.claim(expr);
    cache.put(expr, handle, seconds, 'spark');
    return expr;
  };
  const handlesOf = (...exprs: Expr[]): Handle[] =>
    exprs.map((expr) => cache.probe(expr)!.value as Handle);
  return { tier, cache, keep, handlesOf, released, computed };
}

describe('the tier of Spark storage', () => {
  it('drops what is worth least a byte until the rest fits', async () => {
    const { tier, cache, keep, released } = setUp(3 * VALUE_BYTES);
    const dear = keep('dear', 8);
    const cheap = keep('cheap', 1);
    const read = keep('read', 1);
    tier.read(['read', 'read'], []);
    keep('last', 4);
    await tier.settle();
    assert.deepEqual(released, ['cheap']);
    assert.equal(cache.probe(cheap), undefined);
    assert.ok(cache.probe(dear) && cache.probe(read));
    assert.deepEqual(tier.usage(), { bytes: 300, budgetBytes: 300, entries: 3 });
  });

  it('releases nothing that a running plan may read, and all of it once', async () => {
    const { tier, cache, keep, handlesOf, released } = setUp(10 * VALUE_BYTES);
    const a = keep('a', 1);
    const b = keep('b', 1);
    const end = tier.pin(handlesOf(a, b));
    const endOther = tier.pin(handlesOf(a));
    cache.evict(a);
    cache.evict(b);
    // Made by a plan that runs: a later pass of it reads the value.
    cache.evict(keep('c', 1));
    await turn();
    assert.deepEqual(released, []);
    end();
    await turn();
    assert.deepEqual(released, ['b']);
    endOther();
    await turn();
    assert.deepEqual(released.sort(), ['a', 'b', 'c']);
  });

  it('keeps what a plan made in the same turn still names', async () => {
    const { tier, cache, keep, handlesOf, released } = setUp(10 * VALUE_BYTES);
    const a = keep('a', 1);
    const read = handlesOf(a);
    cache.evict(a);
    const end = tier.pin(read);
    await turn();
    assert.deepEqual(released, []);
    end();
    await turn();
    assert.deepEqual(released, ['a']);
  });

  it('computes in the background what three programs found missing, and gives up after three more', async () => {
    const { tier, cache, keep, computed, released } = setUp(10 * VALUE_BYTES);
    const a = keep('a', 1);
    for (let i = 0; i < 2; i++) tier.read(['a'], ['a']);
    await tier.settle();
    assert.deepEqual(computed, []);
    tier.read(['a'], ['a']);
    await tier.settle();
    assert.deepEqual(computed, ['a']);
    // Found whole: it starts afresh.
    tier.read(['a'], []);
    for (let i = 0; i < 3; i++) tier.read(['a'], ['a']);
    await tier.settle();
    assert.deepEqual([computed, released], [['a', 'a'], []]);
    for (let i = 0; i < 3; i++) tier.read(['a'], ['a']);
    await tier.settle();
    assert.deepEqual([computed, released], [['a', 'a'], ['a']]);
    assert.equal(cache.probe(a), undefined);
  });
});
