/** The line of Spark that is tested beside the default one. */
import { join } from 'node:path';
import { env } from '../../driver/support/env.js';
import { withLock } from '../../jobs/setup/lock.js';
import { buildShim, installSpark } from '../../spark-bridge/embedded/install.js';
import type { SparkInstallation } from '../../spark-bridge/embedded/locations.js';

export const OTHER_LINE = '3.5';

export interface LineParts {
  readonly spark: SparkInstallation;
  readonly shim: string;
}

/** Set up as if this line were asked for; undefined: the one that is. */
export async function partsOf(line: string | undefined): Promise<LineParts> {
  const given = process.env.REPRISE_SPARK_VERSION;
  const ask = (version: string | undefined): void => {
    if (version === undefined) delete process.env.REPRISE_SPARK_VERSION;
    else process.env.REPRISE_SPARK_VERSION = version;
  };
  ask(line);
  try {
    return { spark: await installSpark(), shim: await buildShim() };
  } finally {
    ask(given);
  }
}

/** Sets it up, one process at a time. */
export const otherLine = (): Promise<LineParts> =>
  withLock(join(env.home(), 'setup.lock'), { waitMs: 1_200_000 }, () => partsOf(OTHER_LINE));
