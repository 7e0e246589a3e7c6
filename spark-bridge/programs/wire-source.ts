/** A frame's source for the shim: files, how they are read, and as what types their columns. */
import type { FrameSource } from '../../driver/ir/frame-engine.js';
import type { WireFrameSource, WireJson } from '../channel/wire.js';

export function wireSource({ format, files, options, text }: FrameSource): WireFrameSource {
  return {
    format,
    files: files.map(({ path, digest, bytes, rows, partition }) => {
      return { path, digest, bytes, rows, partition: partition ?? null };
    }),
    options: (options ?? null) as WireJson,
    text: text?.map(({ name, type, key }) => ({ name, type, key })) ?? null,
  };
}
