/**
 * Storage that only Spark can list: Hadoop's own view file system, mounted over the temporary
 * folder. So listing, identity and reading go by Hadoop's interfaces, as they do for HDFS or S3.
 */
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';

/** Settings a Spark needs to know it. */
export const farStorage: Readonly<Record<string, string>> = {
  [`spark.hadoop.fs.viewfs.mounttable.far.link.${tmpdir()}`]: pathToFileURL(tmpdir()).href,
};

/** The address there of a path below the temporary folder. */
export function farAddress(path: string): string {
  return `viewfs://far${path}`;
}
