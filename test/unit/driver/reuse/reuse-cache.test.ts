/** The cache index alone: states, single flight, policies, alias groups, pinned cells, misses. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CacheEntry } from '../../../../driver/backend/cache-entry.js';
import type { CacheTier } from '../../../../driver/backend/cache-tier.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { Interner } from '../../../../driver/ir/intern.js';
import { dense, type Handle } from '../../../../driver/ir/value.js';
import { ops } from '../../../../driver/operators/index.js';
import { cacheUsage } from '../../../../driver/reuse/cache-usage.js';
import { evictionPolicy } from '../../../../driver/reuse/eviction-policy.js';
import { ReuseCache } from '../../../../driver/reuse/reuse-cache.js';

const interner = new Interner();
let next = 0;

/** A node of n x 1 cells no other test has. */
function node(rows: number, height = 1): Expr {
  let expr = interner.intern(ops.rand, [], {
    rows,
    cols: 1,
    seed: next++,
    distribution: 'uniform',
    min: 0,
    max: 1,
  });
  for (let i = 1; i < height; i++) expr = interner.intern(ops.exp, [expr]);
  return expr;
}

function put(cache: ReuseCache, expr: Expr, seconds: number): void {
  cache.claim(expr);
  cache.put(expr, dense(expr.rows, expr.cols), seconds, 'cpu');
}

const release = (): void => {};
/** Room for ten columns of 1,000 cells with their bookkeeping. */
const TEN = 10 * (8000 + 256);

describe('the reuse cache', () => {
  it('drops the cheapest to compute for its size first, and remembers that it did', () => {
    const cache = new ReuseCache({ budgetBytes: TEN, release });
    const nodes = Array.from({ length: 10 }, () => node(1000));
    nodes.forEach((expr, i) => {
      put(cache, expr, 10 - i);
    });
    const late = node(1000);
    put(cache, late, 0.001);
    assert.equal(cache.probe(nodes[9]!), undefined, 'the cheapest of the others goes');
    assert.ok(cache.probe(late), 'what was just put stays');
    cache.claim(nodes[9]!);
    assert.equal(cache.probe(nodes[9]!)?.misses, 1);
    cache.put(nodes[9]!, dense(1000, 1), 0.002, 'cpu');
    assert.equal(cache.probe(late), undefined, 'then what costs least');
  });

  it('keeps what is asked for often', () => {
    const cache = new ReuseCache({ budgetBytes: TEN, release });
    const nodes = Array.from({ length: 10 }, () => node(1000));
    for (const expr of nodes) put(cache, expr, 1);
    for (let i = 0; i < 3; i++) cache.hit(cache.probe(nodes[0]!)!);
    for (let i = 0; i < 9; i++) put(cache, node(1000), 2);
    assert.ok(cache.probe(nodes[0]!), 'four uses at 1 s outweigh one at 2 s');
    assert.equal(nodes.filter((expr) => cache.probe(expr)).length, 1);
  });

  it('lru: drops what was used longest ago', () => {
    const cache = new ReuseCache({ budgetBytes: TEN, release, policy: evictionPolicy('lru') });
    const nodes = Array.from({ length: 10 }, () => node(1000));
    for (const expr of nodes) put(cache, expr, 100);
    cache.hit(cache.probe(nodes[0]!)!);
    put(cache, node(1000), 1);
    assert.ok(cache.probe(nodes[0]!));
    assert.equal(cache.probe(nodes[1]!), undefined);
  });

  it('dagHeight: drops what is furthest from the inputs', () => {
    const policy = evictionPolicy('dagHeight');
    const cache = new ReuseCache({ budgetBytes: TEN, release, policy });
    const nodes = Array.from({ length: 10 }, (_, i) => node(1000, i === 4 ? 5 : 2));
    for (const expr of nodes) put(cache, expr, 1);
    put(cache, node(1000, 9), 1);
    assert.equal(cache.probe(nodes[4]!), undefined);
    assert.equal(nodes.filter((expr) => cache.probe(expr)).length, 9);
  });

  it('refuses a policy that is none, and names those there are', () => {
    assert.throws(() => evictionPolicy('fifo', 'REPRISE_CACHE_POLICY'), {
      code: 'CONFIG',
      message: 'REPRISE_CACHE_POLICY: expected costSize, lru, dagHeight, got "fifo"',
    });
  });

  it('drops in the order of the scores whatever was put, hit and dropped before', () => {
    const step = fc.record({
      what: fc.constantFrom('put', 'hit', 'evict'),
      which: fc.nat(40),
      seconds: fc.integer({ min: 1, max: 1000 }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.constantFrom('costSize', 'lru', 'dagHeight'),
        (steps, name) => {
          const policy = evictionPolicy(name);
          const cache = new ReuseCache({ budgetBytes: TEN, release, policy });
          const nodes = Array.from({ length: 41 }, (_, i) => node(1000, 1 + (i % 4)));
          for (const { what, which, seconds } of steps) {
            const expr = nodes[which]!;
            const entry = cache.probe(expr);
            if (what === 'put' && entry === undefined) {
              const before = new Map([...cache.entries()].map((e) => [e, policy.score(e)]));
              put(cache, expr, seconds);
              checkDropped(before, cache, policy.score);
            } else if (what === 'hit' && entry !== undefined) cache.hit(entry);
            else if (what === 'evict') cache.evict(expr);
          }
          const held = [...cache.entries()].reduce((sum, entry) => sum + entry.bytes, 0);
          assert.equal(cache.bytes, held);
          assert.ok(cache.bytes <= TEN);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('counts a value under two nodes once, and drops it under both', () => {
    const cache = new ReuseCache({ budgetBytes: TEN, release });
    const [inner, outer] = [node(1000), node(1000)];
    put(cache, inner, 0.5);
    const before = cache.bytes;
    cache.claim(outer);
    cache.alias(outer, inner, 20);
    assert.equal(cache.bytes, before);
    assert.equal(cache.probe(outer)?.value, cache.probe(inner)?.value);
    assert.equal(cache.probe(inner)?.seconds, 20, 'worth what the whole call took');
    assert.equal([...cache.entries()].length, 1);
    cache.evict(outer);
    assert.equal(cache.probe(inner), undefined);
    assert.equal(cache.bytes, 0);
  });

  it('wakes those who wait for an alias, and leaves a claim that failed to others', async () => {
    const cache = new ReuseCache({ budgetBytes: TEN, release });
    const [inner, outer, failed] = [node(10), node(10), node(10)];
    cache.claim(outer);
    cache.claim(failed);
    const waiting = cache.wait(cache.probe(outer)!);
    const given = cache.wait(cache.probe(failed)!);
    put(cache, inner, 1);
    cache.alias(outer, inner, 1);
    cache.withdraw(failed);
    assert.equal(await waiting, true);
    assert.equal(await given, false);
    assert.equal(cache.probe(failed), undefined);
  });

  it('never drops single cells, up to an eighth of the budget', () => {
    const cache = new ReuseCache({ budgetBytes: 80 * 264, release });
    const cells = Array.from({ length: 30 }, () => node(1));
    for (const expr of cells) put(cache, expr, 1e-9);
    for (let i = 0; i < 50; i++) put(cache, node(300), 1);
    const kept = cells.filter((expr) => cache.probe(expr));
    assert.deepEqual(kept, cells.slice(0, 10));
  });

  it('tells the tier of a backend what is put, read and dropped there, once each', () => {
    const told: string[] = [];
    const tier: CacheTier = {
      name: 'remote',
      put: (_entry, { id }) => told.push(`put ${id}`),
      hit: (_entry, { id }) => told.push(`hit ${id}`),
      drop: (_entry, { id }) => told.push(`drop ${id}`),
      usage: () => ({ bytes: 160, budgetBytes: null, entries: 2 }),
    };
    const cache = new ReuseCache({ budgetBytes: TEN, release, tiers: [tier] });
    const [a, b] = [node(10), node(10)];
    const handle = (id: string): Handle => ({
      kind: 'handle',
      backend: 'remote',
      id,
      rows: 10,
      cols: 1,
      dtype: 'float64',
      bytes: 80,
    });
    for (const [expr, id] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      cache.claim(expr);
      cache.put(expr, handle(id), 1, 'remote');
    }
    cache.hit(cache.probe(a)!);
    const c = node(1000);
    put(cache, c, 1);
    cache.alias(node(1000), c, 1);
    const { tiers } = cacheUsage(cache);
    assert.deepEqual(tiers, [
      { tier: 'memory', entries: 1, bytes: 8000 + 3 * 256, budgetBytes: TEN },
      { tier: 'remote', entries: 2, bytes: 160, budgetBytes: null },
    ]);
    cache.evict(c);
    assert.equal(cacheUsage(cache).evicted, 1);
    assert.equal(cache.evict(a), true);
    assert.equal(cache.evict(a), false);
    cache.clear();
    assert.deepEqual(told, ['put a', 'put b', 'hit a', 'drop a', 'drop b']);
  });
});

/** What went had no higher score than anything that was there and stayed. */
function checkDropped(
  before: ReadonlyMap<CacheEntry, number>,
  cache: ReuseCache,
  score: (entry: CacheEntry) => number,
): void {
  const gone = [...before].filter(([entry]) => cache.probe(entry.expr) !== entry);
  for (const [entry] of before) {
    if (cache.probe(entry.expr) !== entry) continue;
    for (const [, was] of gone) assert.ok(was <= score(entry));
  }
}
