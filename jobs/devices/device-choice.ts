/** What people say of devices, in files, variables and flags, and its only parser. Light: no driver. */

import { env } from '../../driver/support/env.js';
import { wrongSetting } from '../../driver/support/size.js';

/** `auto`: GPUs that are there; else those named, as `opencl:0`. */
export type DeviceChoice = 'auto' | 'none' | readonly string[];

const NAME = /^(opencl|cuda):(0|[1-9]\d{0,3})$/;

export const EXPECTED_DEVICES =
  '`auto`, `none`, or names of devices, each once, such as `opencl:0, cuda:0`';

/** From a list, or a text with commas between names. Undefined for what is no choice. */
export function parseDevices(value: unknown): DeviceChoice | undefined {
  if (value === 'auto' || value === 'none') return value;
  const names = typeof value === 'string' ? namesIn(value) : value;
  if (!Array.isArray(names) || names.length === 0) return undefined;
  const areNames = names.every((name) => typeof name === 'string' && NAME.test(name));
  return areNames && new Set(names).size === names.length ? (names as string[]) : undefined;
}

/** Brackets as in YAML may stay. */
function namesIn(text: string): string[] {
  const inside = /^\s*\[(.*)\]\s*$/.exec(text)?.[1] ?? text;
  return inside.split(',').map((name) => name.trim());
}

/** The key as a checked document has it, for what is made of the document. */
export function devicesOf(value: unknown): { readonly devices?: DeviceChoice } {
  const devices = parseDevices(value);
  return devices === undefined ? {} : { devices };
}

/** What the environment and settings files say; undefined where they say nothing. @throws ConfigError */
export function configuredDevices(): DeviceChoice | undefined {
  const text = env.devices();
  if (text === undefined) return undefined;
  const choice = parseDevices(text);
  if (choice === undefined) throw wrongSetting('REPRISE_DEVICES', EXPECTED_DEVICES, text);
  return choice;
}
