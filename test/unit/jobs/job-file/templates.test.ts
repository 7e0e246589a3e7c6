/** Templates, variables and includes: what a document is after them, and what is said of wrong ones. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { ConfigError } from '../../../../driver/errors.js';
import {
  type DocumentOptions,
  parseDocument,
  readDocument,
} from '../../../../jobs/job-file/document.js';
import { readJob } from '../../../../jobs/job-file/read-job.js';

const filled = (text: string, options: DocumentOptions = {}): Record<string, unknown> =>
  parseDocument('job.yaml', text, options).value;

function errorOf(text: string, options: DocumentOptions = {}): string {
  try {
    filled(text, options);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('expected a ConfigError');
}

describe('templates', () => {
  it('keep the type of a value that is one template whole, and are text inside a text', () => {
    const text = `
variables: {folds: 5, month: 2013-01, on: true, list: [1, 2], none: null, deep: {er: 1.5}}
a: "{{ folds }}"
b: "{{folds}} of {{ month }}, {{ on }}, {{ deep.er }}"
c: ["{{ list }}", { d: "{{ none }}" }, "{{ on }}", "{{ deep }}"]
`;
    const { variables, ...rest } = filled(text);
    assert.deepEqual(rest, {
      a: 5,
      b: '5 of 2013-01, true, 1.5',
      c: [[1, 2], { d: null }, true, { er: 1.5 }],
    });
    assert.equal((variables as { folds: number }).folds, 5);
  });

  it('take a name from the command line before the caller, and from the caller before the file', () => {
    const text = 'variables: {date: file, other: "{{ date }}!"}\na: "{{ date }}"\nb: "{{ other }}"';
    assert.deepEqual(filled(text), {
      a: 'file',
      b: 'file!',
      variables: { date: 'file', other: 'file!' },
    });
    const variables = { date: 'caller', month: 'unused' };
    assert.deepEqual(filled(text, { variables }), {
      a: 'caller',
      b: 'caller!',
      variables: { other: 'caller!', date: 'caller' },
    });
    const overrides = ['variables.date=said', 'b=x {{ date }}'];
    assert.deepEqual(filled(text, { variables, overrides }), {
      a: 'said',
      b: 'x said',
      variables: { date: 'said', other: 'said!' },
    });
    assert.equal(filled('a: "{{ x }}"', { overrides: ['variables.x=3'] }).a, 3);
  });

  it('look into what the caller hands in, and never fill that', () => {
    const variables = { previous: { date: '2013-01-30' }, text: '{{ date }}' };
    const value = filled('a: "{{ previous.date }}"\nb: "{{ text }}"', { variables });
    assert.deepEqual([value.a, value.b], ['2013-01-30', '{{ date }}']);
  });

  it('leave names that are bound later, and the section of schedules', () => {
    const text = 'variables: {x: 1}\na: "{{ steps.joined }} {{ x }}"\nschedule: {f: "{{ date }}"}';
    const { value, schedule } = parseDocument('job.yaml', text, { later: ['steps'] });
    assert.deepEqual(value, { variables: { x: 1 }, a: '{{ steps.joined }} 1' });
    assert.deepEqual(schedule, { f: '{{ date }}' });
  });

  it('read the environment, but no secrets', () => {
    process.env.OWN_FOLDS = '7';
    process.env.OWN_ZIP = '007';
    try {
      const value = filled('a: "{{ env.OWN_FOLDS }}"\nb: "{{ env.OWN_ZIP }}"');
      assert.deepEqual([value.a, value.b], [7, '007']);
    } finally {
      delete process.env.OWN_FOLDS;
      delete process.env.OWN_ZIP;
    }
    assert.match(errorOf('a: "{{ env.OWN_FOLDS }}"'), /variable OWN_FOLDS, got none; set it$/);
    for (const name of ['DB_PASSWORD', 'REPRISE_LIVY_TOKEN', 'AWS_ACCESS_KEY_ID']) {
      assert.match(errorOf(`a: "{{ env.${name} }}"`), /^job.yaml:1:4: a: expected no secret/);
    }
  });

  it('name the place of every unknown name, and the nearest known one', () => {
    const message = errorOf(
      'variables: {month: 1, a: {b: 2}}\nx:\n  y: [1, "{{ mont }}"]\nz: "{{ a.c }}"\nw: "{{ date }}"',
    );
    assert.deepEqual(message.split('\n'), [
      'job.yaml:3:10: x.y.1: expected a known name in {{ mont }}, got mont; known names: month, a.b, env.NAME',
      'job.yaml:4:4: z: expected a known name in {{ a.c }}, got a.c; known names: a.b, month, env.NAME',
      'job.yaml:5:4: w: expected a known name in {{ date }}, got date; give a date with --date 2013-01-31, or a default in `variables`',
    ]);
    const options = { overrides: ['variables.mnth=2'] };
    assert.match(
      errorOf('variables: {month: 1}\nx: 1', options),
      /^command line: variables.mnth=2: .* its variables: month$/,
    );
    assert.match(errorOf('x: "{{ toString }}"'), /expected a known name/);
    assert.match(errorOf('variables: {a: {}}\nx: "{{ a.constructor }}"'), /expected a known name/);
  });

  it('refuse circles, lists inside a text, halves of templates and names that none can have', () => {
    assert.match(
      errorOf('variables: {a: "{{ b }}", b: "x{{ a }}"}\nx: "{{ a }}"'),
      /job.yaml:1:\d+: variables\.\w: expected variables that end in a value, got a circle: /,
    );
    assert.match(errorOf('variables: {a: [1]}\nx: "n {{ a }}"'), /^job.yaml:2:4: .* got a list$/);
    assert.match(
      errorOf('x: "{{ a }"'),
      /^job.yaml:1:4: x: expected a template such as {{ name }}/,
    );
    assert.match(errorOf('x: "{{ a + 1 }}"'), /expected a template such as/);
    assert.match(errorOf('variables: {steps: 1}\nx: 1'), /^job.yaml:1:13: variables.steps: /);
    assert.match(errorOf('variables: 3'), /^job.yaml:1:12: variables: expected a mapping/);
    assert.equal(filled(`x: "{{ '{{' }} }}"`).x, '{{ }}');
  });

  it('say that YAML wants quotes round a template', () => {
    for (const text of ['x: {{ a }}', 'x: {y: b/{{ a }}.csv}', 'x: [{{ a }}]']) {
      assert.match(errorOf(text), /^job.yaml:1:.* stands in quotes: "{{ name }}"$/m, text);
    }
  });

  it('give a bounded document', () => {
    const names = Array.from(
      { length: 40 },
      (_, i) => `  v${i + 1}: ["{{ v${i} }}", "{{ v${i} }}"]`,
    );
    const message = errorOf(`variables:\n  v0: word\n${names.join('\n')}\nx: "{{ v40 }}"`);
    assert.match(message, /expected templates to give at most 1048576 characters, got more/);
  });

  it('put any text back as it was, however it is written', () => {
    const property = fc.property(fc.string({ unit: 'grapheme' }), (word) => {
      const variables = { word };
      assert.equal(filled('x: "{{ word }}"', { variables }).x, word);
      assert.equal(filled('x: "<{{ word }}>"', { variables }).x, `<${word}>`);
    });
    fc.assert(property, { numRuns: 50 });
  });
});

const JOB = `
kind: grid-search
data: {path: d.csv, target: y}
model: {type: ridge, lambda: 2}
scoring: [r2, neg_max_error]
`;

describe('included files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-include-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function files(texts: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(texts)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
  }
  const at = (name: string) => join(folder, name);
  const rejects = (name: string, expected: RegExp): Promise<void> =>
    assert.rejects(readDocument(name, { cwd: folder }), (error: Error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(error.message, expected);
      return true;
    });

  it('are merged key by key; what is said later wins, lists whole', async () => {
    files({
      'base.yaml': 'variables: {n: 1}\na: {x: 1, y: 1}\nl: [1, 2]\nd: "{{ n }}"',
      'more.yaml': 'a: {y: 2, z: 2}',
      'job.yaml': 'include: [base.yaml, more.yaml]\nvariables: {n: 9}\na: {z: 3}\nl: [3]',
    });
    const { value } = await readDocument('job.yaml', { cwd: folder });
    assert.deepEqual(value, { variables: { n: 9 }, a: { x: 1, y: 2, z: 3 }, l: [3], d: 9 });
  });

  it('start their relative paths at their own folder', async () => {
    files({
      'common/base.yaml': `${JOB}output: out\nstore: {folder: kept}`,
      'job.yaml': 'include: common/base.yaml',
      'own.yaml': 'include: common/base.yaml\ndata: {path: own.csv}',
    });
    const job = await readJob(at('job.yaml'));
    assert.deepEqual([job.data.path, job.output], [at('common/d.csv'), at('common/out')]);
    assert.equal((job.document as { store: { folder: string } }).store.folder, at('common/kept'));
    assert.equal((await readJob(at('own.yaml'))).data.path, at('own.csv'));
    const said = await readJob(at('own.yaml'), { overrides: ['data.path=s3a://b/x'], cwd: folder });
    assert.equal(said.data.path, 's3a://b/x');
    assert.equal('include' in (job.document as object), false);
  });

  it('are named in problems by their own lines', async () => {
    files({
      'base/model.yaml': '# first\nmodel:\n  type: ridge\n  lambda: -1\n',
      'job.yaml': `include: base/model.yaml\n${JOB.replace(/model.*/, '')}refit: nothing\n`,
    });
    await assert.rejects(readJob('job.yaml', { cwd: folder }), (error: Error) => {
      assert.deepEqual(error.message.split('\n'), [
        'base/model.yaml:4:11: model.lambda: expected a number of at least 0, got -1',
      ]);
      return true;
    });
    files({ 'base/model.yaml': 'model: {type: ridge, lambda: "{{ lamda }}"}' });
    await rejects('job.yaml', /^base\/model.yaml:1:30: model.lambda: expected a known name/);
    files({ 'base/model.yaml': 'model: {type: ridge' });
    await rejects('job.yaml', /^base\/model.yaml:1:20: expected YAML/);
  });

  it('are refused where they are missing, include each other, or are not files', async () => {
    files({
      'missing.yaml': 'a: 1\ninclude: [none.yaml]',
      'self.yaml': 'include: sub/other.yaml',
      'sub/other.yaml': 'include: ../link.yaml',
      'folder.yaml': 'include: sub',
      'list.yaml': 'include: just-list.yaml',
      'just-list.yaml': '[1]',
      'template.yaml': 'include: "{{ a }}.yaml"',
      'number.yaml': 'include: 3',
    });
    symlinkSync(at('self.yaml'), at('link.yaml'));
    await rejects('missing.yaml', /^missing.yaml:2:11: include: expected a YAML file, got no such/);
    await rejects('self.yaml', /^sub\/other.yaml:1:10: .* does not include this one, got ..\/link/);
    await rejects('folder.yaml', /got a folder$/);
    await rejects('list.yaml', /^just-list.yaml:1:1: expected a mapping/);
    await rejects('template.yaml', /expected a path without templates/);
    await rejects('number.yaml', /expected a path without templates, got 3/);
    files(
      Object.fromEntries(
        Array.from({ length: 12 }, (_, i) => [`d${i}.yaml`, `include: d${i + 1}.yaml`]),
      ),
    );
    await rejects('d0.yaml', /expected at most 10 files one in another, got more/);
    await assert.rejects(
      readDocument('self.yaml', { cwd: folder, overrides: ['include=x.yaml'] }),
      /command line: include=x.yaml: expected a key other than include/,
    );
  });

  it('leave what a run records without templates, and a resumed document as it is', async () => {
    files({
      'job.yaml': `${JOB}variables: {folds: 4}\ncv: {folds: "{{ folds }}"}\nname: "{{ '{{' }}"`,
    });
    const job = await readJob(at('job.yaml'));
    const document = job.document as { readonly cv: object; readonly name: string };
    assert.equal((document.cv as { folds: number }).folds, 4);
    assert.equal(document.name, '{{');
    const { parseJob } = await import('../../../../jobs/job-file/read-job.js');
    assert.equal(parseJob('x', JSON.stringify(document), { isRecorded: true }).name, '{{');
  });
});
