/**
 * The measuring loop and the record of one bench. Invariants: a ratio is made only of samples taken
 * alternately within this run; answers are checked before a time counts; every figure keeps its raw
 * samples.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExecutionError } from '../driver/errors.js';
import type { DeviceProperties } from '../gpu-executor/device/driver.js';
import { deviceName } from '../gpu-executor/device/drivers.js';
import { describeMachine, type Machine } from './machine.js';
import { repoRoot } from './paths.js';
import { maxRelative, type Summary, summarise } from './stats.js';

/** The bound a figure is meant to keep. */
export type Target = { readonly atMost: number } | { readonly atLeast: number };

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly target?: Target;
  readonly met?: boolean;
  /** Names of the sample sets it was made of. */
  readonly from: readonly string[];
}

export interface BenchOptions {
  /** Fewer and smaller runs: to see that the bench works, not to report. */
  readonly quick: boolean;
  /** The device to run on, as `cuda:0`, for benches of devices. */
  readonly device?: string;
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  readonly run: (recorder: Recorder, options: BenchOptions) => Promise<void>;
}

/** What `bench/results/NAME.json` holds. */
export interface ResultDocument {
  readonly bench: string;
  readonly quick: boolean;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly figures: readonly Figure[];
  /** Every sample taken, by name. */
  readonly samples: Readonly<Record<string, Summary & { readonly raw: readonly number[] }>>;
  readonly notes: readonly string[];
  readonly machine: Machine & { readonly loadAverageAtEnd: readonly number[] };
  /** What it ran on, of benches of devices. */
  readonly device?: DeviceProperties;
}

/** One timed run. @units seconds */
export interface Sample {
  readonly seconds: number;
  /** What it computed, flattened in an order all sides share; checked before the time counts. */
  readonly answers?: readonly number[];
}

export interface Side {
  readonly name: string;
  readonly run: () => Promise<Sample>;
  /** Runs at most so many rounds (for rivals that take minutes); default all. */
  readonly rounds?: number;
  /** Runs before the clock; default 1. */
  readonly warmups?: number;
}

export interface AlternateOptions {
  readonly rounds: number;
  /** Largest relative difference between any side's answers and the first side's. */
  readonly tolerance: number;
  /** Idle time before each sample, so that the other side's BLAS threads sleep; default 150 ms. */
  readonly pauseMs?: number;
}

/** Collects a bench's figures and samples, prints each figure once, and writes the result file. */
export class Recorder {
  readonly #bench: string;
  readonly #machine: Machine = describeMachine();
  readonly #startedAt = new Date();
  readonly #figures: Figure[] = [];
  readonly #samples = new Map<string, number[]>();
  readonly #notes: string[] = [];
  #device: DeviceProperties | undefined;

  constructor(bench: string) {
    this.#bench = bench;
  }

  /** Prints `name value` and keeps it. Whether the target is met goes to standard error. */
  figure(name: string, value: number, target?: Target, from: readonly string[] = []): void {
    const met = target === undefined ? undefined : meets(value, target);
    this.#figures.push({
      name,
      value,
      ...(target && met !== undefined ? { target, met } : {}),
      from,
    });
    process.stdout.write(`${name} ${formatFigure(value)}\n`);
    if (target && !met) {
      process.stderr.write(`bench: ${name} misses its target, ${describeTarget(target)}\n`);
    }
  }

  /** Adds raw samples under a name. @units seconds unless the name says otherwise */
  sample(name: string, ...values: readonly number[]): void {
    const kept = this.#samples.get(name);
    if (kept) kept.push(...values);
    else this.#samples.set(name, [...values]);
  }

  /** A note for readers of the figures. Goes to standard error and into the result file. */
  note(text: string): void {
    this.#notes.push(text);
    process.stderr.write(`bench: ${text}\n`);
  }

  /** Figures of a GPU stand beside those of this machine's processor, in `NAME.gpu.json`. */
  onDevice(device: DeviceProperties): void {
    this.#device = device;
    this.progress(`on ${deviceName(device)} ${device.name}, ${device.version}`);
  }

  progress(text: string): void {
    process.stderr.write(`bench: ${text}\n`);
  }

  summary(name: string): Summary {
    return summarise(this.#samples.get(name) ?? []);
  }

  /** Of these sample sets, the one with the smallest median. */
  fastest(names: readonly string[]): string {
    return names.reduce((best, name) =>
      this.summary(name).median < this.summary(best).median ? name : best,
    );
  }

  /** Median of `numerator` over median of `denominator`, as a figure. */
  ratio(name: string, numerator: string, denominator: string, target?: Target): void {
    const value = this.summary(numerator).median / this.summary(denominator).median;
    this.figure(name, value, target, [numerator, denominator]);
  }

  /** Median ratio of samples taken right after each other, so that the machine's drifts cancel. */
  pairedRatio(name: string, numerator: string, denominator: string, target?: Target): void {
    const below = this.#samples.get(denominator) ?? [];
    const ratios = (this.#samples.get(numerator) ?? []).map((value, i) => value / below[i]!);
    this.figure(name, summarise(ratios).median, target, [numerator, denominator]);
  }

  /** Median of a sample set, as a figure. */
  medianFigure(name: string, samples: string, target?: Target): void {
    this.figure(name, this.summary(samples).median, target, [samples]);
  }

  /** Writes `bench/results/NAME.json` (quick runs: `NAME.quick.json`) anew. @returns its path */
  write(options: Pick<BenchOptions, 'quick'>): string {
    const folder = join(repoRoot(), 'bench', 'results');
    mkdirSync(folder, { recursive: true });
    const device = this.#device;
    const onGpu = device !== undefined && !device.isProcessor ? '.gpu' : '';
    const path = join(folder, `${this.#bench}${onGpu}${options.quick ? '.quick' : ''}.json`);
    const samples = Object.fromEntries(
      [...this.#samples].map(([name, raw]) => [name, { ...summarise(raw), raw }]),
    );
    const document: ResultDocument = {
      bench: this.#bench,
      quick: options.quick,
      startedAt: this.#startedAt.toISOString(),
      endedAt: new Date().toISOString(),
      figures: this.#figures,
      samples,
      notes: this.#notes,
      machine: { ...this.#machine, loadAverageAtEnd: loadavg() },
      ...(device === undefined ? {} : { device }),
    };
    writeFileSync(`${path}.tmp`, `${JSON.stringify(document, null, 2)}\n`);
    renameSync(`${path}.tmp`, path);
    return path;
  }
}

/**
 * Runs the sides by turns, `rounds` times, in an order that reverses every round, after warming
 * each up. Samples go to `recorder` under the side's name.
 * @throws ExecutionError when two sides' answers differ by more than `tolerance`
 */
export async function alternate(
  recorder: Recorder,
  sides: readonly Side[],
  options: AlternateOptions,
): Promise<void> {
  const check = answerCheck(options.tolerance);
  for (const side of sides) {
    for (let i = 0; i < (side.warmups ?? 1); i++) check(side, await side.run());
  }
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? sides : [...sides].reverse();
    for (const side of order) {
      if (round >= (side.rounds ?? options.rounds)) continue;
      await sleep(options.pauseMs ?? 150);
      const sample = await side.run();
      check(side, sample);
      recorder.sample(side.name, sample.seconds);
      recorder.progress(
        `round ${round + 1}/${options.rounds} ${side.name} ${sample.seconds.toFixed(4)} s`,
      );
    }
  }
}

/**
 * A side whose sample is the second of two runs in a row: with the pages of its file, and memory that
 * the machine has not taken back meanwhile, as far as it profits from them.
 */
export function again(run: Side['run']): Side['run'] {
  return async () => {
    await run();
    return run();
  };
}

/** Remembers the first answers seen and holds every later sample to them. */
function answerCheck(tolerance: number): (side: Side, sample: Sample) => void {
  let first: { side: string; answers: readonly number[] } | undefined;
  return (side, { answers }) => {
    if (!answers) return;
    first ??= { side: side.name, answers };
    checkAnswers(side.name, answers, first.side, first.answers, tolerance);
  };
}

/** @throws ExecutionError when the lists differ in length or by more than `tolerance`, relative */
export function checkAnswers(
  name: string,
  answers: readonly number[],
  otherName: string,
  others: readonly number[],
  tolerance: number,
): void {
  const difference = maxRelative(answers, others);
  if (difference <= tolerance) return;
  throw new ExecutionError(
    `bench: expected ${name} to answer as ${otherName} does to ${tolerance} relative, got ${difference} ` +
      `over ${answers.length} and ${others.length} answers; no time counts until they agree`,
    { op: 'bench', name, otherName, difference, tolerance },
  );
}

function meets(value: number, target: Target): boolean {
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}

function describeTarget(target: Target): string {
  return 'atMost' in target ? `at most ${target.atMost}` : `at least ${target.atLeast}`;
}

/** Four significant digits; small and large magnitudes as powers of ten. */
export function formatFigure(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude < 1e-3 || magnitude >= 1e6) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}
