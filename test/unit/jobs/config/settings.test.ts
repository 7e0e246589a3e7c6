/** Settings: who says what, which files count, and what is said of wrong ones. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../../driver/errors.js';
import { env, settingName } from '../../../../driver/support/env.js';
import { memorySetting, setMemory } from '../../../../driver/support/memory.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { loadSettings, storeSetting } from '../../../../jobs/config/current.js';
import { nestedVariable, SETTINGS } from '../../../../jobs/config/settings.js';
import { settingsCheck } from '../../../../jobs/doctor/settings-check.js';
import { parseDocument } from '../../../../jobs/job-file/document.js';
import { sparkWay } from '../../../../spark-bridge/submit/settings.js';
import { reprise } from '../../../support/cli.js';
import { JOB, SettingsFolder } from '../../../support/settings-folder.js';

describe('settings', () => {
  const at = new SettingsFolder();
  beforeEach(() => at.begin());
  afterEach(() => at.end());

  it('hold by the first that says them: environment, project, user, default', async () => {
    const origins = async (): Promise<unknown[]> => {
      const found = await at.held('memory');
      return [found?.value, found?.origin, env.memory()];
    };
    assert.deepEqual(await origins(), [null, 'default', undefined]);
    at.user('memory: 3GiB');
    const file = join(at.root, 'user/reprise/config.yaml');
    assert.deepEqual(await origins(), ['3GiB', `${file}:1:1`, '3GiB']);
    at.settings('log: info\nmemory: 4GiB');
    assert.deepEqual(await origins(), ['4GiB', `${at.project}/reprise.yaml:2:1`, '4GiB']);
    setMemory(undefined);
    assert.equal(memorySetting().bytes, 4 * 2 ** 30);
    at.set({ REPRISE_MEMORY: '5GiB' });
    assert.deepEqual(await origins(), ['5GiB', 'environment REPRISE_MEMORY', '5GiB']);
  });

  it('are found beside a job or above it, as far as its project goes', async () => {
    at.settings('threads: 3');
    at.files({ 'reprise.yaml': 'threads: 9', 'project/a/b/job.yaml': '' });
    assert.equal(
      (await loadSettings(join(at.project, 'a/b'))).files.project,
      `${at.project}/reprise.yaml`,
    );
    at.files({ 'project/a/.git/HEAD': '' });
    assert.equal((await loadSettings(join(at.project, 'a/b'))).files.project, undefined);
    at.set({ REPRISE_CONFIG: join(at.root, 'reprise.yaml') });
    await loadSettings(at.project);
    assert.equal(env.threads(), '9');
    at.set({ REPRISE_CONFIG: 'off' });
    await loadSettings(at.project);
    assert.equal(env.threads(), undefined);
    at.set({ REPRISE_CONFIG: join(at.root, 'none.yaml') });
    await assert.rejects(loadSettings(at.project), /REPRISE_CONFIG: expected a settings file/);
  });

  it('are the ground of a job, which is stronger, and below the environment', async () => {
    at.user('max_failures: 9\nspark: {conf: {spark.a: 1, spark.b: 1}}');
    at.settings(
      'output: out\nstore: {folder: kept, size: 1GiB}\nspark: {conf: {spark.b: 2, spark.c: 2}}',
    );
    const plain = await at.jobIn(JOB);
    assert.equal(plain.output, join(at.project, 'out'));
    assert.deepEqual(plain.store, {
      folder: join(at.project, 'kept/store'),
      project: join(at.project, 'kept'),
      maxBytes: 2 ** 30,
    });
    assert.equal(plain.search.maxFailures, 9);
    assert.deepEqual(plain.spark?.conf, { 'spark.a': '1', 'spark.b': '2', 'spark.c': '2' });
    const own = await at.jobIn(
      `${JOB}output: own\nstore: {size: 2GiB}\nsearch: {max_failures: 1}\nspark: {conf: {spark.c: 3}}`,
    );
    assert.equal(own.output, join(at.project, 'jobs/own'));
    assert.equal(own.store?.maxBytes, 2 ** 31);
    assert.equal(own.search.maxFailures, 1);
    assert.equal(own.spark?.conf?.['spark.c'], '3');
    assert.equal((await at.jobIn(`${JOB}store: false`)).store, null);
    at.set({
      REPRISE_OUTPUT: 'said',
      REPRISE_MAX_FAILURES: '2',
      REPRISE_STORE: join(at.root, 's'),
    });
    at.set({ REPRISE_SPARK__CONF: '{spark.c: 4}' });
    const said = await at.jobIn(`${JOB}output: own\nsearch: {max_failures: 1}`);
    assert.equal(said.output, join(at.root, 'said'));
    assert.equal(said.search.maxFailures, 2);
    assert.deepEqual(said.store, { folder: join(at.root, 's') });
    assert.equal(said.spark?.conf?.['spark.c'], '4');
    const flags = { output: 'flag', overrides: ['search.max_failures=3'] };
    const flagged = await at.jobIn(JOB, flags);
    assert.deepEqual([flagged.output, flagged.search.maxFailures], [join(at.root, 'flag'), 3]);
    at.set({ REPRISE_MAX_FAILURES: 'many' });
    await assert.rejects(
      at.jobIn(JOB),
      /^ConfigError: environment: REPRISE_MAX_FAILURES: search\.max_failures: expected a number, got "many"/,
    );
  });

  it('are the ground of a pipeline too, by the keys that it has', async () => {
    at.settings('output: out\nmax_failures: 2\nparallel: 5');
    await loadSettings(at.project);
    at.set({ REPRISE_MAX_FAILURES: '3' });
    const { value } = parseDocument('p.yaml', 'kind: pipeline', { cwd: at.project });
    assert.deepEqual(value, { kind: 'pipeline', output: join(at.project, 'out'), parallel: 5 });
  });

  it('of a document are those of its own project, whatever folder a command works in', async () => {
    at.user('output: of-user');
    at.files({ 'other/reprise.yaml': 'output: theirs', 'other/package.json': '{}' });
    at.settings('output: ours');
    await loadSettings(at.project);
    const outputOf = (folder: string) =>
      parseDocument('x.yaml', 'kind: pipeline', { cwd: join(at.root, folder) }).value.output;
    assert.deepEqual(
      [outputOf('project'), outputOf('other'), outputOf('.')],
      [
        join(at.project, 'ours'),
        join(at.root, 'other/theirs'),
        join(at.root, 'user/reprise/of-user'),
      ],
    );
  });

  it('hand Java and Spark on to the programs that look for them', async () => {
    delete process.env.JAVA_HOME;
    at.settings('spark: {java: jdk}');
    await loadSettings(at.project);
    for (const given of [env.forSpark(), env.forChild()]) {
      assert.equal(given.JAVA_HOME, join(at.project, 'jdk'));
    }
  });

  it('of the store hold for commands without a job', async () => {
    at.settings('store: false');
    await loadSettings(at.project);
    assert.equal(storeSetting(), false);
    at.settings('store: {folder: kept, days: 3}');
    await loadSettings(at.project);
    assert.deepEqual(storeSetting(), { folder: join(at.project, 'kept') });
    assert.equal(env.storeDays(), '3');
  });

  it('have one variable by their key, which must not say otherwise than the old one', async () => {
    at.set({ REPRISE_LIVY__URL: 'http://h:1', REPRISE_STORE__SIZE: '3GiB' });
    assert.deepEqual(
      [(await at.held('livy.url'))?.origin, env.livyUrl(), env.storeBytes()],
      ['environment REPRISE_LIVY__URL', 'http://h:1', '3GiB'],
    );
    assert.equal(settingName('REPRISE_LIVY_URL'), 'REPRISE_LIVY__URL');
    at.set({ REPRISE_LIVY_URL: 'http://other:1' });
    await assert.rejects(
      loadSettings(at.project),
      /one by REPRISE_LIVY_URL and another by REPRISE_LIVY__URL/,
    );
    const variables = SETTINGS.flatMap(({ key, variable }) => [variable, nestedVariable(key)]);
    assert.equal(
      new Set(variables).size,
      new Set(SETTINGS.map(({ key }) => key)).size + countOld(),
    );
  });

  it('hold no copy of a variable that is unset or said otherwise later', async () => {
    at.settings('threads: 3');
    at.set({ REPRISE_STORE: 'off', REPRISE_THREADS: '2' });
    await loadSettings(at.project);
    assert.deepEqual([env.store(), env.threads()], [false, '2']);
    delete process.env.REPRISE_STORE;
    delete process.env.REPRISE_THREADS;
    assert.deepEqual([env.store(), env.threads()], [undefined, '3']);
  });

  const countOld = (): number =>
    SETTINGS.filter(({ key, variable }) => variable !== nestedVariable(key)).length;

  it('are all in docs/configuration.md', () => {
    const page = readFileSync(join(packageRoot(), 'docs/configuration.md'), 'utf8');
    const missing = SETTINGS.filter(
      ({ key, variable, fallback }) =>
        !new RegExp(`\\| \`${key}\` \\|.*\\| ${fallback} \\| \`${variable}\``).test(page),
    );
    assert.deepEqual(missing, []);
  });

  it('that are wrong are all told, with their places and the nearest names', async () => {
    at.settings(
      [
        'engin: local',
        'memory: lots',
        'store:',
        '  sise: 1GiB',
        '  days: -1',
        'threads: {a: 1}',
        'livy: 3',
        'spark: {conf: {spark.sql.ansi.enabled: true}}',
        'placement: here',
      ].join('\n'),
    );
    await assert.rejects(loadSettings(at.project), (error: Error) => {
      assert.ok(error instanceof ConfigError);
      const place = (place: string): string => `${at.project}/reprise.yaml:${place}`;
      assert.deepEqual(error.message.split('\n'), [
        place('1:1: engin: expected a known setting, got `engin`; did you mean `engine`?'),
        place('2:1: memory: expected a size such as 8GiB, or a share such as 50%, got "lots"'),
        place(
          '4:3: store.sise: expected a known setting, got `store.sise`; did you mean `store.size`?',
        ),
        place('5:3: store.days: expected a number of days, got -1'),
        place('6:1: threads: expected a whole number, got {"a":1}'),
        place('7:1: livy: expected a mapping with keys such as livy.url, got 3'),
        place(
          '8:16: spark.conf.spark.sql.ansi.enabled: expected no setting that may change what expressions mean, got `spark.sql.ansi.enabled`; remove it',
        ),
        place('9:1: placement: expected one of cost, local, blocks, devices, got "here"'),
      ]);
      return true;
    });
    at.settings('[1, 2]');
    await assert.rejects(loadSettings(at.project), /expected a mapping of settings, got \[1,2\]$/);
    at.settings('');
    const { said } = await loadSettings(at.project);
    assert.deepEqual(
      said.filter(({ level }) => level !== 'environment'),
      [],
    );
  });

  it('are named as the source of what is wrong with them later', async () => {
    at.settings('livy: {url: "http://h:1"}\nspark: {master: yarn}');
    await loadSettings(at.project);
    assert.throws(
      () => sparkWay(),
      (error: Error) => {
        const file = `${at.project}/reprise.yaml`;
        assert.match(
          error.message,
          new RegExp(`spark\\.master in ${file}:2:9 and livy\\.url in ${file}:1:8`),
        );
        return true;
      },
    );
  });

  it('refuse a project file of another user', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const { chownSync } = await import('node:fs');
    at.settings('threads: 3');
    chownSync(join(at.project, 'reprise.yaml'), 1234, 1234);
    process.seteuid?.(0);
    const { getuid } = process;
    process.getuid = () => 4321;
    try {
      await assert.rejects(
        loadSettings(at.project),
        /expected a file of this user, got one of user 1234/,
      );
    } finally {
      process.getuid = getuid;
    }
    return undefined;
  });

  it('are told by doctor, and variables that name none', async () => {
    at.settings('threads: 3');
    const { cwd } = process;
    process.cwd = () => at.project;
    try {
      at.set({ REPRISE_STROE: 'off' });
      assert.deepEqual(await settingsCheck(), {
        name: 'settings',
        status: 'degraded',
        found: join(at.project, 'reprise.yaml'),
        remedy:
          'correct or unset REPRISE_STROE (did you mean REPRISE_STORE?): no setting has that name',
      });
      at.settings('x: 1');
      assert.equal((await settingsCheck()).status, 'missing');
    } finally {
      process.cwd = cwd;
    }
  });

  describe('on the command line', () => {
    it('are told of by every command when a variable names none', async () => {
      const env = { REPRISE_STROE: 'off' };
      const { code, stderr } = await reprise(['runs', 'ls'], { cwd: at.project, env });
      assert.equal(code, 0, stderr);
      assert.match(
        stderr,
        /^warning: environment: .* got REPRISE_STROE \(did you mean REPRISE_STORE\?\)/m,
      );
      const right = await reprise(['runs', 'ls'], { cwd: at.project });
      assert.doesNotMatch(right.stderr, /warning/);
    });

    it('are shown, got and placed; flags stay stronger', async () => {
      at.settings('engine: local\nthreads: 3\noutput: results');
      at.files({
        'project/d.csv': 'x,y\n1,2\n2,4\n3,6\n4,8.5\n5,10\n6,12\n',
        'project/job.yaml': JOB,
      });
      const options = { cwd: at.project, env: { REPRISE_STORE: 'off', REPRISE_THREADS: '' } };
      const shown = await reprise(['config', 'show', '--origin', '--json'], options);
      const { settings: found } = JSON.parse(shown.stdout);
      assert.equal(found.engine.origin, `${at.project}/reprise.yaml:1:1`);
      assert.equal((await reprise(['config', 'get', 'threads'], options)).stdout, '3\n');
      const unknown = await reprise(['config', 'get', 'thread'], options);
      assert.deepEqual([unknown.code, unknown.stdout], [3, '']);
      assert.match(unknown.stderr, /known settings: threads/);
      assert.equal(
        (await reprise(['config', 'path'], options)).stdout,
        `${at.project}/reprise.yaml\n`,
      );
      const run = await reprise(['run', 'project/job.yaml', 'cv.folds=3'], {
        ...options,
        cwd: at.root,
      });
      assert.equal(run.code, 0, run.stderr);
      assert.match(run.stderr, /^engine: local \(asked for\)/m);
      assert.match((await reprise(['runs', 'ls'], options)).stdout, /finished/);
      at.files({ 'project/reprise.yaml': 'engine: spork' });
      const wrong = await reprise(['run', 'job.yaml'], options);
      assert.equal(wrong.code, 3);
      assert.match(wrong.stderr, /reprise\.yaml:1:1: engine: expected one of auto, local, spark/);
      const env = { ...options.env, REPRISE_ENGINE: 'spork', REPRISE_CONFIG: 'off' };
      const byEnvironment = await reprise(['run', 'job.yaml'], { ...options, env });
      assert.match(
        byEnvironment.stderr,
        /REPRISE_ENGINE: expected one of auto, local, spark, got "spork"/,
      );
    }).timeout(60_000);
  });
});
