/**
 * A secret that a user gave is nowhere afterwards (case 38): not in what commands print, with
 * structured logs and stacks on, not in run folders, kept results and records, not in the command
 * lines of processes; whether runs end well, are refused, or lose their Spark.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { env } from '../../driver/support/env.js';
import { type CliResult, reprise } from '../support/cli.js';
import { JobFolder, linearCsv } from '../support/job-folder.js';
import { jettyPage } from '../support/livy-server/answers.js';
import type { Fault } from '../support/livy-server/faults.js';
import { type LivyTestServer, startLivyTestServer } from '../support/livy-server/livy-server.js';
import { realDrivers } from '../support/livy-server/real-driver.js';
import { filesWith } from '../support/search-files.js';
import { sparkMissing } from '../support/spark.js';

/** One that JSON, addresses and regular expressions write another way. */
const PASSWORD = 'pl4nted/&"pass$1word';
const KEY = 'pl4nted-s3a-key';
const TOKEN = 'pl4nted-cloud-token';
const BASIC = Buffer.from(`ada:${PASSWORD}`).toString('base64');
const FORMS = ['pl4nted', encodeURIComponent(PASSWORD), BASIC, JSON.stringify(PASSWORD)];
const CONF = { 'spark.hadoop.fs.s3a.secret.key': KEY };
const WITH = { REPRISE_LOG: 'trace', ANY_CLOUD_TOKEN: TOKEN };

describe('a planted secret', function () {
  this.timeout(300_000);
  let folder: JobFolder;
  let server: LivyTestServer | undefined;

  beforeEach(() => {
    folder = new JobFolder();
    folder.write('data.csv', linearCsv(200));
    folder.job();
    mkdirSync(folder.file('home'));
    // What set-up brought, and nothing that a run writes.
    for (const name of readdirSync(env.home())) {
      if (/^(spark-|native|shim)/.test(name)) {
        symlinkSync(join(env.home(), name), folder.file(join('home', name)));
      }
    }
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    folder.remove();
  });

  const call = (
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
    onStart: (child: ChildProcess) => void = () => {},
  ): Promise<CliResult> =>
    reprise(args, {
      cwd: folder.path,
      env: {
        REPRISE_HOME: folder.file('home'),
        REPRISE_STORE: folder.file('store'),
        ...WITH,
        ...more,
      },
      onStart,
    });

  /** @param given files that the user wrote the secret into */
  const assertNowhere = (results: readonly CliResult[], given: readonly string[] = []): void => {
    for (const { stdout, stderr } of results) {
      for (const form of FORMS)
        assert.ok(!`${stdout}${stderr}`.includes(form), `${form}: ${stderr}`);
    }
    const files = filesWith(FORMS, folder.path).filter(
      (path) => !path.startsWith(folder.file('home/s')),
    );
    assert.deepEqual(
      files,
      given.map((name) => folder.file(name)),
    );
  };

  /** The environment of a run through Livy with a password and a secret setting. */
  const livy = async (faults: readonly Fault[] = [], options = {}) => {
    server = await startLivyTestServer({
      evaluator: async () => ({ error: `failed with ${KEY} of ${PASSWORD}`, traceback: [KEY] }),
      basicAuth: { username: 'ada', password: PASSWORD },
      startMs: 50,
      ...options,
      faults,
    });
    chmodSync(folder.write('spec.json', JSON.stringify({ conf: CONF })), 0o600);
    const url = new URL(server.url);
    url.username = 'ada';
    url.password = encodeURIComponent(PASSWORD);
    return { REPRISE_LIVY_URL: url.href, REPRISE_LIVY_SPEC: folder.file('spec.json') };
  };

  const hasLogged = (): boolean => filesWith(['INFO', 'WARN'], folder.file('home/logs')).length > 0;

  it('is in nothing that runs here say or leave', async () => {
    const run = await call(['run', 'job.yaml', '--engine', 'local', '--json', '--verbose']);
    const plain = await call(['run', 'job.yaml', '--engine', 'local', '--json']);
    assert.equal(plain.code, 0, plain.stderr);
    const lines = await call(['run', 'job.yaml', `data.path=${TOKEN}.csv`]);
    assert.equal(lines.code, 3);
    const address = `s3a://ada:${encodeURIComponent(PASSWORD)}@bucket/data.parquet`;
    const refused = await call(['run', 'job.yaml', `data.path=${address}`]);
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stderr, /data\.path: expected an address without a password/);
    const doctor = await call(['doctor', '--json']);
    assertNowhere([run, plain, lines, refused, doctor]);
  });

  it('is in nothing of what is said of a Livy server that says it back', async () => {
    const echo = `bad conf ${JSON.stringify(CONF)} of ada:${PASSWORD}, Authorization: Basic ${BASIC}`;
    const answers: readonly Fault['action'][] = [
      { kind: 'answer', status: 400, body: JSON.stringify({ msg: echo }) },
      { kind: 'answer', ...jettyPage(403, echo) },
      { kind: 'answer', status: 302, body: echo, headers: { Location: `http://h/?${KEY}` } },
    ];
    const results: CliResult[] = [];
    for (const action of answers) {
      const variables = await livy([{ method: 'POST', path: /^\/sessions/, action, times: 99 }]);
      results.push(await call(['run', 'job.yaml', '--engine', 'spark', '--json'], variables));
      await server?.close();
    }
    // The session runs, and its first statement fails.
    const variables = await livy();
    results.push(await call(['run', 'job.yaml', '--engine', 'spark', '--json'], variables));
    for (const { code, stderr } of results)
      assert.ok(code === 5 || code === 1, `${code}: ${stderr}`);
    assertNowhere(results, ['spec.json']);
  });

  it('is in nothing that a run through Livy says or leaves', async function () {
    if (sparkMissing() !== undefined) this.skip();
    const variables = await livy([], await realDrivers());
    const run = await call(['run', 'job.yaml', '--engine', 'spark', '--json'], variables);
    assert.equal(run.code, 0, run.stderr);
    assert.ok(server!.requests.every(({ headers }) => headers.authorization === `Basic ${BASIC}`));
    const id = JSON.parse(run.stdout).run;
    const more = await Promise.all(
      [
        ['runs', 'show', id, '--json'],
        ['lineage', id],
        ['report', id],
      ].map((args) => call(args)),
    );
    for (const { code, stderr } of more) assert.equal(code, 0, stderr);
    assertNowhere([run, ...more], ['spec.json']);
  });

  for (const [way, spark] of [
    ['embedded', {}],
    ['by spark-submit', { master: 'local[1]' }],
  ] as const) {
    it(`is in no command line, and in nothing that Spark ${way} says when it is killed`, async function () {
      if (sparkMissing() !== undefined) this.skip();
      const given = { S3_SECRET: KEY, JAVA_SECRET: `-Dstore.password=${KEY}` };
      const conf = {
        'spark.hadoop.fs.s3a.secret.key': { env: 'S3_SECRET' },
        'spark.driver.extraJavaOptions': { env: 'JAVA_SECRET' },
      };
      folder.job({ spark: { ...spark, conf } });
      const seen: string[] = [];
      const run = await call(['run', 'job.yaml', '--engine', 'spark', '--json'], given, (child) => {
        const watch = setInterval(() => {
          const lines = commandLines(child.pid!);
          seen.push(...lines);
          const java = lines.find((line) => line.includes('reprise.shim'));
          if (java === undefined || !hasLogged()) return;
          process.kill(Number(java.split(' ', 1)), 'SIGKILL');
        }, 50);
        child.once('exit', () => clearInterval(watch));
      });
      assert.match(run.stderr, /got (its end by )?signal SIGKILL; the end of .*home.logs.spark-/);
      assert.ok(seen.some((line) => line.includes('reprise.shim')));
      const told = seen.filter((line) => line.includes('pl4nted'));
      assert.deepEqual(told, []);
      assertNowhere([run], []);
    });
  }
});

/** `<pid> <command line>` of the processes that a process started, and theirs. */
function commandLines(pid: number): string[] {
  const rows = execFileSync('ps', ['-eo', 'ppid=,pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((row) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row) ?? []);
  const below = (parent: string): string[] =>
    rows.flatMap(([, of, own, args]) => (of === parent ? [`${own} ${args}`, ...below(own!)] : []));
  return below(String(pid));
}
