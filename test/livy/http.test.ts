/** One call to Livy: results of broken networks, proxies and servers, and what stays inside. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { ConfigError, LivyError } from '../../driver/errors.js';
import { bodyText, livyFacts, retryAfterMs } from '../../spark-bridge/livy/errors.js';
import { createLivyClient } from '../../spark-bridge/livy/livy-client.js';
import { backoffMs, DEFAULT_RETRY } from '../../spark-bridge/livy/retry.js';
import type { LivyAuth } from '../../spark-bridge/livy/types.js';
import { jettyPage } from '../support/livy-server/answers.js';
import type { FaultAction } from '../support/livy-server/faults.js';
import { FAST, type Fixture, livyFixture } from '../support/livy-server/livy-fixture.js';

async function failure(promise: Promise<unknown>): Promise<LivyError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof LivyError, `expected a LivyError, got ${inspect(error)}`);
    return error;
  }
  return assert.fail('expected a failure, got an answer');
}

describe('livy http', function () {
  this.timeout(15_000);
  let fixture: Fixture;
  afterEach(async () => fixture.end());
  const strike = async (action: FaultAction, times = 1): Promise<void> => {
    fixture = await livyFixture();
    await fixture.client.version();
    fixture.server.addFaults({ path: /^\/sessions/, action, times });
  };

  const passing: readonly (readonly [string, FaultAction])[] = [
    ['a reset before the request', { kind: 'drop-before' }],
    ['a reset before the answer', { kind: 'drop-after' }],
    ['half a JSON text', { kind: 'half-json' }],
    ['a body cut short', { kind: 'short-body' }],
    ['a Content-Length too small', { kind: 'wrong-length' }],
    ['an answer past the time limit', { kind: 'delay', ms: 700 }],
    ['one byte at a time, for ever', { kind: 'drip', everyMs: 20 }],
    ['401 once', { kind: 'answer', ...jettyPage(401, 'Unauthorized') }],
    ['502 with HTML', { kind: 'answer', ...jettyPage(502, 'Bad Gateway') }],
    ['503 with HTML', { kind: 'answer', ...jettyPage(503, 'Service Unavailable') }],
    ['429', { kind: 'answer', status: 429, body: '' }],
  ];
  for (const [name, action] of passing) {
    it(`reads again after ${name}`, async () => {
      await strike(action);
      const started = Date.now();
      assert.deepEqual(await fixture.client.sessions(), []);
      assert.equal(fixture.server.count('GET /sessions'), 2);
      assert.ok(Date.now() - started < 4000);
    });
  }

  it('gives a hanging server the time limit, attempts included, and no more', async () => {
    await strike({ kind: 'drip', everyMs: 20 }, Number.POSITIVE_INFINITY);
    const started = Date.now();
    const error = await failure(fixture.client.sessions());
    assert.equal(livyFacts(error)?.problem, 'timeout');
    assert.equal(fixture.server.count('GET /sessions'), 1 + FAST.retry.retries);
    assert.ok(Date.now() - started < (FAST.timeoutMs + 400) * (1 + FAST.retry.retries));
  });

  it('refuses a gzip bomb in bounded memory and does not ask for it again', async () => {
    fixture = await livyFixture({ connection: { maxResponseBytes: 1_000_000, timeoutMs: 10_000 } });
    fixture.server.addFaults({
      path: /^\/sessions/,
      action: { kind: 'gzip-bomb', bytes: 100_000_000 },
      times: Number.POSITIVE_INFINITY,
    });
    const before = process.memoryUsage().rss;
    const error = await failure(fixture.client.sessions());
    assert.equal(livyFacts(error)?.problem, 'too-large');
    assert.match(error.message, /expected at most 1000000 bytes, got more/);
    assert.equal(fixture.server.count('GET /sessions'), 1);
    assert.ok(process.memoryUsage().rss - before < 250_000_000);
  });

  it('waits at least as long as Retry-After says', async () => {
    await strike({ kind: 'answer', status: 429, body: '', headers: { 'Retry-After': '1' } });
    const started = Date.now();
    await fixture.client.sessions();
    assert.ok(Date.now() - started >= 1000);
    assert.equal(fixture.server.count('GET /sessions'), 2);
  });

  it('gives up at once when Retry-After is longer than we wait', async () => {
    await strike({ kind: 'answer', status: 429, body: '', headers: { 'Retry-After': '3600' } });
    const error = await failure(fixture.client.sessions());
    assert.equal(livyFacts(error)?.problem, 'busy');
    assert.equal(livyFacts(error)?.retryAfterMs, 3_600_000);
    assert.equal(fixture.server.count('GET /sessions'), 1);
  });

  it('starts a new count of retries after each success', async () => {
    fixture = await livyFixture();
    const { retries } = FAST.retry;
    for (let round = 0; round < 3; round++) {
      fixture.server.addFaults({
        path: /^\/sessions/,
        action: { kind: 'drop-before' },
        times: retries,
      });
      await fixture.client.sessions();
    }
    assert.equal(fixture.server.count('GET /sessions'), 3 * (retries + 1));
    fixture.server.addFaults({
      path: /^\/sessions/,
      action: { kind: 'drop-before' },
      times: retries + 1,
    });
    await failure(fixture.client.sessions());
  });

  it('asks twice, not more, when the credentials are wrong', async () => {
    fixture = await livyFixture({
      server: { basicAuth: { username: 'ada', password: 'right-password' } },
      connection: { auth: { type: 'basic', username: 'ada', password: 'wrong-password' } },
    });
    const error = await failure(fixture.client.sessions());
    assert.equal(livyFacts(error)?.problem, 'auth');
    assert.equal(fixture.server.requests.length, 2);
    await failure(fixture.client.sessions());
    assert.equal(fixture.server.requests.length, 3);
  });

  it('asks a bearer source again after a 401', async () => {
    let asked = 0;
    fixture = await livyFixture({
      connection: { auth: { type: 'bearer', token: () => `bearer-number-${++asked}` } },
    });
    fixture.server.addFaults({
      path: /./,
      action: { kind: 'answer', ...jettyPage(401, 'Unauthorized') },
    });
    await fixture.client.sessions();
    assert.equal(fixture.server.requests.at(-1)?.headers.authorization, 'Bearer bearer-number-2');
  });

  it('negotiates once and then shows the cookie of the authentication filter', async () => {
    let tickets = 0;
    fixture = await livyFixture({
      connection: {
        auth: { type: 'spnego', ticket: async (service) => `${service}-ticket-${++tickets}` },
      },
    });
    fixture.server.addFaults({
      path: /^\/sessions/,
      action: {
        kind: 'answer',
        status: 200,
        body: '{"sessions":[]}',
        headers: { 'Set-Cookie': 'hadoop.auth="u=ada&s=abc"; Path=/; HttpOnly' },
      },
    });
    await fixture.client.sessions();
    await fixture.client.sessions();
    const [first, second] = fixture.server.requests;
    assert.equal(first?.headers.authorization, 'Negotiate HTTP@127.0.0.1-ticket-1');
    assert.equal(second?.headers.authorization, undefined);
    assert.equal(second?.headers.cookie, 'hadoop.auth="u=ada&s=abc"');
  });

  it('says whose ticket is missing when there is none, asks for nothing, and keeps the reason', async () => {
    const gss = new Error('No credentials were supplied (default cache: FILE:/tmp/krb5cc_0)');
    fixture = await livyFixture({
      connection: { auth: { type: 'spnego', ticket: () => Promise.reject(gss) } },
    });
    await assert.rejects(fixture.client.sessions(), (error: unknown) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(error.message, /ticket for HTTP@127\.0\.0\.1, got: No credentials.*kinit/);
      assert.equal(error.cause, gss);
      return true;
    });
    assert.equal(fixture.server.requests.length, 0);
  });

  it('says what to install when SPNEGO is asked for without its package', async () => {
    fixture = await livyFixture({ connection: { auth: { type: 'spnego' } } });
    await assert.rejects(
      fixture.client.sessions(),
      /optional package `kerberos`.*npm install kerberos/,
    );
  });

  it('does not follow redirects with its credentials', async () => {
    fixture = await livyFixture({
      connection: { auth: { type: 'bearer', token: 'a-secret-bearer-token' } },
    });
    const elsewhere = await livyFixture();
    fixture.server.addFaults({
      path: /./,
      action: {
        kind: 'answer',
        status: 302,
        body: '',
        headers: { Location: elsewhere.server.url },
      },
    });
    const error = await failure(fixture.client.sessions());
    assert.match(error.message, /redirects are not followed/);
    assert.equal(elsewhere.server.requests.length, 0);
    await elsewhere.end();
  });

  it('warns of credentials in clear text to another machine, and to no other', () => {
    const told = (url: string, auth?: LivyAuth): string[] => {
      const warnings: string[] = [];
      const onWarning = (warning: string): void => void warnings.push(warning);
      createLivyClient({ url, onWarning, ...(auth ? { auth } : {}) }).close();
      return warnings;
    };
    const [warning = '', ...more] = told('http://ada:pl4nted@192.0.2.1:8998');
    assert.match(warning, /clear text to 192\.0\.2\.1:8998; use https/);
    assert.ok(!warning.includes('pl4nted') && more.length === 0);
    assert.equal(told('http://192.0.2.1:8998', { type: 'bearer', token: 'pl4nted' }).length, 1);
    for (const url of [
      'http://a:pl4nted@127.0.0.1:1',
      'https://a:pl4nted@192.0.2.1',
      'http://h:1',
    ]) {
      assert.deepEqual(told(url), [], url);
    }
  });

  it('leaks no credential, header or secret setting, whoever prints the error', async () => {
    const password = 'S3cr3t-planted/&"value';
    fixture = await livyFixture();
    const url = new URL(fixture.server.url);
    url.username = 'ada';
    url.password = encodeURIComponent(password);
    const client = createLivyClient({ url: url.toString(), ...FAST });
    const errors: unknown[] = [];
    const actions: FaultAction[] = [
      { kind: 'drop-before' },
      { kind: 'delay', ms: 900 },
      { kind: 'half-json' },
      {
        kind: 'answer',
        status: 400,
        body: JSON.stringify({ msg: `bad conf s3a-key-planted for ${password}` }),
      },
      { kind: 'answer', ...jettyPage(502, 'Bad Gateway') },
    ];
    for (const action of actions) {
      fixture.server.addFaults({ path: /^\/sessions/, action, times: 5 });
      const conf = { 'spark.hadoop.fs.s3a.secret.key': 's3a-key-planted' };
      await client.createSession({ name: 'x', conf }).catch((error: unknown) => errors.push(error));
      await client.sessions().catch((error: unknown) => errors.push(error));
    }
    assert.ok(errors.length >= actions.length);
    const encoded = Buffer.from(`ada:${password}`).toString('base64');
    for (const error of errors) {
      const shown = inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error);
      for (const secret of [
        password,
        encodeURIComponent(password),
        's3a-key-planted',
        encoded,
        'Basic ',
      ]) {
        assert.ok(!shown.includes(secret), `${secret} in ${shown}`);
      }
    }
    assert.ok(!client.url.includes('ada'));
    client.close();
  });

  it('tells that 404 from a wrong path is not a missing session', async () => {
    fixture = await livyFixture();
    const client = createLivyClient({ url: `${fixture.server.url}/wrong`, ...FAST });
    const error = await failure(client.findSession('x'));
    assert.match(error.message, /check the path in the Livy url/);
    client.close();
  });

  it('always sends X-Requested-By, and doAs when given', async () => {
    fixture = await livyFixture({ server: { csrf: true }, connection: { doAs: 'bob' } });
    const info = await fixture.client.createSession({ name: 'mine' });
    assert.equal(info.proxyUser, 'bob');
    await fixture.client.connectSession('mine');
    await fixture.client.deleteSession('mine');
    assert.ok(fixture.server.requests.every((it) => it.headers['x-requested-by'] === 'reprise'));
  });

  it('stops at once when the caller aborts', async () => {
    await strike({ kind: 'delay', ms: 10_000 });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    const error = await failure(fixture.client.sessions({ signal: controller.signal }));
    assert.equal(livyFacts(error)?.problem, 'cancelled');
    assert.equal(fixture.server.count('GET /sessions'), 1);
  });

  for (const [version, fields] of [
    ['0.7.1', []],
    ['0.8.0', ['ttl']],
    ['0.9.0', ['idleTimeout', 'ttl']],
  ] as const) {
    it(`sends a ${version} server only fields it knows`, async () => {
      fixture = await livyFixture({ server: { version } });
      await fixture.client.createSession({
        name: 'mine',
        idleSeconds: 60,
        ttlSeconds: 600,
        heartbeatSeconds: 30,
      });
      const sent = fixture.server.sessions.get(0)?.request ?? {};
      const gated = ['idleTimeout', 'ttl'].filter((it) => it in sent);
      assert.deepEqual(gated, fields);
      if (version === '0.8.0') assert.equal(sent.ttl, '60s');
      const isWarned = fixture.warnings.some((it) => it.includes('GHSA-h84f-4ff9-8hc3'));
      assert.equal(isWarned, version !== '0.9.0');
    });
  }
});

describe('livy errors and backoff', () => {
  it('reads error bodies of every shape', () => {
    assert.equal(bodyText('{"msg":"no"}').text, 'no');
    assert.equal(bodyText('"Statement not found"').text, 'Statement not found');
    assert.equal(bodyText('').text, '');
    assert.deepEqual(bodyText(jettyPage(503, 'Away').body), { text: 'Error 503 Away', html: true });
    assert.equal(bodyText('{"broken').text, '{"broken');
    assert.equal(bodyText('x'.repeat(5000)).text.length, 1000);
  });

  it('reads Retry-After as seconds and as a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    assert.equal(retryAfterMs('7', now), 7000);
    assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:09 GMT', now), 9000);
    assert.equal(retryAfterMs('soon', now), undefined);
  });

  it('spreads waits over the whole range, up to the cap', () => {
    assert.equal(
      backoffMs(DEFAULT_RETRY, 3, () => 0),
      0,
    );
    assert.equal(
      backoffMs(DEFAULT_RETRY, 3, () => 0.5),
      1000,
    );
    assert.equal(
      backoffMs(DEFAULT_RETRY, 30, () => 1),
      DEFAULT_RETRY.capMs,
    );
  });
});
