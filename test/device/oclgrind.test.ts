/**
 * A case of each kernel on Oclgrind: no read or write outside of operands, no data race within a
 * group, no value used that nobody wrote.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../driver/support/package-root.js';

const LIBRARY = '/usr/lib/oclgrind/liboclgrind-rt.so';
const script = join(packageRoot(), 'dist', 'test', 'support', 'oclgrind-process.js');

describe('kernels on Oclgrind', () => {
  let folder: string;

  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'reprise-oclgrind-'));
    if (existsSync(LIBRARY)) return;
    console.warn(`SKIPPED kernels on Oclgrind: ${LIBRARY} is not there`);
    this.skip();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = async (mode: 'kernels' | 'planted') => {
    const log = join(folder, `${mode}.log`);
    const settings = {
      OCLGRIND_LOG: log,
      OCLGRIND_CHECK_API: '1',
      OCLGRIND_DATA_RACES: '1',
      OCLGRIND_UNINITIALIZED: '1',
      // What watches uninitialised values knows no code that was optimised.
      OCLGRIND_BUILD_OPTIONS: '-O0',
    };
    const env = { ...process.env, ...settings };
    const { stdout } = await promisify(execFile)(process.execPath, [script, LIBRARY, mode], {
      env,
    });
    return { result: JSON.parse(stdout), found: readFileSync(log, 'utf8').trim() };
  };

  it('touch nothing that is not theirs, and are right', async function () {
    this.timeout(120_000);
    const { result, found } = await run('kernels');
    assert.equal(found, '');
    assert.deepEqual(result.failed, []);
    assert.ok(result.cases.length >= 16, `${result.cases.length} cases`);
    assert.equal(result.left, 0);
  });

  it('are found out where they do', async () => {
    const { found } = await run('planted');
    assert.match(found, /Invalid read of size 8.*Kernel: beyond/s);
    assert.match(found, /data race.*Kernel: race/s);
    assert.match(found, /Uninitialized.*Kernel: unwritten/s);
  });
});
