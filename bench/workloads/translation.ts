/**
 * EN2DE of MEMPHIS, here from English to Spanish: a network scores 4,096 words for each word of a
 * text, in which words repeat. `words` takes one word at a time, as the script of the paper does, so
 * that a word's lineage is the same wherever it stands; `calls` is the same as a reusable function;
 * `verses` takes the words of a verse together, which no two verses share. Peers by hand: NumPy and
 * PyTorch over the same batches, and with each word once.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  type Matrix,
  matrix,
  type ReuseSetting,
  reusable,
  type Scalar,
  Session,
  scalar,
  takeRows,
} from '../../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { alternate, type Bench, type Recorder, type Sample, type Side } from '../harness.js';
import { benchFile, ownPython } from '../paths.js';
import { PythonRival } from '../rivals/python-rival.js';
import { type SettingsTask, settingsTable } from '../settings-table.js';
import { type Layers, layersOf, scoresOf, trainedCells } from './translator.js';
import { alignedVerses, DIMENSIONS, type Verses } from './verses.js';

/** Of MEMPHIS on this task over 200,000 words. */
const PAPER = 5;
/** Sums of float32 in other orders, and a word of several as good. */
const TOLERANCE = 1e-4;
/** What is read one word at a time, verse by verse, and verse by verse by peers. */
const SIZES = { words: 20_000, verses: 8_000, peerVerses: 2_000 } as const;
const QUICK = { words: 2_000, verses: 200, peerVerses: 200 } as const;

interface Translator {
  readonly session: Session;
  readonly table: Matrix;
  readonly layers: Layers;
}

/** The best target of each row and its log-probability: a matrix each. @shape x: [n, 100] */
function best(layers: Layers, x: Matrix): readonly [target: Matrix, score: Matrix] {
  const z = scoresOf(layers, x);
  return [z.rowIndexMax(), z.sub(z.rowMaxs()).exp().rowSums().log().neg()];
}

/** How one batch is translated: targets, then scores. */
type Work = (translator: Translator, numbers: Int32Array) => Promise<readonly ArrayLike<number>[]>;

async function cellsOf(session: Session, found: readonly Matrix[]): Promise<ArrayLike<number>[]> {
  const values = await session.evaluate(
    found.map(({ expr }) => expr),
    'prediction',
  );
  return values.map((value) => (value.kind === 'dense' ? value.data : []));
}

/** One word. */
const word: Work = ({ session, table, layers }, [number]) =>
  cellsOf(session, best(layers, takeRows(scalar(session, number!).asMatrix(), table)));

const translate = reusable('translate', '1', (number: Scalar, table: Matrix, ...layers: Matrix[]) =>
  best(layers, takeRows(number.asMatrix(), table)),
);

const call: Work = async ({ session, table, layers }, [number]) =>
  cellsOf(session, await translate(scalar(session, number!), table, ...layers));

/** All words of a batch. */
const verse: Work = ({ session, table, layers }, numbers) => {
  const g = matrix(session, numbers.length, 1, Float64Array.from(numbers));
  return cellsOf(session, best(layers, takeRows(g, table)));
};

/** The same as a prediction cache has it: the network is asked of words that are not known. */
function cachedVerse(): Work {
  const known = new Map<number, readonly number[]>();
  return async (translator, numbers) => {
    const others = Int32Array.from(new Set(numbers.filter((number) => !known.has(number))));
    if (others.length > 0) {
      const [targets, scores] = await verse(translator, others);
      for (const [i, number] of others.entries()) known.set(number, [targets![i]!, scores![i]!]);
    }
    return [0, 1].map((place) => Array.from(numbers, (number) => known.get(number)![place]!));
  };
}

interface Data {
  readonly verses: Verses;
  readonly cells: Float32Array;
}

async function run(
  local: CpuBackend,
  { verses, cells }: Data,
  batches: readonly Int32Array[],
  work: Work,
  reuse: ReuseSetting,
  told: (session: Session) => void = () => {},
): Promise<Sample> {
  const session = new Session({ local, reuse });
  const table = matrix(session, verses.words.length, DIMENSIONS, verses.vectors, { copy: false });
  const translator = { session, table, layers: layersOf(session, cells) };
  let [count, targets, scores] = [0, 0, 0];
  const start = performance.now();
  for (const numbers of batches) {
    const [target, score] = await work(translator, numbers);
    for (let i = 0; i < numbers.length; i++) {
      count++;
      targets += target![i]!;
      scores += score![i]!;
    }
  }
  const seconds = (performance.now() - start) / 1000;
  told(session);
  return { seconds, answers: [count, targets, scores] };
}

/** Words one by one, of the first verses. */
function singles({ english }: Verses, count: number): Int32Array[] {
  const words: Int32Array[] = [];
  for (const numbers of english) {
    for (const number of numbers) words.push(Int32Array.of(number));
    if (words.length >= count) break;
  }
  return words.slice(0, count);
}

export const workloadTranslation: Bench = {
  name: 'workload-translation',
  summary:
    'EN2DE: words translated by a network, under settings of reuse, by NumPy and PyTorch (4 minutes)',
  run: async (recorder, { quick }) => {
    const local = await createCpuBackend();
    try {
      const verses = await alignedVerses();
      const data: Data = { verses, cells: await trainedCells(local, verses) };
      const size = quick ? QUICK : SIZES;
      const words = singles(verses, size.words);
      const some = verses.english.slice(0, size.verses);
      const rounds = quick ? 1 : 2;
      const kernels = new Map<string, number>();
      const task = (
        name: string,
        settings: readonly ReuseSetting[],
        batches: readonly Int32Array[],
        work: (reuse: ReuseSetting) => Work,
      ): SettingsTask => ({
        ...{ name, settings, rounds, tolerance: TOLERANCE, warmups: 0, atLeast: PAPER },
        // A verse of 26 words takes ten times what a word takes, and 8,000 of them minutes.
        ...(name === 'verses' ? { rounds: 1 } : {}),
        run: async (reuse) => ({
          first: await run(local, data, batches, work(reuse), reuse, ({ statistics }) => {
            kernels.set(`${name}.${reuse}.kernels`, statistics.kernels);
          }),
        }),
      });
      const each = ['off', 'operators', 'predictions', 'full'] as const;
      await settingsTable(
        recorder,
        task('words', each, words, () => word),
      );
      await settingsTable(
        recorder,
        task('calls', ['off', 'functions', 'full'], words, () => call),
      );
      const byVerse = (reuse: ReuseSetting): Work =>
        reuse === 'predictions' ? cachedVerse() : verse;
      // No two verses are the same batch: `operators` finds nothing, and keeps all.
      const batched = ['off', 'predictions', 'full'] as const;
      await settingsTable(recorder, task('verses', batched, some, byVerse));
      for (const [name, count] of kernels) recorder.figure(name, count);
      const peerVerses = some.slice(0, size.peerVerses);
      await comparePeers(recorder, local, data, { words, verses: peerVerses });
      await inVerses(recorder, local, data);
    } finally {
      await local.close();
    }
  },
};

/** Shapes of batches, by name. */
type Batches = Readonly<Record<'words' | 'verses', readonly Int32Array[]>>;

async function comparePeers(
  recorder: Recorder,
  local: CpuBackend,
  data: Data,
  batches: Batches,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-translation-'));
  const rivals = [
    { library: 'numpy', rival: new PythonRival(2) },
    { library: 'torch', rival: new PythonRival(2, ownPython('torch', ['torch'])) },
  ];
  try {
    for (const [name, some] of Object.entries(batches)) {
      const file = join(folder, `${name}.bin`);
      writeFileSync(file, fileOf(data, some));
      // A word by itself is too little to divide.
      const threads = `threads=${name === 'words' ? 1 : 2}`;
      const own = `${name}.ours`;
      const sides: Side[] = [
        {
          ...{ name: own, warmups: 0 },
          run: () => run(local, data, some, name === 'words' ? word : verse, 'full'),
        },
      ];
      for (const { library, rival } of rivals) {
        const modes = [library, `${library}-unique`];
        if (library === 'numpy' && name === 'verses') modes.push('numpy-batch-unique');
        for (const mode of modes) {
          const argv = [mode, `file=${file}`, `words=${data.verses.words.length}`, threads];
          sides.push({
            ...{ name: `${name}.${mode}`, warmups: 0 },
            run: async () => {
              const { seconds, answers } = await rival.run(
                benchFile('rivals/translation.py'),
                argv,
              );
              return { seconds, answers: answers.flat() };
            },
          });
        }
      }
      await alternate(recorder, sides, { rounds: 1, tolerance: TOLERANCE });
      recorder.medianFigure(`${own}_s`, own);
      for (const side of sides.slice(1)) {
        recorder.medianFigure(`${side.name}_s`, side.name);
        recorder.ratio(`${side.name}.vs_ours`, side.name, own);
      }
    }
  } finally {
    await Promise.all(rivals.map(({ rival }) => rival.close()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What `translation.py` reads. */
function fileOf({ verses, cells }: Data, batches: readonly Int32Array[]): Uint8Array {
  const lengths = Int32Array.from(batches, ({ length }) => length);
  const parts = [verses.vectors, cells, Int32Array.of(batches.length), lengths, ...batches];
  return Buffer.concat(
    parts.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  );
}

/** All verses in one plan, and how many of the words' best translations stand in the aligned verse. */
async function inVerses(recorder: Recorder, local: CpuBackend, data: Data): Promise<void> {
  const { english, spanish, words } = data.verses;
  const numbers = Int32Array.from(english.flatMap((own) => [...own]));
  let targets: ArrayLike<number> = [];
  const all: Work = async (translator, some) => {
    const found = await verse(translator, some);
    targets = found[0]!;
    return found;
  };
  const { seconds } = await run(local, data, [numbers], all, 'full');
  let at = 0;
  let stand = 0;
  for (const [v, own] of english.entries()) {
    const aligned = new Set(spanish[v]);
    for (let i = 0; i < own.length; i++) if (aligned.has(targets[at++]!)) stand++;
  }
  recorder.figure('all.words', numbers.length);
  recorder.figure('all.distinct_share', words.length / numbers.length);
  recorder.figure('all.one_plan_s', seconds);
  recorder.figure('all.in_verse_share', stand / numbers.length);
}
