/** Numbers and tables for people. Data for programs never passes through here. */
import type { RunSummary } from '../runs/summary.js';

/** Six significant digits, without needless zeros. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  return String(Number(value.toPrecision(6)));
}

/** `lambda 0.1, degree 2`. */
export function formatParams(params: Readonly<Record<string, unknown>>): string {
  const texts = Object.entries(params).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? formatNumber(value) : value}`,
  );
  return texts.join(', ') || 'the only candidate';
}

/** `lambda 0.1: r2 0.75`, or that there is none. */
export function formatBest(best: RunSummary['best']): string {
  if (best === null) return 'none: no candidate could be scored';
  return `${formatParams(best.params)}: ${best.metric} ${formatNumber(best.score)}`;
}

/** A whole number with thousands separated. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `1 pass`, `2 passes`. */
export function formatCounted(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** @units seconds */
export function formatSeconds(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(2)} s` : `${seconds.toFixed(1)} s`;
}

/** Rows of cells in columns that line up, numbers to the right; the first row is the head. */
export function formatTable(given: readonly (readonly string[])[]): string {
  const lined = given.map((row) => row.map((cell) => cell.replace(/[\t\n]/g, ' ')));
  const [head] = lined;
  if (!head) return '';
  const widths = head.map((_, column) =>
    Math.max(...lined.map((row) => (row[column] ?? '').length)),
  );
  const isNumeric = head.map((_, column) =>
    lined.slice(1).every((row) => /^[-+]?[\d.,e+-]+$|^nan$|^-?inf$|^$/.test(row[column] ?? '')),
  );
  const lines = lined.map((row) =>
    row
      .map((cell, i) =>
        isNumeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return lines.join('\n');
}
