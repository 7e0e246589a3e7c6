/**
 * What the inputs and outputs of steps are, by content: a digest that is the same wherever the files
 * lie. Invariant: names count only where they mean something: of files in a folder or a glob (their
 * order, their partitions), and what says the format of one.
 */
import { createHash } from 'node:crypto';
import { lstat, opendir, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { DataError } from '../../driver/errors.js';
import { listDataFiles } from '../../driver/frame/files.js';
import { byText, expandGlob, isGlob } from '../../driver/frame/glob.js';
import { type FileIdentity, identifyFiles, isRemote } from '../../driver/frame/identity.js';
import { fixedPart } from '../../driver/frame/partitions.js';
import type { DescribeOptions } from '../../driver/index.js';
import type { OpenSession } from '../engines.js';

/** What was found at a path. */
export interface Content {
  readonly files: readonly FileIdentity[];
  readonly digest: string;
  /** @units bytes */
  readonly bytes: number;
}

/** Entries one folder may have before it is refused as an input. */
const MAX_FILES = 100_000;

/** Data as jobs list theirs. @throws DataError when nothing is there, or it can't be read */
export async function dataContent(path: string, read: DescribeOptions): Promise<Content> {
  const { paths, root } = await listDataFiles(path, read.format);
  return contentOf(await identifyFiles(paths), (await isFile(path)) ? undefined : root);
}

/** Data that Spark reads, by the digests it gives. */
export async function remoteContent(
  path: string,
  read: DescribeOptions,
  open: OpenSession,
): Promise<Content> {
  const { source } = await open.frames.describe(path, read);
  return contentOf(source.files, isGlob(path) ? fixedPart(path) : path);
}

/** A file, or all there is in a folder or matches a glob. @throws DataError for none */
export async function anyContent(path: string): Promise<Content> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile()) return contentOf(await identifyFiles([path]), undefined);
  if (stats?.isDirectory()) return contentOf(await identifyFiles(await filesIn(path)), path);
  const found = isGlob(path) ? await expandGlob(path) : [];
  if (found.length > 0) return contentOf(await identifyFiles(found), fixedPart(path));
  throw new DataError(`input: expected a file, folder or glob at ${path}, found nothing there`, {
    path,
  });
}

/** What a step left at a path of this machine; undefined when nothing is there. */
export async function outputContent(path: string): Promise<Content | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  return stats === undefined ? undefined : anyContent(path);
}

/** @param root of the names that count; undefined: one file, whose format alone does */
function contentOf(
  files: readonly { readonly path: string; readonly digest: string; readonly bytes: number }[],
  root: string | undefined,
): Content {
  const hash = createHash('sha256');
  let bytes = 0;
  for (const file of files) {
    const name = root === undefined ? extname(file.path).toLowerCase() : nameIn(root, file.path);
    hash.update(`${name}\0${file.digest}\n`);
    bytes += file.bytes;
  }
  return { files, digest: hash.digest('hex'), bytes };
}

function nameIn(root: string, path: string): string {
  if (isRemote(path)) return path.slice(path.lastIndexOf('/') + 1);
  return relative(root, path).split(sep).join('/');
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** All files of a folder and those in it, sorted; what writers hide from readers counts too. */
async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of await opendir(folder, { recursive: true })) {
    if (entry.isDirectory()) continue;
    found.push(join(entry.parentPath, entry.name));
    if (found.length > MAX_FILES) {
      throw new DataError(
        `input: expected at most ${MAX_FILES} files in the folder ${folder}, got more; name those that count by a glob`,
        { path: folder },
      );
    }
  }
  return found.sort(byText);
}
