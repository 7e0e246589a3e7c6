/** Looks at data and writes a first job file for them; never over another file. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { ConfigError, ResourceError } from '../../driver/errors.js';
import { openSession } from '../engines.js';
import { firstJob } from './first-job.js';
import { chooseTarget, look, type TargetChoice } from './look.js';

/**
 * Writes the job and returns what it predicts.
 * @param data a file, folder or glob on this machine
 * @param wanted the column to predict; a guess without
 * @throws ConfigError when the file is there or the column can't be predicted; DataError, ResourceError
 */
export async function writeFirstJob(
  data: string,
  file: string,
  wanted: string | undefined,
): Promise<TargetChoice> {
  const path = resolve(file);
  if (existsSync(path)) throw taken(file);
  const open = await openSession('local');
  try {
    const seen = await look(open.frames, data);
    const target = chooseTarget(seen, wanted);
    const own = relative(dirname(path), resolve(data)) || '.';
    const text = firstJob(file, { path: own, seen, target });
    await writeFile(path, text, { flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EEXIST') throw taken(file);
      throw new ResourceError(
        `init: expected to write ${file}, got ${cause.code ?? cause.message}`,
        { resource: 'disk', path },
        { cause },
      );
    });
    return target;
  } finally {
    await open.session.close();
  }
}

function taken(file: string): ConfigError {
  return new ConfigError(
    `init: expected no file at ${file}, got one; name another: reprise init DATA other.yaml`,
    { key: 'file', value: file, source: 'flag' },
  );
}
