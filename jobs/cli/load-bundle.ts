/**
 * Loads the bundle of the command line with the code that V8 compiled of it last time, which is kept
 * beside it: Node keeps none before version 22, and compiling is a third of a second of a run.
 * Invariants: kept code is named by the bundle's content, V8's version and its flags, and put in its
 * place when it is whole; where nothing can be kept, the bundle is loaded as any module.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cachedDataVersionTag } from 'node:v8';
import { Script } from 'node:vm';

type Command = typeof import('./command.js');

/** Functions that commands ran are in it, most of them if that was a run. */
const KINDS = ['run', 'any'] as const;
const DIGEST_BYTES = 32;

/**
 * @param path the bundle, CommonJS in ASCII; its first line names its content
 * @param args of the command line
 */
export function loadBundle(path: string, args: readonly string[]): Command {
  const source = readFileSync(path, 'latin1');
  const content = /^\/\/ (\w+)\n/.exec(source)?.[1];
  const require = createRequire(path);
  const placeOf = (kind: string): string =>
    `${path}.${content}-${cachedDataVersionTag().toString(16)}-${kind}`;
  const wanted = args[0] === 'run' ? 'run' : 'any';
  let kept: { readonly kind: string; readonly cachedData: Buffer } | undefined;
  for (const kind of KINDS) {
    const cachedData = kept === undefined ? keptAt(placeOf(kind)) : undefined;
    if (cachedData !== undefined) kept = { kind, cachedData };
  }
  const mayKeep = content !== undefined && isWritable(dirname(path));
  if (kept === undefined && !mayKeep) return require(path) as Command;
  const script = new Script(
    `(function (exports, require, module, __filename, __dirname) { ${source}\n})`,
    {
      filename: pathToFileURL(path).href,
      ...(kept === undefined ? {} : { cachedData: kept.cachedData }),
    },
  );
  const isUsed = script.cachedDataRejected === false;
  const isEnough = isUsed && (kept?.kind === 'run' || wanted === 'any');
  if (mayKeep && !isEnough) {
    process.on('exit', (code) => {
      if (code === 0) keep(script, placeOf(wanted));
    });
  }
  const module = { exports: {} };
  const run = script.runInThisContext() as (...given: unknown[]) => void;
  run(module.exports, require, module, path, dirname(path));
  return module.exports as Command;
}

/** Code with its digest before it, as V8 would run what a crash left of a file. */
function keep(script: Script, place: string): void {
  const made = `${place}.${process.pid}`;
  try {
    const code = script.createCachedData();
    writeFileSync(made, Buffer.concat([digestOf(code), code]));
    renameSync(made, place);
  } catch {
    // The next process compiles again.
    rmSync(made, { force: true });
  }
}

/** Undefined where there is none that is whole. */
function keptAt(place: string): Buffer | undefined {
  try {
    const bytes = readFileSync(place);
    const code = bytes.subarray(DIGEST_BYTES);
    return digestOf(code).equals(bytes.subarray(0, DIGEST_BYTES)) ? code : undefined;
  } catch {
    return undefined;
  }
}

function digestOf(code: Buffer): Buffer {
  return createHash('sha256').update(code).digest();
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
