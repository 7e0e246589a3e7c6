/** `reprise lineage`, `diff`, `why` and `replay` as users see them: two runs with a change. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';

describe('lineage on the command line', () => {
  let folder: JobFolder;
  beforeEach(() => {
    folder = new JobFolder();
    mkdirSync(folder.file('data'));
    const [head, ...rows] = linearCsv(200).trim().split('\n');
    folder.write('data/a.csv', `${[head, ...rows.slice(0, 100)].join('\n')}\n`);
    folder.write('data/b.csv', `${[head, ...rows.slice(100)].join('\n')}\n`);
    folder.job({ data: { path: 'data', target: 'y' }, cv: { folds: 3, shuffle: true, seed: 7 } });
  });
  afterEach(() => folder.remove());

  const call = async (...args: string[]) => {
    const result = await reprise(args, { cwd: folder.path, env: { REPRISE_STORE: 'off' } });
    return { ...result, text: result.stdout + result.stderr };
  };
  const run = async (...overrides: string[]): Promise<string> => {
    const { code, stdout, stderr } = await call(
      'run',
      'job.yaml',
      '--engine',
      'local',
      '--json',
      '-q',
      ...overrides,
    );
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout).run as string;
  };
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await call(...args, '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

  /** Operators of a run by step number. */
  const stepsOf = async (id: string): Promise<Map<number, string>> => {
    const text = readFileSync(join(folder.file('runs'), id, 'lineage.json'), 'utf8');
    const lineage = JSON.parse(text) as { id: number; op: string }[];
    return new Map(lineage.map(({ id: number, op }) => [number, op]));
  };

  /** The number of the first step of an operator. */
  const stepNamed = async (id: string, name: string): Promise<string> => {
    const [found] = [...(await stepsOf(id))].find(([, op]) => op === name) ?? [];
    return String(found);
  };

  it('prints the steps of a run, and one in full with its files', async () => {
    const id = await run();
    const { code, stdout, stderr } = await call('lineage', id);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /results: gram #\d+, losses #\d+, coefficients #\d+, intercept #\d+/);
    assert.match(stdout, /#\d+ groupGram\{.*\} \(#\d+, #\d+, #\d+\) .* computed on cpu/);
    const frame = await call('lineage', id, '--step', 'frame');
    assert.match(frame.stdout, /file +data\/a\.csv \(100 rows/);
    assert.match(frame.stdout, /file +data\/b\.csv \(100 rows/);
    assert.match(stdout, /#\d+ frame\{data\/a\.csv\} \(\) 100x3 {2}source/);
    // Each file is shuffled within itself, by a seed of its own.
    const folds = await json('lineage', id, '--step', 'kfold');
    const seeds = folds.map(({ attrs }: { attrs: Record<string, unknown> }) => {
      const { files, first, ...rest } = attrs as { files: number[][]; first: number };
      assert.deepEqual(rest, { folds: 3, rows: 100 });
      assert.equal(files.length, 1);
      assert.equal(files[0]![0], 100);
      return files[0]![1];
    });
    assert.equal(new Set(seeds).size, 2);
    const missing = await call('lineage', id, '--step', '99999');
    assert.equal(missing.code, 3);
    assert.match(missing.stderr, /expected a step number from 1 to \d+, one of gram, losses/);
  });

  it('says that a step was never seen, then which setting changed it', async () => {
    const first = await run();
    const never = await json('why', first, 'gram');
    assert.equal(never.verdict, 'never-seen');
    const second = await run('cv.seed=8');
    const why = await call('why', second, 'gram');
    assert.match(
      why.stdout,
      /changed\n {2}cv\.seed 7 -> 8 changes kfold\ncompared with .*, step \d+/,
    );
    assert.ok(why.stdout.includes(first));
    const difference = await json('diff', first, second);
    assert.deepEqual(difference.settings, [{ path: 'cv.seed', before: 7, after: 8 }]);
    assert.deepEqual(
      difference.causes.map(({ cause }: { cause: string }) => cause),
      ['cv.seed 7 -> 8 changes kfold'],
    );
    assert.equal(difference.causes[0].steps.length, difference.newSteps);
    // Same job, other folds: every new step stands in the place of one that is gone, of the same
    // operator.
    assert.equal(difference.aligned.length, difference.newSteps);
    assert.equal(difference.goneSteps, difference.newSteps);
    const [firstSteps, secondSteps] = await Promise.all([stepsOf(first), stepsOf(second)]);
    for (const { op, before, after } of difference.aligned) {
      assert.equal(firstSteps.get(before), op);
      assert.equal(secondSteps.get(after), op);
    }
    const places = difference.aligned.map(({ before }: { before: number }) => before);
    assert.equal(new Set(places).size, places.length, 'a step has one place');
    const text = await call('diff', first, second);
    assert.match(text.stdout, /settings\n {2}cv\.seed 7 -> 8\n/);
    assert.match(
      text.stdout,
      /steps of the first: \d+ are not in the second, where \d+ new ones have the place of an old one \(\w+ #\d+ that of #\d+, say\)/,
    );
    assert.match(text.stdout, /\d+ steps anew: .*solve x10/);
  });

  it('names the data file that changed, came or went', async () => {
    const first = await run();
    const rows = readFileSync(folder.file('data/b.csv'), 'utf8');
    folder.write('data/b.csv', rows.replace(/\n[^\n]*\n$/, '\n0.5,0.5,1.5\n'));
    const second = await run();
    const changed = await json('why', second, 'gram');
    assert.deepEqual(changed.reasons, ['data file data/b.csv: content changed']);
    folder.write('data/c.csv', rows.replace(/\n[^\n]*\n$/, '\n0.25,0.5,1.5\n'));
    const third = await run();
    const added = await json('why', third, 'losses');
    assert.ok(added.reasons.includes('data file data/c.csv: added'), `${added.reasons}`);
    const back = await json('diff', third, first);
    const causes = back.causes.map(({ cause }: { cause: string }) => cause);
    assert.ok(causes.includes('data file data/c.csv: removed'), `${causes}`);
    assert.ok(causes.includes('data file data/b.csv: content changed'), `${causes}`);
  });

  it('knows a penalty added to the grid from all that stays', async () => {
    const first = await run();
    const second = await run('search.grid.lambda=[0.01, 1, 100, 5]');
    const difference = await json('diff', first, second);
    assert.equal(difference.causes.length, 1, JSON.stringify(difference.causes));
    assert.match(
      difference.causes[0].cause,
      /^search\.grid\.lambda \[0\.01,1,100\] -> \[0\.01,1,100,5\] changes scalar$/,
    );
    assert.ok(difference.sameSteps > difference.newSteps);
    const third = await run('search.grid.lambda={linspace: [1, 9, 5]}');
    const ranged = (await json('diff', first, third)).causes;
    assert.ok(
      ranged.some(({ cause }: { cause: string }) =>
        /search\.grid\.lambda.* changes scalar$/.test(cause),
      ),
      JSON.stringify(ranged),
    );
    const gram = await json('why', second, 'gram');
    assert.equal(gram.verdict, 'not-kept');
    assert.match(gram.reasons[0], /has the same step .* kept no results beyond its process/);
  });

  it('tells three runs apart: why looks for the very step, then at the latest; diff at any two', async () => {
    const first = await run();
    const second = await run('cv.seed=8');
    const third = await run();
    // Not that the seed changed since the second run: the first has the step, and kept nothing.
    const why = await json('why', third, 'gram');
    assert.deepEqual([why.verdict, why.comparedWith], ['not-kept', first]);
    const fourth = await run('cv.seed=9');
    const changed = await json('why', fourth, 'gram');
    assert.deepEqual([changed.verdict, changed.comparedWith], ['changed', third]);
    assert.deepEqual(changed.reasons, ['cv.seed 7 -> 9 changes kfold']);
    // A job of another name may share steps.
    folder.job({
      name: 'renamed',
      data: { path: 'data', target: 'y' },
      cv: { folds: 3, shuffle: true, seed: 8 },
    });
    const renamed = await json('why', await run(), 'gram');
    assert.deepEqual([renamed.verdict, renamed.comparedWith], ['not-kept', second]);
    const same = await json('diff', first, third);
    assert.deepEqual([same.newSteps, same.goneSteps, same.aligned, same.causes], [0, 0, [], []]);
    const there = await json('diff', first, second);
    const back = await json('diff', second, first);
    assert.equal(there.newSteps, back.goneSteps);
    assert.equal(there.sameSteps, back.sameSteps);
    // A run replays by itself, whatever came after it.
    const replay = await call('replay', first, '--engine', 'reference');
    assert.equal(replay.code, 0, replay.text);
  });

  it('names causes and not what follows from them', async () => {
    const causesOf = async (from: string, to: string) => {
      const { causes } = await json('diff', from, to);
      return causes.map(({ cause }: { cause: string }) => cause);
    };
    const whole = await run('data.features=[a, b]');
    // Shapes, ranges of rows and places of columns follow in most steps.
    const one = await run('data.features=[a]');
    assert.deepEqual(await causesOf(whole, one), [
      'data.features ["a","b"] -> ["a"] changes encode',
    ]);
    const folds = await run('data.features=[a]', 'cv.folds=4');
    assert.deepEqual(await causesOf(one, folds), ['cv.folds 3 -> 4 changes kfold']);
    const fewer = await json('diff', folds, one);
    const places = fewer.aligned.map(({ before }: { before: number }) => before);
    assert.equal(new Set(places).size, places.length, 'a step has one place');
    const more = await json('diff', one, folds);
    const again = more.aligned.map(({ before }: { before: number }) => before);
    assert.equal(new Set(again).size, again.length, 'a step has one place');
    assert.ok(more.newSteps > more.aligned.length);
  });

  it('says what two runs answered and how far their scores are apart', async () => {
    const first = await run();
    const same = await json('diff', first, await run());
    assert.deepEqual(same.scores, { compared: 3 * 3 * 2, difference: 0 });
    const other = await call('diff', first, await run('cv.seed=8'));
    assert.equal(other.code, 0, other.text);
    assert.match(other.stdout, /^first {3}\S+ on local, best lambda [\d.]+: \w+ -?[\d.]+\n/);
    assert.match(
      other.stdout,
      /\nscores {2}18 of the same candidates .* apart by at most [\de.-]+\n/,
    );
    const folds = await json('diff', first, await run('cv.folds=4'));
    assert.equal(folds.scores, null);
  });

  it('says when a step was reused, and when the store had lost it', async () => {
    const store = { REPRISE_STORE: folder.file('store') };
    const stored = async () => {
      const args = ['run', 'job.yaml', '--engine', 'local', '--json', '-q'];
      const { code, stdout, stderr } = await reprise(args, { cwd: folder.path, env: store });
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout).run as string;
    };
    await stored();
    const second = await stored();
    // Sums over a file are kept however fast they were; what merges them is too cheap.
    const sums = await stepNamed(second, 'groupGram');
    const gram = await json('why', second, sums);
    assert.deepEqual(gram.verdict, 'reused');
    assert.match(gram.reasons[0], /reused from the durable store/);
    const kfold = await json('why', second, await stepNamed(second, 'kfold'));
    assert.match(kfold.reasons[0], /not needed: the steps that read it were reused/);
    const merge = await json('why', second, 'gram');
    assert.equal(merge.verdict, 'not-kept', JSON.stringify(merge));
    assert.match(merge.reasons[0], /has the same step .* was not kept: it (took|is so little)/);
    // The run's folder may be somebody else's, and what it names anything.
    const args = ['replay', second, '--engine', 'reference', '--step', sums];
    const unopened = await call(...args);
    assert.equal(unopened.code, 0, unopened.text);
    assert.doesNotMatch(unopened.stdout, /in the store/);
    assert.match(unopened.stdout, /note: the run kept values in ".*store", which is not opened/);
    const replay = await reprise(args, { cwd: folder.path, env: store });
    assert.equal(replay.code, 0, replay.stderr);
    assert.match(replay.stdout, /\(groupGram\) in the store: \d+ compared, agree/);
    rmSync(folder.file('store'), { recursive: true });
    const third = await stored();
    const why = await json('why', third, await stepNamed(third, 'groupGram'));
    assert.equal(why.verdict, 'evicted', JSON.stringify(why));
  });

  for (const engine of ['reference', 'local'])
    it(`replays a run on the ${engine} backend to the same scores and model`, async () => {
      const id = await run();
      const { code, stdout, text } = await call('replay', id, '--engine', engine, '--json');
      assert.equal(code, 0, text);
      const replay = JSON.parse(stdout);
      const counts = replay.compared.map((c: { what: string; count: number }) => [c.what, c.count]);
      assert.deepEqual(counts, [
        ['scores', 3 * 3 * 2],
        ['coefficients', 2],
        ['intercept', 1],
      ]);
      for (const { difference } of replay.compared) assert.ok(difference <= 1e-10, stdout);
      const number = await stepNamed(id, 'kfold');
      const step = await call('replay', id, '--engine', engine, '--step', number);
      assert.equal(step.code, 0, step.text);
      // 100 rows in folds 0, 1, 2 of 34, 33 and 33.
      assert.match(step.stdout, /\(kfold\): 100x1, sum 99\n/);
      assert.match(step.stdout, /stored no value of this step/);
    });

  it('ends with exit code 4 when the stored scores or coefficients are not what the lineage gives', async () => {
    const id = await run();
    const path = join(folder.file('runs'), id, 'result.json');
    const text = readFileSync(path, 'utf8');
    const result = JSON.parse(text);
    result.search.trials[1].splitScores.r2[2] += 1e-6;
    writeFileSync(path, JSON.stringify(result));
    const scores = await call('replay', id);
    assert.equal(scores.code, 4, scores.text);
    assert.match(scores.stdout, /scores: 18 compared, differ, most at r2, candidate 1, fold 2/);
    assert.match(scores.stdout, /coefficients: 2 compared, agree/);
    const other = JSON.parse(text);
    other.search.model.coefficients[0][1] *= 1.001;
    writeFileSync(path, JSON.stringify(other));
    const model = await call('replay', id, '--step', 'coefficients');
    assert.equal(model.code, 4, model.text);
    assert.match(model.stdout, /coefficients: 2 compared, differ, most at b/);
  });

  it('refuses to replay over other data, naming the file, and without a lineage', async () => {
    const id = await run();
    const before = readFileSync(folder.file('data/b.csv'), 'utf8');
    folder.write('data/b.csv', before.replace('\n', '\n1,1,1\n'));
    const changed = await call('replay', id);
    assert.equal(changed.code, 3, changed.text);
    assert.match(changed.stderr, /expected .*data\/b\.csv as the run read it .* other content/);
    folder.write('data/b.csv', before);
    assert.equal((await call('replay', id, '--step', 'gram')).code, 0);
    const program = join(folder.file('runs'), id, 'program.json');
    const text = readFileSync(program, 'utf8');
    const stored = JSON.parse(text);
    const lines = inflateRawSync(Buffer.from(stored.lineage.nodes, 'base64')).toString();
    assert.match(lines, /"folds":3/);
    const others = deflateRawSync(lines.replace('"folds":3', '"folds":2')).toString('base64');
    const damaged = { ...stored, lineage: { ...stored.lineage, nodes: others } };
    writeFileSync(program, JSON.stringify(damaged));
    const other = await call('replay', id);
    assert.notEqual(other.code, 0);
    assert.match(other.stderr, /expected lineage keys of digest .* damaged/);
    const whole = JSON.parse(text);
    writeFileSync(program, JSON.stringify({ ...whole, outputs: { ...whole.outputs, gram: 1e6 } }));
    const lost = await call('replay', id);
    assert.equal(lost.code, 3, lost.text);
    assert.match(
      lost.stderr,
      /expected the lineage of the run .* got no root 1000000 for its gram/,
    );
    writeFileSync(program, '{');
    const none = await call('lineage', id);
    assert.equal(none.code, 3, none.text);
    assert.match(none.stderr, /expected the lineage of the run in .*program\.json/);
  });
});
