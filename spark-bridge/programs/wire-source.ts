/** A frame's source as the shim takes it: files, how they are read, and what their columns are read as. */
import type { FrameSource } from '../../driver/frame/engine.js';
import type { Json, WireFrameSource } from '../channel/wire.js';

export function wireSource({ format, files, options, text }: FrameSource): WireFrameSource {
  return {
    format,
    files: files.map(({ path, digest, bytes, rows }) => ({ path, digest, bytes, rows })),
    options: (options ?? null) as Json,
    text: text?.map(({ name, type, key }) => ({ name, type, key })) ?? null,
  };
}
