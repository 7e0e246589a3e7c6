/**
 * The frame engine of Spark. Local files are listed and identified here, by content, so that a frame has the same
 * lineage on every engine; remote ones are listed and identified where they are. Invariant: what is told of files was
 * read while they were what they are named by.
 */
import { BackendLostError } from '../../driver/errors.js';
import { remoteFault, requireStorage } from '../../driver/frame/addresses.js';
import type {
  ColumnProfile,
  ColumnType,
  FrameColumn,
  FrameDescription,
  FrameEngine,
  FrameFormat,
  FrameSource,
  ProfileRequest,
} from '../../driver/frame/engine.js';
import { listDataFiles } from '../../driver/frame/files.js';
import { requireBounded } from '../../driver/frame/glob.js';
import { identifyFiles, isRemote, readUnchanged } from '../../driver/frame/identity.js';
import type { Channel } from '../channel/channel.js';
import type { Json, WireColumn, WireFrameSource, WireProfile } from '../channel/wire.js';
import { type SparkExpressions, textKey } from './expressions.js';
import type { Survey } from './survey.js';

export function createSparkFrames(
  channel: Channel,
  newRun: () => string,
  expressions: SparkExpressions,
  survey: Survey,
): FrameEngine {
  /** As `readUnchanged`, on files that the cluster has as well. */
  const readEverywhere = async <T>(source: FrameSource, read: () => Promise<T>): Promise<T> => {
    const result = await readUnchanged(source, async () => {
      try {
        return await read();
      } catch (error) {
        throw await survey.causeOf(source.files, error);
      }
    });
    // Executors may have come meanwhile.
    await survey.check(source.files);
    return result;
  };
  const asked = async (source: FrameSource, requests: readonly ProfileRequest[]) => {
    const translated = await expressions.translate(requests, source);
    return {
      run: newRun(),
      source: wireSource(source),
      requests: requests.map((request) => {
        const { top, quantiles } = request;
        return { ...translated.get(textKey(request))!, top, quantiles };
      }),
    };
  };
  const identifyRemote = async (paths: readonly string[]): Promise<readonly (string | null)[]> =>
    (await channel.call('identifyFiles', { paths })).result.digests;
  return {
    name: 'spark',
    async describe(path: string, format?: FrameFormat): Promise<FrameDescription> {
      requireStorage(path);
      if (isRemote(path)) requireBounded(path);
      const local = isRemote(path) ? null : await localSource(path, format);
      const call = () =>
        channel.call('describeFrame', {
          path: local === null ? path : null,
          format: format ?? null,
          source: local,
        });
      if (local !== null) await survey.check(local.files);
      const { result } = await (local === null
        ? call().catch((cause: unknown) => {
            throw remoteFault(path, cause);
          })
        : readUnchanged(local as FrameSource, call));
      const columns = result.columns.map(toColumn);
      const source: FrameSource = { ...(result.source as FrameSource), columns };
      return {
        source: local === null ? { ...source, identify: identifyRemote } : source,
        columns,
        rows: result.rows,
      };
    },
    async profile(
      source: FrameSource,
      requests: readonly ProfileRequest[],
    ): Promise<ColumnProfile[]> {
      const request = await asked(source, requests);
      const { result } = await readEverywhere(source, () => channel.call('profileFrame', request));
      return result.profiles.map(toProfile);
    },
    async profileFiles(
      source: FrameSource,
      requests: readonly ProfileRequest[],
    ): Promise<ColumnProfile[][]> {
      const request = await asked(source, requests);
      const { result } = await readEverywhere(source, () => channel.call('profileFiles', request));
      return result.files.map((profiles) => profiles.map(toProfile));
    },
  };
}

/** The columns of a source as Spark has them. */
export async function columnsOnSpark(
  channel: Channel,
  source: FrameSource,
): Promise<readonly FrameColumn[]> {
  const given = { path: null, format: source.format, source: wireSource(source) };
  return (await channel.call('describeFrame', given)).result.columns.map(toColumn);
}

/** A source without what only the driver needs of it. */
function wireSource({ columns: _, ...source }: FrameSource): WireFrameSource {
  return source as WireFrameSource;
}

/** The same engine, reading once more when Spark ended under it: reading leaves nothing behind. */
export function retryingFrames(frames: FrameEngine, recover: () => Promise<void>): FrameEngine {
  const again = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof BackendLostError)) throw error;
      await recover();
      return await read();
    }
  };
  return {
    name: frames.name,
    describe: (path, format) => again(() => frames.describe(path, format)),
    profile: (source, requests) => again(() => frames.profile(source, requests)),
    ...(frames.profileFiles
      ? { profileFiles: (source, requests) => again(() => frames.profileFiles!(source, requests)) }
      : {}),
  };
}

async function localSource(path: string, format?: FrameFormat): Promise<WireFrameSource> {
  const listed = await listDataFiles(path, format);
  const files = await identifyFiles(listed.paths);
  return { format: listed.format, files: files.map((file) => ({ ...file, rows: 0 })) };
}

function toColumn(column: WireColumn): FrameColumn {
  return { ...column, type: column.type as ColumnType };
}

function toProfile(profile: WireProfile): ColumnProfile {
  return {
    ...profile,
    type: profile.type as ColumnType,
    min: profile.min === null ? null : toNumber(profile.min),
    max: profile.max === null ? null : toNumber(profile.max),
    quantiles: profile.quantiles.map(toNumber),
  };
}

function toNumber(value: Json): number {
  return typeof value === 'number' ? value : Number((value as { $num: string }).$num);
}
