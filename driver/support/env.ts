/**
 * Every environment variable Reprise reads, in one place. Values that may hold secrets are returned to their one
 * user and are never logged.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

function text(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

export const env = {
  /** Folder for downloaded jars, native libraries and the durable store. */
  home: (): string =>
    text('REPRISE_HOME') ?? join(text('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'reprise'),
  /** Folder of a full Spark distribution, used instead of the downloaded jars. */
  sparkHome: (): string | undefined => text('SPARK_HOME'),
  javaHome: (): string | undefined => text('JAVA_HOME'),
  /** Path of a BLAS with LAPACK to load instead of the downloaded OpenBLAS; `none` forces the JavaScript kernels. */
  blas: (): string | undefined => text('REPRISE_BLAS'),
  /** Threads of the local CPU backend. */
  threads: (): string | undefined => text('REPRISE_THREADS'),
  /** `on` keeps results in `<home>/store`, a path keeps them there; `off` or unset keeps none. */
  store: (): string | undefined => {
    const value = text('REPRISE_STORE');
    if (value === undefined || value === 'off') return undefined;
    return value === 'on' ? join(env.home(), 'store') : value;
  },
  livyUrl: (): string | undefined => text('REPRISE_LIVY_URL'),
  livyChannel: (): string | undefined => text('REPRISE_LIVY_CHANNEL'),
  logLevel: (): string | undefined => text('REPRISE_LOG'),
  /** 1 or more: check every compiler rule's result. Always on in CI. */
  verify: (): number => Number(text('REPRISE_VERIFY') ?? (text('CI') ? 1 : 0)),
  /** `cost` (default), `local` or `blocks`: where a session with several backends runs what more than one can. */
  placement: (): string | undefined => text('REPRISE_PLACEMENT'),
  noColor: (): boolean => text('NO_COLOR') !== undefined,
} as const;
