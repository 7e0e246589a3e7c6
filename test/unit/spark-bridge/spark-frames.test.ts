/** Spark's frame engine reads once more when Spark ended under it, whichever way it was asked. */
import assert from 'node:assert/strict';
import { BackendLostError } from '../../../driver/errors.js';
import type { ColumnProfile, FrameEngine, FrameSource } from '../../../driver/ir/frame-engine.js';
import { retryingFrames } from '../../../spark-bridge/programs/spark-frames.js';

const source: FrameSource = { format: 'csv', files: [] };

describe('frames of a Spark that may be lost', () => {
  it('are profiled file by file, in one go, once more after a loss', async () => {
    let calls = 0;
    let recovered = 0;
    const profiles: ColumnProfile[][] = [[], []];
    const engine: FrameEngine = {
      name: 'lossy',
      describe: async () => ({ source, columns: [], rows: 0 }),
      profile: async () => [],
      profileFiles: async () => {
        if (calls++ === 0) throw new BackendLostError('spark: gone', {});
        return profiles;
      },
    };
    const frames = retryingFrames(engine, async () => {
      recovered++;
    });
    assert.equal(await frames.profileFiles?.(source, []), profiles);
    assert.deepEqual([calls, recovered], [2, 1]);
    const { profileFiles: _, ...plain } = engine;
    assert.equal(retryingFrames(plain, async () => {}).profileFiles, undefined);
  });
});
