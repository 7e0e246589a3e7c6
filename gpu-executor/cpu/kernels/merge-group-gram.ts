/** `mergeGroupGram`: small next to the data of its operands, so the oracle is the kernel. */
import { mergeGroupGram } from '../../../driver/operators/merge-group-gram.js';
import type { Kernel } from './kernel.js';

export const mergeGroupGramKernel: Kernel = {
  op: mergeGroupGram,
  run: ({ inputs, attrs, out }) => mergeGroupGram.reference(inputs, attrs, out),
};
