/**
 * A frame: rows of named columns in files, known by the files' digests (attribute `files`); the
 * payload is the `FrameSource` with their paths. It has no matrix value: only `encode` reads it.
 */
import { InternalError } from '../errors.js';
import { defineOp, sourceRule } from '../ir/op-def.js';

export const frame = defineOp({
  name: 'frame',
  arity: 0,
  source: 'files',
  infer: (_inputs, attrs) => ({ rows: attrs.rows as number, cols: attrs.cols as number }),
  rowRule: () => sourceRule,
  flops: () => 0,
  reference: () => {
    throw new InternalError('frame: expected to be read by encode only');
  },
});
