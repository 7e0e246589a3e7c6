/**
 * The JSON Schema of settings files, for editors: made from the table of settings, so that it knows
 * those there are. Invariant: it takes every value that a settings file takes; what it can't say (an
 * address without a password, names of Spark's settings) the file's own check says.
 */
import * as z from 'zod';
import { secretSource } from './secret-schema.js';
import { SETTINGS, type Setting, type SettingKind } from './settings.js';

const text = z.string().min(1);
const whole = z.union([z.int().min(0).max(999_999_999), z.string().regex(/^\d{1,9}$/)]);
const days = z.union([z.number().min(0), z.string().regex(/^\d+(\.\d+)?$/)]);

const VALUES: { readonly [K in SettingKind]: z.ZodType } = {
  text: z.union([text, z.number()]),
  path: text,
  size: z.union([text, z.number()]),
  memory: z.union([text, z.number()]),
  devices: z.union([text, z.array(text)]),
  count: whole,
  days,
  address: text,
  secret: secretSource,
  list: z.array(text),
  conf: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), secretSource])),
};

function schemaOf({ kind, words, about, fallback }: Setting): z.ZodType {
  const ofKind = VALUES[kind];
  const value =
    words === undefined
      ? ofKind
      : kind === 'text'
        ? z.enum(words as [string, ...string[]])
        : z.union([z.enum(words as [string, ...string[]]), ofKind]);
  return value.optional().meta({ description: `${about}. Default: ${fallback}.` });
}

/** What a settings file may say, keys with dots as mappings in mappings. */
export function settingsSchema(): z.ZodType {
  const groups = new Map<string, Record<string, z.ZodType>>();
  const shape: Record<string, z.ZodType> = {};
  for (const setting of SETTINGS) {
    const [first = '', second] = setting.key.split('.');
    if (second === undefined) {
      shape[first] = schemaOf(setting);
      continue;
    }
    const group = groups.get(first) ?? {};
    group[second] = schemaOf(setting);
    groups.set(first, group);
  }
  for (const [name, group] of groups) shape[name] = z.strictObject(group).optional();
  return z.strictObject(shape).meta({
    title: 'Reprise settings',
    description: "`reprise.yaml` of a project, or the user's own settings.",
  });
}

/** As JSON. */
export function settingsJsonSchema(): string {
  const schema = z.toJSONSchema(settingsSchema(), { io: 'input', target: 'draft-7' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
