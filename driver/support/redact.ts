/**
 * Takes secrets out of text for people and for files that outlive a command: credentials in
 * addresses, tokens of headers, and values of the environment whose names say what they are.
 */
import { env } from './env.js';

/** `npm://package@version` and `pypi://package@version` name no user. */
const isPackage = (scheme: string, user: string): boolean =>
  /^(npm|pypi):\/\/$/i.test(scheme) && !user.includes(':');

/** Removes credentials in addresses, bearer tokens and secret environment values from a text. */
export function redact(text: string): string {
  let safe = text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)([^\s/@]+)@/gi, (all, scheme: string, user: string) =>
      isPackage(scheme, user) ? all : `${scheme}***@`,
    )
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 ***');
  for (const value of env.secrets()) {
    safe = safe.replaceAll(value, '***').replaceAll(JSON.stringify(value).slice(1, -1), '***');
  }
  return safe;
}
