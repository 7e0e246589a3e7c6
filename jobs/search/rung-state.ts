/**
 * What a search has done so far, rung by rung: trials, the waves they are in, and what is kept of
 * these. Invariant: numbers of trials and waves run through all rungs, and a wave is done or not.
 */
import type { DenseMatrix, Run } from '../../driver/index.js';
import { keepsRole } from '../../driver/reuse/setting.js';
import { cutsOf } from '../prepare/network.js';
import type { RungFacts } from './budgets.js';
import {
  ownParts,
  type SearchGroup,
  type SearchTrial,
  searchGroups,
  withTrials,
} from './groups.js';
import { leftOutWarnings } from './left-out.js';
import { partOutput, type Search, type SearchOptions } from './prepare.js';
import { RungFits } from './rung-fits.js';
import { checkCompared } from './scoring/silhouettes.js';
import { splitCount, type TestScatter, testScatters } from './splits/partition.js';
import type { Rung } from './strategies/strategy.js';
import type { Wave } from './wave-log.js';
import { bestOf, scoreOf, type WaveResult, type WaveTrial } from './wave-result.js';
import { divideIntoWaves, failedWave, runWave } from './waves.js';

/** A group whose moments are there. */
export interface OpenGroup {
  readonly group: SearchGroup;
  /** By part and split. */
  readonly scatter: readonly (readonly TestScatter[])[];
  /** What there is to say of its columns. */
  readonly warnings: readonly string[];
}

/** A trial that is done. */
export interface TrialDone extends SearchTrial {
  readonly rung: number;
  /** Of several rounds of rungs, the first that it is in. */
  readonly bracket?: number;
  readonly budget?: Rung['budget'];
  readonly open: OpenGroup;
  readonly kept: WaveTrial;
}

export interface RungsSoFar {
  /** In order of their numbers. */
  readonly trials: readonly TrialDone[];
  /** Of waves that are done, in order. */
  readonly results: readonly { readonly wave: Wave; readonly result: WaveResult }[];
}

/** A wave and its number. */
interface NumberedWave {
  readonly w: number;
  readonly wave: Wave;
}

/** Whether what is thrown may be the end that was asked for. */
export function canStop({ signal }: SearchOptions): boolean {
  return signal?.aborted === true;
}

export class RungState {
  readonly #run: Run;
  readonly #search: Search;
  readonly #options: SearchOptions;
  readonly #metric: string;
  readonly #of: number;
  readonly #began = performance.now();
  /** Of all rungs so far. */
  readonly #waves: Wave[] = [];
  readonly #results = new Map<number, WaveResult>();
  readonly #trials = new Map<number, Omit<TrialDone, 'kept'>>();
  /** Wave of a trial, and which of it. */
  readonly #places = new Map<number, readonly [number, number]>();
  readonly #fits: RungFits;
  readonly #isTakenUp: boolean;
  /** A wave was run in this attempt. */
  #hasRun = false;

  constructor(run: Run, search: Search, options: SearchOptions, metric: string, of: number) {
    this.#run = run;
    this.#search = search;
    this.#options = options;
    this.#metric = metric;
    this.#of = of;
    this.#fits = new RungFits(run);
    this.#isTakenUp = options.waves?.hasBegun === true;
  }

  /** @returns why the search ends here; undefined for a rung that is done */
  async runRung(
    number: number,
    rung: Rung,
    trials: readonly SearchTrial[],
    facts: RungFacts | undefined,
  ): Promise<string | undefined> {
    try {
      for (const waves of await this.#begin(number, rung, trials, facts)) {
        const why = this.#limit();
        if (why !== undefined) return why;
        await this.#runWaves(waves);
      }
    } catch (error) {
      if (this.#results.size === 0 || !canStop(this.#options)) throw error;
      return 'it was stopped';
    }
    return undefined;
  }

  /** Begins a rung. @returns its waves that are not kept yet, in turns */
  async #begin(
    number: number,
    { budget, brackets }: Rung,
    trials: readonly SearchTrial[],
    facts: RungFacts | undefined,
  ): Promise<NumberedWave[][]> {
    const groups = searchGroups(this.#search, trials, facts);
    const opened = await this.#open(groups, number === 0);
    this.#fits.begin(trials);
    const { waves: log } = this.#options;
    const divided = groups.flatMap(divideIntoWaves);
    const division = { rung: number, waves: divided, metric: this.#metric, of: this.#of };
    const own = log === undefined ? divided : await log.divide(division);
    const bracketOf = new Map(trials.map((trial, i) => [trial.number, brackets?.[i]]));
    for (const open of opened) {
      for (const [i, trial] of open.group.trials.entries()) {
        const bracket = bracketOf.get(trial);
        this.#trials.set(trial, {
          number: trial,
          candidate: open.group.candidates[i]!,
          rung: number,
          ...(bracket === undefined ? {} : { bracket }),
          ...(budget ? { budget } : {}),
          open,
        });
      }
    }
    const first = this.#waves.length;
    this.#waves.push(...own);
    for (const [i, wave] of own.entries()) {
      for (const [at, trial] of wave.entries()) this.#places.set(trial, [first + i, at]);
    }
    const known = own.flatMap((_, i) => {
      const result = log?.known(first + i);
      return result === undefined ? [] : [[first + i, result] as const];
    });
    for (const [w, result] of known) {
      this.#results.set(w, result);
      if (log?.setAside(w) === undefined) this.#fits.add(this.#groupOf(own[w - first]!));
    }
    if (known.length > 0) this.#tell();
    const left = own.flatMap((wave, i) => (this.#results.has(first + i) ? [] : [{ w: first + i, wave }])); // biome-ignore format: a list
    return this.#turns(left);
  }

  /**
   * Waves in turns: those that need no training ask for their passes together. Of a run that was taken
   * up each is by itself, so that one which ends the process is known by it; so is each trial where
   * trials are.
   */
  #turns(waves: readonly NumberedWave[]): NumberedWave[][] {
    const turns: NumberedWave[][] = [];
    let isOpen = false;
    for (const one of waves) {
      const { estimator } = this.#trials.get(one.wave[0]!)!.open.group;
      const isShared = this.#search.together && estimator.reads !== 'rows' && !this.#isTakenUp;
      if (isShared && isOpen) turns.at(-1)!.push(one);
      else turns.push([one]);
      isOpen = isShared;
    }
    return turns;
  }

  /** The mean score of a trial that is done. */
  score(trial: number): number {
    const kept = this.#kept(trial);
    return kept === undefined ? Number.NaN : scoreOf(kept, this.#metric, this.#folds);
  }

  done(): RungsSoFar {
    const numbered = [...this.#trials.values()].sort((a, b) => a.number - b.number);
    const trials = numbered.flatMap((trial) => {
      const kept = this.#kept(trial.number);
      return kept === undefined ? [] : [{ ...trial, kept }];
    });
    const results = this.#waves.flatMap((wave, w) => {
      const result = this.#results.get(w);
      return result === undefined ? [] : [{ wave, result }];
    });
    return { trials, results };
  }

  get #folds(): number {
    return splitCount(this.#search.splits);
  }

  #groupOf(wave: Wave): SearchGroup {
    return withTrials(this.#trials.get(wave[0]!)!.open.group, wave);
  }

  #kept(trial: number): WaveTrial | undefined {
    const [w, at] = this.#places.get(trial)!;
    return this.#results.get(w)?.trials[at];
  }

  /** The moments of all groups together, so that they share a pass. */
  async #open(groups: readonly SearchGroup[], isFirst: boolean): Promise<OpenGroup[]> {
    const { onPhase, onOutput } = this.#options;
    onPhase?.('gram');
    await this.#keepData(groups);
    await this.#keepLayers(groups);
    if (isFirst) {
      for (const [p, { counted }] of ownParts(groups[0]!).entries()) {
        onOutput?.(partOutput('gram', p), counted.expr);
      }
    }
    const asked = groups.flatMap(({ parts }) =>
      parts.flatMap(({ counted, alongside }) => [counted, ...alongside]),
    );
    const values = (await this.#run.evaluate(
      asked.map(({ expr }) => expr),
      'score',
    )) as DenseMatrix[];
    const cellsOf = new Map(asked.map(({ expr }, i) => [expr, values[i]!]));
    const opened = groups.map((group) => openGroup(group, (expr) => cellsOf.get(expr)!));
    for (const { scatter } of opened) {
      checkCompared(this.#search.scoring, scatter.flat(), this.#search.X.rows);
    }
    return opened;
  }

  /** Where the setting of reuse keeps what the input pipeline makes, and nothing after it. */
  async #keepData(groups: readonly SearchGroup[]): Promise<void> {
    if (!keepsRole(this.#run.reuse, 'data')) return;
    const { y, weight } = this.#search;
    const data = groups.flatMap(({ parts }) => parts.map(({ X }) => X));
    await this.#run.keep([...new Set(data.map(({ expr }) => expr))]);
    // Few cells, for which each pass would read the files again.
    const columns = [y, ...(weight ? [weight] : [])].map(({ expr }) => expr);
    const read = columns.filter(({ readsFiles }) => readsFiles);
    if (read.length > 0) await this.#run.persist(read, 'data');
  }

  /**
   * Values inside networks in one plan, which computes each layer once for all cuts; not as columns
   * alone, so that later searches of deeper cuts build upon them.
   */
  async #keepLayers(groups: readonly SearchGroup[]): Promise<void> {
    if (!keepsRole(this.#run.reuse, 'layer')) return;
    const cuts = groups.flatMap(({ prepared }) => (prepared ? cutsOf(prepared) : []));
    const exprs = [...new Set(cuts.flatMap(({ value, pooled }) => [value.expr, pooled.expr]))];
    if (exprs.length > 0) await this.#run.evaluate(exprs, 'layer');
  }

  /** Why no further wave begins. */
  #limit(): string | undefined {
    const { maxFailures = Number.POSITIVE_INFINITY, maxSeconds } = this.#options;
    const failures = [...this.#results.values()].reduce(
      (sum, { trials }) => sum + trials.filter(({ errors }) => errors !== undefined).length,
      0,
    );
    if (failures > maxFailures) return `${failures} failed, of which ${maxFailures} may`;
    // Every attempt brings a run that is taken up on by a wave.
    if (maxSeconds === undefined || !this.#hasRun) return undefined;
    const isOver = performance.now() - this.#began > maxSeconds * 1000;
    return isOver ? `its ${maxSeconds} s were over` : undefined;
  }

  async #runWaves(waves: readonly NumberedWave[]): Promise<void> {
    const { signal, waves: log } = this.#options;
    signal?.throwIfAborted();
    const ran = await Promise.allSettled(waves.map((one) => this.#runWave(one)));
    for (const [i, { w }] of waves.entries()) {
      const outcome = ran[i]!;
      if (outcome.status === 'rejected') throw outcome.reason;
      await log?.end(w, outcome.value);
      this.#hasRun = true;
      this.#results.set(w, outcome.value);
      this.#tell();
    }
  }

  async #runWave({ w, wave }: NumberedWave): Promise<WaveResult> {
    const options = this.#options;
    const { waves: log, errorScore = Number.NaN } = options;
    const { group, scatter } = this.#trials.get(wave[0]!)!.open;
    const own = this.#groupOf(wave);
    const aside = log?.setAside(w);
    if (aside !== undefined) return failedWave(own, aside, errorScore);
    // Of models that trained together a store may have some, and others trained alone would differ
    // from what they were among these.
    const isFresh = (await log?.begin(w)) === true;
    const before = await this.#fits.before(own);
    const work = () =>
      runWave(this.#run, before, {
        metric: this.#metric,
        errorScore,
        scatter,
        isFresh,
        keepsBest: options.reportClasses === true && group.classes.length > 0,
        onPhase: options.onPhase,
        formulas: options.formulas,
        onNode: (given, node, scores) => {
          const output = w === 0 ? given : `${given} of wave ${w + 1}`;
          const candidates = scores?.candidates.map((i) => wave[i]!) ?? [];
          options.onOutput?.(output, node, scores && { ...scores, output, candidates });
        },
      });
    const { result, fitted } = await this.#run.trial(work);
    this.#fits.add(own, fitted);
    return result;
  }

  #tell(): void {
    this.#options.onTrials?.({
      done: [...this.#results.keys()].reduce((sum, w) => sum + this.#waves[w]!.length, 0),
      of: this.#of,
      best: bestOf(this.#waves, this.#results, this.#metric, this.#folds),
    });
  }
}

function openGroup(
  group: SearchGroup,
  cellsOf: (expr: SearchGroup['X']['expr']) => DenseMatrix,
): OpenGroup {
  const { parts, splits, imputations, columns } = group;
  const scatter = parts.map(({ counted, partition, training, first }) => {
    const tests = partition.splits.map(({ test }) => test);
    return testScatters(cellsOf(counted.expr), tests, training.centered, first);
  });
  const imputed = parts.map(({ counted, alongside: [columns = counted] }) => cellsOf(columns.expr));
  const warnings = leftOutWarnings(imputed, { splits, imputations, columns });
  return { group, scatter, warnings };
}
