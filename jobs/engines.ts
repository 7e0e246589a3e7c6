/**
 * Picks the engine of a job and opens a session on it. The one place that knows every backend;
 * nothing else imports them. Backends are imported when used, so that the command line starts fast.
 */
import { join } from 'node:path';
import {
  type Backend,
  type FrameEngine,
  loadCostModel,
  type PlacementPolicy,
  type ReusePolicy,
  type ReuseSetting,
  reusePolicy,
  Session,
  type SqlDialect,
} from '../driver/index.js';
import type { DurableStore } from '../driver/reuse/store/durable-store.js';
import { env } from '../driver/support/env.js';
import { sweepScratch } from '../driver/support/leftovers.js';
import type { DuckDbEngine } from '../gpu-executor/cpu/index.js';
import type { DeviceBackend } from '../gpu-executor/device/index.js';
import type { SparkBackend, SparkSection } from '../spark-bridge/index.js';
import { configuredDevices, type DeviceChoice } from './devices/device-choice.js';
import { duckDbFormulas, sparkFormulas } from './formula-engines.js';
import type { EngineName } from './runs/run-events.js';
import type { FormulaEngine } from './search/scoring/formulas.js';
import { openStore, type StorePlace, storeLimits } from './store-place.js';

export interface OpenSession {
  readonly session: Session;
  readonly engine: 'local' | 'spark';
  /** Reads frames where the data are. */
  readonly frames: FrameEngine;
  /** DuckDB in this process, whatever the engine; absent where only an engine was opened. */
  readonly duckdb?: DuckDbEngine;
  /** The backend of engine spark. */
  readonly spark?: SparkBackend;
  /** GPUs beside the processor, by name, for people. */
  readonly devices?: readonly string[];
  /** What another library's kernels ran so far on the processor, for people. */
  readonly provided?: () => string | undefined;
  /** Metrics in SQL; absent where only an engine was opened. */
  readonly formulas?: FormulaEngine;
  /** What outlives the session. */
  readonly store?: DurableStore;
  /** How Spark is reached and what computes there, for people. */
  readonly way?: string;
}

export interface EngineChoice {
  readonly engine: 'local' | 'spark';
  readonly reason: string;
  /** An engine that was asked for runs all it can; one that was chosen runs what it is best at. */
  readonly placement: PlacementPolicy;
}

/** Data from this size on go to Spark if there; below, a JVM costs more time. @units bytes */
const SPARK_BYTES = 8 * 1024 ** 3;

/** The engine that an expression of each dialect is tied to. */
export const DIALECT_ENGINES = { duckdb: 'local', spark: 'spark' } as const;

/** `auto`: the dialect's engine, else local to a few GiB; Spark beyond, or for cluster paths. */
export async function chooseEngine(
  engine: EngineName,
  path: string,
  dataBytes: (path: string) => Promise<number>,
  dialect?: SqlDialect,
): Promise<EngineChoice> {
  if (engine !== 'auto') return { engine, reason: 'asked for', placement: 'blocks' };
  const placement = 'cost';
  if (dialect !== undefined) {
    const own = DIALECT_ENGINES[dialect];
    return { engine: own, reason: `the job's dialect is ${dialect}`, placement };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path) && !path.startsWith('file:')) {
    return { engine: 'spark', reason: 'the data are in remote storage', placement };
  }
  const bytes = await dataBytes(path);
  const size = `${(bytes / 1024 ** 2).toFixed(1)} MiB of data`;
  if (bytes < SPARK_BYTES)
    return { engine: 'local', reason: `${size} stream through this machine`, placement };
  const { findUsableSpark } = await import('../spark-bridge/index.js');
  const { spark, passedOver } = findUsableSpark();
  if (spark !== undefined || env.livyUrl() !== undefined)
    return { engine: 'spark', reason: size, placement };
  const why = passedOver ?? 'Spark is not set up (`reprise setup`)';
  return { engine: 'local', reason: `${size}, but ${why}`, placement };
}

export interface OpeningOptions {
  /** Where results are kept for later processes, null for nowhere. Default: as the environment says. */
  readonly place?: StorePlace | null;
  /** The run that results are from. */
  readonly origin?: string;
  /** What is reused. Default: as the environment says, else all. */
  readonly reuse?: ReuseSetting;
  /** Default: as the environment says, else GPUs that are there. */
  readonly devices?: DeviceChoice;
  /** Told of what is brought or built for the engine first. */
  readonly onSetup?: (what: string) => void;
}

/** What a setting less than all keeps it finds again alone, not what others kept. */
function placeFor(place: StorePlace, { setting }: ReusePolicy): StorePlace {
  return setting === 'full' ? place : { ...place, folder: join(place.folder, setting) };
}

function configuredStore(): StorePlace | null {
  const folder = env.store();
  return folder ? { folder } : null;
}

/**
 * Opens backends and a session; the caller closes the session.
 * @param section where Spark runs, by the job; what it does not say the environment does
 * @param signal gives up while a backend starts, and ends what was begun
 * @throws ConfigError when Spark or Java is missing
 */
export async function openSession(
  engine: 'local' | 'spark',
  onWarning?: (message: string) => void,
  signal?: AbortSignal,
  placement: PlacementPolicy = 'blocks',
  section?: SparkSection,
  options: OpeningOptions = {},
): Promise<OpenSession> {
  // Said before anything is started for it.
  storeLimits();
  const reuse = reusePolicy(options.reuse);
  void sweepScratch(env.home());
  const { createCpuBackend, createDuckDbEngine } = await import('../gpu-executor/cpu/index.js');
  const duckdb = createDuckDbEngine();
  const costs = loadCostModel();
  const local = await createCpuBackend({ frames: duckdb, costs });
  let devices: readonly DeviceBackend[] = [];
  try {
    const isSparkAlone = engine === 'spark' && placement === 'blocks';
    devices = await chosenDevices(options, isSparkAlone, onWarning);
    let blocks: Backend = local;
    let spark: SparkBackend | undefined;
    let way: string | undefined;
    if (engine === 'spark') {
      const { openSpark } = await import('./open-spark.js');
      const { sql } = duckdb;
      const opened = await openSpark({
        ...(section ? { section } : {}),
        // What is placed by cost was chosen here: no SPARK_HOME was asked for.
        sparkHome: placement === 'cost' ? 'optional' : 'required',
        ...(onWarning ? { onWarning } : {}),
        ...(options.onSetup ? { onProgress: options.onSetup } : {}),
        ...(signal ? { signal } : {}),
        // It reads expressions and profiles files of this machine; whoever asks it gets the error.
        onSpawned: () => void duckdb.start().catch(() => undefined),
        sql,
      });
      spark = opened.backend;
      blocks = spark;
      way = opened.way;
    }
    const { place = configuredStore(), origin } = options;
    const store =
      place === null || !reuse.store
        ? undefined
        : await openStore(placeFor(place, reuse), {
            ...(origin === undefined ? {} : { origin }),
            onWarning: (message) => onWarning?.(message),
          });
    const session = new Session({
      local,
      blocks,
      devices,
      // Without Spark there are blocks nowhere else, and devices take what they are better at.
      ...(env.placement() === undefined
        ? { placement: engine === 'local' && placement === 'blocks' ? 'cost' : placement }
        : {}),
      costs,
      reuse: reuse.setting,
      ...(store ? { store } : {}),
    });
    return {
      session,
      engine,
      ...(store ? { store } : {}),
      frames: blocks.frames!,
      duckdb,
      provided: () => local.choice.description(),
      ...(devices.length > 0
        ? { devices: devices.map(({ name, label }) => `${name} ${label}`) }
        : {}),
      ...(spark ? { spark } : {}),
      formulas: spark === undefined ? duckDbFormulas(duckdb) : sparkFormulas(session, spark),
      ...(way === undefined ? {} : { way }),
    };
  } catch (error) {
    await Promise.all([local, ...devices].map((backend) => backend.close()));
    throw error;
  }
}

/** Drivers are looked for when somebody may want them; an engine that takes all leaves none. */
async function chosenDevices(
  { devices: asked, onSetup }: OpeningOptions,
  isSparkAlone: boolean,
  onWarning: ((message: string) => void) | undefined,
): Promise<readonly DeviceBackend[]> {
  const choice = asked ?? configuredDevices() ?? 'auto';
  if (choice === 'none') return [];
  if (isSparkAlone) {
    if (choice === 'auto') return [];
    onWarning?.(
      `devices: ${choice.join(', ')} not used, as --engine spark runs all it can on Spark; --engine auto places steps by cost`,
    );
    return [];
  }
  const { openDevices } = await import('./devices/open-devices.js');
  return openDevices(choice, { ...(onWarning && { onWarning }), ...(onSetup && { onSetup }) });
}
