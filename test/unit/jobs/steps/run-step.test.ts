/** Commands of pipelines: real processes, what they must write, how they are ended and told of. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { tokenOf } from '../../../../driver/support/process-token.js';
import { runChild } from '../../../../jobs/steps/command.js';
import { runStep } from '../../../../jobs/steps/run-step.js';
import { temporaryHome } from '../../../support/frame-data.js';
import { StepBench } from '../../../support/step-run.js';

describe('run step', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let bench: StepBench;
  const at = (name: string): string => join(home.folder, name);
  const log = (): Promise<string> => readFile(at('runs/run-1/it/command-1.log'), 'utf8');

  before(async () => {
    home = await temporaryHome();
    bench = new StepBench(home.folder);
    await writeFile(at('in.txt'), 'given');
    process.env.P2_PLAIN = 'plain value';
    process.env.P2_TOKEN = 'line one of it\nline two of it';
  });
  after(async () => {
    delete process.env.P2_PLAIN;
    delete process.env.P2_TOKEN;
    await home.remove();
  });

  const isThere = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
      return false;
    }
  };

  it('runs words without a shell and a text by one, beside the file', async () => {
    await bench.run(runStep, {
      run: [
        ...[process.execPath, '-e', 'fs.writeFileSync("out.txt", process.argv.slice(1).join())'],
        ...['$HOME; *', 40, -0.5, true],
      ],
      outputs: ['out.txt'],
    });
    assert.equal(await readFile(at('out.txt'), 'utf8'), '$HOME; *,40,-0.5,true');
    await bench.run(runStep, {
      run: 'tr a-z A-Z < in.txt > upper.txt && echo to stderr >&2',
      inputs: ['in.txt'],
      outputs: { upper: 'upper.txt' },
    });
    assert.equal(await readFile(at('upper.txt'), 'utf8'), 'GIVEN');
    assert.equal(await log(), 'to stderr\n');
    assert.deepEqual(bench.report?.files, ['steps/it/command-1.log']);
  });

  it('says how a command ended and what it printed last', async () => {
    const run = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; exit 3';
    await assert.rejects(bench.run(runStep, { run }), (error: Error) => {
      assert.match(error.message, /^p\.yaml:1:1: steps\.it\.run: expected "for i in /);
      assert.match(
        error.message,
        /to end with exit code 0, got exit code 3; it printed last:\n {2}line 3\n/,
      );
      assert.match(error.message, /\n {2}line 12\nthe log is .*command-1\.log$/);
      return true;
    });
    await assert.rejects(
      bench.run(runStep, { run: 'kill -9 $$' }),
      /got signal SIGKILL; it printed nothing/,
    );
    await assert.rejects(
      bench.run(runStep, { run: ['no-such-program', 'x'] }),
      /expected a program that can be run, got ENOENT for no-such-program; name its path/,
    );
  });

  it('is not done until every output was written anew', async () => {
    await writeFile(at('old.txt'), 'old');
    await mkdir(at('folder'), { recursive: true });
    await writeFile(at('folder/part'), 'old');
    await assert.rejects(
      bench.run(runStep, { run: 'true', outputs: ['gone.txt'] }),
      /gone\.txt, got nothing there/,
    );
    await assert.rejects(
      bench.run(runStep, { run: 'true', outputs: ['old.txt'] }),
      /old\.txt, got what was there before/,
    );
    await assert.rejects(
      bench.run(runStep, { run: 'true', outputs: ['folder'] }),
      /what was there before/,
    );
    await bench.run(runStep, { run: 'echo new > folder/part', outputs: ['folder'] });
    await bench.run(runStep, { run: 'echo old > old.txt', outputs: ['old.txt'] });
  });

  it('gives declared variables and what programs need, and nothing else', async () => {
    process.env.P2_UNDECLARED = 'not for it';
    await bench.run(runStep, {
      run: 'env > env.txt',
      outputs: ['env.txt'],
      environment: { MODE: 'fast', COUNT: 3, SECRET: { env: 'P2_TOKEN' } },
    });
    delete process.env.P2_UNDECLARED;
    const names = (await readFile(at('env.txt'), 'utf8'))
      .split('\n')
      .map((line) => line.split('=')[0]!);
    for (const name of ['MODE', 'COUNT', 'SECRET', 'PATH']) assert.ok(names.includes(name), name);
    assert.ok(!names.some((name) => /^P2_|^REPRISE_/.test(name)), names.join());
  });

  it('keeps secrets out of log, messages and key', async () => {
    const environment = ['P2_PLAIN', 'P2_TOKEN'];
    const run = 'echo "$P2_TOKEN"; echo "$P2_PLAIN"; exit 1';
    await assert.rejects(bench.run(runStep, { run, environment }), (error: Error) => {
      assert.ok(!error.message.includes('of it'), error.message);
      return true;
    });
    assert.equal(await log(), '***\n***\nplain value\n');
    const key = async (): Promise<string> =>
      JSON.stringify((await bench.bind(runStep, { run, environment })).parameters);
    const before = await key();
    assert.ok(!before.includes('plain value') && !before.includes('of it'));
    process.env.P2_TOKEN = 'renewed and another';
    assert.equal(await key(), before);
    process.env.P2_PLAIN = 'other value';
    assert.notEqual(await key(), before);
    await assert.rejects(
      bench.bind(runStep, { run, environment: { API_KEY: 'abcdef' } }),
      /environment\.API_KEY: expected where the secret is, got a value; say \{env: NAME\}/,
    );
    await assert.rejects(
      bench.run(runStep, { run, environment: ['P2_MISSING'] }),
      /expected the environment variable P2_MISSING, got none; set it/,
    );
  });

  it('takes secrets from files and commands too, by where they come from', async () => {
    await writeFile(at('token.txt'), 'of a file\n');
    const environment = { A: { file: 'token.txt' }, B: { command: ['echo', 'of a command'] } };
    const run = 'echo "$A and $B"; [ "$A $B" = "of a file of a command" ]';
    await bench.run(runStep, { run, environment });
    assert.equal(await log(), '*** and ***\n');
    const { parameters } = await bench.bind(runStep, { run, environment });
    assert.match(JSON.stringify(parameters), /token\.txt/);
  });

  it('ends the whole process group when it is stopped, one that ignores TERM too', async () => {
    const abort = new AbortController();
    const loop = 'while :; do sleep 0.05; done';
    const run = `trap '' TERM; sh -c 'echo $$ > pids.txt; ${loop}' & ${loop}`;
    const ended = runChild({
      words: ['/bin/sh', '-c', run],
      folder: home.folder,
      environment: process.env,
      log: at('runs/stop/command-1.log'),
      scrub: (text) => text,
      signal: abort.signal,
      graceMs: 100,
    });
    const inner = await pidIn(at('pids.txt'));
    abort.abort(new Error('time is up'));
    await assert.rejects(ended, /time is up/);
    await until(() => !isThere(inner));
  });

  it('leaves nothing running behind a command that ended', async () => {
    await bench.run(runStep, { run: 'sleep 1000 & echo $! > left.txt', outputs: ['left.txt'] });
    const pid = Number(await readFile(at('left.txt'), 'utf8'));
    await until(() => !isThere(pid));
  });

  it('ends what a killed process left running before it runs the command again', async () => {
    const orphan = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    await mkdir(at('runs/run-1/it'), { recursive: true });
    await writeFile(at('runs/run-1/it/command-1.log.process'), tokenOf(orphan.pid!));
    await bench.run(runStep, { run: 'true' });
    await until(() => !isThere(orphan.pid!));
  });

  it('hands over megabytes of output without waiting for a reader', async () => {
    await bench.run(runStep, { run: 'head -c 3000000 /dev/zero | tr "\\0" x; echo; echo end' });
    const text = await log();
    assert.ok(text.length >= 3_000_000 && text.endsWith('end\n'));
  });
});

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await wait(5);
}

async function pidIn(path: string): Promise<number> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (/^\d+\n/.test(text)) return Number(text);
    await wait(5);
  }
}
