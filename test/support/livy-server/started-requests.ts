/** Requests that a session's statements started, read from arguments by `statement-code.ts`. */
import { argumentOf } from './read-code.js';
import type { TestSession } from './sessions.js';

/** Distinct requests started so far; a statement sent again starts nothing new. */
export function startedRequests(session: TestSession | undefined): number {
  const ids = new Set<string>();
  for (const { code } of session?.statements.values() ?? []) {
    for (const id of startsIn(Buffer.from(argumentOf(code) ?? '', 'base64url'))) ids.add(id);
  }
  return ids.size;
}

function startsIn(bytes: Buffer): string[] {
  const ids: string[] = [];
  // Nonce, protocol, wait, limit; then the folder.
  let at = 18 + 1 + 4 + 4;
  at += 2 + (bytes.length > at ? bytes.readUInt16BE(at) : 0);
  while (at < bytes.length) {
    const kind = bytes.readUInt8(at);
    const id = bytes.subarray(at + 1, at + 19).toString('base64url');
    at += 19;
    if (kind === 1 || kind === 3 || kind === 4) {
      ids.push(id);
      at += 1 + 4 + 32;
    }
    if (kind === 2) at += 4;
    if (kind === 1 || kind === 2) at += 4 + bytes.readUInt32BE(at);
    if (kind === 3) at += 4;
    if (kind === 4) at += 2 + bytes.readUInt16BE(at);
  }
  return ids;
}
