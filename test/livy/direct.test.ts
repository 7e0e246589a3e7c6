/** Which way a channel takes: what is allowed, proven, and said when nothing can be reached. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ConfigError } from '../../driver/errors.js';
import type { Channel } from '../../spark-bridge/channel/channel.js';
import { isLoopback, parseAllowedHosts } from '../../spark-bridge/livy/allowed-hosts.js';
import { openDirectChannel } from '../../spark-bridge/livy/direct-way.js';
import { offerKey, proofOf } from '../../spark-bridge/livy/key-agreement.js';
import { reachShim } from '../../spark-bridge/livy/reach-shim.js';
import { answerKey } from '../support/livy-server/answer-key.js';

/** A server that answers `/v1/prove` with `answer`, and keeps what it was sent. */
async function listen(answer: (challenge: Buffer) => string | Promise<string>): Promise<{
  readonly port: number;
  readonly heard: string[];
  readonly close: () => void;
}> {
  const heard: string[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    heard.push(JSON.stringify([request.url, request.headers]));
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      void Promise.resolve(answer(Buffer.concat(chunks))).then((text) => response.end(text));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    heard,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const address = (port: number, key: string, hosts: readonly string[] = ['127.0.0.1']) => ({
  key,
  port,
  certificate: null,
  hosts,
  boot: 'b',
  protocol: 1,
});
const none = parseAllowedHosts();

describe('the key agreement', () => {
  it('gives both sides one token, and another each time', () => {
    const driver = offerKey();
    const shim = answerKey(driver.publicKey);
    const token = driver.tokenWith(shim.publicKey);
    assert.equal(token, shim.token);
    assert.match(token, /^[0-9a-f]{64}$/);
    assert.notEqual(offerKey().tokenWith(shim.publicKey), token);
    assert.ok(!shim.publicKey.includes(token) && !driver.publicKey.includes(token));
  });

  it('refuses what is no point of the curve', () => {
    for (const key of ['', '04', `04${'11'.repeat(64)}`, 'zz']) {
      assert.throws(() => offerKey().tokenWith(key), /expected a public key of P-256/);
    }
  });
});

describe('allowed hosts', () => {
  it('are nothing unless listed', () => {
    assert.ok(none.isEmpty);
    for (const host of ['10.0.0.1', 'worker', '::1', '127.0.0.1']) assert.ok(!none.allows(host));
  });

  it('are names, patterns, addresses and subnets', () => {
    const list = parseAllowedHosts('10.2.0.0/16, worker-*.example.org 192.0.2.7,fd00::/8');
    for (const host of ['10.2.3.4', 'worker-17.example.org', '192.0.2.7', 'fd00::1']) {
      assert.ok(list.allows(host), host);
    }
    for (const host of ['10.3.0.1', 'evil-worker-1.example.org.x', '192.0.2.8', 'fe80::1']) {
      assert.ok(!list.allows(host), host);
    }
    assert.ok(parseAllowedHosts('*').allows('anything.example.org'));
  });

  it('refuse entries that are none of these', () => {
    for (const text of ['10.0.0.0/33', '10.0.0.0/', 'a b/c', 'http://x', '-x', 'x/8']) {
      assert.throws(() => parseAllowedHosts(text), ConfigError, text);
    }
  });

  it('never take a name for a subnet, whatever it looks like', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 25, max: 32 }), (ip, bits) => {
        const list = parseAllowedHosts(`${ip}/${bits}`);
        assert.ok(list.allows(ip));
        assert.ok(!list.allows(`${ip}.example.org`));
      }),
    );
  });

  it('know this machine', () => {
    for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '::1', '[::1]']) {
      assert.ok(isLoopback(host), host);
    }
    for (const host of ['127.evil.org', '10.0.0.1', 'localhost.evil.org']) {
      assert.ok(!isLoopback(host), host);
    }
  });
});

describe('reaching a shim', () => {
  it('counts only who proves the token, and says it to nobody', async () => {
    const [driver, shim] = [offerKey(), offerKey()];
    const token = driver.tokenWith(shim.publicKey);
    const right = await listen((challenge) => proofOf(token, challenge));
    const wrong = await listen(() => proofOf('another token', Buffer.from('x')));
    const reach = await reachShim(address(right.port, shim.publicKey), driver, { allow: none });
    assert.ok(reach.ok && reach.shim.token === token && reach.shim.port === right.port);
    const refused = await reachShim(address(wrong.port, shim.publicKey), driver, { allow: none });
    assert.ok(!refused.ok);
    assert.match(refused.tried.join(), /another program answers there/);
    assert.ok(![...right.heard, ...wrong.heard].join().includes(token));
    right.close();
    wrong.close();
  });

  it('sends nothing to machines that are not allowed', async () => {
    const shim = offerKey();
    const reach = await reachShim(
      address(9, shim.publicKey, ['192.0.2.1', 'elsewhere.example']),
      offerKey(),
      { allow: parseAllowedHosts('10.0.0.0/8'), timeoutMs: 200 },
    );
    assert.ok(!reach.ok);
    assert.deepEqual(reach.tried, [
      '192.0.2.1:9 is not in REPRISE_LIVY_ALLOW',
      'elsewhere.example:9 is not in REPRISE_LIVY_ALLOW',
    ]);
  });

  it('waits no longer than its limit', async () => {
    const shim = offerKey();
    const slow = await listen(() => sleep(5000, ''));
    const started = Date.now();
    const reach = await reachShim(address(slow.port, shim.publicKey), offerKey(), {
      allow: none,
      timeoutMs: 200,
    });
    assert.ok(!reach.ok && Date.now() - started < 3000);
    assert.match(reach.tried.join(), /no answer in 200 ms/);
    slow.close();
  });
});

describe('the choice of a channel', () => {
  const calls: string[] = [];
  /** Statements to a shim that says it listens on a port where nothing does. */
  const statements = {
    kind: 'livy',
    call: async (verb: string, args: unknown) => {
      calls.push(`${verb} ${(args as { bind?: string }).bind ?? ''}`.trim());
      return { result: address(1, offerKey().publicKey), payloads: [] };
    },
    close: async () => undefined,
  } as unknown as Channel;
  const session = (url: string) => ({
    client: { url },
    lost: new AbortController().signal,
    check: async () => undefined,
    over: async () => new Error('over'),
  });
  beforeEach(() => calls.splice(0));

  it('falls back to statements in auto, and closes what was opened', async () => {
    const open = openDirectChannel(session('http://127.0.0.1:8998'), statements, 'auto', {
      allow: none,
    });
    assert.equal(await open, undefined);
    assert.deepEqual(calls, ['openDirect loopback', 'closeDirect']);
  });

  it('does not ask a server on another machine for anything, unless drivers are allowed', async () => {
    const far = session('https://livy.example.org');
    assert.equal(await openDirectChannel(far, statements, 'auto', { allow: none }), undefined);
    assert.deepEqual(calls, []);
    const allow = parseAllowedHosts('10.0.0.0/8');
    await openDirectChannel(far, statements, 'auto', { allow });
    assert.deepEqual(calls, ['openDirect any', 'closeDirect']);
  });

  it('says what became of each address when direct is forced', async () => {
    const near = openDirectChannel(session('http://localhost:8998'), statements, 'direct', {
      allow: none,
    });
    await assert.rejects(near, (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /127\.0\.0\.1:1: ECONNREFUSED.*REPRISE_LIVY_ALLOW/);
      return true;
    });
    const far = openDirectChannel(session('https://livy.example.org'), statements, 'direct', {
      allow: none,
    });
    await assert.rejects(far, /another machine, and no machine is allowed/);
  });
});
