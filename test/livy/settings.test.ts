/** What users say by REPRISE_LIVY_*: taken, refused with the key to change, and never shown. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { livySettings } from '../../spark-bridge/livy/settings.js';

describe('livy settings', () => {
  const before = { ...process.env };
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-settings-'));
    for (const key of Object.keys(process.env)) {
      if (key.startsWith('REPRISE_LIVY_')) delete process.env[key];
    }
    process.env.REPRISE_LIVY_URL = 'https://livy.example.org';
  });
  afterEach(() => {
    process.env = { ...before };
    rmSync(folder, { recursive: true });
  });
  const set = (values: Readonly<Record<string, string>>): void => {
    for (const [key, value] of Object.entries(values)) process.env[`REPRISE_LIVY_${key}`] = value;
  };

  it('need an address', () => {
    delete process.env.REPRISE_LIVY_URL;
    assert.throws(() => livySettings(), /set REPRISE_LIVY_URL/);
  });

  it('are a session, the best channel that is allowed, and no credentials by default', () => {
    const { connection, mode, channelMode, allow, spec, jar, storage } = livySettings();
    assert.deepEqual(connection, { url: 'https://livy.example.org' });
    assert.deepEqual([mode, channelMode, allow.isEmpty], ['session', 'auto', true]);
    assert.deepEqual([spec, jar, storage], [{}, undefined, undefined]);
  });

  it('say who we are', async () => {
    set({ USER: 'ann', PASSWORD: 'sesame' });
    assert.deepEqual(livySettings().connection.auth, {
      type: 'basic',
      username: 'ann',
      password: 'sesame',
    });
    set({ TOKEN: 'first' });
    const { auth } = livySettings().connection;
    assert.ok(auth?.type === 'bearer' && typeof auth.token === 'function');
    assert.equal(await auth.token(), 'first');
    set({ TOKEN: 'second' });
    assert.equal(await auth.token(), 'second', 'a token that was renewed is taken');
    set({ AUTH: 'spnego', PROXY_USER: 'bob' });
    assert.deepEqual(livySettings().connection.auth, { type: 'spnego' });
    assert.equal(livySettings().spec.proxyUser, 'bob');
  });

  it('say where, how and with what', () => {
    const spec = join(folder, 'spec.json');
    writeFileSync(spec, '{"driverMemory": "4g", "numExecutors": 8, "conf": {"a": "b"}}');
    writeFileSync(join(folder, 'ca.pem'), 'PEM');
    set({
      CHANNEL: 'direct',
      MODE: 'batch',
      ALLOW: '10.0.0.0/8',
      SPEC: spec,
      CA: join(folder, 'ca.pem'),
      JAR: 'hdfs:///jars/shim.jar',
      STORAGE: '/mnt/shared=hdfs:///shared',
    });
    const settings = livySettings();
    assert.deepEqual(settings.spec, { driverMemory: '4g', numExecutors: 8, conf: { a: 'b' } });
    assert.equal(settings.connection.ca, 'PEM');
    assert.deepEqual([settings.mode, settings.channelMode], ['batch', 'direct']);
    assert.ok(settings.allow.allows('10.1.1.1'));
    assert.deepEqual(settings.jar, { by: 'uri', uri: 'hdfs:///jars/shim.jar' });
    assert.equal(settings.storage?.folderUri, 'hdfs:///shared');
  });

  const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ CHANNEL: 'fast' }, /REPRISE_LIVY_CHANNEL: expected auto, direct, statements, got "fast"/],
    [{ MODE: 'x' }, /REPRISE_LIVY_MODE/],
    [{ AUTH: 'magic' }, /REPRISE_LIVY_AUTH/],
    [{ AUTH: 'basic', USER: 'ann' }, /REPRISE_LIVY_PASSWORD/],
    [{ AUTH: 'bearer' }, /REPRISE_LIVY_TOKEN/],
    [{ CA: '/no/such.pem' }, /REPRISE_LIVY_CA: expected a file/],
    [{ SPEC: '/no/such.json' }, /REPRISE_LIVY_SPEC: expected a file/],
    [{ STORAGE: 'relative' }, /REPRISE_LIVY_STORAGE: expected an absolute path/],
    [{ ALLOW: '10.0.0.0/99' }, /REPRISE_LIVY_ALLOW/],
  ];
  for (const [values, message] of wrong) {
    it(`refuse ${JSON.stringify(values)}`, () => {
      set({ PASSWORD: 'sesame-open', ...values });
      if ('USER' in values) delete process.env.REPRISE_LIVY_PASSWORD;
      assert.throws(
        () => livySettings(),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, message);
          assert.ok(!JSON.stringify([error.message, error.facts]).includes('sesame'));
          return true;
        },
      );
    });
  }

  it('refuse a secret in a file that others can read', () => {
    const spec = join(folder, 'spec.json');
    set({ SPEC: spec });
    const conf = { 'spark.hadoop.fs.s3a.secret.key': 'sesame-open', 'spark.app.name': 'x' };
    writeFileSync(spec, JSON.stringify({ conf }));
    chmodSync(spec, 0o640);
    assert.throws(
      () => livySettings(),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(
          error.message,
          /you alone can read, as conf\.spark\S+key is a secret, got mode 640 /,
        );
        assert.ok(!JSON.stringify([error.message, error.facts]).includes('sesame'));
        return true;
      },
    );
    chmodSync(spec, 0o600);
    assert.deepEqual(livySettings().spec, { conf });
    writeFileSync(spec, JSON.stringify({ conf: { 'spark.app.name': 'x' } }));
    chmodSync(spec, 0o644);
    assert.deepEqual(livySettings().spec, { conf: { 'spark.app.name': 'x' } });
  });

  it('refuse what Spark is not asked for', () => {
    const spec = join(folder, 'spec.json');
    set({ SPEC: spec });
    for (const text of ['{"driverMemroy": "4g"}', '{"numExecutors": "8"}', 'no json', '[]']) {
      writeFileSync(spec, text);
      assert.throws(() => livySettings(), /REPRISE_LIVY_SPEC: expected/, text);
    }
  });
});
