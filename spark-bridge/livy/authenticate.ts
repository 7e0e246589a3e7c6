/**
 * Turns `LivyAuth` into the headers of one request. Tokens and tickets are fetched when first
 * needed and again after a 401; the cookie of Hadoop's authentication filter is kept so that
 * Kerberos is not negotiated on every call.
 */
import { ConfigError } from '../../driver/errors.js';
import type { Redactor } from '../channel/redact.js';
import type { LivyAuth } from './types.js';

export interface Authenticator {
  /** Whether new credentials may be had after a 401. */
  readonly renewable: boolean;
  headers(): Promise<Record<string, string>>;
  /** Looks for the authentication cookie of an answer. */
  see(setCookie: readonly string[]): void;
  /** Forgets what the server refused. */
  forget(): void;
}

/** What we use of the optional package `kerberos`. */
interface KerberosModule {
  initializeClient(
    service: string,
    options: Record<string, unknown>,
  ): Promise<{ step(challenge: string): Promise<string> }>;
}

async function kerberosTicket(service: string): Promise<string> {
  // A variable keeps the compiler and bundlers from needing the optional package.
  const name = 'kerberos';
  let kerberos: KerberosModule;
  try {
    const loaded = (await import(name)) as { default?: KerberosModule } & KerberosModule;
    kerberos = loaded.default ?? loaded;
  } catch (cause) {
    throw new ConfigError(
      'livy auth: expected the optional package `kerberos` for SPNEGO, found none; install it (npm install kerberos), then kinit',
      { key: 'auth.type', value: 'spnego' },
      { cause },
    );
  }
  const client = await kerberos.initializeClient(service, {});
  return await client.step('');
}

/** What GSS says of it names principals and the ticket cache, and holds no secret. */
function noTicket(service: string, cause: unknown): ConfigError {
  const got = cause instanceof Error ? cause.message : String(cause);
  return new ConfigError(
    `livy auth: expected a Kerberos ticket for ${service}, got: ${got}; run kinit, and reach Livy by the host name that its principal has`,
    { key: 'auth.type', value: 'spnego', service },
    { cause },
  );
}

/** @throws ConfigError if SPNEGO lacks its package or a ticket (on the first call of `headers`) */
export function createAuthenticator(
  auth: LivyAuth | undefined,
  host: string,
  redactor: Redactor,
): Authenticator {
  const idle = { see: () => undefined, forget: () => undefined };
  if (auth === undefined || auth.type === 'none') {
    return { ...idle, renewable: false, headers: async () => ({}) };
  }
  if (auth.type === 'basic') {
    const encoded = Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64');
    redactor.add(auth.password);
    redactor.add(encoded);
    return {
      ...idle,
      renewable: false,
      headers: async () => ({ Authorization: `Basic ${encoded}` }),
    };
  }
  if (auth.type === 'bearer') {
    let known: string | undefined;
    return {
      ...idle,
      renewable: typeof auth.token === 'function',
      headers: async () => {
        known ??= typeof auth.token === 'function' ? await auth.token() : auth.token;
        redactor.add(known);
        return { Authorization: `Bearer ${known}` };
      },
      forget: () => {
        known = undefined;
      },
    };
  }
  const service = auth.service ?? `HTTP@${host}`;
  let cookie: string | undefined;
  return {
    renewable: true,
    headers: async () => {
      if (cookie !== undefined) return { Cookie: cookie };
      const ticket = await (auth.ticket ?? kerberosTicket)(service).catch((cause: unknown) => {
        throw cause instanceof ConfigError ? cause : noTicket(service, cause);
      });
      redactor.add(ticket);
      return { Authorization: `Negotiate ${ticket}` };
    },
    see: (setCookie) => {
      for (const line of setCookie) {
        const pair = line.split(';', 1)[0]?.trim() ?? '';
        if (!pair.startsWith('hadoop.auth=')) continue;
        const value = pair.slice('hadoop.auth='.length);
        cookie = value === '' || value === '""' ? undefined : pair;
        if (cookie !== undefined) redactor.add(value);
      }
    },
    forget: () => {
      cookie = undefined;
    },
  };
}
