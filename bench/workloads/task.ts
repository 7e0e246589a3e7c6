/**
 * A workload as the bench runs it: here in this process and in one of its own, against the peers that
 * do the same work. Invariants: answers are held to those of our first run before a time counts, and
 * every ratio is of samples of this run.
 */

import { join } from 'node:path';
import { type CpuBackend, createCpuBackend } from '../../gpu-executor/cpu/index.js';
import {
  alternate,
  type BenchOptions,
  checkAnswers,
  type Recorder,
  type Sample,
  type Side,
} from '../harness.js';
import { baselineHome, benchFile, repoRoot, rivalPython, rivalScript } from '../paths.js';
import { measureProcess } from '../process-usage.js';
import { PythonRival } from '../rivals/python-rival.js';
import { runSystemDs, type SystemDsOptions } from '../rivals/systemds-rival.js';

/** What a process of its own runs: data read once, then the work as often as asked. */
export interface Task {
  readonly name: string;
  /** Reads the data. The answer runs the work in a new session. */
  readonly load: () => (local: CpuBackend) => Promise<Sample>;
}

/** The same work by the baselines' own programs. */
export interface Peers {
  readonly task: Task;
  readonly python: PythonProgram;
  /** By name the peer, and how often it runs; the first is the one written by hand. */
  readonly peers: Readonly<Record<string, PythonPeer>>;
  readonly systemds: {
    readonly script: string;
    readonly named: Readonly<Record<string, string>>;
    /** By name. Default: without reuse and with each kind of it. */
    readonly settings?: Readonly<Record<string, Pick<SystemDsOptions, 'lineage' | 'heap'>>>;
  };
  /** Which columns of a peer's rows are answers. */
  readonly answers: readonly number[];
  /** Largest relative difference of an answer. */
  readonly tolerance: number;
}

export interface PythonProgram {
  /** Of the baselines' folder, or an absolute path. */
  readonly script: string;
  readonly argv: (peer: string) => readonly string[];
}

/** The baselines' own program. @param given after the peer */
export function pypeer(work: string, ...given: readonly string[]): PythonProgram {
  return { script: 'pypeer.py', argv: (peer) => [work, peer, ...given] };
}

export interface PythonPeer {
  readonly peer: string;
  readonly rounds: number;
  /** It starts workers of its own: BLAS threads are left to it. */
  readonly hasWorkers?: boolean;
}

const SETTINGS = {
  base: { lineage: 'base' },
  reuse_full: { lineage: 'reuse_full' },
  reuse_multilevel: { lineage: 'reuse_multilevel' },
} as const;
/** Against programs written by hand. */
const HAND_TARGET = 1.3;

export async function comparePeers(
  recorder: Recorder,
  options: BenchOptions,
  work: Peers,
): Promise<void> {
  const local = await createCpuBackend();
  try {
    await compareIn(local, recorder, options, work);
  } finally {
    await local.close();
  }
}

async function compareIn(
  local: CpuBackend,
  recorder: Recorder,
  { quick }: BenchOptions,
  work: Peers,
): Promise<void> {
  const { task, peers, tolerance } = work;
  const run = task.load();
  const rivals = new Map<boolean, PythonRival>();
  const rivalOf = (hasWorkers: boolean): PythonRival => {
    const known = rivals.get(hasWorkers) ?? new PythonRival(hasWorkers ? undefined : 2);
    rivals.set(hasWorkers, known);
    return known;
  };
  const side = (name: string, { peer, rounds, hasWorkers = false }: PythonPeer): Side => ({
    name,
    rounds: quick ? 1 : rounds,
    warmups: rounds > 3 ? 2 : 0,
    run: async () => {
      const { script, argv } = work.python;
      const { seconds, answers } = await rivalOf(hasWorkers).run(script, argv(peer));
      return { seconds, answers: picked(answers, work.answers) };
    },
  });
  const hand = Object.keys(peers)[0]!;
  try {
    const ours: Side = { name: 'local', run: () => run(local), warmups: 3 };
    const others = Object.entries(peers).map(([name, peer]) => side(name, peer));
    await alternate(recorder, [ours, ...others], { rounds: quick ? 2 : 9, tolerance });
  } finally {
    await Promise.all([...rivals.values()].map((rival) => rival.close()));
  }
  recorder.medianFigure(`${task.name}.local.s`, 'local');
  for (const name of Object.keys(peers)) recorder.medianFigure(`${task.name}.${name}.s`, name);
  recorder.ratio(`${task.name}.local.vs_${hand}`, 'local', hand, { atMost: HAND_TARGET });
  for (const name of Object.keys(peers).slice(1)) {
    recorder.ratio(`${task.name}.${name}.vs_local`, name, 'local');
  }
  await compareProcesses(recorder, work, quick ? 1 : 5, await run(local));
}

/** Whole processes by turns, each of which says how long the work took it within. */
async function compareProcesses(
  recorder: Recorder,
  work: Peers,
  rounds: number,
  first: Sample,
): Promise<void> {
  const { task, tolerance, peers } = work;
  const { script, named, settings = SETTINGS } = work.systemds;
  const systemds = Object.entries(settings).map(([name, setting]) => {
    return { name: `systemds.${name}`, options: { script, named, ...setting } };
  });
  const take = (name: string, run: Sample & { readonly wholeSeconds: number }): void => {
    checkAnswers(name, run.answers ?? [], 'local', first.answers ?? [], tolerance);
    recorder.sample(`${name}.process`, run.seconds);
    recorder.sample(`${name}.whole`, run.wholeSeconds);
    const { seconds, wholeSeconds } = run;
    recorder.progress(`${name} ${seconds.toFixed(3)} s of ${wholeSeconds.toFixed(2)} s`);
  };
  const [hand, { peer }] = Object.entries(peers)[0]!;
  const sides = [
    async () => take('local', await wholeLocal(task.name)),
    async () => take(hand, await wholePython(work, peer)),
    ...systemds.map(({ name, options }) => async () => {
      const { answers, ...times } = await runSystemDs({ ...options, execution: 'single' });
      take(name, { ...times, answers: picked(answers, work.answers) });
    }),
  ];
  for (let round = 0; round < rounds; round++) {
    for (const run of round % 2 === 0 ? sides : [...sides].reverse()) await run();
  }
  for (const kind of ['process', 'whole']) {
    const name = (side: string): string => `${side}.${kind}`;
    const best = recorder.fastest(systemds.map((one) => name(one.name)));
    for (const side of ['local', hand, ...systemds.map((one) => one.name)]) {
      recorder.medianFigure(`${task.name}.${name(side)}.s`, name(side));
    }
    recorder.ratio(`${task.name}.systemds.vs_local.${kind}`, best, name('local'), { atLeast: 1 });
    recorder.ratio(`${task.name}.local.vs_${hand}.${kind}`, name('local'), name(hand));
  }
  recorder.note(
    'in a process of its own each side runs the work once: its first run, with all that is compiled and opened then; SystemDS has no other, since its cache would answer a second one',
  );
}

/** Ours: data read, backend opened, the work done once. */
async function wholeLocal(name: string): Promise<Sample & { readonly wholeSeconds: number }> {
  const program = join(repoRoot(), 'dist/bench/workloads/whole.js');
  const { stdout, seconds: wholeSeconds } = await measureProcess(process.execPath, [program, name]);
  return { ...(JSON.parse(stdout) as Sample), wholeSeconds };
}

async function wholePython(
  { python, answers }: Peers,
  peer: string,
): Promise<Sample & { readonly wholeSeconds: number }> {
  const { script, argv } = python;
  const environment = {
    ...{ OMP_NUM_THREADS: '2', OPENBLAS_NUM_THREADS: '2' },
    BASELINES_HOME: baselineHome(),
  };
  const { stdout, seconds: wholeSeconds } = await measureProcess(
    rivalPython(),
    [benchFile('rivals/whole.py'), rivalScript(script), ...argv(peer)],
    environment,
  );
  const said = JSON.parse(stdout) as { seconds: number; answers: number[][] };
  return { seconds: said.seconds, answers: picked(said.answers, answers), wholeSeconds };
}

function picked(rows: readonly (readonly number[])[], columns: readonly number[]): number[] {
  return rows.flatMap((row) => columns.map((column) => row[column]!));
}
