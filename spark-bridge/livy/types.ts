/**
 * What a user says to reach an Apache Livy server and start a session or batch on it, and what Livy
 * says back. Durations carry their unit in the name. Wire spellings live in `wire.ts` and never
 * leave this folder.
 */

/** How to prove who we are. A function is asked again when the server refuses the last answer. */
export type LivyAuth =
  | { readonly type: 'none' }
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string | (() => string | Promise<string>) }
  /** Kerberos; needs the optional package `kerberos` and a ticket (kinit, or from `ticket`). */
  | {
      readonly type: 'spnego';
      /** Service principal; default `HTTP@<host of the url>`. */
      readonly service?: string;
      /** Source of base64 SPNEGO tokens, instead of the `kerberos` package. */
      readonly ticket?: (service: string) => Promise<string>;
    };

export interface LivyConnection {
  /** Base address, any path included: `http://host:8998`, `https://knox/gateway/x/livy/v1`. */
  readonly url: string;
  readonly auth?: LivyAuth;
  /** PEM certificates to trust besides the system's. */
  readonly ca?: string;
  /** Sent as `?doAs=`; beats `proxyUser` of a request. Needs impersonation on the server. */
  readonly doAs?: string;
  /** Time limit of one ordinary call. @units ms, default 30000 */
  readonly timeoutMs?: number;
  /** Limit of calls waiting for the cluster (create, delete, upload). @units ms, default 120000 */
  readonly slowTimeoutMs?: number;
  /** Largest decompressed answer. @units bytes, default 96 MiB (48 MiB of data in base64) */
  readonly maxResponseBytes?: number;
  readonly retry?: RetryPolicy;
  /** Told once of each thing the operator should know: clear-text passwords, unsafe servers. */
  readonly onWarning?: (message: string) => void;
}

/** Backoff with full jitter: a wait is uniform in [0, min(capMs, baseMs * 2^attempt)]. */
export interface RetryPolicy {
  /** Attempts after the first; each success starts a new count. Default 6. */
  readonly retries?: number;
  /** @units ms, default 250 */
  readonly baseMs?: number;
  /** @units ms, default 15000 */
  readonly capMs?: number;
  /** Longest `Retry-After` obeyed; a longer one ends the attempt. @units ms, default 120000 */
  readonly maxRetryAfterMs?: number;
}

/** What Spark is asked for; absent means the cluster's default. */
export interface SparkResources {
  readonly proxyUser?: string;
  readonly jars?: readonly string[];
  readonly files?: readonly string[];
  readonly archives?: readonly string[];
  readonly queue?: string;
  /** As Spark writes sizes: `4g`. */
  readonly driverMemory?: string;
  readonly driverCores?: number;
  readonly executorMemory?: string;
  readonly executorCores?: number;
  readonly numExecutors?: number;
  readonly conf?: Readonly<Record<string, string>>;
}

export interface SessionSpec extends SparkResources {
  /** `[A-Za-z0-9_-]`, not all digits; unique on the server. */
  readonly name: string;
  readonly kind?: 'spark' | 'pyspark' | 'sparkr' | 'sql' | 'shared';
  /** Livy ends the session when nobody has called for this long. @units seconds; 0 is never */
  readonly heartbeatSeconds?: number;
  /** Idle limit; sent as `idleTimeout` (0.9 on) or `ttl` (0.8), else not. @units seconds */
  readonly idleSeconds?: number;
  /** Age limit; `ttl` from 0.9 on, which needs `livy.server.session.ttl-check`. @units seconds */
  readonly ttlSeconds?: number;
}

export interface BatchSpec extends SparkResources {
  readonly name: string;
  /** The application's jar, a URI the cluster can read. */
  readonly file: string;
  readonly className: string;
  readonly args?: readonly string[];
}

/** What a state means for us: `wait` for it, use it (`ready`), or it is over (`ended`). */
export type SessionPhase = 'wait' | 'ready' | 'ended';

/** A session or a batch, as the server tells it. */
export interface ApplicationInfo {
  readonly id: number;
  readonly name: string | null;
  readonly appId: string | null;
  readonly owner: string | null;
  readonly proxyUser: string | null;
  /** As Livy wrote it; see `sessionPhase`. */
  readonly state: string;
}

export type StatementOutput =
  | { readonly status: 'ok'; readonly text: string }
  | {
      readonly status: 'error';
      readonly ename: string;
      readonly evalue: string;
      readonly traceback: readonly string[];
    };

export interface StatementInfo {
  readonly id: number;
  readonly code: string;
  /** `waiting running available cancelling cancelled`, or something newer. */
  readonly state: string;
  readonly output: StatementOutput | null;
  /** 0..1; tasks done of tasks known, may go down. */
  readonly progress: number;
}
