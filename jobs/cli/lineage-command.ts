/** `reprise lineage`, `diff`, `why`: what a run was made from, and what kept it from reuse. */
import { formatCount } from '../format.js';
import { diffRuns, diffText } from '../lineage/diff-runs.js';
import { stepLine, stepText } from '../lineage/lineage-text.js';
import { createRunLoader, findStep, matchingSteps } from '../lineage/load-run.js';
import { explainStep } from '../lineage/why.js';
import { findRun } from '../runs/read-run.js';
import { EXIT } from './exit-codes.js';
import { runsFolder } from './settings.js';
import { writeData } from './terminal.js';

/** Reasons of one step for people. */
const SHOWN_REASONS = 12;

export interface LineageCommandOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly step?: string;
}

export async function lineageCommand(run: string, options: LineageCommandOptions): Promise<number> {
  const loaded = await createRunLoader()(await folderOf(run, options));
  const { record, steps, program, outputs, nodes } = loaded;
  if (options.step === undefined) {
    const places = [...outputs].flatMap(([name, expr]) => {
      const step = steps.find((other) => other.expr === expr);
      return step === undefined ? [] : [[name, step.node.id] as const];
    });
    const head = `${record.run}: ${formatCount(steps.length)} steps, ${formatCount(nodes.length)} nodes of lineage`;
    const results = places.map(([name, id]) => `${name} #${id}`).join(', ');
    await writeData(
      options.json
        ? `${JSON.stringify({ run: record.run, outputs: Object.fromEntries(places), steps: record.lineage, lineage: program.lineage })}\n`
        : `${[head, `results: ${results}`, '', ...steps.map(stepLine)].join('\n')}\n`,
    );
    return EXIT.done;
  }
  const chosen = matchingSteps(loaded, options.step);
  const found = chosen.length === 0 ? [findStep(loaded, options.step)] : chosen;
  await writeData(
    options.json
      ? `${JSON.stringify(found.map(({ node, expr }) => ({ ...node, version: expr.op.version, attrs: expr.attrs })))}\n`
      : `${found.map((step) => stepText(loaded, step)).join('\n\n')}\n`,
  );
  return EXIT.done;
}

export async function diffCommand(
  first: string,
  second: string,
  options: LineageCommandOptions,
): Promise<number> {
  const load = createRunLoader();
  const before = await load(await folderOf(first, options));
  const after = await load(await folderOf(second, options));
  const difference = diffRuns(before, after);
  await writeData(options.json ? `${JSON.stringify(difference)}\n` : diffText(difference));
  return EXIT.done;
}

export async function whyCommand(
  run: string,
  name: string,
  options: LineageCommandOptions,
): Promise<number> {
  const load = createRunLoader();
  const loaded = await load(await folderOf(run, options));
  const step = findStep(loaded, name);
  const explanation = await explainStep(loaded, step, load);
  const { verdict, reasons, comparedWith, counterpart } = explanation;
  const against =
    comparedWith === null
      ? []
      : [`compared with ${comparedWith}${counterpart === null ? '' : `, step ${counterpart}`}`];
  const shown = reasons.slice(0, SHOWN_REASONS).map((reason) => `  ${reason}`);
  if (reasons.length > shown.length) {
    shown.push(`  and ${reasons.length - shown.length} more (--json has all)`);
  }
  const text = [stepLine(step), verdict, ...shown, ...against];
  await writeData(options.json ? `${JSON.stringify(explanation)}\n` : `${text.join('\n')}\n`);
  return EXIT.done;
}

function folderOf(run: string, options: LineageCommandOptions): Promise<string> {
  return findRun(run, runsFolder(options.output));
}
