/** The way in by spark-submit, without a cluster: command line, job settings, what is told. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../driver/errors.js';
import { parseJob } from '../../../jobs/job-file/read-job.js';
import {
  requireSubmit,
  submitArguments,
  submitLaunch,
} from '../../../spark-bridge/submit/launch.js';
import { sparkWay } from '../../../spark-bridge/submit/settings.js';

const SECRET = 'open-sesame-4711';
const parts = { jar: '/shim.jar', memoryBytes: 2 * 1024 ** 3, conf: {} };

/** Runs `body` under these variables, and none of ours besides. */
function under<T>(variables: Readonly<Record<string, string>>, body: () => T): T {
  const names = ['REPRISE_SPARK_MASTER', 'REPRISE_LIVY_URL', 'SPARK_HOME'];
  const before = names.map((name) => process.env[name]);
  for (const name of names) delete process.env[name];
  Object.assign(process.env, variables);
  try {
    return body();
  } finally {
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    });
  }
}

const job = (spark: string): string =>
  `kind: grid-search\ndata: {path: a.csv, target: y}\nmodel: {type: ridge}\nsearch: {grid: {lambda: 1}}\nspark:\n${spark}`;

describe('spark-submit', () => {
  it('is given the master, client mode, packages and settings, and the shim last', () => {
    const conf = { 'spark.executor.memory': '4g', 'spark.driver.memory': '3g' };
    const packages = ['org.apache.spark:spark-avro_2.13:4.0.1', 'a:b:1'];
    const args = submitArguments({ ...parts, master: 'yarn', packages, conf });
    assert.deepEqual(args.slice(0, 4), ['--master', 'yarn', '--deploy-mode', 'client']);
    assert.equal(args[args.indexOf('--class') + 1], 'reprise.shim.server.Main');
    assert.equal(args[args.indexOf('--driver-memory') + 1], '3g');
    assert.equal(args[args.indexOf('--packages') + 1], packages.join(','));
    assert.ok(args.includes('spark.executor.memory=4g'));
    assert.equal(args.at(-1), '/shim.jar');
  });

  it('forces no address where executors are on other machines', () => {
    for (const master of ['spark://h:7077', 'yarn', 'k8s://https://h:6443']) {
      const text = submitArguments({ ...parts, master }).join(' ');
      assert.doesNotMatch(text, /127\.0\.0\.1|spark\.driver\.(host|bindAddress)/, master);
    }
    assert.match(submitArguments({ ...parts, master: 'local[2]' }).join(' '), /127\.0\.0\.1/);
  });

  it('puts no secret on the command line: those go by standard input', () => {
    const conf = {
      'spark.hadoop.fs.s3a.secret.key': SECRET,
      'spark.executor.extraJavaOptions': `-Dstore.password=${SECRET}`,
      'spark.driver.extraJavaOptions': `-Dstore.password=${SECRET}`,
    };
    assert.doesNotMatch(submitArguments({ ...parts, master: 'yarn', conf }).join(' '), /sesame/);
    const scratch = mkdtempSync(join(tmpdir(), 'reprise-submit-'));
    const launch = submitLaunch(
      { master: 'yarn' },
      {
        ...parts,
        java: { command: 'java', version: '17', major: 17 },
        spark: {
          jars: '/nowhere/jars',
          version: '3.5.6',
          target: { line: '3.5', scala: '2.12' },
          origin: 'downloaded',
        },
        cores: 1,
        scratch,
        logSettings: join(scratch, 'log4j2.properties'),
        given: conf,
      },
    );
    assert.deepEqual(launch.conf, conf);
    assert.equal(launch.env.SPARK_LOCAL_DIRS, scratch);
    assert.doesNotMatch(JSON.stringify([launch.args, launch.env]), /sesame/);
    const file = launch.args.find((arg) => arg.startsWith('@'))!.slice(1);
    assert.equal(readFileSync(file, 'utf8'), `"-Dstore.password=${SECRET}"\n`);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    rmSync(scratch, { recursive: true });
  });

  it('asks for the Spark of a cluster that needs its own', () => {
    under({}, () => {
      requireSubmit('spark://h:7077');
      requireSubmit('local[*]');
      assert.throws(() => requireSubmit('yarn'), /got no SPARK_HOME; set SPARK_HOME/);
    });
    under({ SPARK_HOME: '/nowhere' }, () => {
      assert.throws(
        () => requireSubmit('k8s://https://h:6443'),
        /got no \/nowhere\/bin\/spark-submit/,
      );
    });
  });
});

describe('the way to Spark', () => {
  it('is the one that job or environment name, the job first', () => {
    const kindOf = (variables: Readonly<Record<string, string>>, master?: string): string =>
      under(variables, () => {
        const way = sparkWay(master === undefined ? {} : { master });
        return way.kind === 'submit' ? way.master : way.kind;
      });
    assert.equal(kindOf({}), 'embedded');
    assert.equal(kindOf({ REPRISE_LIVY_URL: 'http://h:8998' }), 'livy');
    assert.equal(kindOf({ REPRISE_SPARK_MASTER: 'yarn' }), 'yarn');
    assert.equal(kindOf({ REPRISE_SPARK_MASTER: 'yarn' }, 'spark://h:7077'), 'spark://h:7077');
    assert.throws(
      () => kindOf({ REPRISE_LIVY_URL: 'http://h:8998' }, 'yarn'),
      /expected one way to Spark, got spark.master and REPRISE_LIVY_URL/,
    );
    assert.throws(
      () => kindOf({ REPRISE_SPARK_MASTER: 'mesos://h' }),
      /REPRISE_SPARK_MASTER: expected spark:\/\/HOST:PORT, .*got "mesos:\/\/h"/,
    );
  });

  it('takes settings from a job, also by the command line, and secrets when they are needed', () => {
    const text = job(
      '  master: yarn\n  conf: {spark.executor.cores: 4, spark.x.secret: {env: OWN_SECRET}}',
    );
    const { spark, document } = parseJob('job.yaml', text, {
      overrides: ['spark.conf.spark.executor.memory=2g', 'spark.master=local[2]'],
    });
    const { secrets, ...section } = spark!;
    const conf = { 'spark.executor.cores': '4', 'spark.executor.memory': '2g' };
    assert.deepEqual(section, { master: 'local[2]', conf });
    assert.throws(
      () => sparkWay(spark),
      /^ConfigError: spark\.conf\.spark\.x\.secret: expected the environment variable OWN_SECRET, got none/,
    );
    const way = under({ OWN_SECRET: SECRET }, () => sparkWay(spark));
    assert.deepEqual(way.conf, { ...conf, 'spark.x.secret': SECRET });
    assert.equal(typeof secrets, 'function');
    assert.match(JSON.stringify(document), /"spark\.x\.secret":\{"env":"OWN_SECRET"\}/);
  });

  const refused: readonly (readonly [string, RegExp])[] = [
    ['  master: mesos://h', /spark\.master: expected spark:\/\/HOST:PORT/],
    ['  conf: {spark.sql.ansi.enabled: false}', /may change what expressions mean/],
    ['  conf: {spark.master: yarn}', /say it as `spark\.master` of the job/],
    ['  conf: {fs.s3a.access.key: x}', /put `spark\.hadoop\.` before it/],
    [
      '  conf: {spark.x.secret: abc}',
      /spark\.x\.secret: expected where the secret is, got a value;/,
    ],
    ['  conf: {spark.a.javaOptions: -Dpassword=x}', /say {env: NAME}, {file: PATH} or {command: /],
    ['  deploy: cluster', /expected a known key, got `deploy`/],
  ];
  for (const [section, message] of refused) {
    it(`refuses${section.replaceAll(/\s+/g, ' ')}`, () => {
      assert.throws(() => parseJob('job.yaml', job(section)), message);
    });
  }

  it('says no secret of a section that is wrong', () => {
    const section = `  conf:\n    spark.a.password: {b: ${SECRET}}\n    spark.b.token: [${SECRET}]`;
    assert.throws(
      () => parseJob('job.yaml', job(section), { overrides: [`spark.conf.c.secret=${SECRET}`] }),
      (error) => error instanceof ConfigError && !error.message.includes(SECRET),
    );
  });
});
