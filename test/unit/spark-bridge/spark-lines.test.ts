/** Which Spark runs and which shim fits it, from settings and folders; nothing is started. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ConfigError } from '../../../driver/errors.js';
import { packageRoot } from '../../../driver/support/package-root.js';
import { chooseEngine } from '../../../jobs/engines.js';
import { classArchive } from '../../../spark-bridge/embedded/class-archive.js';
import {
  downloadedJars,
  findSpark,
  findUsableSpark,
  requireJava,
  shimJar,
  wantedSpark,
} from '../../../spark-bridge/embedded/locations.js';
import { SPARK_LINES, shimTarget } from '../../../spark-bridge/embedded/spark-lines.js';

const KEYS = [
  'SPARK_HOME',
  'REPRISE_SPARK_VERSION',
  'REPRISE_HOME',
  'JAVA_HOME',
  'REPRISE_LIVY_URL',
];

describe('lines of Spark', () => {
  let folder: string;
  const before = Object.fromEntries(KEYS.map((key) => [key, process.env[key]]));
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-lines-'));
    for (const key of KEYS) delete process.env[key];
    process.env.REPRISE_HOME = join(folder, 'home');
    java('17.0.15');
  });
  afterEach(() => {
    for (const key of KEYS) {
      if (before[key] === undefined) delete process.env[key];
      else process.env[key] = before[key];
    }
    rmSync(folder, { recursive: true });
  });

  /** A `java` that says it is of this version. */
  function java(version: string): void {
    const home = join(folder, `java-${version}`);
    mkdirSync(join(home, 'bin'), { recursive: true });
    writeFileSync(
      join(home, 'bin', 'java'),
      `#!/bin/sh\necho 'openjdk version "${version}"' >&2\n`,
    );
    chmodSync(join(home, 'bin', 'java'), 0o755);
    process.env.JAVA_HOME = home;
  }

  function sparkHome(...jars: string[]): void {
    const home = join(folder, 'spark');
    rmSync(home, { recursive: true, force: true });
    mkdirSync(join(home, 'jars'), { recursive: true });
    for (const name of jars) writeFileSync(join(home, 'jars', name), '');
    process.env.SPARK_HOME = home;
  }

  function downloaded(): void {
    mkdirSync(downloadedJars(), { recursive: true });
  }

  for (const [version, scala, line] of [
    ['3.5.0', '2.12', '3.5'],
    ['3.5.9', '2.13', '3.5'],
    ['3.5.1.7.2.18', '2.12', '3.5'],
    ['4.0.2', '2.13', '4.0'],
    ['4.1.1', '2.13', '4.1'],
    ['4.2.0-amzn-0', '2.13', '4.2'],
  ]) {
    it(`takes a SPARK_HOME of ${version} with Scala ${scala}`, () => {
      sparkHome(`spark-core_${scala}-${version}.jar`);
      assert.deepEqual(findSpark()?.target, { line, scala });
      assert.equal(findSpark()?.version, version);
    });
  }

  for (const [jar, got] of [
    ['spark-core_2.12-3.4.4.jar', /got Spark 3\.4\.4/],
    ['spark-core_2.13-4.3.0.jar', /got Spark 4\.3\.0/],
    ['spark-core_2.13-40.0.0.jar', /got Spark 40\.0\.0/],
    ['spark-core_2.12-4.0.0.jar', /got Spark 4\.0\.0 with Scala 2\.12/],
    ['other.jar', /got no spark-core/],
    [undefined, /got no spark-core/],
  ] as const) {
    it(`refuses a SPARK_HOME with ${jar ?? 'nothing'} where Spark is asked for, and only there`, async () => {
      if (jar === undefined) process.env.SPARK_HOME = join(folder, 'nowhere');
      else sparkHome(jar);
      assert.throws(findSpark, (error: Error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, got);
        return true;
      });
      const large = (): Promise<number> => Promise.resolve(2 ** 40);
      const without = await chooseEngine('auto', 'large.csv', large);
      assert.equal(without.engine, 'local');
      assert.match(without.reason, got, 'says why');
      downloaded();
      assert.equal(findUsableSpark().spark?.origin, 'downloaded');
      assert.equal((await chooseEngine('auto', 'large.csv', large)).engine, 'spark');
    });
  }

  it('passes over a SPARK_HOME that this Java does not run', () => {
    sparkHome('spark-core_2.13-4.1.1.jar');
    java('11.0.2');
    assert.match(findUsableSpark().passedOver ?? '', /expected Java 17 or later for Spark 4\.1/);
  });

  it('embeds the newest line, another by a setting, and the oldest where Java is old', () => {
    assert.equal(wantedSpark().line, '4.2');
    java('11.0.2');
    assert.equal(wantedSpark().line, '3.5');
    assert.match(wantedSpark().because ?? '', /Java 11\.0\.2 runs Spark 3\.5/);
    assert.equal(requireJava().major, 11);
    process.env.REPRISE_SPARK_VERSION = '4.1.1';
    assert.deepEqual(wantedSpark(), { line: '4.1', release: '4.1.1', scala: '2.13' });
    assert.throws(() => requireJava(), /expected Java 17 or later for Spark 4\.1, got 11\.0\.2/);
    process.env.REPRISE_SPARK_VERSION = '3.5';
    assert.equal(basename(join(downloadedJars(), '..')), 'spark-3.5.6_2.12');
    for (const wrong of ['4', '3.4', '4.10', '4.1.x', 'latest']) {
      process.env.REPRISE_SPARK_VERSION = wrong;
      assert.throws(wantedSpark, /REPRISE_SPARK_VERSION: expected Spark 3\.5, 4\.0, 4\.1 or 4\.2/);
    }
  });

  it('does not let SPARK_HOME and REPRISE_SPARK_VERSION say different things', () => {
    sparkHome('spark-core_2.13-4.1.1.jar');
    process.env.REPRISE_SPARK_VERSION = '4.1';
    assert.equal(findSpark()?.version, '4.1.1');
    process.env.REPRISE_SPARK_VERSION = '4.1.2';
    assert.throws(findSpark, /expected Spark 4\.1\.2, which REPRISE_SPARK_VERSION asks for/);
  });

  it('names a jar by line and Scala, and finds the one for what a session says', () => {
    const names = (['3.5', '4.0', '4.1', '4.2'] as const).map((line) =>
      basename(shimJar({ line, scala: '2.13' })),
    );
    assert.equal(new Set(names).size, 4);
    assert.match(names[2] ?? '', /^reprise-shim_2\.13-spark4\.1-[0-9a-f]{16}\.jar$/);
    const target = { line: '4.1', scala: '2.13' };
    assert.deepEqual(shimTarget({ spark: '4.1.1', scala: '2.13.17' }), target);
    assert.throws(
      () => shimTarget({ spark: '3.3.4', scala: '2.12.15' }, 'livy'),
      /^ConfigError: livy: expected Spark 3\.5/,
    );
  });

  it('keeps archived classes beside the jar, apart for each Java, and none for an old one', () => {
    const [jar, target] = [join('shims', 'shim.jar'), { line: '4.2', scala: '2.13' } as const];
    const spark = { jars: 'jars', version: '4.2.0', target, origin: 'downloaded' } as const;
    const paths = ['11.0.2', '17.0.2', '17.0.3'].map((version) =>
      classArchive({ command: 'java', version, major: Number.parseInt(version, 10) }, spark, jar),
    );
    assert.equal(new Set(paths).size, 3);
    assert.equal(paths[0], undefined);
    assert.match(paths[1] ?? '', /^shims.shim-[0-9a-f]{16}\.jsa$/);
  });

  it('brings the releases that the profiles of the pom build against', () => {
    const pom = readFileSync(join(packageRoot(), 'scala-shim', 'pom.xml'), 'utf8');
    for (const { release, sources } of Object.values(SPARK_LINES)) {
      assert.ok(pom.includes(`<spark.version>${release}</spark.version>`), release);
      assert.ok(pom.includes(`<spark.sources>${sources}</spark.sources>`), sources);
    }
  });
});
