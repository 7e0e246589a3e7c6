/**
 * `reprise config`: which settings hold, who says them, and which files count. Invariants: a secret
 * is `***`, with the place it comes from; no secret is read and no command is run for it.
 */
import type { Command } from 'commander';
import { ConfigError } from '../../driver/errors.js';
import { closestText } from '../../driver/support/closest.js';
import { formatTable } from '../format.js';
import { EXIT } from './exit-codes.js';
import { writeData } from './terminal.js';

interface ShowOptions {
  readonly origin?: boolean;
  readonly json?: boolean;
}

export function addConfig(program: Command, report: (code: number) => void): void {
  const config = program.command('config').description('say which settings hold, and why');
  config
    .command('show')
    .description('print every setting')
    .option('--origin', 'say where each comes from')
    .option('--json', 'print one JSON document')
    .action(async (options: ShowOptions) => {
      report(await show(options));
    });
  config
    .command('get')
    .description('print the value of one setting; nothing where it has none')
    .argument('<key>', 'a setting, such as store.size')
    .action(async (key: string) => {
      report(await get(key));
    });
  config
    .command('path')
    .description('print the settings files that count, strongest first')
    .option('--json', 'print one JSON document')
    .action(async (options: ShowOptions) => {
      report(await path(options));
    });
}

async function show({ origin, json }: ShowOptions): Promise<number> {
  const { effectiveSettings } = await import('../config/effective.js');
  const { files, settings, unknown } = await effectiveSettings(process.cwd());
  if (json) {
    const entries = settings.map(({ key, ...rest }) => [key, rest]);
    const document = { files, settings: Object.fromEntries(entries), unknown };
    await writeData(`${JSON.stringify(document)}\n`);
    return EXIT.done;
  }
  const head = ['setting', 'value', ...(origin ? ['from'] : [])];
  const rows = settings.map((one) => [
    one.key,
    textOf(one.value) ?? one.fallback,
    ...(origin ? [one.origin] : []),
  ]);
  const warnings = unknown.map((name) => `\n${name} is set, and names no setting`).join('');
  await writeData(`${formatTable([head, ...rows])}\n${warnings}${warnings ? '\n' : ''}`);
  return EXIT.done;
}

async function get(key: string): Promise<number> {
  const { effectiveSettings } = await import('../config/effective.js');
  const { settings } = await effectiveSettings(process.cwd());
  const found = settings.find((one) => one.key === key);
  if (found === undefined) {
    const keys = settings.map((one) => one.key);
    throw new ConfigError(
      `config: expected a setting, got ${JSON.stringify(key)}; known settings: ${closestText(key, keys)}`,
      { key, source: 'command line' },
    );
  }
  await writeData(`${textOf(found.value) ?? ''}\n`);
  return EXIT.done;
}

async function path({ json }: ShowOptions): Promise<number> {
  const { findSettingsFiles } = await import('../config/find-files.js');
  const { project, user } = findSettingsFiles(process.cwd());
  const lines = [project, user].flatMap((file) => (file === undefined ? [] : [`${file}\n`]));
  const document = { project: project ?? null, user: user ?? null };
  await writeData(json ? `${JSON.stringify(document)}\n` : lines.join(''));
  return EXIT.done;
}

function textOf(value: unknown): string | undefined {
  if (value === null || typeof value === 'string') return value ?? undefined;
  return JSON.stringify(value);
}
