/** Sizes as people write them in settings: `20GiB`, `500MB`, a number of bytes. */
import { ConfigError } from '../errors.js';
import { settingName } from './env.js';

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

/** Bytes a text stands for; undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const [, number = '', unit = ''] = /^([\d.]+)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  if (!/^\d+(\.\d+)?$/.test(number) || factor === undefined) return undefined;
  return Math.floor(Number(number) * factor);
}

/** As `parseSize`, or the share `50%` of a whole; undefined for neither. @units bytes */
export function sizeOrShare(text: string, wholeBytes: number): number | undefined {
  const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim())?.[1];
  if (percent === undefined) return parseSize(text);
  return Number(percent) > 100 ? undefined : Math.floor((wholeBytes * Number(percent)) / 100);
}

/** A setting's value that is not what it should be. `key`: its variable or flag. */
export function wrongSetting(key: string, expected: string, value: string): ConfigError {
  return new ConfigError(
    `${settingName(key)}: expected ${expected}, got ${JSON.stringify(value)}`,
    {
      key,
      value,
      source: 'environment',
    },
  );
}

/** @units bytes */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
