/** The direct channel's TLS: one certificate is trusted, whatever is in it, and none beside it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectChannel } from '../../spark-bridge/channel/direct-channel.js';
import { parseAllowedHosts } from '../../spark-bridge/livy/allowed-hosts.js';
import { offerKey, proofOf } from '../../spark-bridge/livy/key-agreement.js';
import { reachShim } from '../../spark-bridge/livy/reach-shim.js';

const none = parseAllowedHosts();

describe('a shim reached by TLS', () => {
  let folder: string;
  const servers: Server[] = [];
  const [driver, shim] = [offerKey(), offerKey()];
  const token = driver.tokenWith(shim.publicKey);

  before(function () {
    if (spawnSync('openssl', ['version']).status !== 0) {
      console.warn('SKIPPED a shim reached by TLS: no openssl to make certificates with');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'reprise-pinned-'));
    const openssl = (...args: string[]): unknown =>
      execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    for (const name of ['own', 'other']) {
      const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
      openssl('req', '-x509', ...newKey, '-days', '2', ...files, '-subj', `/CN=${name}`);
    }
    openssl('req', ...newKey, '-keyout', 'child.key', '-out', 'child.csr', '-subj', '/CN=child');
    writeFileSync(join(folder, 'serial'), '01\n');
    const authority = ['-CA', 'own.pem', '-CAkey', 'own.key', '-CAserial', 'serial'];
    openssl('x509', '-req', '-in', 'child.csr', ...authority, '-days', '2', '-out', 'child.pem');
  });
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  const file = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const der = (name: string): string =>
    new X509Certificate(file(`${name}.pem`)).raw.toString('base64');
  const heard: string[] = [];

  /** A server under the certificate `name` that knows the token; its port. */
  async function listen(name: string): Promise<number> {
    const server = createServer(
      { key: file(`${name}.key`), cert: file(`${name}.pem`) },
      (request, response) => {
        const chunks: Buffer[] = [];
        heard.push(JSON.stringify(request.headers));
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => response.end(proofOf(token, Buffer.concat(chunks))));
      },
    );
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
  const addressOf = (port: number, certificate: string | null, host = '127.0.0.1') => ({
    key: shim.publicKey,
    port,
    certificate,
    hosts: [host],
    boot: 'b',
    protocol: 1,
  });

  it('is trusted under the certificate it named, whatever name is in it', async () => {
    const port = await listen('own');
    const reach = await reachShim(addressOf(port, der('own')), driver, { allow: none });
    assert.ok(reach.ok, JSON.stringify(reach));
    assert.equal(reach.shim.certificate, der('own'));
  });

  it('is refused under any other, also under one that the named one vouches for', async () => {
    for (const name of ['other', 'child']) {
      heard.splice(0);
      const port = await listen(name);
      const reach = await reachShim(addressOf(port, der('own')), driver, { allow: none });
      assert.ok(!reach.ok, name);
      assert.deepEqual(heard, [], 'no request is sent');
      const channel = new DirectChannel({ port, token, certificate: der('own') });
      await assert.rejects(channel.call('ping', {}), (error) => {
        assert.ok(!JSON.stringify([String(error), error]).includes(token));
        return true;
      });
      assert.deepEqual(heard, [], 'no token is sent');
      await channel.close();
    }
  });

  it('is refused when what it names is no certificate', async () => {
    const port = await listen('own');
    const reach = await reachShim(addressOf(port, 'bm90aGluZw=='), driver, { allow: none });
    assert.ok(!reach.ok);
  });

  it('is not spoken to in plain HTTP on another machine', async () => {
    const allow = parseAllowedHosts('192.0.2.0/24');
    const reach = await reachShim(addressOf(9, null, '192.0.2.1'), driver, { allow });
    assert.deepEqual(reach, { ok: false, tried: ['192.0.2.1:9 speaks no TLS'] });
  });
});
