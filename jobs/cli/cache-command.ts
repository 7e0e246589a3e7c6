/**
 * `reprise cache`: what the durable store holds, and keeping it in order. Invariant: a listing drops no result and
 * makes no folder. Loads the store only when a command runs, so that registering these costs nothing.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { DurableStore, StoreEntry } from '../../driver/reuse/store/durable-store.js';
import { env } from '../../driver/support/env.js';
import { EXIT } from './exit-codes.js';
import { formatBytes, formatCount, formatSeconds, formatTable } from './format.js';
import { createTerminal, type Terminal, writeData } from './terminal.js';

interface CacheOptions {
  readonly store?: string;
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly output?: string;
}

interface CacheContext {
  readonly store: DurableStore;
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
    .description('show and keep in order the results kept for later runs (REPRISE_STORE=on)');
  const add = (name: string, description: string, work: Work): Command =>
    cache
      .command(name)
      .description(description)
      .option('--store <folder>', 'the store (default: REPRISE_STORE, or store in REPRISE_HOME)')
      .option('--json', 'print one JSON document')
      .action(async (options: CacheOptions) => report(await runCache(work, options)));
  add('ls', 'list the results, last used first', list);
  add('stats', 'sum up the results by operator', summarise);
  const why = cache
    .command('why <key-or-run> [step]')
    .description('say whether a result is kept, what it is worth, or why it is not kept')
    .option('--store <folder>', 'the store (default: REPRISE_STORE, or store in REPRISE_HOME)')
    .option('--output <folder>', 'where the runs are (default: runs)')
    .option('--json', 'print one JSON document');
  why.action(async (first: string, step: string | undefined, options: CacheOptions) => {
    const names = step === undefined ? [first] : [first, step];
    report(
      await runCache(async ({ store }) => {
        const { explainKept } = await import('./cache-why.js');
        return explainKept(store, names, options.output);
      }, options),
    );
  });
  add('gc', 'drop what is too old or over the limits, and what crashes left', collect).option(
    '--dry-run',
    'only say what would go',
  );
  add('verify', 'read every result; put damaged ones aside', verify);
  add('clear', 'drop every result', clear).option('-y, --yes', 'do not ask');
}

type Work = (context: CacheContext) => Promise<Answer>;

async function runCache(work: Work, options: CacheOptions): Promise<number> {
  const terminal = createTerminal({ quiet: false });
  const folder = resolve(options.store ?? env.store() ?? join(env.home(), 'store'));
  if (!existsSync(join(folder, 'v1'))) {
    const json = { folder, entries: [], count: 0, bytes: 0 };
    await writeData(options.json ? `${JSON.stringify(json)}\n` : `nothing is kept in ${folder}\n`);
    return EXIT.done;
  }
  const { DurableStore } = await import('../../driver/reuse/store/durable-store.js');
  const store = await DurableStore.open(folder, {
    onWarning: (message) => terminal.note(`warning: ${message}`),
  });
  const { text, json, code } = await work({ store, folder, options, terminal });
  await writeData(options.json ? `${JSON.stringify({ folder, ...json })}\n` : `${text}\n`);
  return code ?? EXIT.done;
}

async function list({ store, folder }: CacheContext): Promise<Answer> {
  const entries = await store.entries();
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
      ? `nothing is kept in ${folder}`
      : `${formatTable([head, ...rows])}\n\n${totals(entries)} in ${folder}`;
  return { text, json: { ...sums(entries), entries: entries.map(plainEntry) } };
}

async function summarise({ store, folder }: CacheContext): Promise<Answer> {
  const entries = await store.entries();
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
  const aside = await store.quarantined();
  const damaged = aside > 0 ? `\n${formatCount(aside)} damaged files put aside` : '';
  return {
    text: `${rows.length > 0 ? `${table}\n\n` : ''}${totals(entries)} in ${folder}${damaged}`,
    json: { ...sums(entries), quarantined: aside, operators },
  };
}

async function collect({ store, options }: CacheContext): Promise<Answer> {
  const dryRun = options.dryRun === true;
  const gone = await store.gc({ dryRun });
  const rest = sums(await store.entries());
  const left = dryRun ? rest.count - gone.length : rest.count;
  return {
    text: `${dryRun ? 'would drop' : 'dropped'} ${totals(gone)}; ${formatCount(left)} stay`,
    json: { dryRun, ...sums(gone), entries: gone.map(plainEntry), left },
  };
}

async function verify({ store, terminal }: CacheContext): Promise<Answer> {
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
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
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
