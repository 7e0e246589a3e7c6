/** Secrets: where they come from, and that they stand nowhere else. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadSettings } from '../../../../jobs/config/current.js';
import { effectiveSettings } from '../../../../jobs/config/effective.js';
import { secretSource } from '../../../../jobs/config/secret-schema.js';
import { isSecretSource, readSecret } from '../../../../jobs/config/secrets.js';
import { livySettings } from '../../../../spark-bridge/livy/settings.js';
import { JOB, SettingsFolder } from '../../../support/settings-folder.js';

const SECRET = 'open-sesame-4711';

describe('settings that are secrets', () => {
  const at = new SettingsFolder();
  beforeEach(() => at.begin());
  afterEach(() => at.end());

  it('come from the environment, a file or a command', async () => {
    at.files({ 'project/token.txt': `${SECRET}-file\n` });
    const script = join(at.project, 'print.sh');
    at.files({ 'project/print.sh': `#!/bin/sh\necho ${SECRET}-command` });
    chmodSync(script, 0o700);
    at.set({ OWN: `${SECRET}-own`, REPRISE_LIVY_URL: 'http://localhost:1' });
    const tokens: unknown[] = [];
    for (const source of ['{env: OWN}', '{file: token.txt}', '{command: [./print.sh]}']) {
      at.settings(`livy: {token: ${source}}`);
      await loadSettings(at.project);
      const { auth } = livySettings().connection;
      tokens.push(auth?.type === 'bearer' && typeof auth.token === 'function' && auth.token());
    }
    assert.deepEqual(
      tokens,
      ['own', 'file', 'command'].map((end) => `${SECRET}-${end}`),
    );
  });

  it('come from the same places in settings files as in jobs, whose schema says them again', () => {
    const words = (count: number): string[] => Array.from({ length: count }, () => 'w');
    const right = [
      { env: 'A' },
      { file: 'f'.repeat(4096) },
      { command: ['p'] },
      { command: words(100) },
    ];
    const wrong = [
      ...[null, undefined, 'env', 3, [], ['env'], {}, { env: '' }, { env: 3 }, { env: ['A'] }],
      ...[{ file: 'f'.repeat(4097) }, { env: 'A', file: 'f' }, { ENV: 'A' }, { step: 's' }],
      ...[{ command: 'p' }, { command: [] }, { command: words(101) }, { command: ['p', ''] }],
      ...[{ command: [3] }, { command: { 0: 'p' } }, { command: ['p'], env: 'A' }],
    ];
    for (const value of [...right, ...wrong]) {
      const isRight = right.some((one) => one === value);
      const said = JSON.stringify(value)?.slice(0, 80);
      assert.equal(isSecretSource(value), isRight, said);
      assert.equal(secretSource.safeParse(value).success, isRight, said);
    }
  });

  it('are refused in the open, wherever they stand', async () => {
    const open = [
      `livy: {password: ${SECRET}}`,
      `livy: {url: "http://ann:${SECRET}@h:1"}`,
      `spark: {conf: {spark.hadoop.fs.s3a.secret.key: ${SECRET}}}`,
    ];
    for (const text of open) {
      at.settings(text);
      await assert.rejects(loadSettings(at.project), (error: Error) => {
        assert.match(error.message, /expected (where the secret is|an address without a password)/);
        assert.doesNotMatch(error.message, new RegExp(SECRET));
        return true;
      });
    }
    at.settings('');
    const job = at.jobIn(`${JOB}spark: {conf: {spark.hadoop.fs.s3a.secret.key: ${SECRET}}}`);
    await assert.rejects(job, /^ConfigError: .*job\.yaml:4:\d+: .*got a value; say \{env: NAME\}/);
    const overrides = [`spark.conf.spark.hadoop.fs.s3a.secret.key=${SECRET}`];
    await assert.rejects(at.jobIn(JOB, { overrides }), (error: Error) => {
      assert.match(error.message, /^command line: .*=\*\*\*: .*expected where the secret is/);
      assert.doesNotMatch(error.message, new RegExp(SECRET));
      return true;
    });
  });

  it('are not: classes, switches and files whose names speak of secrets', async () => {
    const conf = {
      'spark.hadoop.fs.s3a.aws.credentials.provider':
        'org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider',
      'spark.security.credentials.hive.enabled': 'false',
      'spark.kubernetes.authenticate.oauthTokenFile': '/run/token',
      'spark.kubernetes.driver.secretKeyRef.X': 'name:key',
      'spark.kubernetes.driver.secrets.store': '/etc/secrets',
    };
    const job = await at.jobIn(`${JOB}spark: ${JSON.stringify({ conf })}`);
    assert.deepEqual(job.spark?.conf, conf);
  });

  it('never stand in what is shown, and no command runs for that', async () => {
    const ran = join(at.project, 'ran');
    at.set({
      REPRISE_LIVY_PASSWORD: SECRET,
      OWN: SECRET,
      REPRISE_LIVY_URL: `http://ann:${SECRET}@h:1`,
    });
    at.settings(
      `livy: {token: {command: [touch, ${ran}]}}\nspark: {conf: {spark.x.secret: {env: OWN}}}`,
    );
    const shown = await effectiveSettings(at.project);
    assert.doesNotMatch(JSON.stringify(shown), new RegExp(SECRET));
    const by = Object.fromEntries(
      shown.settings.map(({ key, value, origin }) => [key, [value, origin]]),
    );
    assert.deepEqual(by['livy.password'], ['***', 'environment REPRISE_LIVY_PASSWORD']);
    assert.equal(by['livy.url']?.[0], 'http://ann:***@h:1');
    assert.match(String(by['livy.token']?.[1]), /^command touch, by .*reprise\.yaml:1:8$/);
    assert.match(String(by['spark.conf.spark.x.secret']?.[1]), /^environment OWN, by /);
    assert.equal(existsSync(ran), false);
  });

  it('that are not there say where they were looked for, and nothing of what came', () => {
    const read = (source: Parameters<typeof readSecret>[0]) => () =>
      readSecret(source, 'k', at.root);
    assert.throws(
      read({ env: 'NOT_SET' }),
      /^ConfigError: k: expected the environment variable NOT_SET, got none; set it$/,
    );
    assert.throws(read({ file: 'none' }), /k: expected a file with a secret, got ENOENT at /);
    const failing = ['sh', '-c', `echo ${SECRET}; exit 3`];
    assert.throws(read({ command: failing }), (error: Error) => {
      assert.equal(error.message, 'k: expected the command sh to print a secret, got exit code 3');
      return true;
    });
    assert.throws(read({ command: ['no-such-program'] }), /got ENOENT$/);
    assert.throws(
      read({ command: ['true'] }),
      /expected a secret, got an empty text from command true/,
    );
  });
});
