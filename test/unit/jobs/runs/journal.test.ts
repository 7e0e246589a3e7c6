/** Journals: what a kill leaves of them, who has a run, and what state it is in. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, ResourceError } from '../../../../driver/errors.js';
import { processToken } from '../../../../driver/support/process-token.js';
import type { Job } from '../../../../jobs/job-file/job.js';
import { parseJob } from '../../../../jobs/job-file/read-job.js';
import {
  type JournalRecord,
  journalPath,
  openJournal,
  parseJournal,
  readJournal,
} from '../../../../jobs/runs/journal.js';
import { RunJournal } from '../../../../jobs/runs/run-journal.js';
import { listRuns, overviewOf, stateOf } from '../../../../jobs/runs/run-state.js';
import { LockedError } from '../../../../jobs/setup/lock.js';

const attempt = (number: number, token = processToken()): JournalRecord => ({
  kind: 'run',
  attempt: number,
  run: '20260101T000000Z-a-1',
  name: 'a',
  startedAt: '2026-01-01T00:00:00.000Z',
  reprise: '0.1.0',
  engine: 'local',
  job: { name: 'naïve' },
  store: true,
  file: '/job.yaml',
  host: 'here',
  pid: process.pid,
  token,
});

/** A token of a process that is gone: of this boot, its id taken by another. */
const dead = processToken().replace(/^(\w+-\d+)-\d+/, '$1-1');

const waves: JournalRecord = { kind: 'waves', waves: [[0, 2], [1]], metric: 'r2' };
const trials = (wave: number, scores: readonly (number | string)[]): JournalRecord => ({
  kind: 'trials',
  wave,
  seconds: 1,
  result: {
    trials: scores.map((score, i) => ({ params: { lambda: wave + i }, scores: { r2: [score] } })),
    classRows: [[]],
  },
});

describe('journals', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-journal-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const write = async (...records: readonly JournalRecord[]): Promise<void> => {
    const writer = await openJournal(folder);
    for (const record of records) await writer.append(record);
    await writer.close();
  };
  const kindsOf = async (): Promise<string[]> =>
    ((await readJournal(folder)) ?? []).map(({ kind }) => kind);

  it('lose of a torn last record that record alone, and are taken up after it', async () => {
    await write(attempt(1, dead), waves);
    const whole = readFileSync(journalPath(folder)).length;
    await write(trials(0, [0.5, 'NaN']));
    const bytes = readFileSync(journalPath(folder));
    for (let length = whole; length < bytes.length; length++) {
      writeFileSync(journalPath(folder), bytes.subarray(0, length));
      // All but the line's end is there: the record is.
      const kept = length === bytes.length - 1 ? ['run', 'waves', 'trials'] : ['run', 'waves'];
      assert.deepEqual(await kindsOf(), kept, `cut at ${length}`);
      await write(attempt(2), trials(1, [0.25]));
      assert.deepEqual(await kindsOf(), [...kept, 'run', 'trials'], `taken up at ${length}`);
    }
  });

  it('are refused where anything else is damaged, by line', async () => {
    await write(attempt(1), waves, trials(0, [0.5, 0.25]));
    const text = readFileSync(journalPath(folder), 'utf8');
    const second = text.indexOf('\n') + 1;
    for (let at = second; at < text.indexOf('\n', second); at++) {
      const flipped = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
      assert.throws(
        () => parseJournal(flipped, 'p'),
        (error: Error) => error instanceof DataError && /record in line 2 of p/.test(error.message),
        `at ${at}`,
      );
    }
    appendFileSync(journalPath(folder), 'half a record\n');
    await assert.rejects(readJournal(folder), /record in line 4 .* run the job again/);
  });

  it('say when there is no room, and what to do', async () => {
    symlinkSync('/dev/full', journalPath(folder));
    const writer = await openJournal(folder);
    await assert.rejects(writer.append(waves), (error: Error) => {
      assert.ok(error instanceof ResourceError);
      assert.match(error.message, /got ENOSPC; make room and `reprise resume` the run/);
      return true;
    });
    await writer.close();
  });

  it('cost less than a millisecond a record beside the disk', async () => {
    const record = trials(
      0,
      Array.from({ length: 100 }, () => Math.PI),
    );
    const writer = await openJournal(folder);
    await writer.append(record);
    const began = process.cpuUsage();
    for (let i = 0; i < 50; i++) await writer.append(record);
    const { user, system } = process.cpuUsage(began);
    await writer.close();
    assert.ok((user + system) / 50 < 1000, `${(user + system) / 50} µs`);
  });

  it('tell the state of their run', async () => {
    const end = (isPartial: boolean): JournalRecord => ({ kind: 'end', isPartial });
    const state = (name: 'stopping' | 'failed' | 'lost'): JournalRecord => ({
      kind: 'state',
      state: name,
      error: 'why',
    });
    const otherMachine = processToken().replace(/^\w{8}/, '00000000');
    const [now, then] = [Date.now(), Date.now() - 3_600_000];
    const cases: readonly (readonly [string, readonly JournalRecord[], number?])[] = [
      ['running', [attempt(1)]],
      ['stopping', [attempt(1), state('stopping')]],
      ['interrupted', [attempt(1, dead)]],
      ['interrupted', [attempt(1, dead), state('stopping')]],
      ['failed', [attempt(1), state('stopping'), state('failed')]],
      ['lost', [attempt(1), state('lost')]],
      ['finished', [attempt(1), end(false)]],
      ['partial', [attempt(1), state('stopping'), end(true)]],
      ['running', [attempt(1), end(true), attempt(2)]],
      ['interrupted', [attempt(1), end(true), attempt(2, dead)]],
      ['running', [attempt(1, otherMachine)], now],
      ['interrupted', [attempt(1, otherMachine)], then],
      // Who came second withdrew.
      ['interrupted', [attempt(1, dead), attempt(2, dead), attempt(2)]],
    ];
    for (const [expected, records, touchedMs] of cases) {
      rmSync(journalPath(folder), { force: true });
      await write(...records);
      const read = (await readJournal(folder)) ?? [];
      const got = stateOf(folder, read, touchedMs).state;
      assert.equal(got, expected, JSON.stringify(records.map(({ kind }) => kind)));
    }
  });

  it('say how far a run is and the best so far, before there is a result', async () => {
    await write(attempt(1, dead), waves, { kind: 'begin', wave: 0 }, trials(0, [0.5, 'NaN']));
    const { trials: progress, best, state } = await overviewOf(folder);
    assert.deepEqual(progress, { done: 2, of: 3 });
    assert.deepEqual(best, { params: { lambda: 0 }, metric: 'r2', score: 0.5 });
    assert.equal(state, 'interrupted');
  });
});

describe('runs that are taken up', () => {
  let output: string;
  let job: Job;
  beforeEach(() => {
    output = mkdtempSync(join(tmpdir(), 'reprise-runs-'));
    const text = 'kind: grid-search\ndata: {path: d.csv, target: y}\nmodel: {type: ridge}';
    job = parseJob('job.yaml', text, { output });
  });
  afterEach(() => rmSync(output, { recursive: true, force: true }));

  const begin = () => RunJournal.begin(job, '/job.yaml', 'local');
  /** Ends as by a kill: the process of the attempt is gone. */
  const kill = async (journal: RunJournal): Promise<void> => {
    await journal.close();
    const path = journalPath(journal.folder);
    const records = parseJournal(readFileSync(path, 'utf8'), path);
    rmSync(path);
    const writer = await openJournal(journal.folder);
    for (const { at: _, ...record } of records) {
      const { sum: __, ...plain } = record as typeof record & { sum: string };
      await writer.append(
        plain.kind === 'run' ? { ...plain, token: dead } : (plain as JournalRecord),
      );
    }
    await writer.close();
  };

  it('have one process at a time, however many ask', async () => {
    const first = await begin();
    await assert.rejects(RunJournal.resume(first.folder), LockedError);
    await kill(first);
    const asked = await Promise.allSettled([1, 2, 3].map(() => RunJournal.resume(first.folder)));
    const won = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.equal(won.length, 1);
    for (const one of asked) {
      if (one.status === 'rejected') assert.ok(one.reason instanceof LockedError, one.reason);
    }
    assert.equal(won[0]!.attempt.attempt, 2);
    await won[0]!.end(0, { trials: [], classRows: [] });
    await won[0]!.close();
    assert.equal((await readJournal(first.folder))!.at(-1)!.kind, 'trials');
  });

  it('have one process at a time, whenever the others look', async () => {
    let last = await begin();
    for (let round = 2; round < 14; round++) {
      await last.failed(new Error('ended'), false);
      await last.close();
      const asked = await Promise.allSettled(
        Array.from({ length: 8 }, async (_, k) => {
          // Each a few file operations behind the one before.
          for (let i = 0; i < k * (round % 5); i++) await stat(last.folder);
          return RunJournal.resume(last.folder);
        }),
      );
      const won = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      assert.deepEqual(
        won.map(({ attempt }) => attempt.attempt),
        [round],
      );
      last = won[0]!;
    }
    await last.close();
  });

  it('set a wave aside that ended three attempts, and none that was told to stop', async () => {
    let journal = await begin();
    for (let i = 0; i < 3; i++) {
      assert.equal(journal.setAside(1), undefined);
      await journal.begin(1);
      await kill(journal);
      journal = await RunJournal.resume(journal.folder);
    }
    assert.match(journal.setAside(1) ?? '', /set aside: 3 attempts \(1, 2, 3\) ended while/);
    assert.equal(journal.setAside(0), undefined);
    for (let i = 0; i < 3; i++) {
      await journal.begin(0);
      await journal.stopping();
      await kill(journal);
      journal = await RunJournal.resume(journal.folder);
    }
    assert.equal(journal.setAside(0), undefined);
    await journal.close();
  });

  it('are refused other data than they began with, by file', async () => {
    const [a, b] = ['/a.csv', '/b.csv'].map((path) => ({ path, digest: path, bytes: 1 }));
    const same = async (): Promise<void> => undefined;
    const first = await begin();
    await first.opened('local', [a!, b!], same);
    await kill(first);
    const next = await RunJournal.resume(first.folder);
    await next.opened('local', [b!, a!], same);
    const other = { ...b!, digest: 'x' };
    await assert.rejects(
      next.opened('local', [a!, other], same),
      /expected \/b\.csv .* got other content/,
    );
    await assert.rejects(next.opened('local', [a!], same), /expected \/b\.csv .* got no such file/);
    const more = [a!, b!, { ...b!, path: '/c.csv' }];
    await assert.rejects(
      next.opened('local', more, same),
      /\/c\.csv .* got a file that was not there/,
    );
    await next.close();
  });

  it('keep nothing of data that changed while they were read', async () => {
    const journal = await begin();
    await journal.opened('local', [], () => Promise.reject(new DataError('changed')));
    await journal.begin(0);
    await assert.rejects(journal.end(0, { trials: [], classRows: [] }), /changed/);
    assert.equal(journal.hasTrials, false);
    await journal.close();
    assert.equal((await readJournal(journal.folder))!.at(-1)!.kind, 'begin');
  });

  it('are listed whatever lies beside them', async () => {
    const journal = await begin();
    writeFileSync(join(output, 'notes.txt'), '');
    const [run, ...others] = await listRuns(output);
    assert.deepEqual([run?.state, run?.process?.pid], ['running', process.pid]);
    assert.equal(others.length, 0);
    appendFileSync(journalPath(journal.folder), 'damage\n');
    const [damaged] = await listRuns(output);
    assert.deepEqual([damaged?.state, damaged?.run], ['failed', journal.attempt.run]);
    assert.match(damaged?.error ?? '', /expected a record in line 2/);
    await journal.discard();
    assert.deepEqual(await listRuns(output), []);
  });
});
