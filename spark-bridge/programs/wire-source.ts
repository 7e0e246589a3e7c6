/** A frame's source as the shim takes it: files, how they are read, and what their columns are read as. */
import type { FrameSource } from '../../driver/ir/frame-engine.js';
import type { Json, WireFrameSource } from '../channel/wire.js';

export function wireSource({ format, files, options, text }: FrameSource): WireFrameSource {
  return {
    format,
    files: files.map(({ path, digest, bytes, rows, partition }) => {
      return { path, digest, bytes, rows, partition: partition ?? null };
    }),
    options: (options ?? null) as Json,
    text: text?.map(({ name, type, key }) => ({ name, type, key })) ?? null,
  };
}
