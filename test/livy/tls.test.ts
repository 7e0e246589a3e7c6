/** Certificates: one of the user's authority is trusted if given, else refused, once. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLivyProblem } from '../../spark-bridge/livy/errors.js';
import { createLivyClient, type LivyClient } from '../../spark-bridge/livy/livy-client.js';
import { FAST } from '../support/livy-server/livy-fixture.js';

describe('livy over TLS', () => {
  let folder: string;
  let server: Server;
  let asked = 0;
  let handshakes = 0;

  before(async function () {
    if (spawnSync('openssl', ['version']).status !== 0) {
      console.warn('SKIPPED livy over TLS: no openssl to make a certificate with');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'reprise-tls-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const made = [
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
    ];
    execFileSync('openssl', ['req', ...made, ...subject], { stdio: 'ignore' });
    server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
      asked++;
      response.setHeader('Content-Type', 'application/json');
      response.end('{"version": "0.9.0-incubating"}');
    });
    server.on('connection', () => handshakes++);
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  });
  after(() => {
    server?.closeAllConnections();
    server?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    asked = 0;
    handshakes = 0;
  });
  const client = (more: { readonly ca?: string; readonly url?: string }): LivyClient =>
    createLivyClient({
      ...FAST,
      url: `https://localhost:${(server.address() as AddressInfo).port}`,
      auth: { type: 'basic', username: 'ann', password: 'open-sesame' },
      ...more,
    });

  it('trusts a certificate of the authority that is given', async () => {
    const trusting = client({ ca: readFileSync(join(folder, 'cert.pem'), 'utf8') });
    assert.equal((await trusting.version()).minor, 9);
    assert.equal(asked, 1);
    trusting.close();
  });

  it('refuses it otherwise, sends nothing, does not ask again, and says what to give', async () => {
    const strict = client({});
    await assert.rejects(strict.version(), (error: unknown) => {
      assert.ok(isLivyProblem(error, 'auth'), String(error));
      assert.match((error as Error).message, /expected a trusted certificate.*as ca/);
      return true;
    });
    assert.equal(asked, 0);
    assert.equal(handshakes, 1);
    strict.close();
  });

  it("refuses one of the authority that is another machine's", async () => {
    const elsewhere = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ca = readFileSync(join(folder, 'cert.pem'), 'utf8');
    const other = client({ ca, url: elsewhere });
    await assert.rejects(other.version(), (error: unknown) => isLivyProblem(error, 'auth'));
    assert.equal(asked, 0);
    other.close();
  });
});
