/**
 * What this Livy server can do, from `GET /version`. Livy refuses unknown JSON fields with 400, so
 * each newer field is sent only to servers that know it (tags v0.6.0 to v0.9.0 of Apache Livy
 * compared).
 */

export interface LivyVersion {
  /** As the server wrote it: `0.9.0-incubating`. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
}

export interface LivyFeatures {
  /** `GET /sessions/{name}/..` finds a session by its name. */
  readonly lookupByName: boolean;
  /** `GET /statements?order=desc` is obeyed. */
  readonly statementOrder: boolean;
  /** The field that carries the idle limit; its name moved. */
  readonly idleField: 'idleTimeout' | 'ttl' | null;
  /** `ttl` is the total age. */
  readonly totalTtl: boolean;
}

/** Reads `/version`'s text; an unreadable one (vendors write their own) counts as 0.7. */
export function parseLivyVersion(text: string): LivyVersion {
  const match = /^(\d+)\.(\d+)/.exec(text.trim());
  return { text, major: Number(match?.[1] ?? 0), minor: Number(match?.[2] ?? 7) };
}

const since = (version: LivyVersion, major: number, minor: number): boolean =>
  version.major > major || (version.major === major && version.minor >= minor);

export function livyFeatures(version: LivyVersion): LivyFeatures {
  return {
    lookupByName: since(version, 0, 6),
    statementOrder: since(version, 0, 8),
    idleField: since(version, 0, 9) ? 'idleTimeout' : since(version, 0, 8) ? 'ttl' : null,
    totalTtl: since(version, 0, 9),
  };
}

/** What the operator should know about this version; empty when there is nothing. */
export function versionWarnings(version: LivyVersion): readonly string[] {
  if (!since(version, 0, 7)) {
    return [`livy ${version.text}: expected 0.7 or later; this version is not tested`];
  }
  if (!since(version, 0, 9)) {
    return [
      `livy ${version.text}: versions before 0.9.0 let users read files outside the allowed folders (GHSA-h84f-4ff9-8hc3); upgrade the server`,
    ];
  }
  return [];
}
