/**
 * What a cleaning step is. Invariants: nothing outside this folder knows a step by name; a step is
 * fitted on the training rows of each split alone, and `index.ts` lists them all.
 */
import * as z from 'zod';
import { ConfigError, type Matrix } from '../../driver/index.js';
import type { BringOptions } from '../npm-data.js';
import type { Columns } from './columns.js';

/** What steps may learn besides the columns. */
export interface PrepareContext {
  /** Numbers, or class numbers from 0: [n, 1]. */
  readonly y: Matrix;
  /** 0 for a target of numbers. */
  readonly classes: number;
  /** Whether there is a target at all. */
  readonly hasTarget: boolean;
  /** As of `SearchOptions`. */
  readonly categories?: ReadonlyMap<string, string>;
}

/** Every parameter of a step, by name. */
export type StepParams = Readonly<Record<string, unknown>>;

export interface PrepareStep {
  /** As job files name it: `step`. */
  readonly name: string;
  readonly description: string;
  /** The parameter that a value of the step itself is of, in a grid: `scale: [none, robust]`. */
  readonly main: string;
  /** Names, ranges, defaults and docs. Defaults of all of them. */
  readonly parameters: z.ZodObject;
  /** Whether it takes columns whole, as quantiles do. Default: it never does. */
  readonly readsWhole?: (params: StepParams) => boolean;
  /** It makes rows, each split's own. Default: it maps columns. */
  readonly makesRows?: true;
  /** Parameters that are paths of files, relative to the job file. Default: none. */
  readonly files?: readonly string[];
  /** What is read of such a path: it and those beside it. */
  readonly filesOf?: (path: string) => Promise<readonly string[]>;
  /** Reads what the step works with, before it is applied. Default: nothing. */
  readonly open?: (params: StepParams, options: BringOptions) => Promise<void>;
  /**
   * The columns after the step, for all splits at once, so that they share what they can.
   * @param all one a split, after the same steps
   * @param within what `joined` says of the search's parameters for this step
   * @throws ConfigError for what these columns do not allow
   */
  readonly apply: (
    all: readonly Columns[],
    params: StepParams,
    context: PrepareContext,
    within?: StepParams,
  ) => Columns[];
  /** Of parameters that a search tries after the same steps those whose columns hold all others'. */
  readonly joined?: (all: readonly StepParams[]) => StepParams | undefined;
}

/** Parameters of every step that works on some of the columns. */
export const someColumns = {
  columns: z.array(z.string().min(1).max(500)).min(1).max(10_000).nullable().default(null).meta({
    description: 'Columns or features it works on, by name; null: all.',
  }),
};

/** Numbers of the columns a step works on. @throws ConfigError for a name there is not */
export function chosenColumns(
  columns: Columns,
  step: string,
  asked: readonly string[] | null,
): number[] {
  const all = Array.from({ length: columns.width }, (_, j) => j);
  if (asked === null) return all;
  const { names } = columns.map;
  if (names === undefined) {
    const got = 'columns that a step before it made of others (pca, polynomial, select by k)';
    const remedy = 'put that step after it, or leave it out of a step-wise search, which chooses features at the end'; // biome-ignore format: a text
    throw invalid(step, `${shown(asked)} by name`, `${got}; ${remedy}`);
  }
  const chosen = new Set<number>();
  for (const name of asked) {
    const own = all.filter((j) => names[j] === name || names[j]!.startsWith(`${name}=`));
    if (own.length === 0) {
      throw invalid(step, `columns of the features (${shown(names)})`, name);
    }
    for (const j of own) chosen.add(j);
  }
  return [...chosen].sort((a, b) => a - b);
}

/** @throws ConfigError while cells are missing, in columns from one to before another */
export function requireComplete(
  { map, width }: Columns,
  step: string,
  [from, to]: readonly [number, number] = [0, width],
): void {
  const { names } = map;
  const open = map.open.filter((column) => column >= from && column < to);
  if (open.length === 0) return;
  const some = names === undefined ? `${open.length} columns` : shown(open.map((j) => names[j]!));
  throw invalid(step, 'an impute step before it', `missing cells in ${some}`);
}

export function invalid(step: string, expected: string, got: string): ConfigError {
  return new ConfigError(`prepare ${step}: expected ${expected}, got ${got}`, {
    key: 'prepare',
    step,
  });
}

function shown(names: readonly string[]): string {
  const some = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${some}, .. ${names.length} in all` : some;
}
