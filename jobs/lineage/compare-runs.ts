/**
 * Why steps of one run could not be answered from another: for every new step, the first inputs and
 * attributes that differ on the way to its leaves. A step's counterpart in the other run is one of
 * the same form (operator, and forms of the inputs) that is gone from this run, nearest by shared
 * inputs and attributes. What follows from a cause, ranges of rows that moved because a column
 * came, say, is no cause. Invariant: a step both runs have has no cause, and every other step has
 * at least one.
 */
import type { Expr, FrameSource } from '../../driver/index.js';
import { topological } from '../../driver/ir/expr.js';
import { linspace, logspace } from '../job-file/spaces.js';
import type { LoadedRun } from './load-run.js';
import {
  type Change,
  changes,
  changeText,
  fileChanges,
  sameValue,
  shown,
  valueText,
} from './value-changes.js';

/** Causes kept for one step; more say nothing to a reader. */
const MAX_CAUSES = 40;
/** Steps of one form looked at for a counterpart. */
const MAX_CANDIDATES = 64;

export interface RunComparison {
  /** Differences of the two jobs' settings. */
  readonly settings: readonly Change[];
  readonly isKnown: (expr: Expr) => boolean;
  /** Why a step of the later run is not one of the earlier; none for a step both have. */
  readonly causes: (expr: Expr) => readonly string[];
  /** The step of the earlier run this one stands in the place of. */
  readonly counterpart: (expr: Expr) => Expr | undefined;
}

/** Both runs must come from one loader. */
export function compareRuns(before: LoadedRun, after: LoadedRun): RunComparison {
  const settings = changes(before.record.job, after.record.job);
  const known = new Set(before.nodes);
  const counterparts = findCounterparts(before.nodes, after.nodes);
  const files = filesChanged(before.nodes, after.nodes);
  const causes = new Map<Expr, readonly string[]>();
  for (const expr of topological(after.nodes)) {
    if (known.has(expr)) continue;
    const twin = counterparts.get(expr);
    const found = new Set<string>();
    for (const input of expr.inputs) {
      for (const cause of causes.get(input) ?? []) if (found.size < MAX_CAUSES) found.add(cause);
    }
    for (const cause of ownCauses(expr, twin, { settings, files, below: found })) found.add(cause);
    if (found.size === 0) for (const cause of rewired(expr, twin, files)) found.add(cause);
    causes.set(expr, [...found]);
  }
  return {
    settings,
    isKnown: (expr) => known.has(expr),
    causes: (expr) => causes.get(expr) ?? [],
    counterpart: (expr) => counterparts.get(expr),
  };
}

/** Differences of the step itself, not of what it reads. */
function ownCauses(
  expr: Expr,
  twin: Expr | undefined,
  { settings, files, below }: KnownCauses,
): string[] {
  if (expr.op.source === 'files') {
    const source = expr.payload as FrameSource;
    // A file is a frame of its own where data are of many; what became of it is seen over all of
    // them.
    const own = files.filter((line) => source.files.some((file) => names(line, file.path)));
    return own.length > 0 ? own : fileChanges(twin?.payload as FrameSource | undefined, source);
  }
  if (expr.attrs.files !== undefined) {
    const chosen = foldSettings(expr, settings);
    if (chosen.length + files.length > 0) return [...chosen, ...files];
  }
  if (expr.op.source === 'cells') return [`literal ${expr.rows}x${expr.cols}: other cells`];
  if (twin === undefined) {
    if (expr.inputs.length > 0) return [];
    const value = expr.attrs.value;
    const setting = settings.find((change) => gained(change, value));
    return [
      setting === undefined
        ? `${expr.op.name} ${valueText(value ?? expr.attrs)}: new`
        : `${changeText(setting)} changes ${expr.op.name}`,
    ];
  }
  const follows = below.size > 0 && hasOtherShapes(expr, twin);
  return changes(twin.attrs, expr.attrs).flatMap((change) => {
    const setting = settingOf(change, settings);
    if (setting === undefined) return follows ? [] : [`${expr.op.name} ${changeText(change)}`];
    const text = `${changeText(setting)} changes `;
    return [...below].some((cause) => cause.startsWith(text)) ? [] : [`${text}${expr.op.name}`];
  });
}

interface KnownCauses {
  readonly settings: readonly Change[];
  readonly files: readonly string[];
  /** Causes of what the step reads. */
  readonly below: ReadonlySet<string>;
}

/** Whether inputs differ in number or shape, which ranges and places in attributes depend on. */
function hasOtherShapes(expr: Expr, twin: Expr): boolean {
  return (
    expr.inputs.length !== twin.inputs.length ||
    expr.inputs.some(
      ({ rows, cols }, i) => rows !== twin.inputs[i]!.rows || cols !== twin.inputs[i]!.cols,
    )
  );
}

/** The setting of a changed attribute: it has one's values, holds the other, or means the same. */
function settingOf(change: Change, settings: readonly Change[]): Change | undefined {
  const last = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
  const same = settings.filter(
    ({ before, after }) => sameValue(before, change.before) && sameValue(after, change.after),
  );
  const [, thing] = /\[([^\]]+)\]/.exec(change.path) ?? [];
  const namesIt = ({ path, before, after }: Change): boolean =>
    thing !== undefined &&
    (path.includes(`[${thing}]`) ||
      gained({ path, before, after }, thing) ||
      gained({ path, before: after, after: before }, thing));
  return (
    same.find(({ path }) => last(path) === last(change.path)) ??
    same[0] ??
    settings.find((other) => gained(other, change.after)) ??
    settings.find(namesIt)
  );
}

/** Folds within files have a seed for each file, made of the job's seed and the content. */
function foldSettings(expr: Expr, settings: readonly Change[]): string[] {
  return settings
    .filter(({ path }) => path.startsWith('cv.'))
    .map((change) => `${changeText(change)} changes ${expr.op.name}`);
}

/** What became of the data files between two runs, over all frames together. */
function filesChanged(before: readonly Expr[], after: readonly Expr[]): string[] {
  const [old, now] = [before, after].map((nodes) => {
    const sources = nodes.flatMap(({ op, payload }) =>
      op.source === 'files' ? [payload as FrameSource] : [],
    );
    const byPath = new Map(sources.flatMap(({ files }) => files.map((file) => [file.path, file])));
    return { format: sources[0]?.format ?? 'csv', files: [...byPath.values()] } as FrameSource;
  });
  const lines = fileChanges(old, now!);
  return lines.filter((line) => line.startsWith('data file '));
}

function names(line: string, path: string): boolean {
  return line.startsWith(`data file ${shown(path)}: `);
}

/** Same attributes, and every input known: it is the inputs' number or choice that is new. */
function rewired(expr: Expr, twin: Expr | undefined, files: readonly string[]): string[] {
  const { name } = expr.op;
  const removed = files.filter((line) => line.endsWith(': removed'));
  if (twin === undefined) return removed.length > 0 ? removed : [`${name}: no such step before`];
  if (twin.inputs.length !== expr.inputs.length) {
    if (removed.length > 0) return removed;
    return [`${name} ${twin.inputs.length} -> ${expr.inputs.length} inputs`];
  }
  const at = expr.inputs.findIndex((input, i) => input !== twin.inputs[i]);
  return [`${name} reads another ${expr.inputs[at]?.op.name ?? 'value'} as input ${at + 1}`];
}

/** Whether a setting has this value only now, by itself, in a list or in its range. */
function gained({ path, before, after }: Change, value: unknown): boolean {
  if (value === undefined) return false;
  const has = (setting: unknown): boolean =>
    valuesOf(path, setting).some((item) => sameValue(item, value));
  return has(after) && !has(before);
}

function valuesOf(path: string, setting: unknown): readonly unknown[] {
  if (!Array.isArray(setting)) {
    if (typeof setting !== 'object' || setting === null) return [setting];
    return Object.entries(setting).flatMap(([key, inner]) => valuesOf(`${path}.${key}`, inner));
  }
  const [from, to, count] = setting as readonly number[];
  if (setting.length === 3 && path.endsWith('.logspace')) return logspace(from!, to!, count!);
  if (setting.length === 3 && path.endsWith('.linspace')) return linspace(from!, to!, count!);
  return setting;
}

function findCounterparts(before: readonly Expr[], after: readonly Expr[]): Map<Expr, Expr> {
  const formOf = forms([...before, ...after]);
  const [old, now] = [new Set(before), new Set(after)];
  const gone = before.filter((expr) => !now.has(expr));
  const byForm = groupBy(gone, (expr) => formOf.get(expr)!);
  const byOp = groupBy(gone, (expr) => expr.op);
  const ranks = new Map<unknown, number>();
  const found = new Map<Expr, Expr>();
  for (const expr of after) {
    if (old.has(expr)) continue;
    const form = formOf.get(expr)!;
    const group = byForm.get(form) ?? byOp.get(expr.op);
    if (group === undefined) continue;
    const rank = ranks.get(form) ?? 0;
    ranks.set(form, rank + 1);
    const twin = nearest(expr, group, rank, found);
    if (twin !== undefined) found.set(expr, twin);
  }
  return found;
}

/** Most inputs shared or matched wins, then the likest attributes, then the same rank. */
function nearest(
  expr: Expr,
  group: readonly Expr[],
  rank: number,
  found: ReadonlyMap<Expr, Expr>,
): Expr | undefined {
  let best: Expr | undefined;
  let most = -1;
  for (let k = 0; k < Math.min(group.length, MAX_CANDIDATES); k++) {
    const candidate = group[(rank + k) % group.length]!;
    let shared = 1 / (1 + changes(candidate.attrs, expr.attrs).length);
    for (let i = 0; i < Math.min(expr.inputs.length, 8); i++) {
      const [input, other] = [expr.inputs[i]!, candidate.inputs[i]];
      if (input === other) shared += 2;
      else if (other !== undefined && found.get(input) === other) shared += 2;
    }
    if (shared > most) {
      most = shared;
      best = candidate;
    }
  }
  return best;
}

/** A number for every form: operator and the forms of the inputs, whatever the attributes. */
function forms(nodes: readonly Expr[]): Map<Expr, number> {
  const numbers = new Map<string, number>();
  const formOf = new Map<Expr, number>();
  for (const expr of topological(nodes)) {
    const text = `${expr.op.name} ${expr.inputs.map((input) => formOf.get(input)).join(' ')}`;
    let form = numbers.get(text);
    if (form === undefined) {
      form = numbers.size;
      numbers.set(text, form);
    }
    formOf.set(expr, form);
  }
  return formOf;
}

function groupBy<K>(nodes: readonly Expr[], keyOf: (expr: Expr) => K): Map<K, Expr[]> {
  const groups = new Map<K, Expr[]>();
  for (const expr of nodes) {
    const group = groups.get(keyOf(expr));
    if (group === undefined) groups.set(keyOf(expr), [expr]);
    else group.push(expr);
  }
  return groups;
}
