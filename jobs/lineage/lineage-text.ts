/** A run's lineage for people: a line a step, and one step with everything that is known of it. */
import type { FrameSource } from '../../driver/index.js';
import type { LoadedRun, Step } from './load-run.js';
import { shown } from './value-changes.js';

const MAX_INPUTS = 8;

/** One line a step: `#12 solve (#3, #11) 120x1  computed on cpu, 0.4 ms`. */
export function stepLine({ node, expr }: Step): string {
  const inputs = node.inputs.slice(0, MAX_INPUTS).map((input) => `#${input}`);
  if (node.inputs.length > MAX_INPUTS) inputs.push(`.. ${node.inputs.length} in all`);
  const time = `${(node.seconds * 1000).toPrecision(3)} ms`;
  const did =
    node.state === 'source'
      ? 'source'
      : node.state === 'reused'
        ? `reused from ${node.backend ?? 'memory'}, ${time} saved`
        : `${node.state} on ${node.backend}, ${time}`;
  const again = node.hits > 0 ? `, asked for ${timesMore(node.hits)}` : '';
  const label =
    expr.op.source === 'files' ? `{${filesText(expr.payload as FrameSource)}}` : node.label;
  return `#${node.id} ${node.op}${label} (${inputs.join(', ')}) ${node.rows}x${node.cols}  ${did}${again}`;
}

/** Data files by name: their digests say nothing to a reader. */
function filesText({ files }: FrameSource): string {
  const [first] = files;
  if (first === undefined) return '';
  return files.length === 1
    ? shown(first.path)
    : `${shown(first.path)} and ${files.length - 1} more`;
}

function timesMore(hits: number): string {
  return hits === 1 ? 'once more' : `${hits} times more`;
}

/** The step with its full attributes, files, key, inputs and readers. */
export function stepText(run: LoadedRun, step: Step): string {
  const { node, expr } = step;
  const readers = run.steps.filter((other) => other.node.inputs.includes(node.id));
  const outputs = [...run.outputs].filter(([, output]) => output === expr).map(([name]) => name);
  const lines = [stepLine(step), `  key     ${node.key ?? 'none: non-deterministic'}`];
  lines.push(`  version ${expr.op.version}`);
  for (const [name, value] of Object.entries(expr.attrs)) {
    lines.push(`  ${name}: ${JSON.stringify(value)}`);
  }
  if (expr.op.source === 'files') {
    for (const file of (expr.payload as FrameSource).files) {
      lines.push(`  file    ${shown(file.path)} (${file.rows} rows, ${file.digest.slice(0, 12)})`);
    }
  }
  const list = (title: string, steps: readonly Step[]): void => {
    for (const other of steps.slice(0, MAX_INPUTS)) lines.push(`  ${title} ${stepLine(other)}`);
    if (steps.length > MAX_INPUTS) lines.push(`  ${title} .. ${steps.length} in all`);
  };
  const inputs = node.inputs.flatMap((input) => run.steps[input - 1] ?? []);
  list('input  ', inputs);
  list('read by', readers);
  if (outputs.length > 0) lines.push(`  output  ${outputs.join(', ')}`);
  return lines.join('\n');
}
