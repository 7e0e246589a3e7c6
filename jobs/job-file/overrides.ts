/**
 * Settings given on the command line as `key.path=value`, put into the document before it is
 * checked, so that one set of rules covers both. Values are YAML. Invariant: the document that was
 * read is not changed.
 */
import { ConfigError } from '../../driver/errors.js';
import { isSecretSetting } from '../../spark-bridge/channel/redact.js';
import { type KeyPath, parseYamlValue } from './yaml-source.js';

export interface Override {
  readonly path: KeyPath;
  readonly value: unknown;
  /** As the user wrote it, for messages; a secret setting without its value. */
  readonly text: string;
  /** Who says it, for messages. Default: the command line. */
  readonly by?: string;
}

/** @throws ConfigError when the text is not `key.path=value` or the value is not YAML */
export function parseOverride(text: string): Override {
  const equals = text.indexOf('=');
  const given = equals < 0 ? text : text.slice(0, equals).trim();
  const setting = /^spark\.conf\.([\w.-]+)$/.exec(given)?.[1];
  // Names of Spark's settings have dots themselves.
  const keys = setting === undefined ? given.split('.') : ['spark', 'conf', setting];
  const shown = equals >= 0 && isSecretSetting(given) ? `${given}=***` : text;
  const isKey = (key: string): boolean => /^[A-Za-z_][\w-]*$|^\d{1,9}$/.test(key);
  if (equals < 0 || (setting === undefined && !keys.every(isKey))) {
    throw new ConfigError(
      `command line: expected key.path=value such as cv.folds=5, got ${JSON.stringify(shown)}`,
      { source: 'command line', value: shown },
    );
  }
  if (keys.some((key) => ['__proto__', 'constructor', 'prototype'].includes(key))) {
    throw new ConfigError(`command line: expected a key of a job file, got "${keys.join('.')}"`, {
      source: 'command line',
      key: keys.join('.'),
    });
  }
  const raw = text.slice(equals + 1);
  return {
    path: keys.map((key) => (/^\d+$/.test(key) ? Number(key) : key)),
    value: parseYamlValue(`command line: ${keys.join('.')}`, raw),
    text: shown,
  };
}

/** A copy of the document with the overrides put in, first to last. @throws ConfigError */
export function applyOverrides(document: unknown, overrides: readonly Override[]): unknown {
  let result = structuredClone(document);
  for (const override of overrides) result = put(result, override, 0);
  return result;
}

function put(target: unknown, override: Override, depth: number): unknown {
  const key = override.path[depth];
  if (key === undefined) return override.value;
  const where = override.path.slice(0, depth).join('.') || 'the job file';
  if (Array.isArray(target)) {
    if (typeof key !== 'number' || key > target.length) {
      throw new ConfigError(
        `command line: ${override.text}: expected a position from 0 to ${target.length} in the list at ${where}, got "${key}"`,
        { source: 'command line', key: override.path.join('.') },
      );
    }
    target[key] = put(target[key], override, depth + 1);
    return target;
  }
  if (target !== undefined && target !== null && typeof target !== 'object') {
    throw new ConfigError(
      `command line: ${override.text}: expected a mapping at ${where}, got ${JSON.stringify(target)}; set ${where} as a whole`,
      { source: 'command line', key: override.path.join('.') },
    );
  }
  const map = (target ?? {}) as Record<string, unknown>;
  map[String(key)] = put(map[String(key)], override, depth + 1);
  return map;
}
