/** `reprise runs compare`: finished runs beside each other; `reprise diff` says more of two. */
import { basename } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import {
  formatCount,
  formatParam,
  formatSeconds,
  formatTable,
  formatWithSpread,
} from '../format.js';
import { isMap } from '../job-file/plain-data.js';
import type { PipelineResult } from '../pipeline/result.js';
import { readJournal } from '../runs/journal.js';
import { findRun, readPipelineResult, readRun } from '../runs/read-run.js';
import { bestTrial } from '../search/result.js';
import { EXIT } from './exit-codes.js';
import { runsFolder } from './settings.js';
import { writeData } from './terminal.js';

/** A run as it is compared: every fact is text, so that runs of different jobs have their place. */
interface Compared {
  readonly run: string;
  /** Settings of the job, by path. */
  readonly settings: ReadonlyMap<string, string>;
  readonly facts: ReadonlyMap<string, string>;
}

export async function compareCommand(
  names: readonly string[],
  { output, json }: { readonly output?: string; readonly json?: boolean },
): Promise<number> {
  if (names.length < 2) {
    throw new ConfigError(`compare: expected two runs or more, got ${names.length}`, {
      key: 'run',
      source: 'flag',
    });
  }
  const folder = runsFolder(output);
  const runs = await Promise.all(names.map(async (name) => compared(await findRun(name, folder))));
  const rows = [...rowsOf(runs, ({ facts }) => facts), ...differing(runs)];
  const head = ['', ...runs.map(({ run }) => run)];
  const document = runs.map(({ run }, i) => ({
    run,
    ...Object.fromEntries(rows.map(([name, ...cells]) => [name!, cells[i] ?? null])),
  }));
  await writeData(json ? `${JSON.stringify(document)}\n` : `${formatTable([head, ...rows])}\n`);
  return EXIT.done;
}

async function compared(folder: string): Promise<Compared> {
  const pipeline = await readPipelineResult(folder);
  return pipeline === undefined ? comparedJob(folder) : comparedPipeline(pipeline);
}

/** Of each step, what became of it and what it left. */
function comparedPipeline({ run, steps, seconds, state, pipeline }: PipelineResult): Compared {
  const facts = steps.flatMap(({ step, state: end, seconds: own, outputs, report }) => {
    const time = end === 'done' ? ` in ${formatSeconds(own)}` : '';
    const [first] = outputs;
    return [
      [step, `${end}${time}`],
      ...(report?.note === undefined ? [] : [[`${step} found`, report.note]]),
      ...(first?.rows === undefined ? [] : [[`${step} rows`, formatCount(first.rows)]]),
      ...(first?.digest ? [[`${step} content`, first.digest.slice(0, 8)]] : []),
    ] as [string, string][];
  });
  return {
    run,
    facts: new Map([['state', state], ...facts, ['time', formatSeconds(seconds.total)]]),
    settings: flat(pipeline),
  };
}

async function comparedJob(folder: string): Promise<Compared> {
  const { search, seconds, engine, rowsRead, passes, job } = await readRun(folder);
  const journal = await readJournal(folder).catch(() => undefined);
  const files = journal?.find((record) => record.kind === 'data')?.files ?? [];
  const best = bestTrial(search);
  const facts = new Map<string, string>([
    ['engine', engine],
    [
      'data',
      files
        .map(({ digest }) => digest.slice(0, 8))
        .slice(0, 4)
        .join(' ') || '-',
    ],
    ['files', files.length === 0 ? '-' : formatCount(files.length)],
    ['rows', formatCount(search.rows)],
    ['columns', formatCount(search.columns)],
    ['candidates', formatCount(search.trials.length)],
    ...(search.models ? [['best model', best?.model ?? '-'] as [string, string]] : []),
    ...Object.entries(best?.params ?? {}).map(([name, value]): [string, string] => [
      `best ${name}`,
      formatParam(value),
    ]),
    ...search.metrics.map((metric): [string, string] => [
      metric,
      best ? formatWithSpread(best.meanScore[metric]!, best.stdScore[metric]!) : '-',
    ]),
    ['time', formatSeconds(seconds.total ?? 0)],
    ['passes', formatCount(passes)],
    ['rows read', formatCount(rowsRead)],
  ]);
  return { run: basename(folder), facts, settings: flat(job) };
}

type Row = readonly string[];

/** A row a name, in the order in which runs have them. */
function rowsOf(
  runs: readonly Compared[],
  of: (run: Compared) => ReadonlyMap<string, string>,
): Row[] {
  const names = new Set(runs.flatMap((run) => [...of(run).keys()]));
  return [...names].map((name) => [name, ...runs.map((run) => of(run).get(name) ?? '-')]);
}

/** Settings that are not the same in all. */
function differing(runs: readonly Compared[]): Row[] {
  return rowsOf(runs, ({ settings }) => settings)
    .filter(([, first, ...others]) => others.some((value) => value !== first))
    .map((row) => row.map(shortened));
}

const MOST_TEXT = 60;

const shortened = (text: string): string =>
  text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT - 2)}..` : text;

function flat(value: unknown, path = ''): Map<string, string> {
  if (!isMap(value)) return new Map([[path, JSON.stringify(value) ?? '']]);
  return new Map(
    Object.entries(value).flatMap(([key, own]) => [
      ...flat(own, path === '' ? key : `${path}.${key}`),
    ]),
  );
}
