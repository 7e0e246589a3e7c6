/**
 * Keeps secrets out of messages, logs and reports: known secret values are replaced wherever they
 * appear, also in what a server sends back. Invariant: a log's end or a server's text that goes
 * into a message has passed through `scrub`.
 */

const SECRET_KEY = /secret|password|passwd|token|credential|(access|account|api)[._-]?key|sas\b/i;

/** Whether a Spark setting holds a secret: by its name, or by those of options in its value. */
export function isSecretSetting(key: string, value = ''): boolean {
  return SECRET_KEY.test(key) || (value.includes('=') && SECRET_KEY.test(value));
}

/** Names that speak of secrets and have none: of classes, switches, files and mounts. */
const HARMLESS =
  /\.(provider(\.path)?|enabled|type|class)$|[Ff]ile$|[Pp]ath$|\.secretKeyRef\.|\.kubernetes\.(driver|executor)\.secrets\./;

/** Whether a literal value of a setting of Spark is a secret that stands in the open. */
export function isOpenSecret(key: string, value: unknown): boolean {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value !== '***' &&
    !/^(true|false)$/.test(value) &&
    isSecretSetting(key, value) &&
    !(HARMLESS.test(key) && !isSecretSetting('', value))
  );
}

export interface Redactor {
  /** Adds a value to hide; short ones are ignored, since hiding "a" would hide everything. */
  add(secret: string): void;
  /** Adds the values of Spark settings whose keys say they are secret. */
  addConf(conf: Readonly<Record<string, string>>): void;
  scrub(text: string): string;
}

/** A redactor that knows nothing yet. */
export function createRedactor(): Redactor {
  const secrets = new Set<string>();
  const add = (secret: string): void => {
    if (secret.length < 4) return;
    secrets.add(secret);
    secrets.add(encodeURIComponent(secret));
    // As it stands inside a JSON body that an error message echoes.
    secrets.add(JSON.stringify(secret).slice(1, -1));
  };
  return {
    add,
    addConf: (conf) => {
      for (const [key, value] of Object.entries(conf)) if (isSecretSetting(key, value)) add(value);
    },
    scrub: (text) => {
      let clean = text;
      // Longest first, so that a secret that contains another one leaves no rest.
      for (const secret of [...secrets].sort((a, b) => b.length - a.length)) {
        clean = clean.replaceAll(secret, '***');
      }
      return clean;
    },
  };
}
