/**
 * Turns a frame into a matrix by its resolved features (attribute `features`: `EncodedFeature[]`).
 * The one place where a backend reads data; `encode` nodes over the same frame that meet in one
 * segment are read in one scan. Its payload, where it has one, says by what features parts of the
 * rows (files) are encoded by themselves (`EncodedPart[]`).
 */

import { InternalError } from '../errors.js';
import type { AttrValue } from '../ir/attrs.js';
import { leafDType } from '../ir/dtype.js';
import { defineOp, sourceRule } from '../ir/op-def.js';
import { type EncodedFeature, type EncodedPart, encodedWidth, rowCells } from './encode-block.js';

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
      cols: encodedWidth(features),
      nnz: frame!.rows * rowCells(features),
    };
  },
  dtype: (_frame, attrs) => leafDType('encode', attrs.dtype),
  rowRule: () => sourceRule,
  parts: ({ payload }) => payload as readonly EncodedPart[] | undefined,
  rowsOf: ({ attrs }, _from, _to, own) => {
    const { features, columns } = (own ?? {}) as Partial<EncodedPart>;
    if (features === undefined) return { attrs, places: null };
    return { attrs: { ...attrs, features: features as unknown as AttrValue }, places: columns! };
  },
  // Reading, decoding and parsing a cell takes as long as some forty operations.
  flops: (_inputs, _attrs, out) => 40 * (out.nnz ?? out.rows * out.cols),
  reference: () => {
    throw new InternalError('encode: expected a backend with a frame engine');
  },
});
