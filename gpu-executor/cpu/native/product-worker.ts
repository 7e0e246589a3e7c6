/** A helper thread of `product-helpers.ts`: computes calls as they are posted, and sleeps in between. */
import { workerData } from 'node:worker_threads';
import { bindBlas } from './bindings.js';
import {
  CALL_NUMBERS,
  type HelperData,
  type NativeGemm,
  takeCall,
  WORD,
} from './product-helpers.js';

const { candidate, calls } = workerData as HelperData;
const { words, numbers } = calls;
const { routines } = bindBlas(candidate);

function compute(call: number): void {
  const at = CALL_NUMBERS * call;
  const [isWide, ...args] = numbers.subarray(at, at + CALL_NUMBERS);
  try {
    // Addresses where this thread would have typed arrays.
    routines[isWide ? 'float64' : 'float32'].gemm(...(args as unknown as NativeGemm));
    Atomics.add(words, WORD.helped, 1);
  } catch {
    Atomics.store(words, WORD.failed + call, 1);
  }
}

for (;;) {
  const run = Atomics.load(words, WORD.run);
  // Said before a call is taken, so that whoever finds none left knows of it.
  Atomics.add(words, WORD.busy, 1);
  for (let call = takeCall(words); call >= 0; call = takeCall(words)) compute(call);
  Atomics.sub(words, WORD.busy, 1);
  Atomics.notify(words, WORD.busy);
  Atomics.wait(words, WORD.run, run);
}
