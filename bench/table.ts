/**
 * Rewrites the figures in `docs/benchmarks.md` from `bench/results/*.json`, so that no number there
 * is copied by hand. Invariant: only the text between the two markers changes; quick results are
 * left out.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../driver/errors.js';
import { benches } from './benches.js';
import { type Figure, formatFigure, type ResultDocument, type Target } from './harness.js';
import { repoRoot } from './paths.js';

const BEGIN = '<!-- figures: written by `npm run bench -- --table` -->';
const END = '<!-- end of figures -->';

/** Writes the table. @returns the path of the page @throws ConfigError when a marker is missing */
export function writeTable(): string {
  const root = repoRoot();
  const path = join(root, 'docs', 'benchmarks.md');
  const page = readFileSync(path, 'utf8');
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) {
    throw new ConfigError(`bench: expected the lines \`${BEGIN}\` and \`${END}\` in ${path}`, {
      key: path,
      source: 'file',
    });
  }
  const sections = benches.map(({ name }) => section(root, name)).join('\n');
  writeFileSync(path, `${page.slice(0, from)}${BEGIN}\n\n${sections}\n${page.slice(to)}`);
  return path;
}

/** One bench: its summary, and its figures where it was measured, on a GPU too. */
function section(root: string, name: string): string {
  const bench = benches.find((candidate) => candidate.name === name)!;
  const heading = `### ${name}\n\n${capitalised(bench.summary)}.\n`;
  const results = [name, `${name}.gpu`].flatMap((file) => {
    const path = join(root, 'bench', 'results', `${file}.json`);
    return existsSync(path) ? [JSON.parse(readFileSync(path, 'utf8')) as ResultDocument] : [];
  });
  if (results.length === 0) return `${heading}\nNot measured yet.\n`;
  return heading + results.map(figuresOf).join('');
}

function figuresOf(result: ResultDocument): string {
  const { machine, device } = result;
  const loads = `load ${machine.loadAverage[0]} before and ${machine.loadAverageAtEnd[0]} after`;
  const versions = ['node', 'numpy', 'scikit-learn', 'pyspark', 'systemds']
    .filter((library) => machine.versions[library] !== undefined)
    .map((library) => `${library} ${machine.versions[library]}`)
    .join(', ');
  const on = device === undefined ? '' : `On ${device.name} (${device.version}). `;
  const rows = result.figures.map((figure) => row(figure, result)).join('\n');
  const notes = result.notes.map((note) => `\n${capitalised(note)}.\n`).join('');
  return `
${on}${result.startedAt.slice(0, 10)}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${loads}; ${versions};
commit ${machine.gitCommit.slice(0, 10)}${machine.gitDirty ? ' with changes' : ''}.

| figure | measured | runs: least, most | target | |
| --- | --- | --- | --- | --- |
${rows}
${notes}`;
}

function row(figure: Figure, result: ResultDocument): string {
  const samples = figure.from.length === 1 ? result.samples[figure.from[0]!] : undefined;
  const spread = samples
    ? `${samples.n}: ${formatFigure(samples.min)}, ${formatFigure(samples.max)}`
    : '';
  const verdict = figure.met === undefined ? '' : figure.met ? 'met' : '**missed**';
  const cells = [
    `\`${figure.name}\``,
    formatFigure(figure.value),
    spread,
    target(figure.target),
    verdict,
  ];
  return `| ${cells.join(' | ')} |`;
}

function target(bound: Target | undefined): string {
  if (bound === undefined) return '';
  return 'atMost' in bound ? `at most ${bound.atMost}` : `at least ${bound.atLeast}`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
