/**
 * Steps applied to the rows of a search, for all its splits: steps that begin alike are done once.
 * Invariant: what a chain of steps gives follows from the steps and the splits alone.
 */
import type { Columns, StepSplit } from './columns.js';
import { Columns as StepColumns } from './columns.js';
import type { StepRows } from './rows.js';
import type { PrepareContext, PrepareStep, StepParams } from './step.js';

/** A step with all its parameters. */
export interface ChosenStep {
  readonly step: PrepareStep;
  readonly params: StepParams;
  /** Parameters of another candidate whose columns hold these. */
  readonly within?: StepParams;
}

/** What tells chains of steps apart. */
export function stepsKey(steps: readonly ChosenStep[]): string {
  return JSON.stringify(steps.map(({ step, params, within }) => [step.name, params, within]));
}

/**
 * Steps of a search's candidates with what answers several of them at once.
 * @param chains of all candidates
 */
export function joinedSteps(
  chains: readonly (readonly ChosenStep[])[],
): (steps: readonly ChosenStep[]) => readonly ChosenStep[] {
  const asked = new Map<string, StepParams[]>();
  const keyOf = (steps: readonly ChosenStep[], i: number): string =>
    stepsKey(steps.slice(0, i)) + steps[i]!.step.name;
  for (const steps of chains) {
    for (const [i, { step, params }] of steps.entries()) {
      if (step.joined === undefined) continue;
      const key = keyOf(steps, i);
      asked.set(key, [...(asked.get(key) ?? []), params]);
    }
  }
  return (steps) =>
    steps.map((chosen, i) => {
      const within = chosen.step.joined?.(asked.get(keyOf(steps, i)) ?? []);
      return within === undefined ? chosen : { ...chosen, within };
    });
}

export class Preparation {
  readonly #context: PrepareContext;
  readonly #known = new Map<string, readonly Columns[]>();

  constructor(source: StepRows, splits: readonly StepSplit[], context: PrepareContext) {
    this.#context = context;
    this.#known.set(
      stepsKey([]),
      splits.map((split) => new StepColumns(source, split)),
    );
  }

  /** The columns after some steps, one a split. @throws ConfigError */
  after(steps: readonly ChosenStep[]): readonly Columns[] {
    const key = stepsKey(steps);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { step, params, within } = steps.at(-1)!;
    const made = step.apply(this.after(steps.slice(0, -1)), params, this.#context, within);
    this.#known.set(key, made);
    return made;
  }
}

/**
 * Matrices of all rows that steps take whole: once what is encoded, and each split's own rows.
 * @param splits of the search
 */
export function wholeMatrices(steps: readonly ChosenStep[], splits: number): number {
  let [found, isOwn] = [0, false];
  for (const { step, params } of steps) {
    if (step.readsWhole?.(params)) found = Math.max(found, isOwn ? splits : 1);
    isOwn ||= step.makesRows === true;
  }
  return found;
}
