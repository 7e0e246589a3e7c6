/** Which session is ours. Servers without recovery restart ids at 0, so all known facts count. */
import type { SessionRecord } from './session-store.js';
import type { ApplicationInfo } from './types.js';

export type Identity = Pick<SessionRecord, 'id' | 'appId' | 'owner'>;

/** The facts of a session that never change once known. */
export function identityOf({ id, appId, owner }: ApplicationInfo): Identity {
  return { id, appId, owner };
}

/** What the session contradicts of the record; undefined for nothing. Unknown facts don't count. */
export function identityMismatch(record: SessionRecord, info: ApplicationInfo): string | undefined {
  if (info.name !== null && info.name !== record.name) return `name ${info.name}`;
  if (record.id !== null && info.id !== record.id) return `id ${info.id} where we had ${record.id}`;
  if (record.appId !== null && info.appId !== null && info.appId !== record.appId) {
    return `application ${info.appId} where we had ${record.appId}`;
  }
  if (record.owner !== null && info.owner !== null && info.owner !== record.owner) {
    return `owner ${info.owner} where we had ${record.owner}`;
  }
  return undefined;
}
