/**
 * Settings in documents: what settings files say is the ground a job is built upon, what the
 * environment says comes before it, as settings of the command line do.
 */
import type { Layer } from '../job-file/includes.js';
import type { Override } from '../job-file/overrides.js';
import { isMap } from '../job-file/plain-data.js';
import { type KeyPath, parseYamlValue } from '../job-file/yaml-source.js';
import { loadedSettings, settingsAbove, settingsGround } from './current.js';
import { findSettingsFiles, type SettingsFiles } from './find-files.js';
import { type Levels, saidBy } from './levels.js';
import { readSettingsFile } from './settings-file.js';

/** Whether a kind of document has a key: pipelines have no `search`, jobs no `parallel`. */
const isFor = (kind: unknown, key: unknown): boolean =>
  key !== (kind === 'pipeline' ? 'search' : 'parallel');

/**
 * Layers below the documents of a folder, weakest first, by their kind: a document's project is where
 * it stands, whatever folder the command works in.
 */
export function groundOf(folder: string): (kind: unknown) => Layer[] {
  const loaded = loadedSettings();
  if (loaded === undefined) return () => [];
  const files = findSettingsFiles(folder);
  const levels = files.project === loaded.files.project ? loaded : levelsOf(files);
  return (kind) => layersOf(kind, levels);
}

function levelsOf(files: SettingsFiles): Levels {
  const said = (['project', 'user'] as const).flatMap((level) => {
    const path = files[level];
    return path === undefined ? [] : saidBy(readSettingsFile(path), level);
  });
  return { files, said };
}

function layersOf(kind: unknown, levels: Levels): Layer[] {
  return settingsGround(levels).map(({ file, folder, value, position }) => ({
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
