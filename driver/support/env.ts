/**
 * Every environment variable Reprise reads, in one place, and what settings files say where one is
 * not set. Values that may hold secrets are returned to their one user and are never logged.
 */
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ConfigError } from '../errors.js';

/** What stands in for a variable that is not set. */
export interface ProvidedSetting {
  /** Asked each time: a secret may be renewed. */
  readonly value: () => string;
  /** Where it stands, for messages: `livy.url in /work/reprise.yaml`. */
  readonly place: string;
}

let provided: ReadonlyMap<string, ProvidedSetting> = new Map();

/** Takes values by variable from settings files, in place of those that were provided before. */
export function provideSettings(values: ReadonlyMap<string, ProvidedSetting>): void {
  provided = values;
}

/** What people said a variable's value by: the variable, or a settings file's key. */
export function settingName(variable: string): string {
  return own(variable) === undefined ? (provided.get(variable)?.place ?? variable) : variable;
}

function own(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

function text(name: string): string | undefined {
  return own(name) ?? provided.get(name)?.value();
}

/** A relative path counts for nothing: it would be another folder for each place of a command. */
function userFolder(variable: string, fallback: string): string {
  const given = own(variable);
  return given !== undefined && isAbsolute(given) ? given : join(userHome(), fallback);
}

/** @throws ConfigError for a user who has none */
function userHome(): string {
  for (const home of [homedir, () => userInfo().homedir]) {
    try {
      const folder = home();
      if (isAbsolute(folder)) return folder;
    } catch {
      // The system does not know this user.
    }
  }
  throw new ConfigError(
    'REPRISE_HOME: expected a folder for downloads and kept results, got none, and this user has no home; set REPRISE_HOME',
    { key: 'REPRISE_HOME', source: 'environment' },
  );
}

/** Names of variables whose values are nobody else's business. */
export const SECRET_NAME =
  /(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|(API|ACCESS|ACCOUNT|PRIVATE|STORAGE)_?KEY)/i;
const OF_COMMANDS =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|VIRTUAL_ENV|LD_LIBRARY_PATH|XDG_RUNTIME_DIR)$/i;
const OF_SPARK = /^(AWS|AZURE|GOOGLE|GCS|HADOOP|KRB5|SPARK)_/;

/** Others' variables that settings may say, and other programs read. */
const FOR_OTHERS = ['JAVA_HOME', 'SPARK_HOME'];

function without(isLeftOut: (name: string) => boolean): NodeJS.ProcessEnv {
  const said = FOR_OTHERS.flatMap((name) => {
    const value = text(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const all = { ...process.env, ...Object.fromEntries(said) };
  return Object.fromEntries(Object.entries(all).filter(([name]) => !isLeftOut(name)));
}

export const env = {
  /** Folder for downloaded jars, native libraries and the durable store. */
  home: (): string =>
    text('REPRISE_HOME') ?? join(userFolder('XDG_CACHE_HOME', '.cache'), 'reprise'),
  /** `off`: no settings files count; a path: the project's. */
  config: (): string | undefined => own('REPRISE_CONFIG'),
  /** The settings file of this user. */
  userConfig: (): string =>
    join(userFolder('XDG_CONFIG_HOME', '.config'), 'reprise', 'config.yaml'),
  /** Where `run` and `plan` run when no flag says it. */
  engine: (): string | undefined => text('REPRISE_ENGINE'),
  /** Folder for run folders, before any that a job file says. */
  output: (): string | undefined => text('REPRISE_OUTPUT'),
  /** Folder of a full Spark distribution, used instead of the downloaded jars. */
  sparkHome: (): string | undefined => text('SPARK_HOME'),
  /** Where `--engine spark` runs jobs: `spark://host:7077`, `yarn`, `k8s://..`, `local[4]`. */
  sparkMaster: (): string | undefined => text('REPRISE_SPARK_MASTER'),
  /** The line (`3.5`, `4.1`) or release (`4.1.1`) of the Spark that set-up brings. */
  sparkVersion: (): string | undefined => text('REPRISE_SPARK_VERSION'),
  javaHome: (): string | undefined => text('JAVA_HOME'),
  /** Path of a BLAS with LAPACK to load, not the downloaded one; `none`: JavaScript kernels. */
  blas: (): string | undefined => text('REPRISE_BLAS'),
  /** TensorFlow.js for float32 products: `auto`, `none` or `always`. */
  tensorflow: (): string | undefined => text('REPRISE_TENSORFLOW'),
  /** `auto`, `none` or names of devices with commas. */
  devices: (): string | undefined => text('REPRISE_DEVICES'),
  /** What a device may give: `4GiB`, or `50%` of its memory. */
  deviceMemory: (): string | undefined => text('REPRISE_DEVICE_MEMORY'),
  /** Folder to look for CUDA's libraries in first; `none`: no CUDA. */
  cuda: (): string | undefined => text('REPRISE_CUDA'),
  /** The CUDA toolkit, by either of the names it has. */
  cudaHome: (): string | undefined => own('CUDA_HOME') ?? own('CUDA_PATH'),
  /** The Python environment that is active. */
  pythonEnvironment: (): string | undefined => own('VIRTUAL_ENV'),
  /** Threads of the local CPU backend. */
  threads: (): string | undefined => text('REPRISE_THREADS'),
  /** Memory of this process and its JVM: `8GiB`, or `50%` of the machine or container. */
  memory: (): string | undefined => text('REPRISE_MEMORY'),
  /** `on` keeps results in `<home>/store`, a path keeps them there, false (`off`) nowhere. */
  store: (): string | false | undefined => {
    const value = text('REPRISE_STORE');
    if (value === 'off') return false;
    return value === 'on' ? join(env.home(), 'store') : value;
  },
  /** What the durable store may take: `20GiB`, `500MB` or a number of bytes. */
  storeBytes: (): string | undefined => text('REPRISE_STORE_BYTES'),
  /** How many results the durable store may hold. */
  storeResults: (): string | undefined => text('REPRISE_STORE_RESULTS'),
  /** Days without use after which a stored result goes. */
  storeDays: (): string | undefined => text('REPRISE_STORE_DAYS'),
  /** Which cached values leave memory first: `costSize`, `lru` or `dagHeight`. */
  cachePolicy: (): string | undefined => text('REPRISE_CACHE_POLICY'),
  /** `off`: values that leave memory are dropped; a path: spill there, not in the temp folder. */
  spill: (): string | undefined => text('REPRISE_SPILL'),
  livyUrl: (): string | undefined => text('REPRISE_LIVY_URL'),
  /** `auto`, `direct` or `statements`. */
  livyChannel: (): string | undefined => text('REPRISE_LIVY_CHANNEL'),
  /** `session`, or `batch` where nothing else is allowed. */
  livyMode: (): string | undefined => text('REPRISE_LIVY_MODE'),
  /** Machines a direct channel may lead to, besides this one. */
  livyAllow: (): string | undefined => text('REPRISE_LIVY_ALLOW'),
  /** `none`, `basic`, `bearer` or `spnego`. */
  livyAuth: (): string | undefined => text('REPRISE_LIVY_AUTH'),
  livyUser: (): string | undefined => text('REPRISE_LIVY_USER'),
  livyPassword: (): string | undefined => text('REPRISE_LIVY_PASSWORD'),
  livyToken: (): string | undefined => text('REPRISE_LIVY_TOKEN'),
  /** File of PEM certificates to trust besides the system's. */
  livyCa: (): string | undefined => text('REPRISE_LIVY_CA'),
  livyProxyUser: (): string | undefined => text('REPRISE_LIVY_PROXY_USER'),
  /** The shim's jar where the cluster reads it. */
  livyJar: (): string | undefined => text('REPRISE_LIVY_JAR'),
  /** `ship` (default) sends this machine's OpenBLAS, `own` leaves executors what they have. */
  livyBlas: (): string | undefined => text('REPRISE_LIVY_BLAS'),
  /** A folder both sides reach: `<path here>` or `<path here>=<URI in the cluster>`. */
  livyStorage: (): string | undefined => text('REPRISE_LIVY_STORAGE'),
  /** JSON file of what Spark is asked for: memory, cores, queue, settings. */
  livySpec: (): string | undefined => text('REPRISE_LIVY_SPEC'),
  logLevel: (): string | undefined => text('REPRISE_LOG'),
  /** 1 or more: check every compiler rule's result. Always on in CI. */
  verify: (): number => Number(text('REPRISE_VERIFY') ?? (text('CI') ? 1 : 0)),
  /** What is reused where nobody else says it: see `reuse/setting.ts`. */
  reuse: (): string | undefined => text('REPRISE_REUSE'),
  /** `cost` (default), `local` or `blocks`: where nodes run that several backends can run. */
  placement: (): string | undefined => text('REPRISE_PLACEMENT'),
  /** For a program we start: nothing that is meant for us. */
  forChild: (): NodeJS.ProcessEnv => without((name) => name.startsWith('REPRISE_')),
  /** For a command of a pipeline: what programs need of user and machine, and nothing else. */
  forCommand: (): NodeJS.ProcessEnv => without((name) => !OF_COMMANDS.test(name)),
  /** For Spark: no secrets, but those by which its storage clients and Kerberos sign in. */
  forSpark: (): NodeJS.ProcessEnv =>
    without(
      (name) => name.startsWith('REPRISE_') || (SECRET_NAME.test(name) && !OF_SPARK.test(name)),
    ),
  /** A variable of the user's own, which a job file names. */
  variable: (name: string): string | undefined => own(name),
  /** Names of the variables that are set and meant for us. */
  names: (): string[] =>
    Object.keys(process.env).filter((name) => name.startsWith('REPRISE_') && own(name)),
  /** Values that must stand in no text, the longest first: one may hold another. */
  secrets: (): string[] =>
    Object.entries(process.env)
      .flatMap(([name, value = '']) => (value.length >= 6 && SECRET_NAME.test(name) ? [value] : []))
      .sort((a, b) => b.length - a.length),
  noColor: (): boolean => text('NO_COLOR') !== undefined,
} as const;
