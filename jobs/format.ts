/**
 * Numbers and tables as people read them, in the terminal and in the report; data for programs
 * never pass through here. Invariant: `formatFixed` refers to nothing outside itself, because its
 * source text is also what the page runs when it re-draws table rows, so both always agree.
 */
import { relative } from 'node:path';
import { formatBytes } from '../driver/support/size.js';
import type { StoreUsage } from './runs/record.js';
import type { RunSummary } from './runs/summary.js';
import type { EnsembleResult } from './search/result.js';

/** A whole number with thousands separators: `Intl` takes up to 90 ms when it is first used. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 fit`, `400 fits`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

/** A duration, two units at most. @units seconds */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'n/a';
  if (seconds < 0) return `-${formatSeconds(-seconds)}`;
  if (seconds === 0) return '0 s';
  if (seconds < 1e-3) return `${trimmed(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${trimmed(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${trimmed(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${formatCount(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** Three significant digits, no trailing zeros: 12.3, 4, 0.25. */
function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** A parameter or coefficient in at most `digits` digits; powers of ten when far from 1. */
export function formatNumber(value: number, digits = 6): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  const rounded = Number(value.toPrecision(digits));
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) {
    return rounded.toExponential().replace('e+', 'e');
  }
  return String(rounded);
}

/** A parameter's value as tables hold it: lists and maps as text. */
export function shownParam(value: unknown): string | number | boolean | null {
  if (value === undefined) return null;
  if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  return value as string | number | boolean | null;
}

/** A parameter's value of any type, as the job file writes it. */
export function formatParam(value: unknown): string {
  return typeof value === 'number' ? formatNumber(value) : String(shownParam(value) ?? 'null');
}

/** `lambda 0.1, degree 2`. */
function formatParams(params: Readonly<Record<string, unknown>>): string {
  const texts = Object.entries(params).map(([name, value]) => `${name} ${formatParam(value)}`);
  return texts.join(', ') || 'the only candidate';
}

/** `svm, C 1`: its model where there are several, and what is searched of it. */
export function formatCandidate(candidate: {
  readonly model?: string;
  readonly params: Readonly<Record<string, unknown>>;
}): string {
  const { model, params } = candidate;
  if (model === undefined) return formatParams(params);
  return [model, ...(Object.keys(params).length > 0 ? [formatParams(params)] : [])].join(', ');
}

/** `0.6 of logistic, C 1 and 0.4 of svm, C 0.1`. */
export function formatMembers({ members, weights }: EnsembleResult): string {
  const parts = members.map(
    (one, m) => `${formatNumber(weights[m]!, 3)} of ${formatCandidate(one)}`,
  );
  return parts.join(' and ');
}

/** `lambda 0.1: r2 0.75`, or that there is none. */
export function formatBest(best: RunSummary['best']): string {
  if (best === null) return 'none: no candidate has a finite score to be chosen by';
  return `${formatCandidate(best)}: ${best.metric} ${formatNumber(best.score)}`;
}

/** What a store holds, and what of it answers, by which runs. */
export function formatStore(store: StoreUsage, answers: string): string {
  const { folder, results, bytes, answered, from } = store;
  const [first, ...others] = from;
  const more = others.length > 0 ? ` and ${plural(others.length, 'other run')}` : '';
  const by = first === undefined ? '' : `, made by ${first}${more}`;
  const here = relative('', folder);
  const held = `${here.startsWith('..') ? folder : here} holds ${plural(results, 'result')} in ${formatBytes(bytes)}`;
  return `${held}; ${answered === 0 ? 'none' : formatCount(answered)} ${answers}${by}`;
}

/**
 * A number with a fixed count of decimals; `null` is a score that does not exist.
 * Its compiled text is embedded in the page: it must refer to nothing outside itself.
 */
export function formatFixed(value: number | null, decimals: number): string {
  if (value === null || Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  const size = Math.abs(value);
  if (size >= 1e12 || (size !== 0 && size < 0.5 * 10 ** -decimals)) return value.toExponential(4);
  return value.toFixed(decimals);
}

/**
 * Decimals for a column of scores: enough to tell the best from the next best value, at least five
 * significant digits and at most ten, beyond which differences are rounding.
 */
export function decimalsFor(values: readonly number[]): number {
  let best = Number.NEGATIVE_INFINITY;
  let second = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value > best) {
      second = best;
      best = value;
    } else if (value < best && value > second) second = value;
  }
  if (best === Number.NEGATIVE_INFINITY) return 0;
  const size = Math.abs(best);
  if (size === 0) return 4;
  const magnitude = Math.floor(Math.log10(size)) + 1;
  const gap = best - second;
  const wanted = Number.isFinite(gap) ? Math.ceil(-Math.log10(gap)) + 1 : 0;
  return Math.max(0, Math.min(Math.max(wanted, 5 - magnitude), 10 - magnitude, 15));
}

/** `value ± spread`, the spread in two significant digits and the value to the same place. */
export function formatWithSpread(value: number, spread: number): string {
  if (!Number.isFinite(value)) return formatFixed(value, 0);
  if (!Number.isFinite(spread)) return formatNumber(value);
  if (spread === 0) return `${formatNumber(value)} ± 0`;
  const place = Math.ceil(-Math.log10(spread)) + 1;
  const decimals = Math.max(0, Math.min(place, 12));
  if (spread < 1e-9 || Math.abs(value) >= 1e9) {
    return `${formatNumber(value)} ± ${formatNumber(spread, 2)}`;
  }
  return `${value.toFixed(decimals)} ± ${spread.toFixed(decimals)}`;
}

/** Rows of cells in columns that line up, numbers to the right; the first row is the head. */
export function formatTable(given: readonly (readonly string[])[]): string {
  const lined = given.map((row) => row.map((cell) => cell.replace(/[\t\n]/g, ' ')));
  const [head] = lined;
  if (!head) return '';
  const widths = head.map((_, column) =>
    Math.max(...lined.map((row) => displayWidth(row[column] ?? ''))),
  );
  const isNumeric = head.map((_, column) =>
    lined.slice(1).every((row) => /^[-+]?[\d.,e+-]+$|^NaN$|^-?inf$|^$/.test(row[column] ?? '')),
  );
  const lines = lined.map((row) =>
    row
      .map((cell, i) => {
        const rest = ' '.repeat((widths[i] ?? 0) - displayWidth(cell));
        return isNumeric[i] ? rest + cell : cell + rest;
      })
      .join('  ')
      .trimEnd(),
  );
  return lines.join('\n');
}

/** Characters that join the one before, or show nothing. */
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff]/u;
/** Wide and full characters of East Asia (UAX 11), and emoji: two cells of a terminal. */
const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u;

/** Cells of a terminal that a text takes. */
export function displayWidth(text: string): number {
  // Most texts are plain, and large tables have many.
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += NO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}
