/** All that a run leaves behind, as a plain value: run folder and report are written from it. */
import type { DeviceWork } from '../../driver/backend/backend.js';
import type { ReuseSetting, StoredLineage } from '../../driver/index.js';
import type { CacheUsage } from '../../driver/reuse/cache-usage.js';
import type { MemoryOutlook } from '../check-memory.js';
import type { ModelFile } from '../model/model-file.js';
import type { SearchResult } from '../search/result.js';
import type { ScoreOutput } from '../search/scoring/tallies.js';

export interface LineageNode {
  readonly id: number;
  readonly op: string;
  /** Attributes in short, for people. */
  readonly label: string;
  readonly inputs: readonly number[];
  readonly rows: number;
  readonly cols: number;
  /** Where it ran; null for leaves and reused nodes. */
  readonly backend: string | null;
  /** `source`: a leaf; `reused`: from the cache; `computed`; `fused`: in another node's pass. */
  readonly state: 'source' | 'reused' | 'computed' | 'fused';
  /** Times this result was asked for beyond the first. */
  readonly hits: number;
  readonly seconds: number;
  readonly key: string | null;
}

/** What it takes to compute a run's results again: `program.json`. */
export interface RunProgram {
  /** The durable store the run could use; null for none. */
  readonly store: string | null;
  /** Places in the lineage's roots of the answer's parts: `gram`, `losses`, `coefficients`, .. */
  readonly outputs: Readonly<Record<string, number>>;
  /** How scores are read from outputs, but those of losses. Absent in runs of earlier versions. */
  readonly scores?: readonly ScoreOutput[];
  /** Its roots begin with the nodes of `RunRecord.lineage`, in their order. */
  readonly lineage: StoredLineage;
}

/** A bar of the timeline. @units seconds since the run began */
export interface TimelineEvent {
  readonly lane: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

export interface ReuseSummary {
  /** What was allowed. Absent in runs of earlier versions, which allowed all. */
  readonly setting?: ReuseSetting;
  /** Results asked for again and not computed again. */
  readonly hits: number;
  /** Results answered from cached parts and a compensation. */
  readonly partial: number;
  /** Results computed. */
  readonly misses: number;
  /** Estimated time the hits would have taken. @units seconds */
  readonly savedSeconds: number;
}

/** What a run's durable store was worth to it. */
export interface StoreUsage {
  readonly folder: string;
  /** Held when the run ended. @units bytes */
  readonly results: number;
  readonly bytes: number;
  /** Results this run read in place of computing them. */
  readonly answered: number;
  /** The runs that made those, most results first. */
  readonly from: readonly string[];
}

export interface RunRecord {
  readonly run: string;
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Processes that took it up, where it was resumed; counts and times are of the last one. */
  readonly attempts?: number;
  readonly reprise: string;
  readonly engine: 'local' | 'spark';
  /** The job as it ran: overrides applied, secrets absent. */
  readonly job: unknown;
  readonly search: SearchResult;
  /** The model with how rows are encoded for it. Absent without one, and in records read back. */
  readonly model?: ModelFile;
  readonly reuse: ReuseSummary;
  /** Passes over the data for matrices (Gram matrices, scores). */
  readonly passes: number;
  /** Rows read from files, for matrices and for statistics; a row read twice counts twice. */
  readonly rowsRead: number;
  /** Rows left out for lack of a target, by `data.drop_missing_target`; absent for none. */
  readonly rowsDropped?: number;
  /** SQL scans for statistics (vocabularies, checks). */
  readonly scans: number;
  readonly sparkJobs: number;
  readonly kernels: number;
  /** What each device did, by name. Absent without devices. */
  readonly devices?: Readonly<Record<string, DeviceWork>>;
  /** `total` and phases: `open`, `profile`, `gram`, `fit`, `score`, `refit`, .. @units seconds */
  readonly seconds: Readonly<Record<string, number>>;
  /** Of this process since it began, whatever else it ran. @units bytes */
  readonly peakMemoryBytes: number;
  /** The forecast before it ran, and what it might take. Absent in runs of earlier versions. */
  readonly memory?: MemoryOutlook;
  /** What the reuse cache held when the run ended. Absent in runs of earlier versions. */
  readonly cache?: CacheUsage;
  /** Absent where nothing outlives the run. */
  readonly store?: StoreUsage;
  readonly lineage: readonly LineageNode[];
  /** Absent in records read back: `jobs/lineage` reads it from the folder when it is needed. */
  readonly program?: RunProgram;
  readonly timeline: readonly TimelineEvent[];
  /** The plan after the last compiler pass, as `reprise plan` prints it. */
  readonly plan: string;
  /** Facts for the report's last section, by name: `Node`, `CPU`, `BLAS`, .. */
  readonly environment?: Readonly<Record<string, string>>;
}
