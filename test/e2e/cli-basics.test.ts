/** The command line without jobs: help, wrong usage, schema, doctor, closed pipes, start time. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { cliPath, reprise } from '../support/cli.js';
import { JobFolder } from '../support/job-folder.js';

describe('reprise without a job', () => {
  it('prints help and version on standard output', async () => {
    const help = await reprise(['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /run .*plan .*report .*setup .*doctor .*schema/s);
    assert.equal(help.stderr, '');
    const version = await reprise(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it('starts about as fast as Node itself', () => {
    const best = (args: readonly string[]): number =>
      Math.min(
        ...Array.from({ length: 7 }, () => {
          const began = performance.now();
          execFileSync(process.execPath, args);
          return performance.now() - began;
        }),
      );
    const bare = best(['-e', '0']);
    const ours = best([cliPath, '--version']);
    // 150 ms on an idle machine; against bare Node, so that a loaded one does not fail it.
    assert.ok(
      ours < Math.max(150, 3 * bare),
      `${ours.toFixed(0)} ms, bare Node ${bare.toFixed(0)} ms`,
    );
  });

  it('runs from the bundle unless sources were compiled since', () => {
    const folder = new JobFolder();
    const said = (): string => execFileSync(process.execPath, [main], { encoding: 'utf8' });
    const main = folder.file('jobs/cli/main.js');
    for (const [path, exported, text] of [
      ['jobs/cli/command.js', 'export const runCommandLine', 'files'],
      ['bundle/command.cjs', '// abc\nexports.runCommandLine', 'bundle'],
    ] as const) {
      mkdirSync(dirname(folder.file(path)), { recursive: true });
      folder.write(path, `${exported} = () => console.log('${text}');`);
    }
    folder.write('package.json', '{ "type": "module" }');
    copyFileSync(cliPath, main);
    const loader = 'load-bundle.js';
    copyFileSync(join(dirname(cliPath), loader), join(dirname(main), loader));
    for (let i = 0; i < 2; i++) assert.equal(said(), 'bundle\n');
    const kept = readdirSync(folder.file('bundle'));
    assert.equal(kept.filter((name) => /^command\.cjs\.abc-\w+-any$/.test(name)).length, 1);
    // V8 would run code that is not whole.
    const place = folder.file(`bundle/${kept.find((name) => name.endsWith('-any'))}`);
    const code = readFileSync(place);
    for (const damage of [code.subarray(0, 20), code.fill(0, 40, 80)]) {
      writeFileSync(place, damage);
      assert.equal(said(), 'bundle\n');
      assert.notDeepEqual(readFileSync(place), damage);
    }
    folder.write('jobs.tsbuildinfo', '');
    const later = Date.now() / 1000 + 5;
    utimesSync(folder.file('jobs.tsbuildinfo'), later, later);
    assert.equal(said(), 'files\n');
    rmSync(folder.file('jobs.tsbuildinfo'));
    rmSync(folder.file('bundle'), { recursive: true });
    assert.equal(said(), 'files\n');
    folder.remove();
  });

  const wrong: readonly (readonly [string[], RegExp])[] = [
    [['rnu'], /unknown command 'rnu'.*Did you mean run/s],
    [['run'], /missing required argument 'job'/],
    [['run', 'job.yaml', '--engine', 'gpu'], /Allowed choices are auto, local, spark/],
    [['run', 'job.yaml', '--jsno'], /unknown option '--jsno'/],
    [['doctor', '--nope'], /unknown option/],
  ];
  for (const [args, expected] of wrong)
    it(`exits 2 for \`reprise ${args.join(' ')}\``, async () => {
      const { code, stdout, stderr } = await reprise(args);
      assert.equal(code, 2);
      assert.equal(stdout, '');
      assert.match(stderr, expected);
    });

  it('prints the schema as JSON', async () => {
    const { code, stdout } = await reprise(['schema']);
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).title, 'Reprise job or pipeline');
  });

  it('ends quietly when the reader of its output has gone', () => {
    const script = `set -o pipefail; "${process.execPath}" "${cliPath}" schema | head -c 1 > /dev/null`;
    const result = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    assert.equal(result.stderr, '');
  });

  it('says in one line that its output could not be written', () => {
    for (const args of [['schema'], ['--help'], ['run', '--help']]) {
      const script = `"${process.execPath}" "${cliPath}" ${args.join(' ')} > /dev/full`;
      const result = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
      const expected = 'error: standard output: expected to write the answer, got ENOSPC\n';
      assert.deepEqual([result.status, result.stderr], [1, expected]);
    }
  });

  it('says which Node it needs, before anything is loaded that an old one can not read', () => {
    const old = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '18.20.8' } })`;
    const result = spawnSync(process.execPath, ['--import', old, cliPath, '--version'], {
      encoding: 'utf8',
    });
    assert.equal(result.status, 3);
    assert.match(result.stderr, /^error: node: expected version 20\.19 or later, got 18\.20\.8 \(/);
  });

  it('shows what a terminal would obey', async () => {
    const name = 'x\u001b[31m\u0007\u009b2J\u202e';
    for (const args of [[name], ['run', name], ['report', name], ['run', '--engine', name]]) {
      const { code, stderr } = await reprise(args);
      assert.ok(code === 2 || code === 3);
      assert.match(stderr, /x\\u001b\[31m\\u0007\\u009b2J\\u202e/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there
      assert.doesNotMatch(stderr, /[\u001b\u0007\u009b\u202e]/);
    }
  });

  it('examines the machine', async () => {
    const { code, stdout } = await reprise(['doctor', '--json']);
    const diagnosis = JSON.parse(stdout);
    const names = diagnosis.findings.map((finding: { name: string }) => finding.name);
    for (const name of [
      'node',
      'java',
      'maven',
      'blas',
      'spark',
      'shim',
      'duckdb',
      'memory',
      'disk',
      'home',
      'opencl',
      'cuda',
    ])
      assert.ok(names.includes(name), `expected a finding on ${name}`);
    const isMissing = diagnosis.findings.some((f: { status: string }) => f.status === 'missing');
    assert.equal(code, isMissing ? 1 : 0);
    assert.equal(diagnosis.local, true);
    // What is found is listed, and what is not is said with what would bring it.
    for (const driver of ['opencl', 'cuda']) {
      const { status, found, remedy } = diagnosis.findings.find(
        (finding: { name: string }) => finding.name === driver,
      );
      const devices = diagnosis.devices.filter((it: { driver: string }) => it.driver === driver);
      assert.equal(status, devices.length > 0 ? 'ok' : 'degraded');
      for (const { index, name } of devices)
        assert.ok(found.includes(`${driver}:${index} ${name}`));
      if (devices.length === 0) assert.match(remedy, /^for --devices: install/);
    }
  });

  it('says what to do about what is missing', async () => {
    const { code, stdout } = await reprise(['doctor'], {
      env: { PATH: '/nonexistent', JAVA_HOME: '/nonexistent', SPARK_HOME: '' },
    });
    assert.equal(code, 1);
    assert.match(stdout, /java +missing .*JDK 17/);
    assert.match(stdout, /maven +degraded .*Maven 3\.8/);
  });
});
