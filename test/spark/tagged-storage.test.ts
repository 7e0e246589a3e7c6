/**
 * Storage that tags its files, as S3 and Azure do: a content that changes under the same length and
 * time is another one. The storage is a file system of Hadoop's own interface over local files,
 * compiled here and put on the class path as an agent.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { verifyUnchanged } from '../../driver/index.js';
import { findJava, findSpark, type SparkBackend } from '../../spark-bridge/index.js';
import { JobFolder } from '../support/job-folder.js';
import { createTestSpark } from '../support/spark.js';

/** Knows nothing of Hadoop, since every Java that starts loads it. */
const AGENT = 'public class Agent { public static void premain(String arguments) {} }';
const SOURCE = `
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.zip.CRC32;
import org.apache.hadoop.fs.EtagSource;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

public class TaggedFileSystem extends RawLocalFileSystem {
  static class Tagged extends FileStatus implements EtagSource {
    private final String etag;
    Tagged(FileStatus s, String etag) {
      super(s.getLen(), false, 1, s.getBlockSize(), s.getModificationTime(), s.getPath());
      this.etag = etag;
    }
    @Override public String getEtag() { return etag; }
  }

  @Override public URI getUri() { return URI.create("tagged:///"); }

  @Override public FileStatus getFileStatus(Path path) throws IOException {
    return tagged(super.getFileStatus(path));
  }

  @Override public FileStatus[] listStatus(Path path) throws IOException {
    FileStatus[] all = super.listStatus(path);
    for (int i = 0; i < all.length; i++) all[i] = tagged(all[i]);
    return all;
  }

  private FileStatus tagged(FileStatus status) throws IOException {
    if (status.isDirectory()) return status;
    CRC32 crc = new CRC32();
    crc.update(Files.readAllBytes(Paths.get(status.getPath().toUri().getPath())));
    return new Tagged(status, Long.toHexString(crc.getValue()));
  }
}
`;

describe('files in storage with ETags', function () {
  this.timeout(300_000);
  let spark: SparkBackend | undefined;
  let folder: JobFolder;

  before(async function () {
    folder = new JobFolder();
    const jar = compileAgent(folder);
    if (jar === undefined) {
      console.log('SKIPPED: no javac; install a JDK 17');
      this.skip();
    }
    const { JAVA_TOOL_OPTIONS: given } = process.env;
    process.env.JAVA_TOOL_OPTIONS = `${given ?? ''} -javaagent:${jar}`.trim();
    try {
      const conf = { 'spark.hadoop.fs.tagged.impl': 'TaggedFileSystem' };
      const started = await createTestSpark({ conf });
      if (typeof started === 'string') {
        console.log(`SKIPPED: ${started}`);
        this.skip();
      }
      spark = started;
    } finally {
      if (given === undefined) delete process.env.JAVA_TOOL_OPTIONS;
      else process.env.JAVA_TOOL_OPTIONS = given;
    }
  });
  after(async () => {
    await spark?.close();
    folder.remove();
  });

  it('are others when only their content is, and are noticed to change', async () => {
    const path = folder.file('data/day.csv');
    const write = (last: number): void => {
      mkdirSync(folder.file('data'), { recursive: true });
      writeFileSync(path, `a,y\n1,2\n2,${last}\n`);
      utimesSync(path, 1_000_000, 1_000_000);
    };
    const look = () => spark!.frames.describe(`tagged:${folder.file('data')}`);
    write(3);
    const first = await look();
    assert.match(first.source.files[0]!.path, /^tagged:\/.*day\.csv$/);
    assert.equal((await look()).source.files[0]!.digest, first.source.files[0]!.digest);
    await verifyUnchanged(first.source);
    write(4);
    await assert.rejects(verifyUnchanged(first.source), /day\.csv .*another/);
    const again = await look();
    assert.equal(again.source.files[0]!.bytes, first.source.files[0]!.bytes);
    assert.notEqual(again.source.files[0]!.digest, first.source.files[0]!.digest);
  });
});

/** The jar; undefined where there is no compiler or no Spark to compile against. */
function compileAgent(folder: JobFolder): string | undefined {
  const java = findJava();
  const spark = findSpark();
  if (java === undefined || spark === undefined) return undefined;
  const tool = (name: string, ...args: string[]): void => {
    execFileSync(join(dirname(java.command), name), args, { stdio: 'pipe', timeout: 120_000 });
  };
  const classes = folder.file('classes');
  mkdirSync(classes, { recursive: true });
  const sources = { 'Agent.java': AGENT, 'TaggedFileSystem.java': SOURCE };
  for (const [name, text] of Object.entries(sources)) folder.write(name, text);
  folder.write('manifest.txt', 'Premain-Class: Agent\n');
  const jar = folder.file('tagged.jar');
  try {
    const files = Object.keys(sources).map((name) => folder.file(name));
    tool('javac', '-cp', join(spark.jars, '*'), '-d', classes, ...files);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  tool('jar', 'cfm', jar, folder.file('manifest.txt'), '-C', classes, '.');
  return jar;
}
