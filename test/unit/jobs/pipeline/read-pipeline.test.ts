/** Pipeline files: what they say, the order of their steps, and every problem with its place. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ConfigError } from '../../../../driver/errors.js';
import {
  parsePipeline,
  type ReadPipelineOptions,
  readPipeline,
} from '../../../../jobs/pipeline/read-pipeline.js';

const HEAD = 'kind: pipeline\nsteps:\n';

/** Steps that copy files, `to: from..`, in the order given. */
const copies = (steps: Readonly<Record<string, string>>): string =>
  HEAD +
  Object.entries(steps)
    .map(([name, keys]) => `  ${name}: {run: "true", ${keys}}\n`)
    .join('');

describe('pipeline files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-pipeline-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const parse = (text: string, options: ReadPipelineOptions = {}) =>
    parsePipeline('nightly.yaml', text, { cwd: folder, ...options });
  const problems = async (text: string, options?: ReadPipelineOptions): Promise<string> => {
    let message = '';
    await assert.rejects(parse(text, options), (error: Error) => {
      assert.ok(error instanceof ConfigError, error.stack);
      message = error.message;
      return true;
    });
    return message;
  };

  it('order steps by what they read, by `after` and by templates, else as they stand', async () => {
    const pipeline = await parse(
      `${copies({
        last: 'after: [third]',
        third: 'inputs: [{step: second}]',
        second: 'outputs: [b.txt], environment: {FROM: "{{ steps.first }}"}',
        first: 'outputs: [a.txt]',
        alone: 'outputs: [c.txt]',
      })}parallel: 3\n`,
    );
    const order = pipeline.steps.map(({ name }) => name);
    assert.deepEqual(order, ['first', 'second', 'third', 'last', 'alone']);
    assert.deepEqual(
      pipeline.steps.map(({ needs, reads }) => [needs, reads]),
      [
        [[], []],
        [['first'], ['first']],
        [['second'], ['second']],
        [['third'], []],
        [[], []],
      ],
    );
    assert.equal(pipeline.parallel, 3);
    assert.equal(pipeline.name, 'nightly');
    assert.equal(pipeline.folder, folder);
  });

  it('take what every step may have', async () => {
    const keys =
      'retries: {times: 2, delay: 30s}, timeout: 10m, on_failure: warn, always: true, after: []';
    const [step, plain] = (await parse(copies({ a: keys, b: 'retries: 1' }))).steps;
    const { retries, retryDelayMs, timeoutMs, onFailure, isAlways } = step!;
    assert.deepEqual(
      [retries, retryDelayMs, timeoutMs, onFailure, isAlways],
      [2, 30_000, 600_000, 'warn', true],
    );
    assert.deepEqual(
      [plain!.retries, plain!.retryDelayMs, plain!.timeoutMs, plain!.onFailure, plain!.isAlways],
      [1, 0, undefined, 'stop', false],
    );
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    [
      'no steps',
      'kind: pipeline\nsteps: {}',
      /^nightly.yaml:2:8: steps: expected at least one step/,
    ],
    [
      'a key of a pipeline mistyped',
      'kind: pipeline\nstep: {}\nsteps: {a: {run: x}}',
      /^nightly.yaml:2:1: step: expected a known key, got `step`; did you mean `steps`\?/,
    ],
    ['a list of steps', 'kind: pipeline\nsteps: [a]', /steps: expected a mapping, got \["a"\]/],
    [
      'a name that is none',
      `${HEAD}  1 a: {run: x}`,
      /^nightly.yaml:3:3: steps.1 a: expected a name of letters, .*got "1 a"$/,
    ],
    [
      'a step of no kind',
      `${HEAD}  a: {comand: x}`,
      /^nightly.yaml:3:3: steps.a: expected one of the keys .*run.*, got comand$/,
    ],
    [
      'a key of a step mistyped',
      copies({ a: 'retrys: 3' }),
      /^nightly.yaml:3:20: steps.a.retrys: expected a known key, got `retrys`; did you mean `retries`\?/,
    ],
    [
      'no length of time',
      copies({ a: 'timeout: 10' }),
      /^nightly.yaml:3:29: steps.a.timeout: expected text, got 10/,
    ],
    [
      'a number with more digits than it is handed over with',
      `${HEAD}  a: {run: [seq, 20261201000000000001]}\n`,
      /^nightly.yaml:3:18: steps.a.run.1: expected .*at most 15 digits, or text in quotes.*, got 2/,
    ],
    ['no length of time in a text', copies({ a: 'timeout: soon' }), /a length of time such as 30s/],
    [
      'an unknown step to wait for',
      copies({ joined: '', b: 'after: [joind]' }),
      /^nightly.yaml:4:27: steps.b.after: expected a step of this pipeline, got joind; its steps: joined/,
    ],
    [
      'an unknown step to read',
      copies({ joined: 'outputs: [a]', b: 'inputs: [{step: joind}]' }),
      /^nightly.yaml:4:29: steps.b.inputs.0: expected a step of this pipeline, got joind/,
    ],
    [
      'a step that leaves nothing to read',
      copies({ a: '', b: 'inputs: [{step: a}]' }),
      /steps.b.inputs.0: expected a step that leaves something to read, got a$/,
    ],
    [
      'an unknown output',
      copies({ a: 'outputs: {table: t}', b: 'inputs: [{step: a, output: tabel}]' }),
      /steps.b.inputs.0: expected an output of a, got tabel; it has table$/,
    ],
    [
      'a key mistyped where a job reads what a step left',
      `${copies({ a: 'outputs: [a]' })}  s: {job: {}, with: {data.path: {step: a, outptu: a}}}\n`,
      /^nightly.yaml:4:44: steps.s.with.data.path.outptu: expected a known key, .*mean `output`\?/,
    ],
    [
      'a template of a step where data are named',
      `${copies({ a: 'outputs: [a]' })}  b: {write: "{{ steps.a }}", to: "{{steps.a}}.csv"}\n`,
      /^nightly.yaml:4:14: steps.b.write: expected .* of commands only, got \{\{ steps.a \}\}; .* \{step: NAME\}\n.*steps.b.to: expected/,
    ],
    [
      'a template of a step in a query, and outside of steps',
      `output: "{{ steps.a }}"\n${copies({ a: 'outputs: [a]' })}  b: {sql: "select '{{ steps.a }}'"}\n`,
      /^nightly.yaml:1:9: output: .* commands only.*\nnightly.yaml:5:12: steps.b.sql: .* commands only/,
    ],
    [
      'a template of an output that has no name',
      `${copies({ a: 'outputs: [a.txt]' })}  b: {run: "cat {{ steps.a.a.txt }}"}\n`,
      /^nightly.yaml:4:12: steps.b.run: expected \{\{ steps.NAME \}\} or .*, got \{\{ steps.a.a.txt \}\}; name outputs/,
    ],
    [
      'a circle',
      copies({ a: 'after: [c]', b: 'after: [a]', c: 'after: [b]', d: 'after: [c]' }),
      /^nightly.yaml:3:3: steps.a: expected steps that wait for others without a circle, got a -> c -> b -> a$/,
    ],
    [
      'a step that waits for itself',
      copies({ a: 'after: [a]' }),
      /expected steps that wait for others without a circle, got a -> a$/,
    ],
    [
      'two steps that write one file',
      copies({ a: 'outputs: [out/x]', b: 'outputs: [out/../out/x]' }),
      /^nightly.yaml:4:30: steps.b.outputs.0: expected a place of its own, got one that a writes too: /,
    ],
    [
      'a step that writes into what another writes',
      copies({ a: 'outputs: [out]', b: 'outputs: [out/x]' }),
      /steps.b.outputs.0: expected a place of its own, got one that a writes too/,
    ],
    [
      'a path that another step writes',
      copies({ a: 'outputs: [x.csv]', b: 'inputs: [x.csv]' }),
      /steps.b.inputs.0: expected \{step: a\}, which writes there, got the path .*x\.csv$/,
    ],
    [
      'a glob that takes in what another step writes',
      copies({ a: 'outputs: [data/new.csv]', b: 'inputs: ["data/*.csv"]' }),
      /steps.b.inputs.0: expected \{step: a\}, which writes there/,
    ],
    [
      'a step that reads what it writes',
      copies({ a: 'inputs: [data], outputs: [data/new.csv]' }),
      /steps.a.inputs.0: expected data that this step does not write itself/,
    ],
  ];
  for (const [what, text, message] of wrong) {
    it(`are refused with the place: ${what}`, async () => {
      assert.match(await problems(text), message);
    });
  }

  it('list the problems of all steps', async () => {
    const text = copies({ a: 'timeout: 1', b: 'always: 2', c: 'retries: -1' });
    assert.match(await problems(text), /^nightly.yaml:3:.*\nnightly.yaml:4:.*\nnightly.yaml:5:/);
  });

  const JOB = {
    kind: 'grid-search',
    data: { path: 'data.csv', target: 'y' },
    model: { type: 'ridge' },
    search: { grid: { lambda: [1, 2] } },
  };
  const jobIn = (name: string, job: object = JOB): void => {
    mkdirSync(join(folder, 'jobs'), { recursive: true });
    writeFileSync(join(folder, 'jobs', name), stringify(job));
  };

  it('read job files from their own folder, with settings and variables', async () => {
    jobIn('search.yaml', { ...JOB, variables: { folds: 3 }, cv: { folds: '{{ folds }}' } });
    const text = `variables: {folds: 7}\n${HEAD}  s: {job: jobs/search.yaml, with: {data.target: z}}\n`;
    const [step] = (await parse(text)).steps;
    const { inputs, parameters, outputs } = step!.work;
    assert.deepEqual(inputs[0]!.from, { path: join(folder, 'jobs', 'data.csv') });
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['model', 'results'],
    );
    const { cv, data } = parameters as { cv: { folds: number }; data: { target: string } };
    assert.deepEqual([cv.folds, data.target], [7, 'z']);
  });

  it('say what is wrong with a job where it stands', async () => {
    jobIn('search.yaml', { ...JOB, model: { type: 'rigde' } });
    assert.match(
      await problems(`${HEAD}  s: {job: jobs/search.yaml}\n`),
      /^.*jobs\/search.yaml:6:9: model.type: expected one of .*did you mean ridge/,
    );
    jobIn('search.yaml');
    assert.match(
      await problems(`${HEAD}  s: {job: jobs/search.yaml, with: {cv.folds: none}}\n`),
      /^nightly.yaml:3:47: steps.s.with.cv.folds: expected .*got "none"/,
    );
    assert.match(
      await problems(`${HEAD}  s: {job: jobs/search.yaml, with: {data: {path: 5, target: y}}}\n`),
      /^nightly.yaml:3:50: steps.s.with.data.path: expected text, got 5/,
    );
    assert.match(
      await problems(
        `${HEAD}  s:\n    job: {data: {path: d.csv, target: y}, model: {type: rigde}}\n`,
      ),
      /^nightly.yaml:4:57: steps.s.job.model.type: expected one of/,
    );
    assert.match(
      await problems(`${HEAD}  s: {job: jobs/none.yaml}\n`),
      /none.yaml: expected a job file, got no such file/,
    );
  });

  it('take paths of the command line from the folder that it is in, by names and positions', async () => {
    const text = copies({ list: 'outputs: [a.txt]', named: 'outputs: {0: b.txt, 1: c.txt}' });
    writeFileSync(join(folder, 'nightly.yaml'), text);
    const { steps } = await readPipeline(join(folder, 'nightly.yaml'), {
      cwd: tmpdir(),
      overrides: ['steps.list.outputs.0=x.txt', 'steps.named.outputs.0=y.txt'],
    });
    assert.deepEqual(
      steps.flatMap(({ work }) => work.outputs.map(({ path }) => path)),
      [join(tmpdir(), 'x.txt'), join(tmpdir(), 'y.txt'), join(folder, 'c.txt')],
    );
  });

  it('are the same pipeline when read from what a run recorded', async () => {
    jobIn('search.yaml');
    mkdirSync(join(folder, 'shared'));
    writeFileSync(
      join(folder, 'shared/base.yaml'),
      `${HEAD}  old: {run: "true", inputs: [there.txt], outputs: [left.txt]}\n`,
    );
    writeFileSync(
      join(folder, 'nightly.yaml'),
      `include: shared/base.yaml\nkind: pipeline\nvariables: {n: 5}\nsteps:\n  s: {job: jobs/search.yaml, with: {cv.folds: "{{ n }}", data.path: {step: own}}}\n  own: {run: "cat {{ steps.old }}", outputs: [own.csv]}\n`,
    );
    const first = await readPipeline(join(folder, 'nightly.yaml'), {
      cwd: tmpdir(),
      overrides: ['steps.own.outputs=[/tmp/own.csv]'],
    });
    rmSync(join(folder, 'jobs'), { recursive: true });
    rmSync(join(folder, 'shared'), { recursive: true });
    const again = await parsePipeline('nightly.yaml', stringify(first.document), {
      cwd: folder,
      isRecorded: true,
    });
    const shape = ({ steps }: typeof first) =>
      steps.map(({ name, needs, work: { inputs, outputs, parameters } }) => {
        const from = inputs.map((input) => input.from);
        return { name, needs, from, outputs: outputs.map(({ path }) => path), parameters };
      });
    assert.deepEqual(shape(again), shape(first));
    assert.deepEqual(shape(first)[0]!.from, [{ path: join(folder, 'shared', 'there.txt') }]);
  });
});
