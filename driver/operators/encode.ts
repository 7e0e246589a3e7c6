/**
 * Turns a frame into a matrix by its resolved features (attribute `features`: `EncodedFeature[]`).
 * The one place where a backend reads data; `encode` nodes over the same frame that meet in one
 * segment are read in one scan.
 */

import { InternalError } from '../errors.js';
import { defineOp, sourceRule } from '../ir/op-def.js';
import type { EncodedFeature } from './encode-block.js';
import { featureWidth } from './encode-block.js';

export const encode = defineOp({
  name: 'encode',
  // 2: expressions mean the same on every engine; some once meant another thing on Spark.
  version: 2,
  arity: 1,
  source: 'scan',
  isSeenThrough: true,
  infer: ([frame], attrs) => {
    const features = attrs.features as unknown as readonly EncodedFeature[];
    return {
      rows: frame!.rows,
      cols: features.reduce((width, feature) => width + featureWidth(feature), 0),
      nnz: frame!.rows * features.length,
    };
  },
  rowRule: () => sourceRule,
  // Reading, decoding and parsing a cell takes as long as some forty operations.
  flops: (_inputs, _attrs, out) => 40 * out.rows * out.cols,
  reference: () => {
    throw new InternalError('encode: expected a backend with a frame engine');
  },
});
