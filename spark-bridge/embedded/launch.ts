/** What the JVM of the shim is started from, by whichever way; and the environment it gets. */
import { delimiter } from 'node:path';
import { env } from '../../driver/support/env.js';
import {
  findNativeBlasFolder,
  type JavaInstallation,
  type SparkInstallation,
} from './locations.js';

/** What every way in has to work with. */
export interface LaunchParts {
  readonly java: JavaInstallation;
  /** The shim. */
  readonly jar: string;
  readonly spark: SparkInstallation;
  readonly memoryBytes: number;
  readonly cores: number;
  /** Folder that goes with the JVM. */
  readonly scratch: string;
  readonly logSettings: string;
  /** Settings by the user. */
  readonly given: Readonly<Record<string, string>>;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Settings that go by standard input, where nobody else can read them. */
  readonly conf: Readonly<Record<string, string>>;
}

/**
 * The JVM finds `libblas.so.3` by this path; one BLAS thread a task, as tasks fill the cores.
 * @param isAlone no other machine has to reach it
 */
export function shimEnvironment(isAlone: boolean): NodeJS.ProcessEnv {
  const blas = findNativeBlasFolder();
  const inherited = env.forSpark();
  const { LD_LIBRARY_PATH: given } = inherited;
  const path = [blas, given].filter((part) => part !== undefined && part !== '').join(delimiter);
  return {
    ...inherited,
    ...(path === '' ? {} : { LD_LIBRARY_PATH: path }),
    OPENBLAS_NUM_THREADS: '1',
    OMP_NUM_THREADS: '1',
    ...(isAlone ? { SPARK_LOCAL_IP: '127.0.0.1' } : {}),
  };
}
