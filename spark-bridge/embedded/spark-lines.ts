/**
 * The lines of Spark that Reprise runs on, and which shim fits which. Invariant: a shim is built
 * for one line of Spark and one Scala, and used for no other: one of 4.0 passes a small job on 4.2
 * and dies of a missing method in a larger. The profiles of `scala-shim/pom.xml` have the same
 * releases.
 */
import { ConfigError } from '../../driver/errors.js';

export type ScalaVersion = '2.12' | '2.13';

export type SparkLine = '3.5' | '4.0' | '4.1' | '4.2';

interface LineFacts {
  /** What set-up brings. */
  readonly release: string;
  /** The first is what set-up brings. */
  readonly scala: readonly [ScalaVersion, ...ScalaVersion[]];
  readonly runsOn: (javaMajor: number) => boolean;
  readonly java: string;
  /** The folder of `scala-shim/src/main` beside `scala`. */
  readonly sources: string;
}

const four = (release: string): LineFacts => ({
  release,
  scala: ['2.13'],
  runsOn: (major) => major >= 17,
  java: 'Java 17 or later',
  sources: 'spark-4',
});

export const SPARK_LINES: Readonly<Record<SparkLine, LineFacts>> = {
  '3.5': {
    release: '3.5.6',
    scala: ['2.12', '2.13'],
    runsOn: (major) => major === 8 || major === 11 || major >= 17,
    java: 'Java 8, 11, 17 or later',
    sources: 'spark-3.5',
  },
  '4.0': four('4.0.4'),
  '4.1': four('4.1.3'),
  '4.2': four('4.2.0'),
};

/** What is embedded unless a setting says otherwise. */
export const DEFAULT_LINE: SparkLine = '4.2';

/** For Java older than the default line runs on. */
export const OLDEST_LINE: SparkLine = '3.5';

/** `3.5, 4.0, 4.1 or 4.2`. */
export const LINES_TEXT = Object.keys(SPARK_LINES)
  .join(', ')
  .replace(/, (?=[^,]*$)/, ' or ');

/** What a shim is built for. */
export interface ShimTarget {
  readonly line: SparkLine;
  readonly scala: ScalaVersion;
}

/** The line of a release (`4.1.1`, `3.5.0-amzn-1`); undefined when it is none of ours. */
export function lineOf(release: string): SparkLine | undefined {
  const found = /^\d+\.\d+(?=\.|$)/.exec(release.trim())?.[0];
  return found !== undefined && Object.hasOwn(SPARK_LINES, found)
    ? (found as SparkLine)
    : undefined;
}

/**
 * The shim for a running Spark, by the versions it gives: `{ spark: '4.1.1', scala: '2.13.17' }`.
 * @param place what runs it, for the message
 * @throws ConfigError when no shim can be built for them
 */
export function shimTarget(
  versions: { readonly spark: string; readonly scala: string },
  place = 'spark',
): ShimTarget {
  const line = lineOf(versions.spark);
  const scala = /^2\.1[23](?=\.|$)/.exec(versions.scala.trim())?.[0] as ScalaVersion | undefined;
  if (line === undefined || scala === undefined || !SPARK_LINES[line].scala.includes(scala)) {
    throw new ConfigError(
      `${place}: expected Spark ${LINES_TEXT} with Scala 2.13 (3.5 also with 2.12), got Spark ${versions.spark} with Scala ${versions.scala}`,
      {
        key: 'spark',
        value: `${versions.spark} ${versions.scala}`,
        allowed: Object.keys(SPARK_LINES),
      },
    );
  }
  return { line, scala };
}

/** The arguments by which Maven builds for a target. */
export function mavenProfile({ line, scala }: ShimTarget): string[] {
  if (line !== '3.5') return ['--activate-profiles', `spark-${line}`];
  return scala === '2.12' ? [] : ['--activate-profiles', 'spark-3.5-scala-2.13'];
}
