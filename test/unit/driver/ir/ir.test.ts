/** Interning, canonical attributes and lineage keys. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { type AttrValue, canonicalAttr } from '../../../../driver/ir/attrs.js';
import { topological } from '../../../../driver/ir/expr.js';
import { Interner } from '../../../../driver/ir/intern.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import { matrix, rand } from '../../../../driver/matrix/create.js';
import { ops } from '../../../../driver/operators/index.js';
import { cells, leaf, referenceEvaluator } from '../../../support/plan.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('canonical attributes', () => {
  it('do not depend on field order, the sign of zero or the Unicode form', () => {
    assert.equal(canonicalAttr({ b: 1, a: [2, null] }), canonicalAttr({ a: [2, null], b: 1.0 }));
    assert.equal(canonicalAttr(-0), canonicalAttr(0));
    assert.equal(canonicalAttr('\u00e9'), canonicalAttr('e\u0301'));
    assert.equal(canonicalAttr(NaN), canonicalAttr(0 / 0));
  });

  it('tell apart what differs', () => {
    const different: AttrValue[] = [0, '0', false, null, [], {}, [0], [[0]], { a: 0 }, '', 'null'];
    const texts = different.map(canonicalAttr);
    assert.equal(new Set(texts).size, texts.length);
  });

  it('are injective on JSON-like values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: true }), fc.jsonValue(), (a, b) => {
        const same = canonicalAttr(a as AttrValue) === canonicalAttr(b as AttrValue);
        if (same) assert.deepEqual(normal(a), normal(b));
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});

/** -0 as 0 and strings in NFC, as attributes are compared. */
function normal(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).normalize('NFC'));
}

describe('interning', () => {
  it('finds the one node, and tells apart operator, attributes, inputs and their order', () => {
    const interner = new Interner();
    const x = interner.intern(ops.fill, [], { rows: 2, cols: 2, value: 1 });
    const y = interner.intern(ops.fill, [], { rows: 2, cols: 2, value: 2 });
    assert.equal(interner.intern(ops.fill, [], { value: 1, cols: 2, rows: 2 }), x);
    assert.equal(interner.intern(ops.add, [x, y]), interner.intern(ops.add, [x, y]));
    assert.notEqual(interner.intern(ops.add, [x, y]), interner.intern(ops.add, [y, x]));
    assert.notEqual(interner.intern(ops.add, [x, y]), interner.intern(ops.sub, [x, y]));
    assert.equal(interner.hits, 4);
  });

  it('keeps nodes apart and findable through growth', () => {
    const interner = new Interner();
    const made = Array.from({ length: 30_000 }, (_, i) =>
      interner.intern(ops.fill, [], { rows: 1, cols: 1, value: i }),
    );
    made.forEach((expr, i) => {
      assert.equal(interner.intern(ops.fill, [], { rows: 1, cols: 1, value: i }), expr);
    });
    assert.equal(interner.hits, made.length);
  });

  it('frees what nobody holds once it is made weak, and keeps what is held', async () => {
    const interner = new Interner();
    const held = interner.intern(ops.fill, [], { rows: 1, cols: 1, value: -1 });
    for (let i = 0; i < 10_000; i++) {
      interner.intern(ops.fill, [], { rows: 1, cols: 1, value: i });
    }
    assert.equal(interner.liveCount(), 10_001);
    interner.weaken(4_000);
    interner.weaken(20_000);
    await nextTurn();
    collectGarbage();
    await nextTurn();
    collectGarbage();
    assert.equal(interner.liveCount(), 1);
    assert.equal(interner.intern(ops.fill, [], { rows: 1, cols: 1, value: -1 }), held);
    assert.ok(interner.intern(ops.fill, [], { rows: 1, cols: 1, value: 7 }));
  });

  it('makes nodes weak by itself when young literals hold much', async () => {
    const interner = new Interner();
    const make = (key: string): void => {
      const payload = { kind: 'dense', rows: 8192, cols: 2048, data: new Float64Array(0) };
      interner.intern(ops.literal, [], { rows: 8192, cols: 2048, key }, payload);
    };
    for (let i = 0; i < 4; i++) make(`large-${i}`);
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    collectGarbage();
    await nextTurn();
    collectGarbage();
    assert.equal(interner.liveCount(), 0);
  });

  it('refuses a wrong number of operands', () => {
    const interner = new Interner();
    assert.throws(() => interner.intern(ops.add, []), /add: expected 2 operands, got 0/);
  });
});

describe('nodes', () => {
  it('know their height and list inputs before consumers, each once', () => {
    const s = referenceEvaluator();
    const X = leaf(s, 3, 3);
    const y = X.add(X.t()).mul(X);
    assert.equal(y.expr.height, 4);
    const order = topological([y.expr, X.expr]);
    assert.equal(order.length, 4);
    order.forEach((expr, i) => {
      for (const input of expr.inputs) assert.ok(order.indexOf(input) < i);
    });
  });
});

describe('lineage keys', () => {
  const program = (seed: number): string => {
    const s = referenceEvaluator();
    const X = matrix(s, cells(3, 2, seed));
    return lineageKey(X.t().matmul(X).addDiag(0.5).expr);
  };

  it('are the same in every session, and pinned: stored results depend on them', () => {
    assert.equal(program(1), program(1));
    assert.notEqual(program(1), program(2));
    const s = referenceEvaluator();
    const key = lineageKey(rand(s, 4, 3, { seed: 1 }).t().sum().expr);
    // SHA-256 over `op@version\n<canonical attributes>\n<key of each input>`, computed apart in
    // Python.
    assert.equal(key, 'da3171a86c814c8c32d0f65c44cab6b2e5dfbbf4f8ed0d6b317c6254d1b28960');
  });

  it('depend on cells, not on how they were handed over', () => {
    const s = referenceEvaluator();
    const value = cells(100, 60);
    const large = matrix(s, value);
    const again = matrix(s, 100, 60, value.data, { copy: false });
    assert.notEqual(large, again);
    assert.equal(lineageKey(large.expr), lineageKey(again.expr));
    const changed = Float64Array.from(value.data);
    changed[17]! += 1e-9;
    assert.notEqual(lineageKey(matrix(s, 100, 60, changed).expr), lineageKey(large.expr));
  });

  it('of a deep chain need no stack', () => {
    const s = referenceEvaluator();
    let x = leaf(s, 1, 1);
    for (let i = 0; i < 20_000; i++) x = x.neg();
    assert.equal(lineageKey(x.expr).length, 64);
  });
});
