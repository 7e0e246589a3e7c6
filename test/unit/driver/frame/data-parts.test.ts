/** Data in parts: merged parts equal what all rows give. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FileProfiles, type Memos } from '../../../../driver/frame/file-profiles.js';
import {
  type DenseMatrix,
  dense,
  type Expr,
  Matrix,
  openFrame,
  ops,
  rand,
  type Session,
} from '../../../../driver/index.js';
import type { ColumnProfile, ProfileRequest } from '../../../../driver/ir/frame-engine.js';
import {
  createDuckDbEngine,
  type DuckDbEngine,
} from '../../../../gpu-executor/cpu/duckdb/index.js';
import { openSession } from '../../../../jobs/engines.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { type JobData, openData } from '../../../../jobs/open-data.js';
import type { Partition } from '../../../../jobs/search/splits/partition.js';
import { assertClose } from '../../../support/close.js';
import { dailyJob, writeDay } from '../../../support/daily-files.js';
import { copyTo, temporaryHome } from '../../../support/frame-data.js';
import { JobFolder } from '../../../support/job-folder.js';

/** Keeps nothing. */
const nothing: Memos = { memo: (_key, compute) => compute(), memoOf: async () => undefined };

describe('profiles file by file', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let engine: DuckDbEngine;
  before(async () => {
    home = await temporaryHome();
    engine = createDuckDbEngine();
  });
  after(async () => {
    engine.close();
    await home.remove();
  });

  const requests: ProfileRequest[] = [
    { sql: 'a', top: 0, quantiles: [] },
    { sql: 'wind', top: 0, quantiles: [0, 0.25, 0.5, 0.75, 1] },
    { sql: 'station', top: 3, quantiles: [] },
    { sql: 'kind', top: 100, quantiles: [] },
    { sql: 'hour', top: 100, quantiles: [] },
    { sql: 'span / (hour - 3)', top: 0, quantiles: [] },
    { sql: 'round(span)', top: 20, quantiles: [] },
    { sql: 'hour', top: 0, quantiles: [0, 0.1, 0.5, 0.9, 1] },
    { sql: 'store > 3', top: 5, quantiles: [] },
  ];

  for (const format of ['parquet', 'csv'] as const) {
    it(`merge to the profile of all files (${format})`, async () => {
      const folder = join(home.folder, format);
      for (const day of [0, 1, 2, 5]) await writeDay(folder, day, { format });
      const { source, isUniform } = await engine.describe(folder);
      assert.equal(isUniform, true);
      const whole = await engine.profile(source, requests);
      const merged = await new FileProfiles(engine, nothing).profile(source, requests);
      assert.deepEqual(merged, whole);
    });
  }

  it('scan only files that have none yet, all of them at once', async () => {
    const folder = join(home.folder, 'some');
    for (const day of [0, 1, 2]) await writeDay(folder, day);
    const memos = new Map<string, Promise<unknown>>();
    const kept: Memos = {
      memo: (key, compute) => {
        const known = memos.get(key) ?? compute();
        memos.set(key, known);
        return known;
      },
      memoOf: async (key) => memos.get(key),
    };
    const asked: number[] = [];
    const counting = (): FileProfiles =>
      new FileProfiles(
        {
          name: engine.name,
          profile: () => Promise.reject(new Error('not the whole')),
          profileFiles: (source, list) => {
            asked.push(source.files.length);
            return engine.profileFiles(source, list);
          },
        },
        kept,
      );
    const plain = requests.filter((request) => request.quantiles.length === 0);
    await counting().profile((await engine.describe(folder)).source, plain);
    await writeDay(folder, 3);
    await writeDay(folder, 1, { draw: 1 });
    const { source } = await engine.describe(folder);
    const merged = await counting().profile(source, plain);
    assert.deepEqual(asked, [3, 2]);
    assert.deepEqual(merged, await engine.profile(source, plain));
  });

  it('come from one scan for counts and one for all vocabularies of small files', async () => {
    const folder = join(home.folder, 'scans');
    for (const day of [0, 5]) await writeDay(folder, day);
    const { source } = await engine.describe(folder);
    const listed = requests.filter(({ top, quantiles }) => top > 0 && quantiles.length === 0);
    assert.ok(listed.length > 1);
    const before = engine.scans;
    const together = await engine.profileFiles(source, listed);
    assert.equal(engine.scans - before, 2);
    for (const [at, request] of listed.entries()) {
      const alone = await engine.profileFiles(source, [request]);
      assert.deepEqual(
        together.map((file) => [file[at]]),
        alone,
      );
    }
  });

  it('take files of equal content once, and fall back to the whole when values are too many', async () => {
    const folder = join(home.folder, 'twice');
    await writeDay(folder, 1);
    await copyTo(
      join(folder, 'copy.parquet'),
      `SELECT * FROM '${join(folder, 'day-001.parquet')}'`,
    );
    const wide = join(home.folder, 'wide');
    await writeDay(wide, 0);
    for (const [name, from] of [
      ['a', 0],
      ['b', 5000],
    ] as const) {
      // biome-ignore format: a table
      await copyTo(
        join(wide, `${name}.parquet`),
        `SELECT CAST(i + ${from} AS VARCHAR) AS t, CAST(i AS DOUBLE) / 3 AS x FROM range(25000) r(i)`,
      );
    }
    const byFile = new FileProfiles(engine, nothing);
    const twice = (await engine.describe(folder)).source;
    assert.deepEqual(await byFile.profile(twice, requests), await engine.profile(twice, requests));
    const many = (await engine.describe(join(wide, '[ab].parquet'))).source;
    const over: ProfileRequest[] = [
      { sql: 't', top: 5, quantiles: [] },
      { sql: 'x', top: 0, quantiles: [0, 0.5, 1] },
    ];
    const got: ColumnProfile[] = await byFile.profile(many, over);
    assert.deepEqual(got, await engine.profile(many, over));
    const all = { files: many.files, isClosed: true };
    assert.equal(byFile.ofGroup(all, { sql: 't' }), undefined);
  });
});

/** Centred moments without counts and means, so that large means hide no differences. */
function scatters({ rows, cols, data }: DenseMatrix): DenseMatrix {
  return dense(
    rows,
    cols,
    data.map((cell, at) => (at % cols === 0 || Math.floor(at / cols) % cols === 0 ? 0 : cell)),
  );
}

describe('moments of parts', () => {
  let folder: JobFolder;
  beforeEach(async () => {
    folder = new JobFolder();
    for (const day of [0, 1, 2, 3, 4, 6]) await writeDay(folder.file('data'), day);
  });
  afterEach(() => folder.remove());

  const cases: [string, Record<string, unknown>][] = [
    ['shuffled folds', { folds: 5, shuffle: true, seed: 11 }],
    ['contiguous folds', { folds: 4 }],
    ['more folds than files', { folds: 17 }],
    ['folds by group', { folds: 3, group: 'store' }],
    ['given folds', { predefined: 'fold' }],
    ['a time series', { type: 'time-series', folds: 3, gap: 2 }],
    ['shuffled groups', { folds: 3, group: 'store', shuffle: true }],
  ];
  /** The job's data in a session of its own; `use` gets what a search writes over all rows. */
  const withData = async (
    cv: Record<string, unknown>,
    use: (data: JobData, groupOf: Expr, session: Session) => Promise<void>,
  ): Promise<void> => {
    folder.write('job.yaml', stringify({ ...dailyJob, cv }));
    const job = await readJob(folder.file('job.yaml'), { overrides: [] });
    const open = await openSession('local');
    try {
      const data = await openData(open, open.session, job, { enter: () => undefined }, true);
      await use(data, data.cv[0]!.groupOf.expr, open.session);
    } finally {
      await open.session.close();
    }
  };

  const inputsOf = ({ X, y }: JobData): Expr[] => [X.expr, y!.expr];

  /** The same node over features unknown by file, so that it is computed whole. */
  const whole = async (expr: Expr, { source, resolved }: JobData): Promise<DenseMatrix> => {
    const open = await openSession('local');
    try {
      const frame = await openFrame(
        open.session,
        open.frames,
        source.files[0]!.path.replace(/[^/]*$/, ''),
      );
      const made = new Map<Expr, Expr>();
      const copy = (node: Expr): Expr => {
        const known = made.get(node);
        if (known !== undefined) return known;
        const own =
          node.op === ops.frame
            ? frame.expr
            : open.session.intern(
                node.op,
                node.inputs.map(copy),
                node.attrs,
                node.op === ops.encode ? undefined : node.payload,
              );
        made.set(node, own);
        return own;
      };
      const twin = copy(expr);
      assert.equal(open.session.simplified(twin), twin, `${resolved.columns.length} columns`);
      return await Matrix.of(open.session, twin).value();
    } finally {
      await open.session.close();
    }
  };

  for (const [name, cv] of cases) {
    it(`are the moments of all rows: ${name}`, async () => {
      await withData(cv, async (data, groupOf, session) => {
        assert.equal(data.parts.length, 6);
        assert.ok(
          data.parts.some((part) => part.columns !== null),
          'a part has columns of its own',
        );
        const [{ groups, splits }] = data.cv as [Partition];
        const folds = splits.length;
        for (const center of [true, false]) {
          const attrs = { groups, center };
          const gram = session.intern(ops.groupGram, [groupOf, ...inputsOf(data)], attrs);
          const parts = session.simplified(gram);
          assert.equal(parts.op, ops.mergeGroupGram);
          assert.equal(parts.inputs.length, 6);
          const expected = await whole(gram, data);
          const value = await Matrix.of(session, gram).value();
          assertClose(value, expected, 1e-12, `center ${center}`);
          if (center) assertClose(scatters(value), scatters(expected), 1e-12, 'scatter');
        }
        const weights = rand(session, data.X.cols + 1, 2 * folds, { seed: 5 });
        const attrs = { groups: folds, losses: ['squared', 'absolute'] };
        const inputs = [groupOf, ...inputsOf(data), weights.expr];
        const losses = session.intern(ops.groupLoss, inputs, attrs);
        assert.equal(session.simplified(losses).op, ops.add);
        const value = await Matrix.of(session, losses).value();
        assertClose(value, await whole(losses, data), 1e-12, 'losses');
      });
    });
  }

  it('have fold sizes as all rows would, however the files are cut', async () => {
    await withData(dailyJob.cv, async ({ X }, groupOf, session) => {
      const numbers = (await Matrix.of(session, groupOf).value()).data;
      const sizes = [0, 1, 2, 3, 4].map((fold) => numbers.filter((value) => value === fold).length);
      const small = Math.floor(X.rows / 5);
      assert.deepEqual(
        sizes,
        [0, 1, 2, 3, 4].map((fold) => small + (fold < X.rows % 5 ? 1 : 0)),
      );
    });
  });
});
