/**
 * Which machines a bearer token may be shown to over plain HTTP, besides this one: names, addresses
 * and subnets the user lists. Invariant: nothing is allowed by default, and a name allows itself
 * only, not what it resolves to.
 */
import { BlockList, isIP } from 'node:net';
import { ConfigError } from '../../driver/errors.js';

export interface AllowedHosts {
  /** Whether the list names anything. */
  readonly isEmpty: boolean;
  allows(host: string): boolean;
}

/**
 * Reads `10.2.0.0/16, worker-*.example.org, 192.0.2.7` or `*`; entries are separated by commas or
 * spaces.
 * @throws ConfigError when an entry is none of these
 */
export function parseAllowedHosts(text = ''): AllowedHosts {
  const subnets = new BlockList();
  const names: RegExp[] = [];
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address);
    if (family !== 0) {
      const type = family === 6 ? 'ipv6' : 'ipv4';
      const limit = family === 6 ? 128 : 32;
      const prefix = bits === undefined ? limit : Number(bits);
      if (!Number.isInteger(prefix) || prefix < 0 || prefix > limit || bits === '') {
        throw bad(entry);
      }
      subnets.addSubnet(address, prefix, type);
    } else if (bits === undefined && /^[A-Za-z0-9*]([A-Za-z0-9.*-]*[A-Za-z0-9*])?$/.test(entry)) {
      const pattern = entry.replaceAll('.', '\\.').replaceAll('*', '.*');
      names.push(new RegExp(`^${pattern}$`, 'i'));
    } else throw bad(entry);
  }
  return {
    isEmpty: entries.length === 0,
    allows: (host) => {
      const family = isIP(host);
      if (family !== 0 && subnets.check(host, family === 6 ? 'ipv6' : 'ipv4')) return true;
      return names.some((name) => name.test(host));
    },
  };
}

const bad = (entry: string): ConfigError =>
  new ConfigError(
    `REPRISE_LIVY_ALLOW: expected host names, addresses, subnets such as 10.2.0.0/16, or *, got ${JSON.stringify(entry)}`,
    { key: 'REPRISE_LIVY_ALLOW', value: entry, source: 'env' },
  );

/** This machine, whatever it is called. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
