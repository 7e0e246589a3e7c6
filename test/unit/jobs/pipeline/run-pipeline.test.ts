/** Pipelines: what runs, what is skipped and why, what a failure stops and what is gone on with. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { overviewOf } from '../../../../jobs/runs/run-state.js';
import { LockedError } from '../../../../jobs/setup/lock.js';
import { PipelineFolder } from '../../../support/pipeline-folder.js';

/** A command with its files. */
const command = (run: string, inputs: readonly unknown[], ...outputs: string[]): object => ({
  run,
  inputs,
  outputs,
});
const of = (step: string) => ({ step });

describe('pipelines', function () {
  this.timeout(60_000);
  let folder: PipelineFolder;
  beforeEach(() => {
    folder = new PipelineFolder();
  });
  afterEach(() => folder.remove());

  describe('of commands', () => {
    const chain = (upper = 'tr a-z A-Z < sorted.txt > upper.txt') => ({
      sorted: command('sort words.txt > sorted.txt', ['words.txt'], 'sorted.txt'),
      upper: command(upper, [of('sorted')], 'upper.txt'),
      count: command('wc -l < upper.txt > count.txt', [of('upper')], 'count.txt'),
    });

    it('do each step once, and none again while nothing changes', async () => {
      folder.write('words.txt', 'b\na\n');
      const first = await folder.runSteps(chain());
      assert.deepEqual(first.begun, ['sorted', 'upper', 'count']);
      assert.equal(folder.read('upper.txt'), 'A\nB\n');
      const second = await folder.runSteps(chain());
      assert.deepEqual([second.begun, second.result.state], [[], 'finished']);
      const why = `same inputs and parameters as in ${first.result.run}`;
      assert.deepEqual(second.whys, { sorted: why, upper: why, count: why });
      assert.deepEqual(
        second.result.steps.map(({ from }) => from),
        Array(3).fill(first.result.run),
      );
    });

    it('skip nothing under settings of reuse that keep no steps', async () => {
      folder.write('words.txt', 'b\na\n');
      await folder.runSteps(chain());
      const all = ['sorted', 'upper', 'count'];
      const off = await folder.runSteps(chain(), { reuse: 'off' });
      assert.deepEqual(off.begun, all);
      assert.equal(off.whys.count, 'the setting of reuse skips nothing');
      const steps = await folder.runSteps(chain(), { reuse: 'steps' });
      assert.deepEqual(steps.begun, []);
    });

    it('run what changed and what reads other content for it, and say why', async () => {
      folder.write('words.txt', 'b\na\n');
      const { result } = await folder.runSteps(chain());
      folder.write('words.txt', 'b\na\nc\n');
      const second = await folder.runSteps(chain());
      assert.deepEqual(second.begun, ['sorted', 'upper', 'count']);
      assert.deepEqual(second.whys, {
        sorted: `input words.txt changed since ${result.run}`,
        upper: `sorted left other content since ${result.run}`,
        count: `upper left other content since ${result.run}`,
      });
      // Other words, the same lines in the end: what follows is left alone.
      folder.write('words.txt', 'c\na\nb\n');
      const third = await folder.runSteps(chain());
      assert.deepEqual(third.begun, ['sorted']);
      const fourth = await folder.runSteps(chain('tr a-z A-Z < sorted.txt | cat > upper.txt'));
      assert.deepEqual(fourth.begun, ['upper']);
      assert.equal(fourth.whys.upper, `parameter run changed since ${second.result.run}`);
    });

    it('run again what lost its output or has another one by now', async () => {
      folder.write('words.txt', 'b\na\n');
      const { result } = await folder.runSteps(chain());
      rmSync(folder.file('upper.txt'));
      const second = await folder.runSteps(chain());
      assert.deepEqual(second.begun, ['upper']);
      assert.equal(
        second.whys.upper,
        `output ${folder.file('upper.txt')} is gone since ${result.run}`,
      );
      folder.write('sorted.txt', 'somebody else\n');
      const third = await folder.runSteps(chain());
      assert.deepEqual(third.begun, ['sorted']);
      assert.equal(
        third.whys.sorted,
        `output ${folder.file('sorted.txt')} changed since ${result.run}`,
      );
      assert.equal(folder.read('sorted.txt'), 'a\nb\n');
    });

    it('read nothing that somebody changed after its step left it', async () => {
      folder.write('words.txt', 'b\na\n');
      const { sorted, upper } = chain();
      const meddle = command('sleep 0.01; echo z >> sorted.txt', []);
      const steps = {
        sorted,
        meddle: { ...meddle, after: ['sorted'] },
        upper: { ...upper, after: ['meddle'] },
      };
      const { states, whys } = await folder.runSteps(steps);
      assert.equal(states.upper, 'failed');
      assert.match(whys.upper!, /expected .*sorted.txt as step sorted left it, got other content/);
      assert.equal((await folder.runSteps(chain())).result.state, 'finished');
      assert.equal(folder.read('upper.txt'), 'A\nB\n');
    });

    it('run a step always where it says so, and what follows only for other content', async () => {
      folder.write('words.txt', 'b\na\n');
      const { sorted, ...others } = chain();
      const steps = { sorted: { ...sorted, always: true }, ...others };
      await folder.runSteps(steps);
      const { begun, whys } = await folder.runSteps(steps);
      assert.deepEqual([begun, whys.sorted], [['sorted'], 'it always runs']);
    });

    it('run steps that do not need each other at once, at most as many as they may', async () => {
      // Each waits for what the other writes.
      const meet = (own: string, other: string) =>
        command(`touch ${own}; while [ ! -e ${other} ]; do sleep 0.01; done`, [], own);
      const both = { a: meet('a.txt', 'b.txt'), b: meet('b.txt', 'a.txt') };
      assert.equal((await folder.runSteps(both)).result.state, 'finished');
      const alone = command('[ ! -e busy ] && touch busy && sleep 0.05 && rm busy', []);
      const { result } = await folder.runSteps({ a: alone, b: alone, c: alone }, { parallel: 1 });
      assert.equal(result.state, 'finished');
    });

    const failing = (mode: string) => ({
      bad: { ...command('exit 3', []), on_failure: mode },
      after: { ...command('true', []), after: ['bad'] },
      later: { ...command('true', []), after: ['after'] },
      other: command('touch other.txt', [], 'other.txt'),
    });

    it('go on with what a failed step does not stop', async () => {
      const { states, result, whys } = await folder.runSteps(failing('stop'));
      assert.deepEqual(states, {
        bad: 'failed',
        after: 'not-run',
        later: 'not-run',
        other: 'done',
      });
      assert.match(whys.bad!, /exit code 3/);
      assert.deepEqual([whys.after, whys.later], ['bad failed', 'after did not run']);
      assert.equal(result.state, 'failed');
      const shown = await overviewOf(result.path);
      assert.deepEqual(
        [shown.kind, shown.state, shown.error, shown.steps],
        ['pipeline', 'failed', '1 of 4 steps failed: bad', { done: 1, of: 4, running: [] }],
      );
    });

    it('run what follows a failure where that may be, but nothing that reads of it', async () => {
      const steps = {
        ...failing('continue'),
        reader: command('cat none.txt', [of('writer')]),
        writer: { ...command('exit 1', [], 'none.txt'), on_failure: 'warn' },
      };
      const { states, whys, result } = await folder.runSteps(steps);
      assert.equal(result.state, 'failed');
      assert.deepEqual([states.after, states.later, states.reader], ['done', 'done', 'not-run']);
      assert.equal(whys.reader, 'writer failed and left nothing to read');
      const warned = await folder.runSteps(failing('warn'));
      assert.deepEqual([warned.result.state, warned.states.after], ['finished', 'skipped']);
    });

    it('resume after a failure without doing again what was done', async () => {
      folder.write('words.txt', 'b\na\n');
      const steps = {
        ...chain('[ -e mended ] && tr a-z A-Z < sorted.txt > upper.txt'),
        always: { ...command('echo once >> log.txt', []), always: true },
      };
      const first = await folder.runSteps(steps);
      assert.deepEqual(first.states, {
        sorted: 'done',
        upper: 'failed',
        count: 'not-run',
        always: 'done',
      });
      folder.write('mended', '');
      // What the file says by now does not matter.
      folder.write('nightly.yaml', 'kind: pipeline\nsteps: {}\n');
      const { begun, result, states } = await folder.resume(first.result.run);
      assert.deepEqual(begun, ['upper', 'count']);
      assert.deepEqual(Object.values(states), Array(4).fill('done'));
      assert.deepEqual(
        [result.state, result.attempts, result.run],
        ['finished', 2, first.result.run],
      );
      assert.equal(folder.read('log.txt'), 'once\n');
      assert.equal((await overviewOf(result.path)).state, 'finished');
    });

    it('try again as often as a step may be, and no oftener', async () => {
      const third = 'echo x >> tries.txt; [ $(wc -l < tries.txt) -ge 3 ]';
      const enough = await folder.runSteps({ a: { ...command(third, []), retries: 2 } });
      assert.deepEqual([enough.states.a, enough.result.steps[0]!.tries], ['done', 3]);
      folder.write('tries.txt', '');
      const short = await folder.runSteps({
        a: { ...command('echo y >> tries.txt; exit 1', []), retries: { times: 1, delay: '1ms' } },
      });
      assert.equal(short.states.a, 'failed');
      assert.equal(folder.read('tries.txt'), 'y\ny\n');
    });

    it('try again with its inputs as they are then', async () => {
      folder.write('words.txt', 'a\n');
      // The first try changes what it reads: nothing that it left counts.
      const once = '[ -e once ] || { touch once; echo b >> words.txt; }; cat words.txt > copy.txt';
      const steps = { a: { ...command(once, ['words.txt'], 'copy.txt'), retries: 1 } };
      const { states, events } = await folder.runSteps(steps);
      assert.equal(states.a, 'done');
      assert.match(JSON.stringify(events), /try 1 of 2: .*words.txt to stay as it was/);
      assert.deepEqual((await folder.runSteps(steps)).begun, []);
    });

    it('stop a step that takes longer than it may', async () => {
      const { states, whys } = await folder.runSteps({
        slow: { ...command('sleep 60', []), timeout: '50ms' },
      });
      assert.equal(states.slow, 'failed');
      assert.match(whys.slow!, /^step slow: expected to end within 50ms, got no end/);
    });

    it('stop when told to, keep what is done, and resume from there', async () => {
      const stop = new AbortController();
      const steps = {
        quick: command('touch quick.txt', [], 'quick.txt'),
        slow: { ...command('[ -e mended ] || sleep 60', []), after: ['quick'] },
        last: { ...command('true', []), after: ['slow'] },
      };
      const { states, result } = await folder.runSteps(
        steps,
        {},
        {
          signal: stop.signal,
          onEvent: (event) => {
            if (event.kind !== 'step' || event.step !== 'slow') return;
            if (event.state === 'running') stop.abort(new Error('stop'));
          },
        },
      );
      assert.deepEqual(states, { quick: 'done', slow: 'stopped', last: 'stopped' });
      assert.equal((await overviewOf(result.path)).state, 'partial');
      folder.write('mended', '');
      const { begun } = await folder.resume(result.run);
      assert.deepEqual(begun, ['slow', 'last']);
    });

    it('leave what was there in place when a step fails, and nothing half written', async () => {
      folder.write('n.csv', 'n\n1\n2\n');
      const steps = (sql: string) => ({ a: { sql, inputs: { t: 'n.csv' }, output: 'out/a.csv' } });
      await folder.runSteps(steps('select n from t'));
      const before = folder.read('out/a.csv');
      const { states } = await folder.runSteps(steps("select cast('x' || n as int) from t"));
      assert.equal(states.a, 'failed');
      assert.equal(folder.read('out/a.csv'), before);
    });

    it('replace no folder that has other things in it', async () => {
      folder.write('n.csv', 'n\n1\n');
      mkdirSync(folder.file('mine.csv'));
      folder.write('mine.csv/notes.txt', 'kept');
      const { states, whys } = await folder.runSteps({
        a: { sql: 'select n from t', inputs: { t: 'n.csv' }, output: 'mine.csv' },
        b: { write: { path: 'n.csv' }, to: 'mine' },
      });
      assert.deepEqual(states, { a: 'failed', b: 'done' });
      assert.match(
        whys.a!,
        /expected a file or nothing at .*mine.csv, got a folder with notes.txt/,
      );
      assert.equal(folder.read('mine.csv/notes.txt'), 'kept');
      folder.write('mine/notes.txt', 'kept');
      folder.write('n.csv', 'n\n1\n2\n');
      const second = await folder.runSteps({ b: { write: { path: 'n.csv' }, to: 'mine' } });
      assert.match(
        second.whys.b!,
        /nothing but what the step writes at .*mine, got a folder with n/,
      );
      rmSync(folder.file('mine/notes.txt'));
      const third = await folder.runSteps({ b: { write: { path: 'n.csv' }, to: 'mine' } });
      assert.equal(third.states.b, 'done');
    });

    it('refuse a second run while one is under way, which leaves no folder', async () => {
      const stop = new AbortController();
      const steps = { slow: command('sleep 60', []) };
      let second: Promise<unknown> | undefined;
      await folder.runSteps(
        steps,
        {},
        {
          signal: stop.signal,
          onEvent: (event) => {
            if (event.kind !== 'step' || event.state !== 'running') return;
            second = folder.runSteps({ other: command('true', []) });
            void second.catch(() => undefined).then(() => stop.abort());
          },
        },
      );
      await assert.rejects(second!, (error: Error) => {
        assert.ok(error instanceof LockedError, error.stack);
        assert.match(
          error.message,
          /expected no other run of this pipeline, got .* running in process/,
        );
        return true;
      });
      assert.equal(folder.runs().length, 1);
      assert.equal(
        (await folder.runSteps({ other: command('true', []) })).result.state,
        'finished',
      );
    });

    it('keep what they leave to their user, with no umask at all', async () => {
      const umask = process.umask(0);
      try {
        await folder.runSteps({ a: command('echo a > a', [], 'a') });
      } finally {
        process.umask(umask);
      }
      assert.equal(statSync(folder.file('.reprise')).mode & 0o777, 0o700);
    });

    it('keep nothing for later runs where none is to be kept', async () => {
      folder.write('n.csv', 'n\n1\n2\n');
      const steps = { a: { sql: 'select n + 1 as m from t', inputs: { t: 'n.csv' } } };
      const options = { store: false };
      const first = await folder.runSteps(steps, {}, options);
      const second = await folder.runSteps(steps, {}, options);
      assert.deepEqual([first.begun, second.begun], [['a'], ['a']]);
      assert.ok(second.result.steps[0]!.outputs[0]!.path.startsWith(second.result.path));
      assert.equal(folder.has('.reprise'), false);
    });

    it('say before they run where each step will', async () => {
      folder.write('n.csv', 'n\n1\n');
      const sql = 'select n from t';
      const { steps } = await folder.plan({
        rows: { sql, inputs: { t: 'n.csv' }, output: 'rows.csv' },
        far: { sql, inputs: { t: of('rows') }, engine: 'spark', output: 'table://far' },
        sane: { check: of('rows'), rows: { min: 1 } },
        there: { check: of('far'), rows: { min: 1 } },
        out: { write: of('rows'), to: 'table://out' },
        copy: { write: of('far'), to: 'copy.parquet' },
        last: { write: of('rows'), to: 'last.parquet' },
      });
      assert.deepEqual(Object.fromEntries(steps.map(({ step, where }) => [step, where])), {
        rows: 'here',
        far: 'spark',
        sane: 'here',
        there: 'spark',
        out: 'spark',
        copy: 'spark',
        last: 'here',
      });
    });

    it('say before they run what will, and write nothing for it', async () => {
      folder.write('words.txt', 'b\na\n');
      const plans = async (steps: Parameters<typeof folder.plan>[0]) =>
        (await folder.plan(steps)).steps.map(({ plan }) => plan);
      assert.deepEqual(await plans(chain()), ['run', 'wait', 'wait']);
      assert.equal(folder.has('.reprise'), false);
      await folder.runSteps(chain());
      assert.deepEqual(await plans(chain()), ['skip', 'skip', 'skip']);
      assert.deepEqual(await plans(chain('cat sorted.txt > upper.txt')), ['skip', 'run', 'wait']);
      rmSync(folder.file('words.txt'));
      assert.deepEqual(await plans(chain()), ['fail', 'wait', 'wait']);
    });
  });
});
