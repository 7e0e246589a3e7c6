/** Moments and losses by file: equal values, and a file's node does not depend on other files. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { evaluateByReference } from '../../driver/backend/reference-backend.js';
import { splitFiles } from '../../driver/compiler/rules/split-files.js';
import { ruleTable, runRules } from '../../driver/compiler/run-rules.js';
import { Frame } from '../../driver/frame/frame.js';
import { encodedParts } from '../../driver/frame/part-features.js';
import type { FileGroup } from '../../driver/frame/parts.js';
import type { DType } from '../../driver/ir/dtype.js';
import { type Expr, topological } from '../../driver/ir/expr.js';
import type { ColumnProfile, FrameFile, SqlText } from '../../driver/ir/frame-engine.js';
import { type DenseMatrix, dense, cellsOf as zeros } from '../../driver/ir/value.js';
import { type EncodedFeature, encodeBlock } from '../../driver/operators/encode-block.js';
import { ops } from '../../driver/operators/index.js';
import { assertClose } from '../support/close.js';
import { leaf, referenceEvaluator } from '../support/plan.js';

/** A file's rows: a number, which may be missing, and a category. */
interface Row {
  readonly x: number | null;
  readonly c: string;
}

const FEATURES: readonly EncodedFeature[] = [
  { kind: 'number', name: 'x', sql: 'x', missing: 'zero' },
  { kind: 'missing', name: 'x missing', sql: 'x' },
  { kind: 'onehot', name: 'c', sql: 'c', categories: ['a', 'b'], other: true, missing: false },
  { kind: 'bin', name: 'b', sql: 'x', edges: [-9, -3, 0, 1, 9], missing: true },
];
const TARGET: EncodedFeature = { kind: 'map', name: 'y', sql: 'c', categories: ['a', 'c'], values: [3, -1], fallback: 0.5 }; // biome-ignore format: a table
const FOLD: EncodedFeature = { kind: 'map', name: 'f', sql: 'c', categories: ['a', 'b', 'd'], values: [1, 0, 2], fallback: 1 }; // biome-ignore format: a table

function cellsOf(rows: readonly Row[], feature: EncodedFeature): Float64Array {
  if (feature.kind !== 'onehot' && feature.kind !== 'map') {
    return Float64Array.from(rows, ({ x }) => x ?? Number.NaN);
  }
  return Float64Array.from(rows, ({ c }) => {
    const code = feature.categories.indexOf(c);
    return code < 0 ? -2 : code;
  });
}

function profileOf(rows: readonly Row[], { sql }: SqlText): ColumnProfile {
  const numbers = rows.flatMap(({ x }) => (x === null ? [] : [x]));
  const values = [...new Set(rows.map(({ c }) => c))];
  const isNumber = sql === 'x';
  return {
    type: isNumber ? 'number' : 'text',
    rows: rows.length,
    missing: isNumber ? rows.length - numbers.length : 0,
    infinite: 0,
    min: numbers.length > 0 ? Math.min(...numbers) : null,
    max: numbers.length > 0 ? Math.max(...numbers) : null,
    top: isNumber ? [] : values.map((value) => ({ value, count: 1 })),
    distinct: isNumber ? 0 : values.length,
    quantiles: [],
  };
}

/** Groups of two parts each. */
function paired(parts: readonly FileGroup[]): FileGroup[] {
  return parts.flatMap((one, i) => {
    const pair = [one, ...parts.slice(i + 1, i + 2)];
    if (i % 2 === 1 || pair.length < 2) return i % 2 === 1 ? [] : pair;
    return [{ files: pair.flatMap(({ files }) => files), parts: pair, isClosed: i < 4 }];
  });
}

/** What a search writes over the rows of these files. */
class Program {
  readonly evaluator = referenceEvaluator();
  readonly #files = new Map<string, readonly Row[]>();
  readonly #dtype: DType;

  constructor(dtype: DType = 'float64') {
    this.#dtype = dtype;
  }

  /** @param known whether it is known what each file needs, or groups of groups of files */
  exprs(
    tables: readonly (readonly Row[])[],
    split: 'shuffled' | 'runs' | 'column',
    known: 'files' | 'groups' | 'nothing' = 'files',
  ) {
    const files: FrameFile[] = tables.map((rows) => {
      const digest = JSON.stringify(rows);
      this.#files.set(digest, rows);
      return { path: digest, digest, bytes: rows.length, rows: rows.length };
    });
    const { evaluator } = this;
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    const source = { format: 'parquet', files } as const;
    const columns = ['x', 'c'].map((name) => ({ name, type: 'text', engineType: 'text' }) as const);
    const frame = new Frame(evaluator, { source, columns, rows });
    const parts = (features: readonly EncodedFeature[]) => {
      const of = ({ files: some }: FileGroup, text: SqlText): ColumnProfile =>
        profileOf(some.flatMap((file) => this.#files.get(file.digest)!), text); // biome-ignore format: short
      const each = files.map((file) => ({ files: [file], isClosed: true }));
      if (known === 'nothing') return undefined;
      return encodedParts(features, known === 'groups' ? paired(paired(each)) : each, of);
    };
    const X = frame.encode(FEATURES, { dtype: this.#dtype, parts: parts(FEATURES) });
    const y = frame.encode([TARGET], { dtype: this.#dtype });
    const groups = {
      shuffled: () => frame.foldsByFile(3, 5)!,
      runs: () => evaluator.intern(ops.kfold, [], { rows, folds: 3, shuffle: false, seed: 0 }),
      column: () => frame.encode([FOLD], { parts: parts([FOLD]) }),
    }[split]();
    const gram = (center: boolean): Expr =>
      evaluator.intern(ops.groupGram, [groups, X, y], { groups: 3, center });
    const weights = leaf(evaluator, X.cols + 1, 6).expr;
    const attrs = { groups: 3, losses: ['squared', 'absolute'] };
    const losses = evaluator.intern(ops.groupLoss, [groups, X, y, weights], attrs);
    return { frame, X, all: [gram(true), gram(false), losses] };
  }

  split(expr: Expr): Expr {
    return runRules([expr], this.evaluator, ruleTable([splitFiles]), { verify: true })[0]!;
  }

  /** By the operators' definitions; `encode` reads the tables. */
  value(expr: Expr): DenseMatrix {
    const values = new Map<Expr, DenseMatrix>();
    for (const node of topological([expr])) {
      if (node.op === ops.frame) continue;
      const inputs = node.inputs.map((input) => values.get(input)!);
      values.set(node, node.op === ops.encode ? this.#encode(node) : evaluateByReference(node, inputs)); // biome-ignore format: short
    }
    return values.get(expr)!;
  }

  #encode({ attrs, inputs: [frame], rows, cols, dtype }: Expr): DenseMatrix {
    const features = attrs.features as unknown as readonly EncodedFeature[];
    const files = frame!.attrs.files as unknown as readonly { readonly digest: string }[];
    const all = files.flatMap(({ digest }) => this.#files.get(digest)!);
    const out = zeros(dtype, rows * cols);
    const chunk = { rows, columns: features.map((feature) => cellsOf(all, feature)) };
    assert.equal(encodeBlock(features, chunk, out, cols, 0), undefined, 'nothing is missing');
    return dense(rows, cols, out);
  }
}

const rowsArbitrary = fc.array(
  fc.record({
    x: fc.option(fc.integer({ min: -9, max: 9 }), { nil: null, freq: 4 }),
    c: fc.constantFrom(...'abcdefghijklmnopqrs'),
  }),
  { minLength: 1, maxLength: 16 },
);
const some = (seed: number, rows = 6): Row[] =>
  Array.from({ length: rows }, (_, i) => ({ x: seed + i, c: 'abcde'[(seed + i) % 5]! }));

describe(`rule ${splitFiles.name}: ${splitFiles.algebra}`, () => {
  const cases = [['shuffled'], ['runs'], ['column'], ['column', 'float32']] as const;
  for (const [split, dtype] of cases) {
    it(`keeps values on random files: ${split}${dtype ? ` in ${dtype}` : ''}`, () => {
      fc.assert(
        fc.property(fc.array(rowsArbitrary, { minLength: 2, maxLength: 5 }), (tables) => {
          const program = new Program(dtype);
          for (const expr of program.exprs(tables, split).all) {
            const after = program.split(expr);
            assert.notEqual(after, expr);
            assert.equal(program.split(after), after, 'the rule is not idempotent');
            assertClose(program.value(after), program.value(expr), 1e-12, expr.op.name);
          }
        }),
        { numRuns: 40, seed: 42 },
      );
    });

    it(`keeps values on random groups of files: ${split}${dtype ? ` in ${dtype}` : ''}`, () => {
      const tablesArbitrary = fc.array(rowsArbitrary, { minLength: 5, maxLength: 11 });
      fc.assert(
        fc.property(tablesArbitrary, (tables) => {
          const program = new Program(dtype);
          for (const expr of program.exprs(tables, split, 'groups').all) {
            const after = program.split(expr);
            assert.notEqual(after, expr);
            assert.equal(program.split(after), after, 'the rule is not idempotent');
            assertClose(program.value(after), program.value(expr), 1e-12, expr.op.name);
            if (expr.op !== ops.groupGram) continue;
            assert.ok(
              after.inputs.some(({ op }) => op === ops.mergeGroupGram),
              'groups are merged',
            );
          }
        }),
        { numRuns: 15, seed: 42 },
      );
    });

    it(`makes the same node of a file whatever stands beside it: ${split}${dtype ? ` in ${dtype}` : ''}`, () => {
      const program = new Program(dtype);
      // The same rows come 6 and 18 rows from the start, within one fold each time.
      const file = some(3, split === 'runs' ? 2 : 6);
      const momentsOf = (tables: readonly (readonly Row[])[]): Expr => {
        const [gram] = program.exprs(tables, split).all;
        return program.split(gram!).inputs[tables.indexOf(file)]!;
      };
      const first = momentsOf([some(1), file, some(2)]);
      const later = momentsOf([some(4), some(1, 9), file, some(9, 3), some(0)]);
      assert.equal(later, first);
    });
  }

  it('leaves what is over one file, or over files of which nothing is known, or shuffled over all rows', () => {
    const program = new Program();
    for (const [tables, known] of [
      [[some(1)], 'files'],
      [[some(1), some(2)], 'nothing'],
    ] as const) {
      // biome-ignore format: a table
      for (const expr of program.exprs(tables, 'runs', known).all) assert.equal(program.split(expr), expr); // biome-ignore format: short
    }
    const { X, all } = program.exprs([some(1), some(2)], 'column');
    const shuffled = program.evaluator.intern(ops.kfold, [], { rows: X.rows, folds: 3, shuffle: true, seed: 1 }); // biome-ignore format: short
    const mixed = program.evaluator.intern(ops.groupGram, [shuffled, ...all[0]!.inputs.slice(1)], all[0]!.attrs); // biome-ignore format: short
    assert.equal(program.split(mixed), mixed);
  });
});
