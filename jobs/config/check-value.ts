/** Whether a value is one that a setting may have, whoever says it. */
import { parseSize, sizeOrShare } from '../../driver/support/size.js';
import { EXPECTED_DEVICES, parseDevices } from '../devices/device-choice.js';
import { isMap } from '../job-file/plain-data.js';
import type { Setting, SettingKind } from './settings.js';

type Check = readonly [expected: string, isRight: (value: unknown) => boolean];

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isSize = (value: unknown): boolean => parseSize(String(value)) !== undefined;

const CHECKS: { readonly [K in SettingKind]: Check } = {
  text: ['text', (value) => isText(value) || typeof value === 'number'],
  path: ['a path', isText],
  size: ['a size such as 5GiB or 500MB', isSize],
  memory: [
    'a size such as 8GiB, or a share such as 50%',
    (value) => isSize(value) || (isText(value) && sizeOrShare(value, 1) !== undefined),
  ],
  devices: [EXPECTED_DEVICES, (value) => parseDevices(value) !== undefined],
  count: ['a whole number', (value) => /^\d{1,9}$/.test(String(value))],
  days: ['a number of days', (value) => /^\d+(\.\d+)?$/.test(String(value))],
  address: ['an address such as http://host:8998', (value) => isText(value) && URL.canParse(value)],
  secret: ['where the secret is', isMap],
  list: ['a list of texts', (value) => Array.isArray(value) && value.every(isText)],
  conf: ['a mapping', isMap],
};

/** `expected ..` when a value is none for a setting. */
export function expectedOf({ kind, words }: Setting, value: unknown): string | undefined {
  if (isText(value) && words?.includes(value)) return undefined;
  if (words !== undefined && kind === 'text') return `one of ${words.join(', ')}`;
  const [expected, isRight] = CHECKS[kind];
  if (isRight(value)) return undefined;
  return words === undefined ? expected : `${expected}, ${words.join(' or ')}`;
}
