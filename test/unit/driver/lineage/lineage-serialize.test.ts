/** Lineage to JSON and back: equal keys for any program, small loops, clear errors otherwise. */
import assert from 'node:assert/strict';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { noAttrs } from '../../../../driver/ir/attrs.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import { dense } from '../../../../driver/ir/value.js';
import { deserializeLineage, serializeLineage } from '../../../../driver/lineage/serialize.js';
import { fromJson, type StoredLineage, toJson } from '../../../../driver/lineage/stored-lineage.js';
import { matrix, rand, scalar, seq } from '../../../../driver/matrix/create.js';
import type { Matrix } from '../../../../driver/matrix/matrix.js';
import { ops } from '../../../../driver/operators/index.js';
import { cells, evaluateExpr, leaf, referenceEvaluator } from '../../../support/plan.js';

type Session = ReturnType<typeof referenceEvaluator>;

/** Through text, as a file would take it. */
const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const restore = (stored: StoredLineage, options = {}) =>
  deserializeLineage(copy(stored), referenceEvaluator(), options);

/** A program of 3x3 matrices: each step applies an operator to earlier results by numbers. */
function program(s: Session, steps: readonly (readonly [number, number, number])[]): Matrix[] {
  const made: Matrix[] = [
    leaf(s, 3, 3, 1),
    rand(s, 3, 3, { seed: 5 }),
    seq(s, 1, 3).diag(),
    matrix(s, 3, 3, [Number.NaN, -0, Infinity, 1e-320, -Infinity, 0.1, 2 ** 60, 1, 3]),
  ];
  for (const [op, a, b] of steps) {
    const x = made[a % made.length]!;
    const y = made[b % made.length]!;
    const next = [
      () => x.add(y),
      () => x.matmul(y),
      () => x.t(),
      () => x.mul(a / 7),
      () => x.cbind(y, x).slice([0, 3], [b % 4, (b % 4) + 3]),
      () => x.mul(scalar(s, b === 0 ? Number.NaN : 1 / b)),
      () => x.add(made[made.length - 1]!),
    ][op % 7]!;
    made.push(next());
  }
  return made;
}

describe('serialized lineage', () => {
  it('keeps the lineage key of every node of any program, and its value', () => {
    const step = fc.tuple(fc.nat(6), fc.nat(50), fc.nat(50));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(9), (steps, again) => {
        const s = referenceEvaluator();
        const rounds = Array.from({ length: again + 1 }, () => steps).flat();
        const roots = program(s, rounds).map((x) => x.expr);
        const back = restore(serializeLineage(roots)).roots;
        assert.deepEqual(back.map(lineageKey), roots.map(lineageKey));
        const [last, lastBack] = [roots.at(-1)!, back.at(-1)!];
        assert.deepEqual(evaluateExpr(lastBack), evaluateExpr(last));
      }),
      { seed: 11, numRuns: 150 },
    );
  });

  it('keeps any attributes, those JSON has no word for too', () => {
    const odd = { $number: 'x', $$a: { $b: [Number.NaN, -Infinity] }, z: -0, n: null, t: true };
    const s = referenceEvaluator();
    const x = leaf(s, 2, 2).expr;
    const roots = [
      s.intern(ops.neg, [x], odd),
      s.intern(ops.neg, [x], {}),
      s.intern(ops.neg, [x], noAttrs),
    ];
    assert.equal(new Set(roots.map(lineageKey)).size, 3);
    const back = restore(serializeLineage(roots)).roots;
    assert.deepEqual(back.map(lineageKey), roots.map(lineageKey));
    assert.deepEqual(fromJson(copy(toJson(odd))), { ...odd, z: 0 });
  });

  it('is the same text for the same lineage, whatever the order of fields', () => {
    const text = (attrs: Record<string, number>): string => {
      const s = referenceEvaluator();
      return JSON.stringify(serializeLineage([s.intern(ops.fill, [], attrs)]));
    };
    assert.equal(text({ rows: 2, cols: 3, value: 4 }), text({ value: 4, cols: 3, rows: 2 }));
  });

  it('keeps large literals by digest and asks for their cells', () => {
    const s = referenceEvaluator();
    const value = cells(200, 60);
    const root = matrix(s, value).sum().expr;
    const stored = serializeLineage([root], { literalBytes: 1000 });
    assert.ok(JSON.stringify(stored).length < 1000);
    assert.throws(() => restore(stored), /expected the cells of the 200x60 literal .* digest only/);
    const back = restore(stored, { resolveLiteral: () => value }).roots[0]!;
    assert.equal(lineageKey(back), lineageKey(root));
    const other = () => cells(200, 60, 2);
    assert.throws(() => restore(stored, { resolveLiteral: other }), /literal of digest/);
  });

  it('stores all literals together within the budget', () => {
    const s = referenceEvaluator();
    const roots = Array.from({ length: 40 }, (_, i) => leaf(s, 20, 20, i + 1).expr);
    const stored = serializeLineage(roots, { literalsBytes: 20_000 });
    const kept = Object.values(stored.literals).filter(({ cells }) => cells !== null);
    assert.ok(kept.length > 0 && kept.length < 40, `${kept.length}`);
    assert.ok(JSON.stringify(stored).length < 40_000);
  });

  it('keeps frames with digests and paths, and refuses other files', () => {
    const s = referenceEvaluator();
    const files = ['a', 'b'].map((name) => ({
      path: `/data/${name}.csv`,
      digest: name.repeat(64),
      bytes: 10,
      rows: 5,
    }));
    const attrs = {
      format: 'csv',
      files: files.map(({ digest, rows }) => ({ digest, rows })),
      rows: 10,
      cols: 2,
    };
    const source = { format: 'csv' as const, files };
    const features = [{ kind: 'number', name: 'x', sql: 'x', missing: 'error' }];
    const frame = s.intern(ops.frame, [], attrs, source);
    const root = s.intern(ops.encode, [frame], { features });
    const stored = serializeLineage([root]);
    const back = restore(stored);
    assert.equal(lineageKey(back.roots[0]!), lineageKey(root));
    assert.deepEqual(back.nodes[0]!.payload, source);
    const moved = files.map((file) => ({ ...file, path: `/elsewhere/${file.path}` }));
    const there = restore(stored, { resolveFrame: () => ({ ...source, files: moved }) });
    assert.deepEqual(there.nodes[0]!.payload, { ...source, files: moved });
    const changed = [files[0]!, { ...files[1]!, digest: 'c'.repeat(64) }];
    assert.throws(
      () => restore(stored, { resolveFrame: () => ({ ...source, files: changed }) }),
      /expected file 2 of 2 with digest bbbbbbbbbbbb, got \/data\/b\.csv with cccccccccccc/,
    );
  });
});

describe('stored lineage that can not be read', () => {
  const s = referenceEvaluator();
  const stored = serializeLineage([leaf(s, 3, 3).t().add(1).sum().expr]);
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ['another format', { format: 'x' }, /expected a document of format reprise-lineage, got "x"/],
    ['another version', { version: 2 }, /expected format version 4, got 2/],
    ['an unknown operator', { ops: [['magic', 1]] }, /operator magic version 1, got no operator/],
    [
      'another version of an operator',
      { ops: stored.ops.map(([name]) => [name, 99]) },
      /expected operator literal version 99, got version 1 in this program/,
    ],
    ['missing nodes', lines(), /expected \d+ nodes, got 0; the stored lineage is damaged/],
    ['an input that comes later', lines('1\t{}\t0'), /expected an input before/],
    ['an input before the first', lines('1\t{}\t1'), /expected an input before/],
    ['attributes that are no JSON', lines('1\t{"a":\t'), /expected attributes of /],
    ['attributes of no place', lines('1\t7\t'), /expected attributes of \w+, got place 7/],
    ['text that is not deflated', { nodes: 'AAAA' }, /expected nodes, got .*; the stored lineage/],
    ['text without end', { nodes: bomb() }, /expected nodes, got .*; the stored lineage/],
    ['too many nodes', { count: 1e9 }, /at most 20000000 nodes, got 1000000000; raise maxNodes/],
    ['roots out of range', { roots: [77] }, /expected roots below \d+, got 77/],
    ['other roots', { roots: [0] }, /expected lineage keys of digest/],
    ['no literals', { literals: {} }, /expected the cells or digest of a literal/],
    ['no tables', { ops: 7 }, /expected count, ops, literals/],
  ];
  for (const [what, change, message] of cases)
    it(`names ${what}`, () => {
      assert.throws(() => restore({ ...stored, ...change } as StoredLineage), message);
    });

  it('names cells that were changed', () => {
    const [place, literal] = Object.entries(stored.literals)[0]!;
    const other = serializeLineage([leaf(s, 3, 3, 2).expr]).literals;
    const wrong = { ...literal, cells: Object.values(other)[0]!.cells };
    assert.throws(
      () => restore({ ...stored, literals: { [place]: wrong } }),
      /expected a literal of digest/,
    );
  });
});

describe('loops in serialized lineage', () => {
  /** Gradient descent: five operators an iteration over what the loop never writes. */
  const descend = (s: Session, iterations: number): Expr => {
    const X = leaf(s, 4, 2);
    const y = leaf(s, 4, 1, 3);
    let w = matrix(s, 2, 1, [0, 0]);
    for (let i = 0; i < iterations; i++) {
      w = w.sub(X.t().matmul(X.matmul(w).sub(y)).mul(0.01));
    }
    return w.expr;
  };

  it('take no more room for more iterations, and give the same keys', () => {
    const root = descend(referenceEvaluator(), 10_000);
    const stored = serializeLineage([root]);
    assert.ok(stored.count > 50_000 - 10, `${stored.count}`);
    const bytes = JSON.stringify(stored).length;
    assert.ok(bytes < 4000, `${bytes} bytes`);
    const back = restore(stored).roots[0]!;
    assert.equal(back.height, root.height);
    assert.equal(lineageKey(back), lineageKey(root));
  });

  it('of loops and of carried state are found too', () => {
    const s = referenceEvaluator();
    const A = leaf(s, 2, 2);
    let [x, v] = [leaf(s, 2, 2, 4), leaf(s, 2, 2, 5)];
    for (let epoch = 0; epoch < 200; epoch++) {
      for (let i = 0; i < 20; i++) {
        v = v.mul(0.9).add(A.matmul(x));
        x = x.sub(v.mul(0.1));
      }
      x = x.abs().mul(A);
    }
    const stored = serializeLineage([x.expr, v.expr]);
    assert.ok(stored.count > 20_000);
    assert.ok(JSON.stringify(stored).length < 8000, `${JSON.stringify(stored).length} bytes`);
    const back = restore(stored).roots;
    assert.deepEqual(back.map(lineageKey), [x.expr, v.expr].map(lineageKey));
  });

  /** Mini-batches: a range of rows and a seed that change each time, and a learning rate. */
  const train = (s: Session, batches: number, rate: (i: number) => number): Expr => {
    const X = rand(s, batches * 4, 2, { seed: 3 });
    let w = matrix(s, 2, 1, [0, 0]);
    for (let i = 0; i < batches; i++) {
      const batch = X.slice([i * 4, i * 4 + 4]);
      const noise = rand(s, 4, 1, { seed: 7 + i });
      w = w.sub(batch.t().matmul(batch.matmul(w).sub(noise)).mul(rate(i)));
    }
    return w.expr;
  };
  it('that take other attributes each time take room for those alone', () => {
    const rates: readonly ((i: number) => number)[] = [
      () => 0.01,
      (i) => 0.1 - i * 0.00001,
      (i) => 0.1 / (1 + 0.01 * i),
    ];
    for (const rate of rates) {
      const root = train(referenceEvaluator(), 5_000, rate);
      const stored = serializeLineage([root]);
      assert.ok(stored.count > 35_000, `${stored.count}`);
      const bytes = JSON.stringify(stored).length;
      // A range of rows, a seed and a rate for each of 5,000 iterations.
      assert.ok(bytes < 200_000, `${bytes} bytes`);
      assert.equal(lineageKey(restore(stored).roots[0]!), lineageKey(root));
    }
  });

  it('restore literals with their bits', () => {
    const value = dense(1, 3, Float64Array.of(-0, Number.NaN, 1e-320));
    const s = referenceEvaluator();
    const back = restore(serializeLineage([matrix(s, value).expr])).roots[0]!;
    assert.deepEqual(evaluateExpr(back), value);
    assert.ok(Object.is(evaluateExpr(back).data[0], -0));
  });
});

/** Nodes of these lines, as many as they are. */
function lines(...text: readonly string[]): Partial<StoredLineage> {
  const nodes = deflateRawSync(text.map((line) => `${line}\n`).join('')).toString('base64');
  return { nodes, ...(text.length > 0 ? { count: text.length } : {}) };
}

/** 300 MB of one letter. */
function bomb(): string {
  return deflateRawSync(Buffer.alloc(300_000_000, 'x')).toString('base64');
}
