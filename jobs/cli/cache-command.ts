/**
 * `reprise cache`: what the durable store holds, and keeping it in order. Invariant: a listing
 * drops no result and makes no folder. Loads the store only when a command runs, so that
 * registering these costs nothing.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ConfigError, ResourceError } from '../../driver/errors.js';
import type { DurableStore, StoreEntry } from '../../driver/reuse/store/durable-store.js';
import { env, settingName } from '../../driver/support/env.js';
import { formatBytes } from '../../driver/support/size.js';
import { formatCount, formatSeconds, formatTable } from '../format.js';
import { projectStore, type StorePlace, storeLimits } from '../store-place.js';
import { EXIT } from './exit-codes.js';
import { runsFolder } from './settings.js';
import { createTerminal, type Terminal, visible, writeData } from './terminal.js';

interface CacheOptions {
  readonly store?: string;
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly output?: string;
}

interface CacheContext {
  /** Undefined where there is none yet: nothing is kept. */
  readonly store: DurableStore | undefined;
  readonly folder: string;
  readonly options: CacheOptions;
  readonly terminal: Terminal;
}

/** What a command found: for people, and the same as plain data. */
interface Answer {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly code?: number;
}

/** Adds `cache` and its commands. */
export function addCache(program: Command, report: (code: number) => void): void {
  const cache = program
    .command('cache')
    .description('show and keep in order the results kept for later runs');
  const add = (name: string, description: string, work: Work): Command =>
    withStore(cache.command(name).description(description)).action(async (options: CacheOptions) =>
      report(await runCache(work, options)),
    );
  add('ls', 'list the results, last used first', list);
  withStore(cache.command('stats [run]'))
    .description('sum up the results by operator, or what each tier held when a run ended')
    .option('--output <folder>', 'where the runs are (default: runs)')
    .action(async (run: string | undefined, options: CacheOptions) => {
      const work = run === undefined ? summarise : tiersOf(run);
      report(await runCache(work, options));
    });
  withStore(cache.command('why <key-or-run> [step]'))
    .description('say whether a result is kept, what it is worth, or why it is not kept')
    .option('--output <folder>', 'where the runs are (default: runs)')
    .action(async (first: string, step: string | undefined, options: CacheOptions) => {
      const names = step === undefined ? [first] : [first, step];
      report(await runCache(explain(names), options));
    });
  add('gc', 'drop what is too old or over the limits, and what crashes left', collect).option(
    '--dry-run',
    'only say what would go',
  );
  add('verify', 'read every result; put damaged ones aside', verify);
  add('clear', 'drop every result', clear).option('-y, --yes', 'do not ask');
}

function withStore(command: Command): Command {
  return command
    .option('--store <folder>', 'the store (default: REPRISE_STORE, or .reprise/store)')
    .option('--json', 'print one JSON document');
}

type Work = (context: CacheContext) => Promise<Answer>;

async function runCache(work: Work, options: CacheOptions): Promise<number> {
  const terminal = createTerminal({ quiet: false });
  const { folder, maxBytes } = await storeOf(options.store);
  const limits = { ...(maxBytes ? { maxBytes } : {}), ...storeLimits() };
  let store: DurableStore | undefined;
  if (isReadable(join(folder, 'v1'))) {
    const { DurableStore } = await import('../../driver/reuse/store/durable-store.js');
    const onWarning = (message: string): void => terminal.note(`warning: ${message}`);
    store = await DurableStore.open(folder, { ...limits, onWarning });
  }
  const { text, json, code } = await work({ store, folder, options, terminal });
  await writeData(options.json ? `${JSON.stringify({ folder, ...json })}\n` : `${text}\n`);
  return code ?? EXIT.done;
}

/** The store that is meant: a folder, else as the environment or the project says. */
async function storeOf(given: string | undefined): Promise<StorePlace> {
  const { storeSetting } = await import('../config/current.js');
  const set = env.store();
  if (given !== undefined || set) return { folder: requireFolder(given, set || '') };
  const said = storeSetting() || {};
  const { folder, maxBytes } = projectStore(process.cwd(), said);
  // A job may allow itself more than a project does by default.
  const limit = said.size === undefined || maxBytes === undefined ? {} : { maxBytes };
  return { folder: requireFolder(undefined, folder), ...limit };
}

/** @throws ConfigError for what can be no folder */
function requireFolder(given: string | undefined, fallback: string): string {
  const folder = resolve(given ?? fallback);
  const isFile = isFileAt(folder);
  if (given !== '' && !isFile) return folder;
  const source = given === undefined ? settingName('REPRISE_STORE') : '--store';
  throw new ConfigError(
    `${source}: expected a folder, got ${given === '' ? 'an empty name' : `a file at ${folder}`}`,
    { key: source, value: given ?? folder, source: given === undefined ? 'environment' : 'flag' },
  );
}

function isFileAt(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch (error) {
    // Below a file there can be no folder either.
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR';
  }
}

/** Whether the folder is there. @throws ResourceError if it may be, but is not readable */
function isReadable(folder: string): boolean {
  try {
    accessSync(folder, constants.R_OK | constants.X_OK);
    return true;
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    throw new ResourceError(
      `cache: expected a folder that this user can read, got ${code} at ${folder}`,
      { resource: 'disk', folder },
      { cause },
    );
  }
}

const nothingIn = (folder: string): string => `nothing is kept in ${folder}`;

const entriesOf = async (store: DurableStore | undefined): Promise<StoreEntry[]> =>
  (await store?.entries()) ?? [];

async function list({ store, folder }: CacheContext): Promise<Answer> {
  const entries = await entriesOf(store);
  const rows = entries.map(({ header, bytes, usedMs }) => [
    header.key.slice(0, 12),
    header.op,
    header.kind === 'dense' ? `${header.rows}x${header.cols}` : header.kind,
    formatBytes(bytes),
    formatSeconds(header.seconds),
    formatAge(usedMs),
  ]);
  const head = ['key', 'operator', 'shape', 'size', 'took', 'used'];
  const text =
    entries.length === 0
      ? nothingIn(folder)
      : `${formatTable([head, ...rows])}\n\n${totals(entries)} in ${folder}`;
  return { text, json: { ...sums(entries), entries: entries.map(plainEntry) } };
}

async function summarise({ store, folder }: CacheContext): Promise<Answer> {
  const entries = await entriesOf(store);
  const groups = new Map<string, StoreEntry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.header.op) ?? [];
    groups.set(entry.header.op, group);
    group.push(entry);
  }
  const operators = [...groups]
    .map(([op, group]) => ({ op, ...sums(group) }))
    .sort((a, b) => b.bytes - a.bytes);
  const rows = operators.map(({ op, count, bytes, seconds }) => [
    op,
    formatCount(count),
    formatBytes(bytes),
    formatSeconds(seconds),
  ]);
  const table = formatTable([['operator', 'results', 'size', 'took'], ...rows]);
  const aside = (await store?.quarantined()) ?? 0;
  const damaged = aside > 0 ? `\n${formatCount(aside)} damaged files put aside` : '';
  const sum = rows.length > 0 ? `${table}\n\n${totals(entries)} in ${folder}` : nothingIn(folder);
  return {
    text: `${sum}${damaged}`,
    json: { ...sums(entries), quarantined: aside, operators },
  };
}

/** What each tier of the reuse cache held when a run ended. */
function tiersOf(name: string): Work {
  return async ({ options }) => {
    const { findRun, readRun } = await import('../runs/read-run.js');
    const { run, cache } = await readRun(await findRun(name, runsFolder(options.output)));
    if (cache === undefined) {
      throw new ConfigError(`cache stats: expected a run of this version, got ${run}`, {
        key: 'run',
        value: name,
      });
    }
    const rows = cache.tiers.map(({ tier, entries, bytes, budgetBytes }) => [
      tier,
      formatCount(entries),
      formatBytes(bytes),
      budgetBytes === null ? 'none' : formatBytes(budgetBytes),
    ]);
    const moved = `${formatCount(cache.evicted)} evicted, ${formatCount(cache.spilled)} went to disk, ${formatCount(cache.restored)} came back; policy ${cache.policy}`;
    return {
      text: `${formatTable([['tier', 'results', 'size', 'limit'], ...rows])}\n\n${moved}, in run ${run}`,
      json: { run, ...cache },
    };
  };
}

function explain(names: readonly string[]): Work {
  return async ({ store, options }) => {
    const { explainKept } = await import('./cache-why.js');
    return explainKept(await entriesOf(store), names, options.output);
  };
}

async function collect({ store, folder, options }: CacheContext): Promise<Answer> {
  const dryRun = options.dryRun === true;
  const gone = (await store?.gc({ dryRun })) ?? [];
  const rest = sums(await entriesOf(store));
  const left = dryRun ? rest.count - gone.length : rest.count;
  return {
    text:
      store === undefined
        ? nothingIn(folder)
        : `${dryRun ? 'would drop' : 'dropped'} ${totals(gone)}; ${formatCount(left)} stay`,
    json: { dryRun, ...sums(gone), entries: gone.map(plainEntry), left },
  };
}

async function verify({ store, folder, terminal }: CacheContext): Promise<Answer> {
  if (store === undefined) {
    return { text: nothingIn(folder), json: { good: 0, damaged: [], stuck: [], refused: 0 } };
  }
  const { isInteractive } = terminal;
  const { good, damaged, stuck, refused } = await store.verify({
    onProgress: (done, total) => {
      if (isInteractive && done % 50 === 0) process.stderr.write(`\r${done} of ${total}`);
    },
  });
  if (isInteractive) process.stderr.write('\r\u001b[K');
  const lines = [`${formatCount(good)} good`];
  if (damaged.length > 0) {
    lines.push(`${formatCount(damaged.length)} damaged, put aside, computed again when needed:`);
    lines.push(...damaged.map((key) => `  ${key}`));
  }
  if (stuck.length > 0) {
    lines.push(`${formatCount(stuck.length)} damaged or unreadable, could not be put aside:`);
    lines.push(...stuck.map((key) => `  ${key}`));
  }
  if (refused > 0) lines.push(`${formatCount(refused)} of another user or version, left alone`);
  return {
    text: lines.join('\n'),
    json: { good, damaged, stuck, refused },
    ...(stuck.length > 0 ? { code: EXIT.damaged } : {}),
  };
}

async function clear(context: CacheContext): Promise<Answer> {
  const { store, folder, options, terminal } = context;
  if (store === undefined) return { text: nothingIn(folder), json: { cleared: 0 } };
  const entries = await store.entries();
  const what = `${totals(entries)} from ${folder}`;
  if (options.yes !== true && !(await isConfirmed(`drop ${what}?`, terminal))) {
    terminal.error(`cache clear: expected --yes or a yes to drop ${what}; nothing was dropped`);
    return { text: 'nothing was dropped', json: { cleared: 0 }, code: EXIT.usage };
  }
  const cleared = await store.clear();
  return { text: `dropped ${formatCount(cleared)} results from ${folder}`, json: { cleared } };
}

async function isConfirmed(question: string, terminal: Terminal): Promise<boolean> {
  if (!terminal.isInteractive || process.stdin.isTTY !== true) return false;
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(visible(`${question} [y/N] `))).trim());
  } finally {
    lines.close();
  }
}

interface Sums {
  readonly count: number;
  readonly bytes: number;
  /** Time the results once took. */
  readonly seconds: number;
}

function sums(entries: readonly StoreEntry[]): Sums {
  let bytes = 0;
  let seconds = 0;
  for (const entry of entries) {
    bytes += entry.bytes;
    seconds += entry.header.seconds;
  }
  return { count: entries.length, bytes, seconds };
}

function totals(entries: readonly StoreEntry[]): string {
  const { count, bytes, seconds } = sums(entries);
  return `${formatCount(count)} results, ${formatBytes(bytes)}, ${formatSeconds(seconds)} of work`;
}

function plainEntry({ header, bytes, usedMs }: StoreEntry): Readonly<Record<string, unknown>> {
  return { ...header, bytes, usedAt: new Date(usedMs).toISOString() };
}

const AGES: readonly (readonly [number, string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** @param ms since 1970 */
function formatAge(ms: number): string {
  const seconds = Math.max(0, (Date.now() - ms) / 1000);
  const [size, unit] = AGES.find(([length]) => seconds >= length) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}
