/** What the runs of a session share. */
import type { Backend } from '../backend/backend.js';
import type { Places } from '../backend/places.js';
import type { FunctionCache } from '../functions/function-cache.js';
import type { LoopEnds } from '../functions/loop-ends.js';
import type { Interner } from '../ir/intern.js';
import type { DurableTier } from '../reuse/durable-tier.js';
import type { ReuseCache } from '../reuse/reuse-cache.js';
import type { ReusePolicy } from '../reuse/setting.js';
import type { SharedMemos } from '../reuse/shared-memos.js';
import type { Planner } from './planner.js';
import type { Recovery } from './recovery.js';

export interface SessionParts {
  readonly backends: ReadonlyMap<string, Backend>;
  readonly local: Backend;
  readonly interner: Interner;
  readonly cache: ReuseCache;
  readonly planner: Planner;
  readonly places: Places;
  readonly tier: DurableTier | undefined;
  readonly memos: SharedMemos;
  readonly recovery: Recovery;
  readonly functions: FunctionCache;
  readonly loops: LoopEnds;
  readonly reuse: ReusePolicy;
  readonly asynchronous: boolean;
}
