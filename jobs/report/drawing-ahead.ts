/**
 * Draws on a thread of its own, which loads the drawing library while the run computes. Invariant: it holds up no process's
 * end, and whoever draws gets what drawing here would give: when the thread can't, it is drawn here.
 */
import { Worker } from 'node:worker_threads';
import type { TopLevelSpec } from 'vega-lite';
import type { DrawingAnswer, DrawingRequest } from './drawing-worker.js';

interface Waiting {
  readonly resolve: (svg: string) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

let thread: Thread | undefined;
let nextId = 1;

/** Says that drawings will be asked for. Returns at once; again is nothing. */
export function prepareDrawing(): void {
  if (thread !== undefined) return;
  const worker = new Worker(new URL('./drawing-worker.js', import.meta.url));
  const own: Thread = { worker, waiting: new Map() };
  thread = own;
  worker.unref();
  worker.on('message', (answer: DrawingAnswer) => {
    const waiting = own.waiting.get(answer.id);
    own.waiting.delete(answer.id);
    if (own.waiting.size === 0) worker.unref();
    if ('svg' in answer) waiting?.resolve(answer.svg);
    else waiting?.reject(new Error(answer.error));
  });
  worker.on('error', () => end(own));
  worker.on('exit', () => end(own));
}

/** Whether a thread draws what is asked for. */
export const isDrawingPrepared = (): boolean => thread !== undefined;

/** The drawing as Vega gives it. @throws what Vega throws */
export async function drawSvg(spec: TopLevelSpec): Promise<string> {
  const own = thread;
  if (own !== undefined) {
    const svg = await elsewhere(own, spec);
    if (svg !== undefined) return svg;
  }
  const { drawVega } = await import('./draw-vega.js');
  return drawVega(spec);
}

/** Undefined when the thread has ended. */
function elsewhere({ worker, waiting }: Thread, spec: TopLevelSpec): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const id = nextId++;
    waiting.set(id, {
      resolve,
      reject: (error) => (error === ENDED ? resolve(undefined) : reject(error)),
    });
    worker.ref();
    worker.postMessage({ id, spec } satisfies DrawingRequest);
  });
}

const ENDED = new Error('the drawing thread has ended');

function end(own: Thread): void {
  if (thread === own) thread = undefined;
  for (const { reject } of own.waiting.values()) reject(ENDED);
  own.waiting.clear();
}
