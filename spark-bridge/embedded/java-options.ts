/** Command line and settings of the shim's JVM. Nothing secret: others can read both. */
import type { JavaInstallation } from './locations.js';
import type { SparkLine } from './spark-lines.js';

/** Packages Spark needs opened from Java 9 on, as its launcher's `JavaModuleOptions` lists them. */
const openPackages = [
  'java.base/java.lang',
  'java.base/java.lang.invoke',
  'java.base/java.lang.reflect',
  'java.base/java.io',
  'java.base/java.net',
  'java.base/java.nio',
  'java.base/java.util',
  'java.base/java.util.concurrent',
  'java.base/java.util.concurrent.atomic',
  'java.base/jdk.internal.ref',
  'java.base/sun.nio.ch',
  'java.base/sun.nio.cs',
  'java.base/sun.security.action',
  'java.base/sun.util.calendar',
  'java.security.jgss/sun.security.krb5',
];

/** What Spark 4's launchers add: for Netty, and to keep newer Javas from warning. */
function moreOf(line: SparkLine): string[] {
  if (line === '3.5') return ['-Djdk.reflect.useDirectMethodHandle=false'];
  const netty = ['-Dio.netty.tryReflectionSetAccessible=true'];
  if (line === '4.0') return [...netty, '-Djdk.reflect.useDirectMethodHandle=false'];
  netty.push('-Dio.netty.allocator.type=pooled', '--enable-native-access=ALL-UNNAMED');
  return line === '4.1' ? netty : [...netty, '--sun-misc-unsafe-memory-access=allow'];
}

/** Options of any JVM of the shim. @param memoryBytes its heap; absent where others set it */
export function javaOptions(
  java: JavaInstallation,
  line: SparkLine,
  logConfiguration: string,
  memoryBytes?: number,
): string[] {
  const opens =
    java.major >= 9
      ? [
          '-XX:+IgnoreUnrecognizedVMOptions',
          ...openPackages.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
          ...moreOf(line),
        ]
      : [];
  return [
    ...(memoryBytes === undefined ? [] : [`-Xmx${Math.floor(memoryBytes / (1024 * 1024))}m`]),
    '-XX:+UseParallelGC',
    // A JVM goes over its whole heap when classes outgrow a mark, which begins at 21 MB.
    '-XX:MetaspaceSize=256m',
    // A driver without memory can't answer; its end is seen at once and reported.
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.awt.headless=true',
    '-Duser.timezone=UTC',
    `-Dlog4j2.configurationFile=${logConfiguration}`,
    '-Dio.netty.tryReflectionSetAccessible=true',
    ...opens,
  ];
}

export function javaArguments(
  java: JavaInstallation,
  line: SparkLine,
  memoryBytes: number,
  classPath: readonly string[],
  logConfiguration: string,
  mainClass = 'reprise.shim.server.Main',
): string[] {
  const path = classPath.join(process.platform === 'win32' ? ';' : ':');
  return [...javaOptions(java, line, logConfiguration, memoryBytes), '-cp', path, mainClass];
}

/** Spark's settings: one machine, nothing listening beyond loopback, no user interface. */
export function sparkSettings(cores: number, scratch: string): Record<string, string> {
  return {
    'spark.master': `local[${cores}]`,
    'spark.app.name': 'reprise',
    // A distribution of Spark 4 may prefer Connect, which knows no RDDs.
    'spark.api.mode': 'classic',
    'spark.driver.host': '127.0.0.1',
    'spark.driver.bindAddress': '127.0.0.1',
    'spark.ui.enabled': 'false',
    'spark.ui.showConsoleProgress': 'false',
    'spark.driver.maxResultSize': '0',
    // Broadcasts stay in this process: packing doubles would only cost time.
    'spark.broadcast.compress': 'false',
    'spark.local.dir': scratch,
    'spark.sql.warehouse.dir': `${scratch}/warehouse`,
    'spark.sql.catalogImplementation': 'in-memory',
    'spark.executor.heartbeatInterval': '30s',
    'spark.cleaner.referenceTracking.blocking': 'false',
  };
}

/** Log4j 2: warnings and errors into one file of bounded size. */
export function logConfiguration(file: string): string {
  return [
    'status = error',
    'appenders = file',
    'appender.file.type = RollingFile',
    'appender.file.name = file',
    `appender.file.fileName = ${file}`,
    `appender.file.filePattern = ${file}.%i`,
    'appender.file.layout.type = PatternLayout',
    'appender.file.layout.pattern = %d{ISO8601} %p %c{1}: %m%n%ex',
    'appender.file.policies.type = Policies',
    'appender.file.policies.size.type = SizeBasedTriggeringPolicy',
    'appender.file.policies.size.size = 20MB',
    'appender.file.strategy.type = DefaultRolloverStrategy',
    'appender.file.strategy.max = 2',
    'rootLogger.level = warn',
    'rootLogger.appenderRefs = file',
    'rootLogger.appenderRef.file.ref = file',
    '',
  ].join('\n');
}
