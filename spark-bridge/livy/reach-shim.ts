/**
 * From what a shim says of itself to a direct channel: its addresses are tried in order, and one
 * counts only when it proves that it knows the token. Invariants: the token goes to nobody who has
 * not proved that, and to no machine but this one unless the user allowed it; beyond this machine
 * everything goes by TLS, under the certificate the shim named.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import axios from 'axios';
import { pinnedAgent } from '../channel/pinned-tls.js';
import { type AllowedHosts, isLoopback } from './allowed-hosts.js';
import { type KeyOffer, proofOf } from './key-agreement.js';

/** What the verb `openDirect`, or the announcement of a batch, says. Nothing in it is secret. */
export interface ShimAddress {
  readonly key: string;
  readonly port: number;
  /** DER in base64; null where it speaks plain HTTP. */
  readonly certificate: string | null;
  readonly hosts: readonly string[];
  readonly boot: string;
  readonly protocol: number;
}

/** Where a shim answered, and the token it knows. */
export interface ReachedShim {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly certificate: string | null;
}

export interface ReachOptions {
  readonly allow: AllowedHosts;
  /** For each address. @units ms, default 3000 */
  readonly timeoutMs?: number;
}

export type Reach =
  | { readonly ok: true; readonly shim: ReachedShim }
  /** What became of each address, for people. */
  | { readonly ok: false; readonly tried: readonly string[] };

/** Tries the shim's addresses. Never throws for one that does not answer. */
export async function reachShim(
  address: ShimAddress,
  offer: KeyOffer,
  options: ReachOptions,
): Promise<Reach> {
  const token = offer.tokenWith(address.key);
  const tried: string[] = [];
  const { certificate = null } = address;
  for (const host of address.hosts) {
    const place = `${host}:${address.port}`;
    if (!isLoopback(host) && !options.allow.allows(host)) {
      tried.push(`${place} is not in REPRISE_LIVY_ALLOW`);
      continue;
    }
    if (!isLoopback(host) && certificate === null) {
      tried.push(`${place} speaks no TLS`);
      continue;
    }
    const shim = { host, port: address.port, token, certificate };
    const answer = await proves(shim, options.timeoutMs ?? 3000);
    if (answer === true) return { ok: true, shim };
    tried.push(`${place}: ${answer}`);
  }
  return { ok: false, tried };
}

/** True when a shim that knows the token answers there; else what came instead. */
export async function proves(shim: ReachedShim, timeoutMs: number): Promise<true | string> {
  const challenge = randomBytes(32);
  const host = isIP(shim.host) === 6 ? `[${shim.host}]` : shim.host;
  const scheme = shim.certificate === null ? 'http' : 'https';
  const agent = shim.certificate === null ? undefined : pinnedAgent(shim.certificate);
  try {
    const { status, data } = await axios.post<string>(
      `${scheme}://${host}:${shim.port}/v1/prove`,
      challenge,
      {
        ...(agent ? { httpsAgent: agent } : {}),
        headers: { 'Content-Type': 'application/octet-stream' },
        responseType: 'text',
        transformResponse: [],
        timeout: timeoutMs,
        signal: AbortSignal.timeout(timeoutMs),
        proxy: false,
        maxRedirects: 0,
        maxContentLength: 1024,
        validateStatus: () => true,
      },
    );
    const wanted = Buffer.from(proofOf(shim.token, challenge));
    const given = Buffer.from(String(data));
    const isRight = given.length === wanted.length && timingSafeEqual(given, wanted);
    return status === 200 && isRight ? true : 'another program answers there';
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ERR_CANCELED' || code === 'ECONNABORTED') return `no answer in ${timeoutMs} ms`;
    return typeof code === 'string' ? code : 'no answer';
  } finally {
    agent?.destroy();
  }
}
