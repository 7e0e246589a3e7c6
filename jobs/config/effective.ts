/** Settings as people ask about them: each with its value, who says it, and no secret. */
import { isSecretSetting } from '../../spark-bridge/channel/redact.js';
import { parseYamlValue } from '../job-file/yaml-source.js';
import { loadSettings } from './current.js';
import type { SettingsFiles } from './find-files.js';
import { requireRight, type Said, unknownVariables } from './levels.js';
import { isSecretSource, type SecretSource, sourceText } from './secrets.js';
import { SETTINGS, type Setting } from './settings.js';

export interface EffectiveSetting {
  readonly key: string;
  /** As it is said; null where nobody says it. A secret is `***`. */
  readonly value: unknown;
  /** `default`, `environment NAME` or file, line and column. */
  readonly origin: string;
  /** What holds where nobody says anything, for people. */
  readonly fallback: string;
}

export interface Effective {
  readonly files: SettingsFiles;
  readonly settings: readonly EffectiveSetting[];
  /** Variables of the environment that name no setting. */
  readonly unknown: readonly string[];
}

/** What holds in a folder. @throws ConfigError for settings that are wrong */
export async function effectiveSettings(folder: string): Promise<Effective> {
  const { files, said } = await loadSettings(folder);
  const settings = SETTINGS.flatMap((setting): EffectiveSetting[] => {
    const own = said.filter(({ key }) => key === setting.key);
    if (setting.kind === 'conf' && own.length > 0) return confOf(setting, own);
    const [first] = own;
    const { key, fallback } = setting;
    if (first === undefined) return [{ key, value: null, origin: 'default', fallback }];
    if (!['list', 'secret'].includes(setting.kind)) requireRight(first);
    return [{ key, ...shown(key, first), fallback }];
  });
  return { files, settings, unknown: unknownVariables() };
}

function shown(key: string, { setting, value, origin, level }: Said) {
  if (setting.kind === 'secret' && level === 'environment') return { value: '***', origin };
  if (setting.kind === 'secret') return secretOf(value as SecretSource, origin);
  return {
    value: setting.kind === 'address' ? withoutPassword(value) : hidden(key, value),
    origin,
  };
}

function secretOf(source: SecretSource, origin: string) {
  return { value: '***', origin: `${sourceText(source)}, by ${origin}` };
}

/** Settings of Spark one by one, each by the first that says it. */
function confOf({ key: above, fallback }: Setting, own: readonly Said[]): EffectiveSetting[] {
  const entries = new Map<string, EffectiveSetting>();
  const add = (name: string, value: unknown, origin: string): void => {
    const key = `${above}.${name}`;
    if (entries.has(key)) return;
    const said = isSecretSource(value)
      ? secretOf(value, origin)
      : { value: hidden(name, value), origin };
    entries.set(key, { key, ...said, fallback });
  };
  for (const { name, value, origin } of own) {
    if (name !== undefined) add(name, value, origin);
    else {
      const map = parseYamlValue(origin, String(value)) ?? {};
      for (const [each, one] of Object.entries(map)) add(each, one, origin);
    }
  }
  return [...entries.values()];
}

const hidden = (key: string, value: unknown): unknown =>
  isSecretSetting(key, String(value)) ? '***' : value;

function withoutPassword(value: unknown): string {
  const text = String(value);
  return text.replace(/(\/\/[^/@]*:)[^/@]*@/, '$1***@');
}
