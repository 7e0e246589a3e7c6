/**
 * What lanes do at each place of a window, as lists that are made once for a geometry. Places whose
 * taps lie alike, as those inside an image do, share one list of pairs.
 */
import {
  geometryKey,
  type ImageWindow,
  pixelsUnder,
  placesOf,
  tapsOf,
} from '../../../driver/operators/image-window.js';
import { forgetOldest } from '../../../driver/support/forget-oldest.js';
import { PAIR_BYTES, TASK_BYTES } from '../simd/window-code.js';

/** What is summed where: taps of the filter, pixels of the image and places of the output. */
export type WindowWork = 'output' | 'image' | 'filter';

/** Tasks, then pairs, with the numbers of pairs in place of their addresses. */
export interface WindowTasks {
  readonly tasks: number;
  readonly pairs: number;
  readonly list: Int32Array;
}

const TASK_FIELDS = TASK_BYTES / 4;
const PAIR_FIELDS = PAIR_BYTES / 4;
const MAX_LISTS = 64;
const lists = new Map<string, WindowTasks>();

/** Numbers of runs: of out, a and b as the work has them, see `entriesOf`. */
interface Entry {
  readonly out: number;
  readonly pairs: readonly (readonly [a: number, b: number])[];
}

/** Addresses count runs; the caller multiplies them by the bytes of one. */
export function windowTasks(work: WindowWork, window: ImageWindow): WindowTasks {
  const key = `${work} ${geometryKey(window)}`;
  let tasks = lists.get(key);
  if (tasks === undefined) {
    tasks = listOf(entriesOf(work, window));
    lists.set(key, tasks);
    forgetOldest(lists, MAX_LISTS);
  }
  return tasks;
}

/** Of `output`: pixels and taps. Of `image`: places and taps. Of `filter`: pixels and places. */
function entriesOf(work: WindowWork, window: ImageWindow): Entry[] {
  const pixels = pixelsUnder(window);
  const taps = tapsOf(window);
  // The taps of one row of places are a sum of their own, so that their lists are alike.
  const sums = new Map<number, { out: number; pairs: [number, number][] }>();
  for (let place = 0; place < placesOf(window); place++) {
    for (let tap = 0; tap < taps; tap++) {
      const pixel = pixels[place * taps + tap]!;
      if (pixel < 0) continue;
      const placeRow = Math.floor(place / window.outWidth);
      const [key, out, pair] = {
        output: [place, place, [pixel, tap]],
        image: [pixel, pixel, [place, tap]],
        filter: [placeRow * taps + tap, tap, [pixel, place]],
      }[work] as [number, number, [number, number]];
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { out, pairs: [pair] });
      else sum.pairs.push(pair);
    }
  }
  return [...sums.values()];
}

function listOf(entries: readonly Entry[]): WindowTasks {
  const known = new Map<string, readonly [from: number, to: number]>();
  const pairs: number[] = [];
  const tasks = entries.flatMap(({ out, pairs: own }) => {
    const [firstA, firstB] = own[0]!;
    const relative = own.flatMap(([a, b]) => [a - firstA, b - firstB]);
    const key = relative.join();
    let range = known.get(key);
    if (range === undefined) {
      const from = pairs.length / PAIR_FIELDS;
      for (const one of relative) pairs.push(one);
      range = [from, pairs.length / PAIR_FIELDS];
      known.set(key, range);
    }
    return [out, firstA, firstB, ...range];
  });
  const list = Int32Array.from([...tasks, ...pairs]);
  return { tasks: tasks.length / TASK_FIELDS, pairs: pairs.length / PAIR_FIELDS, list };
}

/** The list with addresses in bytes, for runs of that many and a list that lies at `at`. */
export function placeTasks(
  target: Int32Array,
  { tasks, pairs, list }: WindowTasks,
  at: number,
  runBytes: number,
): void {
  const firstPair = tasks * TASK_FIELDS;
  for (let i = 0; i < firstPair; i += TASK_FIELDS) {
    for (let field = 0; field < 3; field++) target[i + field] = list[i + field]! * runBytes;
    for (let field = 3; field < TASK_FIELDS; field++) {
      target[i + field] = at + 4 * firstPair + list[i + field]! * PAIR_BYTES;
    }
  }
  for (let i = firstPair; i < firstPair + pairs * PAIR_FIELDS; i++) target[i] = list[i]! * runBytes;
}
