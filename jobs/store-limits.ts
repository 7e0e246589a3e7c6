/** The durable store's limits by the environment; unset ones have the store's own defaults. */
import type { DurableStoreOptions } from '../driver/reuse/store/durable-store.js';
import { env } from '../driver/support/env.js';
import { parseSize, wrongSetting } from '../driver/support/size.js';

export type StoreLimitOptions = Pick<
  DurableStoreOptions,
  'maxBytes' | 'maxEntries' | 'maxAgeSeconds'
>;

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
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  const expected = 'a size such as 20GiB, 500MB or a number of bytes';
  throw wrongSetting('REPRISE_STORE_BYTES', expected, text);
}

function numberOf(name: string, text: string, expected: string, form: RegExp): number {
  if (form.test(text.trim())) return Number(text);
  throw wrongSetting(name, expected, text);
}
