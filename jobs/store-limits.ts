/** The durable store's limits as the environment sets them; what it does not set has the store's own default. */
import { ConfigError } from '../driver/errors.js';
import type { DurableStoreOptions } from '../driver/reuse/store/durable-store.js';
import { env } from '../driver/support/env.js';

export type StoreLimitOptions = Pick<
  DurableStoreOptions,
  'maxBytes' | 'maxEntries' | 'maxAgeSeconds'
>;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const DAY_SECONDS = 86_400;

/** @throws ConfigError for a limit that is none */
export function storeLimits(): StoreLimitOptions {
  const [bytes, results, days] = [env.storeBytes(), env.storeResults(), env.storeDays()];
  return {
    ...(bytes === undefined ? {} : { maxBytes: bytesOf(bytes) }),
    ...(results === undefined
      ? {}
      : { maxEntries: numberOf('REPRISE_STORE_RESULTS', results, 'a whole number', /^\d+$/) }),
    ...(days === undefined
      ? {}
      : {
          maxAgeSeconds:
            DAY_SECONDS * numberOf('REPRISE_STORE_DAYS', days, 'a number of days', DECIMAL),
        }),
  };
}

const DECIMAL = /^\d+(\.\d+)?$/;

function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  if (DECIMAL.test(number) && factor !== undefined) return Math.floor(Number(number) * factor);
  throw refuse('REPRISE_STORE_BYTES', 'a size such as 20GiB, 500MB or a number of bytes', text);
}

function numberOf(name: string, text: string, expected: string, form: RegExp): number {
  if (form.test(text.trim())) return Number(text);
  throw refuse(name, expected, text);
}

function refuse(key: string, expected: string, value: string): ConfigError {
  return new ConfigError(`${key}: expected ${expected}, got ${JSON.stringify(value)}`, {
    key,
    value,
    source: 'environment',
  });
}
