/** What is taken from the environment, what children get of it, and folders that can't be made. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { env } from '../../../../driver/support/env.js';
import {
  makeFolder,
  makeFolderSync,
  makeHomeFolder,
} from '../../../../driver/support/make-folder.js';
import { temporaryFolder } from '../../../support/store-files.js';

describe('the environment', () => {
  const before = { ...process.env };
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });

  it('gives children nothing of ours, and Spark no secret but those its storage signs in by', () => {
    Object.assign(process.env, {
      ...{ REPRISE_LIVY_PASSWORD: 'a', REPRISE_STORE: 'b', NPM_TOKEN: 'c', MIRROR_PASSWORD: 'd' },
      ...{ AWS_SECRET_ACCESS_KEY: 'e', HADOOP_CONF_DIR: 'f', LANG: 'C' },
    });
    const [child, spark] = [env.forChild(), env.forSpark()];
    const names = [child, spark].map((one) =>
      Object.keys(one).filter((name) => /REPRISE|TOKEN|PASSWORD|AWS|HADOOP|LANG$/.test(name)),
    );
    const kept = ['AWS_SECRET_ACCESS_KEY', 'HADOOP_CONF_DIR', 'LANG'];
    for (const name of kept) assert.ok(names.every((some) => some.includes(name)));
    assert.ok(names.flat().every((name) => !name.startsWith('REPRISE_')));
    assert.ok(child.MIRROR_PASSWORD === 'd', "Maven's settings may ask for it");
    assert.ok(!('MIRROR_PASSWORD' in spark || 'NPM_TOKEN' in spark));
  });

  it('never takes the current folder for a home', () => {
    Object.assign(process.env, { REPRISE_HOME: '', XDG_CACHE_HOME: 'here', HOME: '' });
    assert.match(env.home(), /^\/.*\/\.cache\/reprise$/);
  });
});

describe('making a folder', () => {
  it('makes those above it, and says whether it was there', async () => {
    const home = await temporaryFolder();
    const path = join(home.path, 'a', 'b', 'c');
    const both = await Promise.all([makeFolder(path), makeFolder(path)]);
    assert.ok(both.includes(true) && existsSync(path));
    assert.equal(await makeFolder(path), false);
    makeFolderSync(join(path, 'd', 'e'));
    assert.ok(existsSync(join(path, 'd', 'e')));
    await home.remove();
  });

  it('ends where no folder can be made', async function () {
    if (!existsSync('/proc/self')) return this.skip();
    await assert.rejects(makeFolder('/proc/none/x'), { code: 'ENOENT' });
    assert.throws(() => makeFolderSync('/proc/none/x'), { code: 'ENOENT' });
    await assert.rejects(makeFolder('/dev/null/x/y'), { code: 'ENOTDIR' });
    await assert.rejects(makeHomeFolder('/proc/none'), /REPRISE_HOME: expected a folder that can/);
    return undefined;
  });
});
