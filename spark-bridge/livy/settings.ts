/**
 * How users without a program of their own say where Livy is and who they are: the variables
 * REPRISE_LIVY_*, checked once. Invariant: no error of this file carries a password or token.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import * as z from 'zod';
import { ConfigError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { isOpenSecret } from '../channel/redact.js';
import { type AllowedHosts, parseAllowedHosts } from './allowed-hosts.js';
import type { JarDelivery } from './connect.js';
import type { ChannelMode } from './direct-way.js';
import { folderStorage, type PayloadStorage } from './payload-storage.js';
import type { LivyAuth, LivyConnection, SparkResources } from './types.js';

export interface LivySettings {
  readonly connection: LivyConnection;
  readonly mode: 'session' | 'batch';
  readonly channelMode: ChannelMode;
  readonly allow: AllowedHosts;
  readonly spec: SparkResources;
  readonly jar?: JarDelivery;
  readonly storage?: PayloadStorage;
  /** Whether this machine's OpenBLAS goes to driver and executors. */
  readonly shipsBlas: boolean;
}

const resources = z.strictObject({
  queue: z.string().optional(),
  driverMemory: z.string().optional(),
  driverCores: z.int().positive().optional(),
  executorMemory: z.string().optional(),
  executorCores: z.int().positive().optional(),
  numExecutors: z.int().positive().optional(),
  jars: z.array(z.string()).optional(),
  files: z.array(z.string()).optional(),
  archives: z.array(z.string()).optional(),
  conf: z.record(z.string(), z.string()).optional(),
});

/** The variables as options; `url` beats REPRISE_LIVY_URL. @throws ConfigError for bad values */
export function livySettings(url = env.livyUrl()): LivySettings {
  if (url === undefined) {
    throw new ConfigError(
      'livy: expected the address of a Livy server, got none; set REPRISE_LIVY_URL',
      { key: 'REPRISE_LIVY_URL' },
    );
  }
  const auth = authentication();
  const ca = env.livyCa();
  const storage = storageOf(env.livyStorage());
  const jarUri = env.livyJar();
  const proxyUser = env.livyProxyUser();
  return {
    connection: {
      url,
      ...(auth ? { auth } : {}),
      ...(ca ? { ca: readText('REPRISE_LIVY_CA', ca) } : {}),
    },
    mode: oneOf('REPRISE_LIVY_MODE', env.livyMode(), ['session', 'batch']),
    channelMode: oneOf('REPRISE_LIVY_CHANNEL', env.livyChannel(), ['auto', 'direct', 'statements']),
    allow: parseAllowedHosts(env.livyAllow()),
    shipsBlas: oneOf('REPRISE_LIVY_BLAS', env.livyBlas(), ['ship', 'own']) === 'ship',
    spec: { ...specOf(env.livySpec()), ...(proxyUser ? { proxyUser } : {}) },
    ...(storage ? { storage } : {}),
    ...(jarUri ? { jar: { by: 'uri', uri: jarUri } } : {}),
  };
}

/** The value, or the first that is allowed when there is none. */
function oneOf<T extends string>(
  key: string,
  value: string | undefined,
  allowed: readonly [T, ...T[]],
): T {
  if (value === undefined) return allowed[0];
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw new ConfigError(
    `${key}: expected ${allowed.join(', ')}, got ${JSON.stringify(value.slice(0, 40))}`,
    { key, value, allowed, source: 'env' },
  );
}

function authentication(): LivyAuth | undefined {
  const [username, password, token] = [env.livyUser(), env.livyPassword(), env.livyToken()];
  const given = token === undefined ? (username === undefined ? 'none' : 'basic') : 'bearer';
  const type = oneOf('REPRISE_LIVY_AUTH', env.livyAuth() ?? given, [
    'none',
    'basic',
    'bearer',
    'spnego',
  ]);
  if (type === 'basic') {
    if (username === undefined || password === undefined)
      throw missing(type, 'REPRISE_LIVY_USER and REPRISE_LIVY_PASSWORD');
    return { type, username, password };
  }
  if (type === 'bearer') {
    if (token === undefined) throw missing(type, 'REPRISE_LIVY_TOKEN');
    // Asked for again after a 401, when a token that expires was replaced by whoever started us.
    return { type, token: () => env.livyToken() ?? token };
  }
  return type === 'spnego' ? { type } : undefined;
}

const missing = (type: string, keys: string): ConfigError =>
  new ConfigError(`livy auth: expected ${keys} for ${type} authentication, got none`, {
    key: keys,
    source: 'env',
  });

/** `<path here>` or `<path here>=<its URI in the cluster>`. */
function storageOf(text: string | undefined): PayloadStorage | undefined {
  if (text === undefined) return undefined;
  const [folder = '', uri] = text.split('=', 2);
  if (!folder.startsWith('/') || (uri !== undefined && !/^[a-z][a-z0-9+.-]*:/i.test(uri))) {
    throw new ConfigError(
      `REPRISE_LIVY_STORAGE: expected an absolute path, or path=URI as the cluster names it, got ${JSON.stringify(text.slice(0, 120))}`,
      { key: 'REPRISE_LIVY_STORAGE', value: text, source: 'env' },
    );
  }
  return folderStorage(folder, uri);
}

function specOf(path: string | undefined): SparkResources {
  if (path === undefined) return {};
  let json: unknown;
  try {
    json = JSON.parse(readText('REPRISE_LIVY_SPEC', path));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`REPRISE_LIVY_SPEC: expected a JSON file, got other text in ${path}`, {
      key: 'REPRISE_LIVY_SPEC',
      value: path,
    });
  }
  const checked = resources.safeParse(json);
  if (checked.success) {
    requirePrivate(path, checked.data.conf ?? {});
    return checked.data as SparkResources;
  }
  const problem = checked.error.issues[0];
  const where = problem?.path.join('.') ?? '';
  throw new ConfigError(
    `REPRISE_LIVY_SPEC: expected driverMemory, executorMemory, numExecutors, queue, conf and their like, got ${where === '' ? '' : `${where}: `}${problem?.message ?? 'something else'} in ${path}`,
    { key: 'REPRISE_LIVY_SPEC', value: path },
  );
}

/** @throws ConfigError for a secret in a file that others can read */
function requirePrivate(path: string, conf: Readonly<Record<string, string>>): void {
  const secret = Object.keys(conf).find((name) => isOpenSecret(name, conf[name]));
  const mode = statSync(path).mode & 0o777;
  if (secret === undefined || (mode & 0o077) === 0) return;
  throw new ConfigError(
    `REPRISE_LIVY_SPEC: expected a file that you alone can read, as conf.${secret} is a secret, got mode ${mode.toString(8)} of ${path}; chmod 600 it`,
    { key: 'REPRISE_LIVY_SPEC', value: path },
  );
}

function readText(key: string, path: string): string {
  if (!existsSync(path)) {
    throw new ConfigError(`${key}: expected a file, got none at ${path}`, {
      key,
      value: path,
      source: 'env',
    });
  }
  return readFileSync(path, 'utf8');
}
