/**
 * From a job file and overrides to a `Job`. Invariant: either a valid job comes out or one
 * `ConfigError` that lists every problem as `file:line:column: key: expected .., got ..` (or
 * `command line: ..` for an override).
 */
import { createReadStream, existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { withoutFileScheme } from '../../driver/frame/files.js';
import { nameOf } from '../search/scoring/scorers.js';
import { storePlace } from '../store-place.js';
import { checkJob, type Problem } from './check-job.js';
import { scrubberOf, shownSpark, sparkSection } from './check-spark.js';
import type { Job } from './job.js';
import { expandValues, namedEstimator, parametersOf } from './model-schema.js';
import { applyOverrides, type Override, parseOverride } from './overrides.js';
import { problemsOf } from './problems.js';
import { plain, readOptions } from './read-options.js';
import { type JobDocument, schemaOf } from './schema.js';
import { scoringsOf } from './scoring-schema.js';
import { splitRules } from './split-schema.js';
import { MAX_FILE_BYTES, parseYaml, type YamlSource } from './yaml-source.js';

export interface ReadJobOptions {
  /** `key.path=value` as on the command line; later ones win. */
  readonly overrides?: readonly string[];
  /** Folder that paths given on the command line are relative to. Default: the current folder. */
  readonly cwd?: string;
  /** Folder for run folders, before any `output` of the file. Relative to `cwd`. */
  readonly output?: string;
  /** False: results are kept nowhere, whatever file and environment say. */
  readonly store?: boolean;
}

/** Reads and checks a job file. @throws ConfigError listing every problem */
export async function readJob(file: string, options: ReadJobOptions = {}): Promise<Job> {
  const cwd = options.cwd ?? process.cwd();
  return parseJob(file, await readText(resolve(cwd, file), file), options);
}

/** As `readJob`, from text already read; `file` names it in messages and is its paths' base. */
export function parseJob(file: string, text: string, options: ReadJobOptions = {}): Job {
  const cwd = options.cwd ?? process.cwd();
  if (options.output === '') {
    throw new ConfigError('--output: expected a folder, got an empty name', {
      key: '--output',
      source: 'flag',
    });
  }
  const overrides = (options.overrides ?? []).map(parseOverride);
  const source = parseYaml(file, text);
  if (typeof source.value !== 'object' || source.value === null || Array.isArray(source.value))
    throw new ConfigError(`${file}:1:1: expected a mapping with the keys of a job, got none`, {
      source: 'file',
      file,
    });
  const document = nanToText(applyOverrides(source.value, overrides));
  const parsed = schemaOf(document).safeParse(document);
  const problems = parsed.success
    ? checkJob(parsed.data)
    : problemsOf(parsed.error.issues, document);
  if (problems.length > 0 || !parsed.success) {
    throw problemError(source, overrides, problems, scrubberOf(document));
  }
  const { output, store } = options;
  return resolveJob(parsed.data, { file, cwd, overrides, output, store });
}

async function readText(path: string, file: string): Promise<string> {
  const fail = (got: string): ConfigError =>
    new ConfigError(`${file}: expected a job file, got ${got}`, { source: 'file', file });
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw fail(cause.code === 'ENOENT' ? 'no such file' : (cause.code ?? 'an unreadable path'));
  });
  if (stats.isDirectory()) throw fail('a folder');
  if (stats.size > MAX_FILE_BYTES) throw fail(`${stats.size} bytes, over ${MAX_FILE_BYTES}`);
  const bytes = await readUpTo(path, MAX_FILE_BYTES + 1).catch((cause: NodeJS.ErrnoException) => {
    throw fail(cause.code ?? 'an unreadable file');
  });
  if (bytes.length > MAX_FILE_BYTES) throw fail(`more than ${MAX_FILE_BYTES} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw fail('bytes that are not UTF-8 text');
  }
}

/** The start of a file, pipe or device: their length may be unknown, or they may not end. */
async function readUpTo(path: string, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes >= most) break;
  }
  return Buffer.concat(chunks);
}

function problemError(
  source: YamlSource,
  overrides: readonly Override[],
  problems: readonly Problem[],
  scrub: (text: string) => string,
): ConfigError {
  const placed = problems.map((problem) => {
    const key = problem.path.join('.') || 'job';
    const override = overrides.findLast((candidate) => isCause(candidate, problem));
    if (override)
      return { order: 0, line: `command line: ${override.text}: ${key}: ${problem.message}` };
    const at = source.position(problem.path, problem.atKey ? 'key' : 'value');
    const line = `${source.file}:${at.line}:${at.column}: ${key}: ${problem.message}`;
    return { order: at.line * 1e6 + at.column, line };
  });
  const lines = placed.sort((a, b) => a.order - b.order).map((problem) => scrub(problem.line));
  const [first] = problems;
  return new ConfigError(lines.join('\n'), {
    key: first?.path.join('.') ?? '',
    source: 'file',
    file: source.file,
    problems: lines.length,
  });
}

/** Whether an override set the place of a problem, or made the unknown key it complains of. */
function isCause(override: Override, problem: Problem): boolean {
  const length = Math.min(override.path.length, problem.path.length);
  if (override.path.length > problem.path.length && !problem.atKey) return false;
  return override.path
    .slice(0, length)
    .every((part, i) => String(part) === String(problem.path[i]));
}

/** YAML's `.nan` for `error_score` becomes the word, since NaN is no number to the schema. */
function nanToText(document: unknown): unknown {
  if (typeof document !== 'object' || document === null) return document;
  const { error_score: score } = document as { error_score?: unknown };
  return Number.isNaN(score) ? { ...document, error_score: 'nan' } : document;
}

interface Context {
  readonly file: string;
  readonly cwd: string;
  readonly overrides: readonly Override[];
  readonly output: string | undefined;
  readonly store: boolean | undefined;
}

function resolveJob(document: JobDocument, context: Context): Job {
  const folder = dirname(resolve(context.cwd, context.file));
  const { data, spark } = document;
  const overridden = (key: string): boolean =>
    context.overrides.some((override) => override.path.join('.') === key);
  const path =
    data.path === undefined
      ? `table://${data.table}`
      : resolveDataPath(data.path, folder, overridden('data.path') ? context.cwd : folder);
  const output =
    context.output !== undefined || document.output === undefined
      ? resolve(context.cwd, context.output ?? 'runs')
      : resolve(overridden('output') ? context.cwd : folder, document.output);
  const scoring = scoringsOf(document.scoring, data.dialect);
  const [first] = scoring;
  const name = document.name ?? basename(context.file, extname(context.file));
  const { type: _, ...given } = plain(document.model);
  const { grid, max_failures: maxFailures, fail_fast: failFast } = document.search;
  const estimator = namedEstimator(document)!;
  const fallbacks = parametersOf(estimator).flatMap(({ name, fallback }) =>
    name in grid ? [] : [[name, fallback] as const],
  );
  const params = { ...Object.fromEntries(fallbacks), ...given };
  return {
    kind: document.kind,
    name,
    data: {
      path,
      read: {
        ...readOptions(data),
        ...(data.drop_missing_target && data.target ? { dropMissing: data.target } : {}),
      },
      ...(data.dialect ? { dialect: data.dialect } : {}),
      ...(data.target === undefined ? {} : { target: data.target }),
      ...(data.weight === undefined ? {} : { weight: data.weight }),
      ...(data.features
        ? { features: data.features.map((f) => (typeof f === 'string' ? { name: f } : plain(f))) }
        : {}),
      dtype: data.dtype,
      standardize: data.standardize,
    },
    store: context.store === false ? null : storePlace(folder, document.store, context.cwd),
    ...(spark ? { spark: sparkSection(spark) } : {}),
    model: { estimator, params },
    search: {
      grid: Object.fromEntries(
        Object.entries(plain(grid)).map(([key, values]) => [key, expandValues(values)]),
      ),
      ...(failFast ? { maxFailures: 0 } : {}),
      ...(maxFailures === undefined ? {} : { maxFailures }),
    },
    cv: splitRules(document.cv, estimator.task === 'classification', data.target),
    scoring,
    metric: typeof document.refit === 'string' ? document.refit : nameOf(first!),
    refit: document.refit !== false,
    errorScore: document.error_score === 'nan' ? Number.NaN : document.error_score,
    output,
    document: {
      ...document,
      name,
      model: { type: estimator.name, ...params },
      ...(spark ? { spark: shownSpark(spark) } : {}),
    },
  };
}

/** A path on the command line is the shell's, or, when nothing is there, the job file's. */
function resolveDataPath(given: string, folder: string, base: string): string {
  const path = withoutFileScheme(given);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path) || isAbsolute(path)) return path;
  const first = resolve(base, path);
  if (base === folder || existsSync(globRoot(first))) return first;
  const second = resolve(folder, path);
  return existsSync(globRoot(second)) ? second : first;
}

/** The part of a glob before its first wildcard. */
function globRoot(path: string): string {
  const wild = path.search(/[*?[{]/);
  return wild < 0 ? path : dirname(`${path.slice(0, wild)}x`);
}
