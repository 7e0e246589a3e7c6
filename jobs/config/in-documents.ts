/**
 * Settings in documents: what settings files say is the ground a job is built upon, what the
 * environment says comes before it, as settings of the command line do.
 */
import { isMap, type Layer } from '../job-file/includes.js';
import type { Override } from '../job-file/overrides.js';
import { type KeyPath, parseYamlValue } from '../job-file/yaml-source.js';
import { settingsAbove, settingsGround } from './current.js';

/** Whether a kind of document has a key: pipelines have no `search`, jobs no `parallel`. */
const isFor = (kind: unknown, key: unknown): boolean =>
  key !== (kind === 'pipeline' ? 'search' : 'parallel');

/** Layers below a document of a kind, weakest first. */
export function groundOf(kind: unknown): Layer[] {
  return settingsGround().map(({ file, folder, value, position }) => ({
    source: {
      file,
      value: Object.fromEntries(Object.entries(value).filter(([key]) => isFor(kind, key))),
      position,
    },
    folder,
  }));
}

/** Settings of the environment for a document of a kind. @throws ConfigError for what is no YAML */
export function environmentOverrides(kind: unknown): Override[] {
  return settingsAbove().flatMap(({ path, value, origin, kind: of }) => {
    if (!isFor(kind, path[0])) return [];
    const variable = origin.replace('environment ', '');
    const override = (at: KeyPath, one: unknown): Override => ({
      path: at,
      value: one,
      text: variable,
      by: 'environment',
    });
    if (of === 'path') return [override(path, value)];
    if (of === 'list') return [override(path, String(value).split(/\s*,\s*/))];
    const parsed = parseYamlValue(`environment: ${variable}`, String(value));
    if (of !== 'conf' || !isMap(parsed)) return [override(path, parsed)];
    return Object.entries(parsed).map(([name, one]) => override([...path, name], one));
  });
}
