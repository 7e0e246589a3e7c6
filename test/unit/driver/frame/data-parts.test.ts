/** Data in parts: how files are grouped, and that what is merged from parts is what all rows give. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FileProfiles } from '../../../../driver/frame/file-profiles.js';
import { fileSeed, partFiles } from '../../../../driver/frame/parts.js';
import { type DenseMatrix, dense, Matrix, ops, rand } from '../../../../driver/index.js';
import type {
  ColumnProfile,
  FrameFile,
  ProfileRequest,
} from '../../../../driver/ir/frame-engine.js';
import {
  createDuckDbEngine,
  type DuckDbEngine,
} from '../../../../gpu-executor/cpu/duckdb/index.js';
import { openSession } from '../../../../jobs/engines.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';
import { openData } from '../../../../jobs/open-data.js';
import { partGram, partLosses, shuffled } from '../../../../jobs/search/parts.js';
import { assertClose } from '../../../support/close.js';
import { dailyJob, writeDay } from '../../../support/daily-files.js';
import { copyTo, temporaryHome } from '../../../support/frame-data.js';
import { JobFolder } from '../../../support/job-folder.js';

function files(count: number, rows = 10): FrameFile[] {
  return Array.from({ length: count }, (_, i) => fileNamed(`file ${i}`, rows));
}

function fileNamed(name: string, rows = 10): FrameFile {
  const digest = createHash('sha256').update(name).digest('hex');
  return { path: `/data/${name}`, digest, bytes: rows * 8, rows };
}

const digestsOf = (groups: readonly (readonly FrameFile[])[]): string[] =>
  groups.map((group) => group.map((file) => file.digest).join());

describe('files as parts', () => {
  it('are a part each while they are few, without those that have no rows', () => {
    const all = [...files(5), fileNamed('empty', 0), ...files(7).slice(5)];
    assert.deepEqual(
      partFiles(all, 1000).map((group) => group.length),
      [1, 1, 1, 1, 1, 1, 1],
    );
  });

  it('are grouped when they are many, in order and all of them', () => {
    for (const count of [65, 100, 1000, 5000]) {
      const all = files(count);
      const groups = partFiles(all, 1000);
      assert.ok(groups.length <= 64 && groups.length >= 8, `${groups.length} groups of ${count}`);
      assert.deepEqual(groups.flat(), all);
    }
  });

  it('keep all groups but the next ones when a file is added, replaced or removed', () => {
    const all = files(1000);
    const before = new Set(digestsOf(partFiles(all, 1000)));
    const changes: [string, FrameFile[]][] = [
      ['appended', [...all, fileNamed('new')]],
      ['inserted', [...all.slice(0, 400), fileNamed('new'), ...all.slice(400)]],
      ['replaced', [...all.slice(0, 400), fileNamed('new'), ...all.slice(401)]],
      ['removed', [...all.slice(0, 400), ...all.slice(401)]],
    ];
    for (const [what, changed] of changes) {
      const fresh = digestsOf(partFiles(changed, 1000)).filter((group) => !before.has(group));
      assert.ok(fresh.length <= 2, `${what}: ${fresh.length} groups are new`);
    }
  });

  it('are fewer when the results kept for each are large, down to one', () => {
    const all = files(40);
    assert.ok(partFiles(all, 100 * 1024 ** 2).length <= 5);
    assert.equal(partFiles(all, 1024 ** 3).length, 1);
  });

  it('shuffle each file by a seed of its own content', () => {
    const [a, b] = files(2);
    assert.equal(fileSeed(7, a!), fileSeed(7, { digest: a!.digest }));
    assert.notEqual(fileSeed(7, a!), fileSeed(8, a!));
    assert.notEqual(fileSeed(7, a!), fileSeed(7, b!));
    assert.ok(Number.isSafeInteger(fileSeed(7, a!)));
  });
});

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
      const merged = await new FileProfiles(engine, (_key, compute) => compute()).profile(
        source,
        requests,
      );
      assert.deepEqual(merged, whole);
    });
  }

  it('scan only files that have none yet, all of them at once', async () => {
    const folder = join(home.folder, 'some');
    for (const day of [0, 1, 2]) await writeDay(folder, day);
    const memos = new Map<string, Promise<unknown>>();
    const memo = (key: string, compute: () => Promise<unknown>): Promise<unknown> => {
      const known = memos.get(key) ?? compute();
      memos.set(key, known);
      return known;
    };
    const asked: number[] = [];
    const counting = (): FileProfiles =>
      new FileProfiles(
        {
          name: engine.name,
          describe: (path) => engine.describe(path),
          profile: () => Promise.reject(new Error('not the whole')),
          profileFiles: (source, list) => {
            asked.push(source.files.length);
            return engine.profileFiles(source, list);
          },
        },
        memo,
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
    const byFile = new FileProfiles(engine, (_key, compute) => compute());
    const twice = (await engine.describe(folder)).source;
    assert.deepEqual(await byFile.profile(twice, requests), await engine.profile(twice, requests));
    const many = (await engine.describe(join(wide, '[ab].parquet'))).source;
    const over: ProfileRequest[] = [
      { sql: 't', top: 5, quantiles: [] },
      { sql: 'x', top: 0, quantiles: [0, 0.5, 1] },
    ];
    const got: ColumnProfile[] = await byFile.profile(many, over);
    assert.deepEqual(got, await engine.profile(many, over));
    assert.equal(byFile.ofFiles(many.files, { sql: 't' }), undefined);
  });
});

/** Centred moments without counts and means, so that large means do not hide what differs beside them. */
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
  ];
  for (const [name, cv] of cases) {
    it(`are the moments of all rows: ${name}`, async () => {
      folder.write('job.yaml', stringify({ ...dailyJob, cv }));
      const job = await readJob(folder.file('job.yaml'), { overrides: [] });
      const open = await openSession('local');
      const { session } = open;
      try {
        const data = await openData(open, open.session, job, { enter: () => undefined });
        const { X, y, parts } = data;
        assert.equal(parts?.length, 6);
        assert.ok(
          parts.some((part) => part.columns !== null),
          'a part has columns of its own',
        );
        const given = 'assignment' in data.cv;
        const { folds } = data.cv;
        const groupOf =
          'assignment' in data.cv
            ? data.cv.assignment
            : data.cv.files
              ? shuffled(session, data.cv.files, folds, 0)
              : Matrix.of(
                  session,
                  session.intern(ops.kfold, [], { rows: X.rows, folds, shuffle: false, seed: 0 }),
                );
        const split = {
          folds,
          rows: X.rows,
          shuffle: !given && job.cv.kind === 'kfold' && job.cv.shuffle,
        };
        const groups = given ? folds + 1 : folds;
        for (const center of [true, false]) {
          const merged = partGram(session, parts, split, { groups, center, columns: X.cols });
          const whole = session.intern(ops.groupGram, [groupOf.expr, X.expr, y.expr], {
            groups,
            center,
          });
          const expected = await Matrix.of(session, whole).value();
          const value = await merged.value();
          assertClose(value, expected, 1e-12, `center ${center}`);
          if (center) assertClose(scatters(value), scatters(expected), 1e-12, 'scatter');
        }
        const weights = rand(session, X.cols + 1, 2 * folds, { seed: 5 });
        const losses = ['squared', 'absolute'];
        const inParts = partLosses(session, parts, split, weights, losses);
        const inputs = [groupOf, X, y, weights].map((one) => one.expr);
        const whole = session.intern(ops.groupLoss, inputs, { groups: folds, losses });
        assertClose(
          await inParts.value(),
          await Matrix.of(session, whole).value(),
          1e-12,
          'losses',
        );
      } finally {
        await session.close();
      }
    });
  }

  it('have fold sizes as all rows would, however the files are cut', async () => {
    folder.write('job.yaml', stringify(dailyJob));
    const job = await readJob(folder.file('job.yaml'), { overrides: [] });
    const open = await openSession('local');
    const { cv, X } = await openData(open, open.session, job, { enter: () => undefined });
    assert.ok('files' in cv && cv.files);
    const numbers = (await shuffled(open.session, cv.files, 5, 0).value()).data;
    const sizes = [0, 1, 2, 3, 4].map((fold) => numbers.filter((value) => value === fold).length);
    const small = Math.floor(X.rows / 5);
    assert.deepEqual(
      sizes,
      [0, 1, 2, 3, 4].map((fold) => small + (fold < X.rows % 5 ? 1 : 0)),
    );
    await open.session.close();
  });
});
