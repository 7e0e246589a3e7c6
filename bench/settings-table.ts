/**
 * A task under every setting of `reuse` that applies to it, by turns in one run: how long it takes
 * with nothing kept, and again over what the setting keeps. Invariant: answers of all settings are
 * equal before a time counts, so a ratio compares the same work.
 */
import type { ReuseSetting } from '../driver/index.js';
import { alternate, checkAnswers, type Recorder, type Sample } from './harness.js';

export interface SettingsRun {
  readonly first: Sample;
  /** The same work once more, over what the first run left. */
  readonly again?: Sample;
}

export interface SettingsTask {
  /** First part of the names of figures. */
  readonly name: string;
  /** Does the work in a new session of this setting. */
  readonly run: (reuse: ReuseSetting) => Promise<SettingsRun>;
  /** Those that apply; `off` and `full` are compared. */
  readonly settings: readonly ReuseSetting[];
  readonly rounds: number;
  /** Of settings that take minutes. Default: all. */
  readonly roundsOf?: Readonly<Partial<Record<ReuseSetting, number>>>;
  /** Largest relative difference of an answer. */
  readonly tolerance: number;
  /** What the paper has of nothing over all. */
  readonly atLeast?: number;
  /** Default 1. */
  readonly warmups?: number;
}

/** Every setting but that of neural networks. */
export const SEARCH_SETTINGS: readonly ReuseSetting[] = [
  'off',
  'operators',
  'steps',
  'input',
  'predictions',
  'functions',
  'full',
];

/** Measures, and prints a figure a setting: its median, and what `off` takes of it. */
export async function settingsTable(recorder: Recorder, task: SettingsTask): Promise<void> {
  const { name, settings, tolerance } = task;
  const side = (setting: string): string => `${name}.${setting}`;
  const sides = settings.map((setting) => ({
    name: side(setting),
    warmups: task.warmups ?? 1,
    rounds: task.roundsOf?.[setting] ?? task.rounds,
    run: async (): Promise<Sample> => {
      const { first, again } = await task.run(setting);
      if (again !== undefined) {
        const of = `${side(setting)} again`;
        checkAnswers(of, again.answers ?? [], side(setting), first.answers ?? [], tolerance);
        recorder.sample(`${side(setting)}.again`, again.seconds);
      }
      return first;
    },
  }));
  await alternate(recorder, sides, { rounds: task.rounds, tolerance });
  for (const setting of settings) {
    recorder.medianFigure(`${side(setting)}_s`, side(setting));
    if (setting === 'off') continue;
    const target = setting === 'full' && task.atLeast ? { atLeast: task.atLeast } : undefined;
    recorder.ratio(`${name}.off_vs_${setting}`, side('off'), side(setting), target);
  }
  if (recorder.summary(`${side('off')}.again`).n === 0) return;
  for (const setting of settings) {
    recorder.ratio(`${name}.again.off_vs_${setting}`, `${side('off')}.again`, `${side(setting)}.again`); // biome-ignore format: a figure
  }
}
