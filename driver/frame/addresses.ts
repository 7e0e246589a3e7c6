/**
 * Data in remote storage: what each scheme's address is called on Spark and what Spark needs to
 * open it. Invariant: an address is refused here only where no engine reads it; what a cluster is
 * set up for, the cluster knows.
 */
import { ConfigError, DataError, type RepriseError } from '../errors.js';
import { isRemote } from './identity.js';

interface Scheme {
  /** The name Hadoop's own client has, where that is another. */
  readonly spark?: string;
  /** What Spark needs besides itself. */
  readonly needs: string;
}

const S3: Scheme = {
  spark: 's3a',
  needs:
    "the jar hadoop-aws of Spark's Hadoop version with the AWS SDK it depends on, and credentials (fs.s3a.access.key and fs.s3a.secret.key, or the environment's)",
};
const AZURE: Scheme = {
  needs:
    "the jar hadoop-azure of Spark's Hadoop version with what it depends on, and fs.azure.account.key.<account>.dfs.core.windows.net or another way to sign in",
};

const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['s3', S3],
  ['s3n', S3],
  ['s3a', S3],
  [
    'gs',
    {
      needs:
        'the jar gcs-connector-hadoop3 (shaded), fs.gs.impl=com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem, and credentials',
    },
  ],
  ['abfs', AZURE],
  ['abfss', AZURE],
  ['wasb', { ...AZURE, spark: 'abfss' }],
  ['wasbs', { ...AZURE, spark: 'abfss' }],
  ['hdfs', { needs: "the name node's address in the path, or fs.defaultFS" }],
  ['webhdfs', { needs: "the name node's HTTP address in the path" }],
]);

/** Whether an address names a user with a password: it would stand in run folders and lineage. */
export function hasPassword(address: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/\s@]*:[^/\s]*@/i.test(address);
}

export const NO_PASSWORD =
  'expected an address without a password, got one with it; give it to Spark by its settings (`spark.conf`) or its environment';

/** Schemes of servers that cannot list or say what a file is. */
const DOWNLOAD = /^(https?|ftps?|sftp|data|git|ssh):/i;

/** @throws ConfigError when the path is an address that this machine does not read */
export function requireLocal(path: string): void {
  const scheme = schemeOf(path);
  if (scheme === undefined) return;
  requireStorage(path);
  const known = SCHEMES.get(scheme);
  const name = renamed(path, known);
  throw new ConfigError(
    known === undefined
      ? `data: expected a file, folder or glob, got ${path}; no storage called ${scheme}:// is known on this machine: give a path, or --engine spark where Spark knows it`
      : `data: expected a file, folder or glob on this machine, got ${path}; run with --engine spark${name === path ? '' : ` and write ${name}`}; it needs ${known.needs}`,
    { key: 'data.path', value: path },
  );
}

/** @throws ConfigError for one that must be downloaded first, on any engine, or holds a password */
export function requireStorage(path: string): void {
  if (hasPassword(path)) throw new ConfigError(`data: ${NO_PASSWORD}`, { key: 'data.path' });
  if (!DOWNLOAD.test(path)) return;
  throw new ConfigError(
    `data: expected files or storage that can be listed, got ${path}; download it and give the file`,
    { key: 'data.path', value: path },
  );
}

const NO_CLIENT =
  /No FileSystem for scheme|fs\.AbstractFileSystem\.\S+\.impl=null|Class \S*FileSystem not found|NoClassDefFoundError|ClassNotFoundException/;
const NO_ACCESS =
  /UnknownHost|ConnectException|NoRouteToHost|SocketTimeout|ConnectTimeout|AccessDenied|AccessControl|NoAuth|Credentials|Forbidden|Unauthorized|InvalidUri|URISyntax|IllegalArgument|Authentication|UnknownStore|RemoteException|RetriableException|NoSuchBucket/;

/** What Spark's refusal to open an address means to the user; other errors as they are. */
export function remoteFault(path: string, cause: unknown): unknown {
  const { message = '', code } = cause as Partial<RepriseError>;
  if (code !== 'EXECUTION') return cause;
  const scheme = schemeOf(path) ?? '';
  const known = SCHEMES.get(scheme);
  const facts = { key: 'data.path', value: path, path };
  if (NO_CLIENT.test(message)) {
    const name = renamed(path, known);
    const remedy =
      name === path
        ? `Spark needs ${known?.needs ?? `a jar with a client for ${scheme}://, and fs.${scheme}.impl`}`
        : `write ${name}, as Hadoop's own client is called; it needs ${known?.needs}`;
    return new ConfigError(
      `data: expected an address that Spark can open, got ${path}, for which it has no client; ${remedy}`,
      facts,
      { cause },
    );
  }
  if (!NO_ACCESS.test(message)) return cause;
  const got = message.replace(/^.*?, got /s, '').split('\n')[0];
  return new DataError(
    `data: expected to open ${path} from Spark, got ${got}; check the address${known === undefined ? '' : `; it needs ${known.needs}`}`,
    facts,
    { cause },
  );
}

/** The address as Hadoop's client of that storage is called. */
function renamed(path: string, known: Scheme | undefined): string {
  return known?.spark === undefined ? path : path.replace(/^[a-z0-9]+/i, known.spark);
}

/** In lower case; undefined for a path of this machine. */
function schemeOf(path: string): string | undefined {
  if (!isRemote(path) || /^(file|table):/i.test(path)) return undefined;
  return path.slice(0, path.indexOf(':')).toLowerCase();
}
