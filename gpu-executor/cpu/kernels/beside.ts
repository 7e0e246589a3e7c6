/**
 * Kernels whose reductions of coded rows take as long as reading and encoding these, so that they
 * run in a thread of their own (`rows/reducer-thread.ts`): those that say so (`CodedReader.isLong`).
 * A list by itself, so that the thread loads no other kernels.
 */
import { groupGramKernel } from './group-gram.js';
import type { Kernel } from './kernel.js';

export const besideKernels: ReadonlyMap<string, Kernel> = new Map(
  [groupGramKernel].map((kernel) => [kernel.op.name, kernel]),
);
